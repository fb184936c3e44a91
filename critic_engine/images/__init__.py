"""Images: files, data URLs and bytes become checked ``Image`` values, and ``Image`` values become pixels.

Import ``load_image`` from ``loading``, the decoders from ``decoding`` and the cache of prepared images from
``byte_cache``.
"""

"""Images: files, data URLs and bytes become checked ``Image`` values, and ``Image`` values become pixels.

Import ``load_image`` from ``loading`` and the decoders from ``decoding``.
"""

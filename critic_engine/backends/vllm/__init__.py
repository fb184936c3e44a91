"""Models in vLLM's engine: generators, and reward models through its pooling.

Import ``VllmGenerator`` from ``generator`` and ``VllmScorer`` from ``scorer``.
"""

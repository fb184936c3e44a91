"""Models in transformers: generation in batches, scores of classification heads, and the counting of tokens.

Import ``HuggingFaceGenerator`` from ``generator``, ``HuggingFaceScorer`` from ``scorer``, ``Checkpoint`` from
``checkpoint``.
"""

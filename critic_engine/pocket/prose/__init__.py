"""The dialect ``prose``: the facts of the pocket world in freely worded English.

``words`` holds the words, ``writer`` puts facts into words, ``reader`` takes them out again. A fact is one of the
solver's steps, such as ``b2 is none``.
"""

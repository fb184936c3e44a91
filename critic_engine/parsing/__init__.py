"""Readers of model text: steps, answers, critiques, annotations and injected errors.

Model text is hostile: a reader takes time linear in it, and returns a type or raises ``ParseError``.
Import the functions from their modules.
"""

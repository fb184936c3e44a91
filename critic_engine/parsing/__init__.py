"""Readers of model text: steps, answers, critiques, annotations and injected errors.

Model text is hostile: each reader runs in time linear in the text, and returns a type or raises ``ParseError``.
Import the functions from their modules.
"""

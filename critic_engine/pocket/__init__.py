"""The pocket world: boards of coloured shapes, questions, a step oracle, and the two shipped models.

Import ``make_problems`` from ``problems`` and ``check`` from ``oracle``; ``training`` makes the models
and is not installed.
"""

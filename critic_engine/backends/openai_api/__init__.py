"""Models behind an endpoint that speaks OpenAI's chat completions.

Import ``OpenAiGenerator`` from ``generator``.
"""

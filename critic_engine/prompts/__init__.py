"""Prompt templates in families, and how the texts they ask for are read.

Import ``PromptFamily``.
"""

from critic_engine.prompts.family import PromptFamily

__all__ = ["PromptFamily"]

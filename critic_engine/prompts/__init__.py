"""Families of prompts: templates in files, and how the texts they ask for are read."""

from critic_engine.prompts.family import PromptFamily

__all__ = ["PromptFamily"]

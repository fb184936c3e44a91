"""Generators and scorers: scripted, transformers, vLLM and OpenAI-compatible endpoints.

Import ``make_generator`` and ``make_scorer``. Only this package and ``pocket.training`` import torch and transformers;
only this one imports vllm and openai.
"""

from critic_engine.backends.factory import make_generator, make_scorer
from critic_engine.backends.huggingface.checkpoint import (
    Checkpoint,
    CheckpointOptions,
    CheckpointSummary,
    pocket_folder,
)
from critic_engine.backends.huggingface.generator import HuggingFaceGenerator
from critic_engine.backends.huggingface.scorer import HuggingFaceScorer
from critic_engine.backends.scripted import Script, ScriptedGenerator, ScriptedText
from critic_engine.backends.scripts import scripted_critic, scripted_reasoner

__all__ = [
    "Checkpoint",
    "CheckpointOptions",
    "CheckpointSummary",
    "HuggingFaceGenerator",
    "HuggingFaceScorer",
    "Script",
    "ScriptedGenerator",
    "ScriptedText",
    "make_generator",
    "make_scorer",
    "pocket_folder",
    "scripted_critic",
    "scripted_reasoner",
]

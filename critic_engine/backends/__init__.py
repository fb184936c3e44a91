"""Generators: the scripted one, and the one that runs Hugging Face models."""

from critic_engine.backends.checkpoint import Checkpoint, CheckpointOptions, CheckpointSummary
from critic_engine.backends.huggingface import HuggingFaceGenerator
from critic_engine.backends.loading import GeneratorKey, make_generator, pocket_folder
from critic_engine.backends.scripted import Script, ScriptedGenerator, ScriptedText
from critic_engine.backends.scripts import scripted_critic, scripted_reasoner

__all__ = [
    "Checkpoint",
    "CheckpointOptions",
    "CheckpointSummary",
    "GeneratorKey",
    "HuggingFaceGenerator",
    "Script",
    "ScriptedGenerator",
    "ScriptedText",
    "make_generator",
    "pocket_folder",
    "scripted_critic",
    "scripted_reasoner",
]

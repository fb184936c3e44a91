"""Generators and scorers: the scripted one, those of transformers and of vLLM, endpoints, and pools of replicas."""

from critic_engine.backends.checkpoint import Checkpoint, CheckpointOptions, CheckpointSummary
from critic_engine.backends.huggingface import HuggingFaceGenerator
from critic_engine.backends.loading import make_generator, make_scorer, pocket_folder
from critic_engine.backends.scorer import HuggingFaceScorer
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

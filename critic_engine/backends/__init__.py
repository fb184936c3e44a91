"""Generators and scorers: scripted, transformers, vLLM and OpenAI-compatible endpoints.

Import ``make_generator`` and ``make_scorer`` from ``factory``. Only this package and ``pocket.training`` import torch
and transformers; only this one imports vllm and openai.
"""

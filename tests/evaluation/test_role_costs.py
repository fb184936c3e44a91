"""What a run costs in dollars, by role."""

import pytest

from critic_engine.config.models import ModelConfig
from critic_engine.evaluation.role_costs import RoleTokens


def priced(**prices: float) -> ModelConfig:
    return ModelConfig.model_validate({"model": "openai:qwen", "openai_api": prices})


def test_cached_prompt_tokens_cost_what_their_price_says() -> None:
    dear = priced(usd_per_million_prompt_tokens=2.0, usd_per_million_generated_tokens=10.0)
    cheap = priced(
        usd_per_million_prompt_tokens=2.0, usd_per_million_cached_tokens=0.5, usd_per_million_generated_tokens=10.0
    )
    tokens = {"prompt": 500_000, "uncached": 100_000, "generated": 100_000}
    assert RoleTokens((dear,), **tokens).usd() == pytest.approx(2.0)
    assert RoleTokens((cheap, cheap), **tokens).usd() == pytest.approx(1.4)
    assert RoleTokens((dear, cheap), **tokens).usd() is None
    assert RoleTokens((), **tokens).usd() == 0.0

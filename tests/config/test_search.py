"""The sections of the configuration, each by itself."""

import pydantic
import pytest

from critic_engine.config.search import BudgetConfig, ExpanderConfig
from critic_engine.types import TokenUsage


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"split": "tokens", "delimiter": "\n\n"}, "set split to 'delimiter' or leave delimiter out"),
        ({"step_template": "## $number"}, "set split to 'template' or leave step_template out"),
        ({"split": "template", "step_template": "Step $n"}, "it may hold \\$number"),
        ({"split": "template", "step_template": "5$"}, "it may hold \\$number"),
        ({"kind": "solution", "max_revisions": 1}, "only steps are revised"),
        ({"is_critic_guided": False, "max_revisions": 1}, "set is_critic_guided to true"),
        ({"revise_below": 0.9}, "revise_below is 0.9 and has no effect; set max_revisions"),
        ({"is_critic_guided": False, "max_rejected": 3}, "max_rejected is 3 and has no effect"),
        ({"is_critic_guided": False, "reject_below": 0.2}, "reject_below is 0.2 and has no effect"),
    ],
)
def test_expander_options_that_would_be_ignored_or_misread_are_refused(
    section: dict[str, object], message: str
) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        ExpanderConfig.model_validate(section)


@pytest.mark.parametrize(
    "section",
    [
        {"split": "delimiter", "delimiter": "\n\n"},
        {"split": "template", "step_template": "## $number", "delimiter": "\n"},
        {"split": "tokens", "max_step_tokens": 30, "step_template": "Step $number:"},
        {"kind": "solution", "split": "sentence", "max_revisions": 0},
        {"max_revisions": 2, "revise_below": 0.9},
    ],
)
def test_expander_options_are_read_back_as_they_were_written(section: dict[str, object]) -> None:
    config = ExpanderConfig.model_validate(section)
    assert ExpanderConfig.model_validate(config.model_dump(mode="json")) == config


def test_weighted_budget_counts_uncached_prompts_rounded_up() -> None:
    budget = BudgetConfig(max_tokens=100, prompt_weight=0.1)
    assert budget.cost(TokenUsage(prompt_tokens=45, generated_tokens=7, cached_tokens=10)) == 7 + 4
    assert BudgetConfig(max_tokens=100).cost(TokenUsage(prompt_tokens=45, generated_tokens=7)) == 7


@pytest.mark.parametrize("max_tokens", [None, "16 solutions"])
def test_prompt_weight_needs_a_number_of_tokens(max_tokens: str | None) -> None:
    with pytest.raises(pydantic.ValidationError, match="set max_tokens to a number"):
        BudgetConfig(max_tokens=max_tokens, prompt_weight=1)

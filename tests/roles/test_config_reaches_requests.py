"""What a configuration says of a role's requests arrives at its model: system prompts, sampling, and chat options."""

import asyncio
from typing import Any

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.engine import EngineConfig, parse_config
from critic_engine.config.models import ModelConfig
from critic_engine.config.search import RewardModelConfig
from critic_engine.models.registry import ModelMakers, ModelRole, Models
from critic_engine.protocols import ExpansionContext, Score
from critic_engine.roles.factory import SearchRoles, make_roles
from critic_engine.types import Message, Problem, Trajectory

PROBLEM = Problem("how many ?")
TRAJECTORY = Trajectory(("one", "answer: 1"), is_finished=True, answer="1")
CHAT: dict[str, Any] = {
    "system_prompt": "Be brief.",
    "thinking": "on",
    "max_thought_tokens": 77,
    "reasoning_effort": "low",
    "chat_template_kwargs": {"enable_thinking": True},
    "extra_body": {"priority": 3},
    "backend": "openai_api",
    "model": "some/model",
    "prompts": "plain",
}
SAMPLING = {"temperature": 0.4, "top_p": 0.8, "top_k": 20, "min_p": 0.05, "max_tokens": 99}


class RecordingScorer:
    """A scorer that keeps what it was asked."""

    name = "scorer"

    def __init__(self) -> None:
        self.messages: list[tuple[Message, ...]] = []

    async def load(self) -> None: ...

    async def aclose(self) -> None: ...

    async def score(self, messages: tuple[Message, ...]) -> Score:
        self.messages.append(messages)
        return Score(0.5, 3)


def roles_of(document: dict[str, Any]) -> tuple[SearchRoles, dict[str, ScriptedGenerator], RecordingScorer]:
    """Return the roles, the generators by the system prompts of their configurations, and the scorer."""
    made: dict[str, ScriptedGenerator] = {}
    scorer = RecordingScorer()

    def make(config: ModelConfig, role: ModelRole) -> ScriptedGenerator:
        made[config.model] = ScriptedGenerator(["see\nVerdict: right\nScore: 1\nanswer: 1"], is_recording=True)
        return made[config.model]

    def make_scorer(config: RewardModelConfig) -> RecordingScorer:
        return scorer

    config: EngineConfig = parse_config({"budget": {"max_simulations": 1}, **document})
    return make_roles(config, Models(ModelMakers(make, make_scorer))), made, scorer


def check(generator: ScriptedGenerator, *, thinking: str = "on", **sampling: float) -> None:
    (request,) = generator.requests
    assert [(message.role, message.text) for message in request.messages][:1] == [("system", "Be brief.")]
    assert request.messages[1].role == "user"
    assert request.session == PROBLEM.problem_id, "so that a pool knows what it is about"
    chat = request.chat
    assert (chat.thinking, chat.max_thought_tokens, chat.reasoning_effort) == (thinking, 77, "low")
    assert (chat.template_kwargs, chat.extra_body) == ({"enable_thinking": True}, {"priority": 3})
    assert {name: getattr(request.sampling, name) for name in sampling} == sampling


@pytest.mark.parametrize("kind", ["step", "solution"])
@pytest.mark.parametrize("call", ["expand", "finish"])
def test_reasoners(kind: str, call: str) -> None:
    reasoner = {**CHAT, **SAMPLING}
    other = {**reasoner, "model": "other/model", "temperature": 0.9}
    document = {"strategy": {"kind": "ab_mcts"}, "expander": {"kind": kind}, "reasoner": reasoner}
    roles, made, _ = roles_of({**document, "other_reasoners": [other], "critic": CHAT})
    for expander in roles.expanders:
        if call == "expand":
            asyncio.run(expander.expand(PROBLEM, ExpansionContext(Trajectory()), seeds=(1,)))
        else:
            asyncio.run(expander.finish(PROBLEM, Trajectory(("one",)), seeds=(1,)))
    check(made["some/model"], **SAMPLING)
    check(made["other/model"], **{**SAMPLING, "temperature": 0.9})


def test_critic() -> None:
    roles, made, _ = roles_of({"critic": {**CHAT, **SAMPLING, "model": "critic/model"}})
    asyncio.run(roles.evaluator.evaluate(PROBLEM, TRAJECTORY, seed=1))
    check(made["critic/model"], **SAMPLING)


def test_reward_model_that_writes_a_verdict() -> None:
    document = {"evaluator": {"kind": "reward_model"}, "reward_model": {**CHAT, "model": "reward/model"}}
    roles, made, _ = roles_of(document)
    asyncio.run(roles.evaluator.evaluate(PROBLEM, TRAJECTORY, seed=1))
    check(made["reward/model"], thinking="off", max_tokens=1)


def test_reward_model_that_scores() -> None:
    reward_model = {"model": "reward/model", "head": "sequence_classification", "system_prompt": "Be brief."}
    roles, _, scorer = roles_of({"evaluator": {"kind": "reward_model"}, "reward_model": reward_model})
    asyncio.run(roles.evaluator.evaluate(PROBLEM, TRAJECTORY, seed=1))
    assert [message.role for message in scorer.messages[0]] == ["system", "user", "assistant"]
    assert scorer.messages[0][0].text == "Be brief."

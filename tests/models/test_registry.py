import asyncio

import pytest

from critic_engine.backends.factory import make_scorer
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.models import EndpointConfig, ModelConfig
from critic_engine.config.search import CriticConfig, ReasonerConfig, RewardModelConfig
from critic_engine.errors import GenerationError, ModelLoadError
from critic_engine.models.metering import Meter, ModelFigures, merged
from critic_engine.models.registry import ModelMakers, ModelRole, Models
from critic_engine.models.shared_models import SharedModels
from critic_engine.protocols import Generation, GenerationRequest, Generator
from critic_engine.types import Message, TokenUsage

REQUEST = GenerationRequest(messages=(Message("user", "how many ?"),))


class Loaded(ScriptedGenerator):
    """A scripted generator that says what was done with it."""

    def __init__(self, name: str, *, is_broken: bool = False) -> None:
        super().__init__(["answer : 1"], name=name, faults={1: GenerationError("no")})
        self.is_broken = is_broken
        self.calls: list[str] = []

    async def load(self) -> None:
        self.calls.append("load")
        if self.is_broken:
            raise ModelLoadError("it is broken")

    async def aclose(self) -> None:
        self.calls.append("aclose")
        if self.is_broken:
            raise ModelLoadError("it does not close")


def make_models(made: list[Loaded], *, is_broken: bool = False) -> Models:
    def make(config: ModelConfig, role: ModelRole) -> Generator:
        made.append(Loaded(f"{config.model} as {role}", is_broken=is_broken))
        return made[-1]

    return Models(ModelMakers(make, make_scorer))


def test_roles_that_name_the_same_model_share_it_whatever_they_sample_with() -> None:
    made: list[Loaded] = []
    models = make_models(made)
    reasoner = models.generator(ReasonerConfig(model="qwen", temperature=0.9), "reasoner")
    assert models.generator(CriticConfig(model="qwen", prompts="plain"), "critic") is reasoner
    assert models.generator(CriticConfig(model="qwen", dtype="bfloat16"), "critic") is not reasoner
    assert len(made) == 2


def test_shipped_models_are_one_a_role_and_the_reward_models_is_the_critics() -> None:
    made: list[Loaded] = []
    models = make_models(made)
    critic = models.generator(CriticConfig(), "critic")
    assert models.generator(ReasonerConfig(), "reasoner") is not critic
    assert models.generator(RewardModelConfig(), "critic") is critic


def test_models_are_loaded_and_closed_once_and_an_adopted_one_is_left_to_its_owner() -> None:
    made: list[Loaded] = []
    models = make_models(made)
    models.generator(ReasonerConfig(model="qwen"), "reasoner")
    models.generator(CriticConfig(model="qwen"), "critic")
    guest = Loaded("guest")
    models.adopt(guest)

    async def work() -> None:
        await models.load()
        await models.aclose()
        await models.aclose()

    asyncio.run(work())
    assert made[0].calls == ["load", "aclose"]
    assert guest.calls == []


def test_model_that_does_not_close_keeps_none_of_the_others_from_it() -> None:
    made: list[Loaded] = []
    models = make_models(made, is_broken=True)
    models.generator(ReasonerConfig(model="a"), "reasoner")
    models.generator(ReasonerConfig(model="b"), "reasoner")
    with pytest.raises(ModelLoadError, match="does not close"):
        asyncio.run(models.aclose())
    assert [each.calls for each in made] == [["aclose"], ["aclose"]]


def test_figures_count_requests_failures_and_tokens_by_name() -> None:
    made: list[Loaded] = []
    models = make_models(made)
    generator = models.generator(ReasonerConfig(model="qwen"), "reasoner")

    async def work() -> None:
        await generator.generate(REQUEST)
        with pytest.raises(GenerationError):
            await generator.generate(REQUEST)
        await asyncio.gather(generator.generate(REQUEST), generator.generate(REQUEST))

    asyncio.run(work())
    (figures,) = models.figures().values()
    assert (figures.usage.num_requests, figures.num_failed) == (4, 1)
    assert figures.usage == TokenUsage(prompt_tokens=12, generated_tokens=12, num_requests=4)


def test_two_models_of_one_name_have_figures_of_their_own() -> None:
    models = make_models([])
    for dtype in ("float32", "bfloat16"):
        models.generator(ModelConfig.model_validate({"model": "qwen", "dtype": dtype}), "reasoner")
    assert list(models.figures()) == ["qwen as reasoner", "qwen as reasoner (2)"]


def test_price_is_that_of_the_tokens_read_and_written() -> None:
    prices = EndpointConfig(usd_per_million_prompt_tokens=2.0, usd_per_million_generated_tokens=10.0)
    meter = Meter(prices)

    async def answer() -> Generation:
        return Generation((), TokenUsage(prompt_tokens=500_000, generated_tokens=100_000))

    asyncio.run(meter.request(answer()))
    assert meter.figures().usd == pytest.approx(2.0)


@pytest.mark.parametrize(("price", "usd"), [(None, 2.0), (0.5, 1.4), (0.0, 1.2)])
def test_price_of_cached_prompt_tokens_may_be_one_of_their_own(price: float | None, usd: float) -> None:
    prices = EndpointConfig(
        usd_per_million_prompt_tokens=2.0,
        usd_per_million_cached_tokens=price,
        usd_per_million_generated_tokens=10.0,
    )
    meter = Meter(prices)

    async def answer() -> Generation:
        return Generation((), TokenUsage(prompt_tokens=500_000, cached_tokens=400_000, generated_tokens=100_000))

    asyncio.run(meter.request(answer()))
    assert meter.figures().usd == pytest.approx(usd)


def test_figures_of_several_processes_add_up() -> None:
    one = ModelFigures(1, TokenUsage(10, 4), usd=0.5)
    other = ModelFigures(0, TokenUsage(5, 1), usd=0.25)
    assert merged([{"a": one}, {"a": other, "b": one}]) == {
        "a": ModelFigures(1, TokenUsage(15, 5), usd=0.75),
        "b": one,
    }


def test_shared_models_are_made_once_and_outlive_each_set_that_uses_them() -> None:
    made: list[Loaded] = []

    def make(config: ModelConfig, role: ModelRole) -> Generator:
        made.append(Loaded(f"{config.model} as {role}"))
        return made[-1]

    with SharedModels(ModelMakers(make, make_scorer)) as shared:
        for _ in range(2):
            models = Models(shared.makers)
            models.generator(ReasonerConfig(), "reasoner")
            asyncio.run(models.load())
            asyncio.run(models.aclose())
            assert list(models.figures()) == ["pocket as reasoner"]
    assert [each.calls for each in made] == [["load", "load", "aclose"]]

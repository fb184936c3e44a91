"""The options that commands share, as changes to a config."""

from pathlib import Path

import click
import pytest

from critic_engine.cli.engine_options import EngineRequest
from critic_engine.cli.placement_options import Placement
from critic_engine.config.engine import parse_config
from critic_engine.config.every_model import every_model
from critic_engine.errors import ConfigError
from critic_engine.roles.given_models import with_given


def test_placement_reaches_every_model_so_that_roles_still_share_one() -> None:
    config = EngineRequest(config=("best_of_n",), device="cpu", dtype="bfloat16").load_config()
    for section in (config.reasoner, config.critic, config.reward_model):
        assert (section.device, section.dtype) == ("cpu", "bfloat16")


def test_what_is_set_comes_last() -> None:
    settings = ("run.seed=3", "critic.device=cuda:1")
    config = EngineRequest(config=("best_of_n",), settings=settings, seed=7, device="cpu").load_config()
    assert (config.run.seed, config.reasoner.device, config.critic.device) == (3, "cpu", "cuda:1")


ARMS = "strategy: {kind: ab_mcts}\nexpander: {kind: solution}\nbudget: {max_tokens: 9}\n"


def requested(config: Path, *settings: str, reasoner: str | None = None, device: str | None = None) -> EngineRequest:
    return EngineRequest(config=(str(config),), settings=settings, reasoner=reasoner, critic=reasoner, device=device)


def test_placement_reaches_the_other_reasoners(tmp_path: Path) -> None:
    (tmp_path / "arms.yaml").write_text(ARMS + "other_reasoners: [{temperature: 1.0}, {device: cpu}]\n")
    config = requested(tmp_path / "arms.yaml", device="cuda:1").load_config()
    assert [each.device for each in (config.reasoner, *config.other_reasoners)] == ["cuda:1"] * 3
    assert config.other_reasoners[0].temperature == 1.0


def test_what_is_set_as_a_whole_is_placed_where_it_names_no_device(tmp_path: Path) -> None:
    (tmp_path / "arms.yaml").write_text(ARMS)
    settings = ("other_reasoners=[{device: cpu}, {temperature: 1.0}]", "critic={device: cpu}", "reasoner={top_p: 0.5}")
    config = requested(tmp_path / "arms.yaml", *settings, device="cuda:1").load_config()
    assert [each.device for each in config.other_reasoners] == ["cpu", "cuda:1"]
    assert (config.critic.device, config.reasoner.device) == ("cpu", "cuda:1")


def test_nothing_moves_where_no_place_is_given() -> None:
    config = parse_config({"budget": {"max_tokens": 9}, "critic": {"device": "cuda:1"}})
    assert Placement().apply(config) == config


@pytest.mark.parametrize("preset", sorted(path.stem for path in (Path(__file__).parents[2] / "configs").glob("*.yaml")))
def test_placement_sets_nothing_else_and_leaves_unset_what_nobody_has_set(preset: str) -> None:
    before = EngineRequest(config=(preset,)).read_config()
    placed = Placement(device="cuda:1", search_workers=2, ray="local").apply(before)
    assert placed == parse_config(placed.model_dump(mode="json"))
    for place, model in every_model(placed).items():
        was = every_model(before)[place]
        assert model == was.model_copy(update={"device": "cuda:1"})
        assert model.model_fields_set == was.model_fields_set | {"device"}


def test_default_critic_stays_unasked_when_it_is_placed() -> None:
    config = EngineRequest(config=("mcts",), settings=("reasoner.model=./a",)).read_config()
    for each in (config, Placement(device="cuda:1").apply(config)):
        with pytest.raises(ConfigError, match="would be paired with the pocket critic"):
            with_given(each, has_reasoner=False, has_critic=False)


def test_pocket_model_beside_another_reasoner_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arms.yaml"
    path.write_text(ARMS + "other_reasoners: [{model: ./b}, {model: pocket}]\n")
    with pytest.raises(click.UsageError, match="pocket model in other_reasoners"):
        requested(path, reasoner="./a").load_config()
    requested(path).load_config()
    requested(path, "other_reasoners=[{model: ./b}]", reasoner="./a").load_config()
    path.write_text(ARMS + "reasoner: {model: ./a}\nother_reasoners: [{temperature: 1.0}]\n")
    with pytest.raises(click.UsageError, match="pocket model in other_reasoners"):
        requested(path).load_config()


@pytest.mark.parametrize(
    ("method", "unused"),
    [("greedy", ["--critic", "--reward-model"]), ("beam", ["--critic"]), ("mcts", ["--reward-model"])],
)
def test_model_that_nobody_asks_is_said_to_be_unused(
    method: str, unused: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    config = EngineRequest(config=(method,), reasoner="./a", critic="./b", reward_model="./c").load_config()
    assert (config.reasoner.model, config.critic.model, config.reward_model.model) == ("./a", "./b", "./c")
    assert [message.split()[0] for message in caplog.messages] == unused


def test_endpoint_is_named_by_its_prefix_and_keeps_its_backend_beside_another() -> None:
    request = EngineRequest(
        config=("mcts",), reasoner="openai:qwen", critic="./critic", backend="vllm", base_url="http://localhost:8000/v1"
    )
    config = request.load_config()
    assert (config.reasoner.backend, config.reasoner.model) == ("openai_api", "qwen")
    assert config.reasoner.openai_api.base_url == "http://localhost:8000/v1"
    assert (config.critic.backend, config.critic.model) == ("vllm", "./critic")


ANNOTATED = """
critic: {model: openai:judge}
collect:
  annotators: [{kind: model, model: {model: openai:writer}}, {kind: model, model: {model: ./c}}]
  injection: {grader: {model: openai:grader}, detectors: [{kind: model, model: {model: openai:finder}}]}
"""


def test_every_model_may_be_behind_the_endpoint(tmp_path: Path) -> None:
    (tmp_path / "annotated.yaml").write_text(ANNOTATED)
    request = EngineRequest(
        config=("mcts", str(tmp_path / "annotated.yaml")),
        settings=("reward_model.model=openai:scores",),
        backend="vllm",
        base_url="http://host/v1",
    )
    config = request.load_config()
    collect = config.collect
    assert collect is not None
    assert collect.injection is not None
    annotators = [each.model for each in collect.annotators]
    behind = [config.critic, config.reward_model, annotators[0], collect.injection.grader]
    for model in (*behind, collect.injection.detectors[0].model):
        assert model is not None
        assert (model.backend, model.openai_api.base_url) == ("openai_api", "http://host/v1")
        assert not model.model.startswith("openai:")
    assert annotators[1] is not None
    assert (annotators[1].backend, config.reasoner.backend) == ("vllm", "vllm")


def test_device_is_that_of_the_models_that_run_here() -> None:
    request = EngineRequest(config=("mcts",), reasoner="openai:qwen", critic="./critic", device="cuda:1")
    config = request.load_config()
    assert (config.reasoner.device, config.critic.device) == ("auto", "cuda:1")
    with pytest.raises(click.UsageError, match="each is behind an endpoint"):
        EngineRequest(config=("mcts",), reasoner="openai:a", critic="openai:b", device="cpu").load_config()


def test_base_url_without_an_endpoint_is_refused() -> None:
    with pytest.raises(click.UsageError, match="openai:NAME"):
        EngineRequest(config=("mcts",), base_url="http://localhost:8000/v1").load_config()


@pytest.mark.parametrize(("ray", "address"), [("off", None), ("local", "local"), ("10.0.0.1:6379", "10.0.0.1:6379")])
def test_ray_and_search_workers_reach_their_section(ray: str, address: str | None) -> None:
    workers = 2 if address else 0
    config = EngineRequest(config=("mcts",), ray=ray, search_workers=workers).load_config()
    assert (config.ray.address, config.ray.num_search_workers) == (address, workers)


def test_workers_without_ray_are_refused() -> None:
    with pytest.raises(ConfigError, match="address is off"):
        EngineRequest(config=("mcts",), search_workers=2).load_config()


def test_section_of_another_backend_is_refused() -> None:
    settings = ("reasoner.vllm.max_restarts=1", "reasoner.model=./a", "critic.model=./b")
    with pytest.raises(ConfigError, match="set backend to 'vllm'"):
        EngineRequest(config=("mcts",), settings=settings).load_config()


def test_backend_that_changes_takes_what_was_said_of_the_other_one_with_it() -> None:
    config = EngineRequest(config=("mcts", "one_gpu"), backend="huggingface", device="cuda:1").load_config()
    assert (config.reasoner.backend, config.reasoner.device) == ("huggingface", "cuda:1")
    assert config.reasoner.vllm.engine_args == {}

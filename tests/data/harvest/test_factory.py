"""Whom a harvest asks to put errors in, to find them and to grade: one model in all roles, or others by name."""

import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.engine import EngineConfig, parse_config
from critic_engine.data.harvest.error_detection import InjectionResult
from critic_engine.data.harvest.finding_kinds import INJECTION
from critic_engine.errors import ConfigError
from critic_engine.prompts import PromptFamily, family
from critic_engine.run.store import RunStore
from tests.data.harvesting import COLLECT, CONFIG, collected, copied, findings, harvest, harvester, model, role_of

ROLES = ("inject", "detect", "grade", "critique")
"""Those of an injection, the critic's among them."""
PLAIN = PromptFamily.load("plain")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with trees."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    collected(run)
    return run


def named(name: str) -> dict[str, Any]:
    return {"model": name, "backend": "scripted"}


def settings(injection: Mapping[str, Any], **sections: Any) -> EngineConfig:
    """Return a configuration in which nobody but the injection asks anyone."""
    alone = {"annotators": [], "labels": {"kind": "none"}, "pairs": {"check": "none"}, "injection": injection}
    return parse_config({**CONFIG, "collect": {**COLLECT, "lift": {"num_refinements": 0}, **alone}, **sections})


def injected(
    run: Path, found_in: EngineConfig, **others: ScriptedGenerator
) -> tuple[list[InjectionResult], ScriptedGenerator]:
    """Return the injections that come of the run's trees, and the model in all roles that no other is named for."""
    generator = model(name="the reasoner")
    harvest(run, generator, settings=found_in, others=others)
    found = [injection for each in findings(run).values() for injection in each.of_kind(INJECTION)]
    assert found
    assert all(injection.failure is None for injection in found)
    return found, generator


def asked(generator: ScriptedGenerator) -> set[str]:
    return {role_of(request) for request in generator.requests} & set(ROLES)


@pytest.fixture
def searched(whole: Path, tmp_path: Path) -> Path:
    """The same run, with its trees and nothing found in them yet."""
    return copied(whole, tmp_path / "searched", keep=lambda name: False)


def test_each_role_may_be_another_model_and_detections_carry_the_names(searched: Path) -> None:
    injection = {
        "kind": "model",
        "model": named("i"),
        "detectors": [
            {"kind": "model", "model": named("d"), "num_detections": 2},
            {"kind": "self", "num_detections": 1},
            {"kind": "critic", "num_detections": 2},
        ],
        "grader": named("g"),
    }
    others = {name: model(name=f"model {name}") for name in "idg"}
    found, reasoner = injected(searched, settings(injection), **others)
    assert {name: asked(each) for name, each in others.items()} == {"i": {"inject"}, "d": {"detect"}, "g": {"grade"}}
    assert asked(reasoner) == {"detect", "critique"}
    for each in found:
        names = [detection.detector for detection in each.detections]
        assert names == ["model d", "model d", "the reasoner", "critic 1", "critic 2"]
    detections = [request.sampling.temperature for request in others["d"].requests[:2]]
    assert sorted(detections) == [0.0, 0.7]


def test_by_default_one_model_does_it_all_and_looks_four_times(searched: Path) -> None:
    found, reasoner = injected(searched, settings({"kind": "self"}))
    assert asked(reasoner) == {"inject", "detect", "grade"}
    assert all([each.detector for each in one.detections] == ["the reasoner"] * 4 for one in found)
    looked = [each.sampling.temperature for each in reasoner.requests if role_of(each) == "detect"]
    assert sorted(set(looked)) == [0.0, 0.7]
    assert looked.count(0.7) == 3 * looked.count(0.0) == 3 * len(found)


def test_whoever_injects_grades_where_nobody_else_is_named(searched: Path) -> None:
    injector = model(name="an injector")
    found, reasoner = injected(searched, settings({"kind": "model", "model": named("i")}), i=injector)
    assert (asked(injector), asked(reasoner)) == ({"inject", "grade"}, {"detect"})
    assert all(each.score is not None and each.score.grade is not None for one in found for each in one.detections)


def test_an_injector_whose_prompts_cannot_grade_leaves_errors_to_match_by_their_steps(
    searched: Path, tmp_path: Path
) -> None:
    found, reasoner = injected(searched, settings({"kind": "self"}, reasoner=without(tmp_path, "grade")))
    assert asked(reasoner) == {"inject", "detect"}
    assert all(each.score is not None and each.score.grade is None for one in found for each in one.detections)


def without(folder: Path, template: str) -> dict[str, Any]:
    """Return a scripted reasoner whose prompts lack a template."""
    shutil.copytree(Path(family.__file__).parent / "plain", folder / "prompts")
    (folder / "prompts" / f"{template}.txt").unlink()
    return {"backend": "scripted", "prompts": str(folder / "prompts")}


def test_a_critic_that_is_not_the_reasoners_match_detects_where_it_is_named(searched: Path) -> None:
    """What it writes in its own way is restated, so that whoever learns from detections learns one way of writing."""
    critic = model(lambda request, seed: "wrong step 1 : it is not so", name="another")
    injection = {"kind": "self", "detectors": [{"kind": "critic", "num_detections": 2}, {"num_detections": 1}]}
    sections = {"critic": {**named("c"), "prompts": "pocket"}}
    found, reasoner = injected(searched, settings(injection, **sections), c=critic)
    assert asked(reasoner) == {"inject", "detect", "grade"}
    assert len(critic.requests) == 2 * len(found)
    for one in found:
        assert [each.detector for each in one.detections] == ["critic 1", "critic 2", "the reasoner"]
        restated = PLAIN.written_critique(step=1, reason="it is not so")
        assert [each.words for each in one.detections[:2]] == [restated] * 2
        assert (one.detections[2].words or "").startswith("Verdict: ")


@pytest.mark.parametrize(
    ("injection", "sections", "field", "reason"),
    [
        ({"kind": "self"}, {"reasoner": {"backend": "scripted"}}, "kind", r"have no inject\.txt"),
        ({"kind": "model", "model": {**named("x"), "prompts": "pocket"}}, {}, "kind", r"have no inject\.txt"),
        (
            {"detectors": [{}, {"kind": "model", "model": {**named("x"), "prompts": "pocket"}}]},
            {},
            "detectors.1.kind",
            r"the prompts 'pocket' have no detect\.txt, so that model cannot be asked",
        ),
        ({"detectors": [{"kind": "self"}]}, {"reasoner": {"backend": "scripted"}}, "detectors.0.kind", "no detect"),
        (
            {"kind": "self", "detectors": [{}, {"kind": "critic"}]},
            {"critic": {"backend": "huggingface"}},
            "detectors.1.kind",
            "the pocket critic cannot read what pocket writes",
        ),
        ({"kind": "self", "grader": {**named("x"), "prompts": "pocket"}}, {}, "grader", r"have no grade\.txt"),
    ],
)
def test_whoever_cannot_be_asked_is_refused_by_the_field_that_names_it(
    injection: dict[str, Any], sections: dict[str, Any], field: str, reason: str, searched: Path
) -> None:
    with closing(RunStore.view(searched)) as store, pytest.raises(ConfigError, match=reason) as caught:
        harvester(settings(injection, **sections), store, model())
    assert caught.value.field == f"collect.injection.{field}"

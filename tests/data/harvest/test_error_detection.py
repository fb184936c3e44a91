import asyncio
import dataclasses
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest

from critic_engine.backends.scripted import Script, ScriptedGenerator, ScriptedText
from critic_engine.backends.scripted_roles import scripted_critic
from critic_engine.config.search import CriticConfig
from critic_engine.data.harvest.error_detection import InjectionResult, InjectionRoles, inject_and_detect
from critic_engine.data.harvest.finding_kinds import INJECTION
from critic_engine.data.harvest.injection_scores import DetectionScore
from critic_engine.errors import GenerationError, ParseError, ReplicaLostError
from critic_engine.parsing.critiques import parse_critique
from critic_engine.parsing.injections import Injected, InjectedError
from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.rule_injector import SlipInjector
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import GenerationRequest, Sample
from critic_engine.roles.critic import Critic
from critic_engine.roles.injection_models import (
    CriticDetector,
    ModelDetector,
    ModelGrader,
    ModelInjector,
    SampledModel,
)
from critic_engine.roles.injection_protocols import Detection, Detector
from critic_engine.types import Image, Problem, SamplingOptions, TokenUsage, Trajectory

PLAIN = PromptFamily.load("plain")
PROBLEM = Problem("how many are red ?", images=(Image(b"picture", "image/png", 1, 1),))
RIGHT = Trajectory(("row 1 has 2", "row 2 has 1", "2 + 1 = 3", "answer: 3"), True, "3")
SENTINEL = "zq-reference-7731"
INJECTED = """Solution:
[1] row 1 has 2
[2] row 2 has 2
[3] 2 + 1 = 4
[4] answer: 4
Errors:
[2] says 2; there is 1
[3] says 4; the sum is 3
[4] says 4; it is 3
"""
FOUND = "Errors:\n[2] there is 1 in row 2\n[1] there is 1 in row 1"
GRADE = "matches: 1\n### score: 7"


def sample_of(text: str) -> Script:
    return lambda request, seed: text


def model(script: Any, **options: Any) -> ScriptedGenerator:
    return ScriptedGenerator(sample_of(script) if isinstance(script, str) else script, is_recording=True, **options)


def sampled(generator: ScriptedGenerator, max_attempts: int = 1) -> SampledModel:
    return SampledModel(generator, SamplingOptions(max_tokens=500), max_attempts)


def critic(generator: ScriptedGenerator, name: str = "a critic") -> CriticDetector:
    return CriticDetector(Critic(generator, PLAIN, CriticConfig(max_attempts=1)), name)


def detector(script: Any) -> ModelDetector:
    return ModelDetector(sampled(model(script, name="a detector")), PLAIN, PLAIN)


def run(
    roles: InjectionRoles, *, trajectory: Trajectory = RIGHT, extras: Mapping[str, object] | None = None
) -> InjectionResult:
    return asyncio.run(inject_and_detect(PROBLEM, trajectory, roles=roles, seed=1, extras=extras or {}))


def injector(script: Any = INJECTED) -> ModelInjector:
    return ModelInjector(sampled(model(script, name="an injector")), PLAIN)


def error(step: int | None, words: str = "wrong") -> InjectedError:
    return InjectedError(step, words)


def test_an_injection_is_detected_graded_and_ranked() -> None:
    grades = {"[2] there is 1 in row 2": GRADE, "Verdict: right": "", "none": "matches: 0\n### score: 1"}
    roles = InjectionRoles(
        injector(),
        (detector(FOUND), critic(model("Verdict: right\nScore: 1"))),
        ModelGrader(sampled(model(grades, name="a grader")), PLAIN),
    )
    injection = run(roles)
    assert injection.steps == ("row 1 has 2", "row 2 has 2", "2 + 1 = 4", "answer: 4")
    assert injection.errors == (
        error(2, "says 2; there is 1"),
        error(3, "says 4; the sum is 3"),
        error(4, "says 4; it is 3"),
    )
    assert [each.detector for each in injection.detections] == ["a detector", "a critic"]
    assert [float(each.score.exact) for each in injection.detections if each.score] == [0.95, 0.1]
    (pair,) = injection.pairs
    assert pair.chosen.words == (
        "Verdict: wrong\nFirst wrong step: 1\nthere is 1 in row 1; step 2: there is 1 in row 2\nScore: 0"
    )
    assert pair.rejected.words == "Verdict: right\nScore: 1"
    assert pair.margin == pytest.approx(0.85)


def test_requests_about_a_problem_bear_its_id() -> None:
    generators = [model(text) for text in (INJECTED, FOUND, GRADE)]
    injects, detects, grades = map(sampled, generators)
    roles = InjectionRoles(
        ModelInjector(injects, PLAIN), (ModelDetector(detects, PLAIN, PLAIN),), ModelGrader(grades, PLAIN)
    )
    run(roles)
    sessions = {request.session for generator in generators for request in generator.requests}
    assert all(generator.requests for generator in generators)
    assert sessions == {PROBLEM.problem_id}


def test_without_a_grader_errors_match_by_their_steps_and_no_grade_is_recorded() -> None:
    wrong = "Verdict: wrong\nFirst wrong step: 2\nit is 1\nScore: 0"
    injection = run(InjectionRoles(injector(), (detector(FOUND), critic(model(wrong)), detector("Errors: none"))))
    assert [each.score for each in injection.detections] == [
        DetectionScore(num_errors=3, num_found=2, num_matched=1, grade=None),
        DetectionScore(num_errors=3, num_found=1, num_matched=1, grade=None),
        DetectionScore(num_errors=3, num_found=0, num_matched=0, grade=None),
    ]
    assert injection.detections[2].words == PLAIN.written_critique(step=None)
    assert len(injection.pairs) == 3


def test_a_detectors_words_are_a_critique_of_its_family() -> None:
    for words, step in [(FOUND, 1), ("Errors:\n[3] it is 3\nVerdict: right\nScore: 1", 3), ("Errors: none", None)]:
        (found,) = run(InjectionRoles(injector(), (detector(words),))).detections
        read = parse_critique(found.words or "", PLAIN.form.critique, num_steps=4)
        assert (read.verdict, read.first_wrong_step) == ("right" if step is None else "wrong", step)


def test_words_are_like_those_of_the_critic_that_is_to_learn_from_them_whoever_says_them() -> None:
    pocket = PromptFamily.load("pocket")
    listing = ModelDetector(sampled(model(FOUND, name="a detector")), PLAIN, critic_family=pocket)
    saying = "Verdict: wrong\nFirst wrong step: 2\nit is 1\nScore: 0.2"
    detectors: list[Detector] = [listing]
    for text in (saying, "Verdict: right\nAll is well.\nScore: 0.8", "Verdict: wrong\nSome step is.\nScore: 0"):
        judge = Critic(model(text), PLAIN, CriticConfig(max_attempts=1))
        detectors.append(CriticDetector(judge, "a critic", restated_in=pocket))
    *found, unclear = run(InjectionRoles(injector(), tuple(detectors))).detections
    assert [each.words for each in found] == [
        "wrong step 1 : there is 1 in row 1; step 2: there is 1 in row 2",
        "wrong step 2 : it is 1",
        "right",
    ]
    assert [each.errors for each in found[1:]] == [(error(2, "it is 1"),), ()]
    assert (unclear.words, unclear.score) == (None, None)
    assert "a critic names no wrong step: 'Verdict: wrong" in (unclear.failure or "")


def test_usage_is_that_of_all_that_was_asked() -> None:
    models = [model(INJECTED), model(FOUND), model("Verdict: right\nScore: 1"), model("no grade")]
    roles = InjectionRoles(
        ModelInjector(sampled(models[0]), PLAIN),
        (ModelDetector(sampled(models[1]), PLAIN, PLAIN), critic(models[2])),
        ModelGrader(sampled(models[3], max_attempts=2), PLAIN),
    )
    injection = run(roles)
    spent = TokenUsage()
    for each in models:
        requests, each.requests = each.requests, []
        for request in requests:
            usage = asyncio.run(each.generate(request)).usage
            spent += usage.by_critic() if each is models[2] else usage
    assert injection.usage == spent
    assert all("wrote none" in (each.failure or "") for each in injection.detections)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("I will not.", "no line 'Solution:'"),
        (INJECTED.replace("[4]", "[9]"), "step 9 where step 4 was due"),
        (Sample(INJECTED, num_tokens=500, finish_reason="length"), "raise max_tokens"),
        ("Solution:\n" + "\x1b[2J" * 50_000 + "\nErrors:\n", "does not begin with"),
        ("Solution:\n[1] \ud800", "surrogate"),
    ],
)
def test_a_bad_injection_is_a_reason_that_quotes_and_nobody_detects(script: Any, reason: str) -> None:
    unasked = model("Verdict: right")
    bad = ModelInjector(sampled(model(lambda request, seed: script, name="an injector")), PLAIN)
    injection = run(InjectionRoles(bad, (critic(unasked),)))
    assert injection.failure is not None
    assert injection.failure.startswith("an injector: ")
    assert reason in injection.failure
    assert len(injection.failure) < 1000
    assert injection.failure.isprintable()
    assert (injection.steps, injection.errors, injection.detections, injection.pairs) == ((), (), (), ())
    assert injection.usage.generated_tokens > 0
    assert unasked.requests == []


def test_bad_detections_and_grades_are_reasons_beside_the_good_ones() -> None:
    grader = ModelGrader(sampled(model({"[2] there is 1": GRADE, "none": "### score: [0-10]"})), PLAIN)
    lost = model("", faults={0: GenerationError("the server said no\nand no")}, name="a detector")
    detectors = (
        detector(FOUND),
        detector("Errors:\n[99] no"),
        detector("Errors: none"),
        ModelDetector(sampled(lost), PLAIN, PLAIN),
        critic(model("I cannot tell.")),
        critic(model("Verdict: right \ud800")),
    )
    found = run(InjectionRoles(injector(), detectors, grader)).detections
    assert [each.score is not None for each in found] == [True, False, False, False, False, False]
    assert [each.words is not None for each in found] == [True, False, True, False, False, False]
    reasons = [each.failure or "" for each in found]
    for reason, part in zip(
        reasons,
        ["", "step 99 is named", "'matches: N'", "the server said no and no", "no critique that could be", "surrogate"],
        strict=True,
    ):
        assert part in reason
    assert reasons[0] == ""


def test_an_unreadable_text_is_asked_for_again_with_another_seed_and_both_are_paid_for() -> None:
    texts = iter(["no", INJECTED])
    generator = model(lambda request, seed: next(texts))
    again = ModelInjector(sampled(generator, max_attempts=2), PLAIN)
    injected = asyncio.run(again.inject(PROBLEM, RIGHT, seed=5, extras={}))
    first, second = generator.requests
    assert first.seeds == (5,)
    assert second.seeds != (5,)
    assert (first.sampling.temperature, second.sampling.temperature) == (0.0, 0.7)
    assert first.messages == second.messages
    assert injected.usage.generated_tokens > len(INJECTED.split())
    assert injected.usage.prompt_tokens > 2 * len(PLAIN.inject(PROBLEM, steps=RIGHT.steps).text.split())


def test_a_failure_that_may_pass_is_retried_and_counted_and_one_for_good_is_not() -> None:
    faults = {0: GenerationError("busy", is_retryable=True)}
    good = ModelDetector(sampled(model(FOUND, faults=faults), max_attempts=2), PLAIN, PLAIN)
    assert asyncio.run(good.detect(PROBLEM, RIGHT, seed=0)).usage.num_retries == 1
    broken = model(FOUND, faults={0: GenerationError("broken")})
    with pytest.raises(GenerationError, match="broken"):
        asyncio.run(ModelDetector(sampled(broken, max_attempts=2), PLAIN, PLAIN).detect(PROBLEM, RIGHT, seed=0))
    assert len(broken.requests) == 1


def test_a_failure_behind_an_unreadable_text_keeps_what_the_text_cost() -> None:
    generator = model("no list", faults={1: GenerationError("gone", is_retryable=True)})
    with pytest.raises(ParseError, match="no list") as caught:
        asyncio.run(ModelDetector(sampled(generator, max_attempts=2), PLAIN, PLAIN).detect(PROBLEM, RIGHT, seed=0))
    assert caught.value.usage.generated_tokens == 3


@pytest.mark.parametrize("who", ["injector", "detector", "grader"])
def test_all_unreadable_texts_are_paid_for_in_the_error(who: str) -> None:
    asked = sampled(model("no list"), max_attempts=3)
    calls: dict[str, Coroutine[Any, Any, object]] = {
        "injector": ModelInjector(asked, PLAIN).inject(PROBLEM, RIGHT, seed=0, extras={}),
        "detector": ModelDetector(asked, PLAIN, PLAIN).detect(PROBLEM, RIGHT, seed=0),
        "grader": ModelGrader(asked, PLAIN).grade(PROBLEM, RIGHT, errors=(), found=(), seed=0),
    }
    call = calls.pop(who)
    for unused in calls.values():
        unused.close()
    with pytest.raises(ParseError) as caught:
        asyncio.run(call)
    assert (caught.value.usage.generated_tokens, caught.value.num_unreadable) == (9, 3)


class Lost(ScriptedGenerator):
    async def generate(self, request: GenerationRequest) -> Any:
        raise ReplicaLostError("all replicas are gone")


@pytest.mark.parametrize("who", ["injector", "detector", "grader"])
def test_a_lost_replica_passes_through(who: str) -> None:
    def made(role: str, text: str) -> SampledModel:
        return sampled(Lost([text]) if role == who else model(text))

    roles = InjectionRoles(
        ModelInjector(made("injector", INJECTED), PLAIN),
        (ModelDetector(made("detector", FOUND), PLAIN, PLAIN), detector(FOUND)),
        ModelGrader(made("grader", GRADE), PLAIN),
    )
    with pytest.raises(ReplicaLostError):
        run(roles)


def test_an_injection_survives_json() -> None:
    grader = ModelGrader(sampled(model({"[2] there is 1": GRADE, "none": "?"})), PLAIN)
    detectors = (detector(FOUND), detector("Errors: none"), detector("?"), critic(model("Verdict: wrong")))
    for injection in (
        run(InjectionRoles(injector(), detectors, grader)),
        run(InjectionRoles(injector(), detectors)),
        run(InjectionRoles(injector("?"), detectors)),
    ):
        assert INJECTION.decode(INJECTION.encode(injection), position=0) == injection


def test_detectors_see_only_the_solution_with_errors_and_no_model_sees_further_columns() -> None:
    models = [model(INJECTED), model(FOUND), model("Verdict: right"), model(GRADE)]
    trajectory = dataclasses.replace(RIGHT, answer=SENTINEL, texts=(SENTINEL,) * 4)
    roles = InjectionRoles(
        ModelInjector(sampled(models[0]), PLAIN),
        (ModelDetector(sampled(models[1]), PLAIN, PLAIN), critic(models[2])),
        ModelGrader(sampled(models[3]), PLAIN),
    )
    run(roles, trajectory=trajectory, extras={"answer": SENTINEL, "board": SENTINEL})
    requests = [request for each in models for request in each.requests]
    assert len(requests) == 5
    assert SENTINEL not in repr(requests)
    for request in (*models[1].requests, *models[2].requests):
        assert "row 2 has 1" not in request.messages[0].text
        assert "there is 1" not in request.messages[0].text
    for request in requests:
        assert [image.data for image in request.messages[0].images] == [b"picture"]


def test_detectors_are_asked_side_by_side_each_with_its_own_seed() -> None:
    both_asked = asyncio.Barrier(2)
    seeds: list[int] = []

    class Waiting:
        name = "waiting"

        async def detect(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Detection:
            seeds.append(seed)
            await both_asked.wait()
            return Detection("right", (), TokenUsage())

    async def injected() -> InjectionResult:
        roles = InjectionRoles(injector(), (Waiting(), Waiting()))
        return await inject_and_detect(PROBLEM, RIGHT, roles=roles, seed=1, extras={})

    assert len(asyncio.run(asyncio.wait_for(injected(), 300)).detections) == 2
    assert len(set(seeds)) == 2


@pytest.mark.parametrize("errors", [(), (error(1),) * 6, (error(3),), (error(0),)])
def test_an_injected_solution_has_one_to_five_errors_in_steps_that_exist(errors: tuple[InjectedError, ...]) -> None:
    with pytest.raises(ValueError, match="errors"):
        Injected(("a", "b"), errors)


def test_pocket_solutions_are_injected_by_rule_and_judged_by_critics() -> None:
    family = PromptFamily.load("pocket")
    config = CriticConfig(temperature=1.0)
    detectors = (
        CriticDetector(Critic(model(scripted_critic()), family, config), "a guess"),
        CriticDetector(Critic(model(lambda request, seed: ScriptedText("right")), family, config), "a friend"),
    )
    roles = InjectionRoles(SlipInjector(), detectors)
    num_pairs = 0
    for problem in make_problems("train", 40, seed=9):
        trajectory = Trajectory(problem.plan, True, problem.answer)
        work = inject_and_detect(
            Problem(problem.question), trajectory, roles=roles, seed=4, extras={"board": problem.board.code}
        )
        injection = asyncio.run(work)
        assert injection.failure is None
        assert [each.failure for each in injection.detections] == [None, None]
        assert all(pair.chosen.detector == "a guess" for pair in injection.pairs)
        num_pairs += len(injection.pairs)
    assert num_pairs > 3


def test_a_problem_without_what_the_injector_needs_is_a_reason() -> None:
    assert "has no 'board'" in (run(InjectionRoles(SlipInjector(), ())).failure or "")

"""How much a critique helps: what is drawn, from where, and how it is counted."""

import asyncio
from collections.abc import Sequence

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.collect import LiftConfig
from critic_engine.config.search import ExpanderConfig, ReasonerConfig
from critic_engine.data.harvest.critique_lift import (
    CritiqueRecord,
    DrawCounts,
    DrawResult,
    LiftMeter,
    lift,
)
from critic_engine.data.harvest.finding_kinds import CRITIQUES
from critic_engine.data.harvest.pairs import Branch, Pair
from critic_engine.errors import GenerationError, ReplicaLostError
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Generation, GenerationRequest, Sample
from critic_engine.roles.annotator import Annotation
from critic_engine.roles.checker import Checker
from critic_engine.roles.reasoner import Reasoner
from critic_engine.run.findings import Finding
from critic_engine.types import Image, Problem, ProblemRow

PLAIN = PromptFamily.load("plain")
PROBLEM = Problem("how many ?", images=(Image(b"board", "image/png", 1, 1),))
# What is looked for in prompts: the reasoner never writes its answers so.
REFERENCE = "+0003.000"
CHECKER = Checker([ProblemRow(1, "p", PROBLEM, (REFERENCE,))])
WORDS = "Verdict: wrong\nFirst wrong step: 2\nit is 1\nScore: 0"


def branch(text: str) -> Branch:
    return Branch(tuple(text.split("\n")), text, None, None, 0, None, 1)


PAIR = Pair("divergent", ("look ",), "look \n", branch("it is 1\nanswer: 3"), branch("it is 2\nanswer: 4"), 2, 1)


def meter(generator: ScriptedGenerator, **options: object) -> LiftMeter:
    reasoner = Reasoner(generator, PLAIN, ReasonerConfig(max_attempts=2, max_tokens=50))
    config = LiftConfig.model_validate({"num_refinements": 4, **options})
    return LiftMeter(reasoner, CHECKER, options=config, expander=ExpanderConfig())


def model(texts: Sequence[str | Sample], **more: object) -> ScriptedGenerator:
    rest = iter(texts)
    return ScriptedGenerator(lambda request, seed: next(rest), is_recording=True, **more)  # type: ignore[arg-type]


def refine(generator: ScriptedGenerator, *, seed: int = 1, **options: object) -> DrawResult:
    return asyncio.run(meter(generator, **options).draw(PROBLEM, PAIR, WORDS, seed=seed)).content


def test_draws_are_right_wrong_or_cannot_be_told() -> None:
    found = refine(model(["it is 1\nanswer: 3", "answer: 5", "answer: three or so", "hm"]))
    assert found.tally is not None
    assert found.tally == DrawCounts(num_right=1, num_wrong=2, num_unsure=1)
    assert found.tally.num_known == 3
    assert found.error is None


def test_an_empty_text_and_one_that_was_cut_are_wrong() -> None:
    cut = Sample("it is 1 and so the answer: 3", num_tokens=50, finish_reason="length")
    assert refine(model(["answer: 3", "", cut, "answer: 3.0"])).tally == DrawCounts(2, 2)
    assert refine(model(["answer: 3", "", cut, " \n"]), refine_from="start").tally == DrawCounts(1, 3)


def test_the_first_right_draw_is_the_correction_from_its_beginning() -> None:
    found = refine(model(["answer: 5", "it is 1\nanswer: 3", "answer: 3", "answer: 3"]))
    assert found.corrected == "look \nit is 1\nanswer: 3"
    assert refine(model(["answer: 5"] * 4)).corrected is None
    whole = refine(model(["look\nit is 1\nanswer: 3"] * 4), refine_from="start")
    assert whole.corrected == "look\nit is 1\nanswer: 3"


def test_refinements_see_the_wrong_path_and_the_words_and_go_on_from_where_the_pair_parts() -> None:
    generator = model(["answer: 3"] * 4)
    refine(generator)
    (request,) = generator.requests
    assert request.messages == (PLAIN.rewrite(PROBLEM, steps=("look ", "it is 2", "answer: 4"), critique=WORDS),)
    assert request.prefix == "look \n"
    assert len(set(request.seeds)) == 4
    start = model(["answer: 3"] * 4)
    refine(start, refine_from="start")
    assert start.requests[0].prefix == ""
    assert start.requests[0].messages == request.messages


def test_a_baseline_sees_neither_the_wrong_path_nor_words() -> None:
    generator = model(["answer: 3"] * 8)
    for options in ({}, {"refine_from": "start"}):
        found = asyncio.run(meter(generator, **options).draw(PROBLEM, PAIR, None, seed=1))
        assert found.content.tally == DrawCounts(4, 0)
    assert [request.prefix for request in generator.requests] == ["look \n", ""]
    assert {request.messages for request in generator.requests} == {(PLAIN.solve(PROBLEM),)}


def test_no_prompt_holds_the_reference_answer() -> None:
    generator = model(["answer: 3"] * 8)
    refine(generator)
    asyncio.run(meter(generator).draw(PROBLEM, PAIR, None, seed=1))
    for request in generator.requests:
        assert REFERENCE not in request.prefix + "".join(message.text for message in request.messages)


def test_fresh_draws_are_as_many_as_asked_for_and_have_seeds_of_their_own() -> None:
    generator = model(["answer: 3"] * 11)
    lifts = meter(generator, num_fresh=7)
    asyncio.run(lifts.draw(PROBLEM, PAIR, WORDS, seed=1))
    fresh = asyncio.run(lifts.draw(PROBLEM, PAIR, WORDS, seed=2, is_fresh=True))
    assert fresh.content.tally == DrawCounts(7, 0)
    seeds = [set(request.seeds) for request in generator.requests]
    assert [len(each) for each in seeds] == [4, 7]
    assert not seeds[0] & seeds[1]


def test_a_failure_is_an_error_and_no_number() -> None:
    broken = model([], faults={0: GenerationError("down")})
    found = refine(broken)
    assert found == DrawResult(None, None, "down")
    broken = model([], faults={0: GenerationError("down")})
    assert asyncio.run(meter(broken).draw(PROBLEM, PAIR, None, seed=1)) == Finding(found)


def test_a_failure_that_may_pass_is_tried_again() -> None:
    generator = model(["answer: 3"] * 4, faults={0: GenerationError("busy", is_retryable=True)})
    assert refine(generator).tally == DrawCounts(4, 0)
    assert len(generator.requests) == 2


class LostGenerator(ScriptedGenerator):
    async def generate(self, request: GenerationRequest) -> Generation:
        raise ReplicaLostError("it is gone")


def test_a_lost_model_is_not_an_error_of_the_critique() -> None:
    with pytest.raises(ReplicaLostError):
        refine(LostGenerator(["x"]))


def test_a_problem_without_a_reference_answer_has_no_rate() -> None:
    other = Problem("another ?")
    found = asyncio.run(meter(model(["answer: 3"] * 4)).draw(other, PAIR, WORDS, seed=1)).content
    assert found.tally is not None
    assert found.tally == DrawCounts(0, 0, 4)
    assert found.tally.num_known == 0
    assert found.corrected is None


def test_lift_is_the_difference_of_what_can_be_told() -> None:
    found = lift(DrawCounts(56, 14, 9), DrawCounts(48, 32))
    assert found is not None
    assert (found.estimate, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert lift(DrawCounts(0, 0, 4), DrawCounts(1, 1)) is None
    assert lift(DrawCounts(1, 1), DrawCounts(0, 0, 4)) is None


@pytest.mark.parametrize("tally", [None, DrawCounts(1, 2, 3)])
@pytest.mark.parametrize("fault", [None, "orders_disagree"])
def test_a_record_survives_json(tally: DrawCounts | None, fault: str | None) -> None:
    annotation = Annotation(None if fault else 2, "it is \ud800 1", fault)  # type: ignore[arg-type]
    record = CritiqueRecord(3, "a model", annotation, WORDS, tally, "answer: 3")
    assert CRITIQUES.decode(CRITIQUES.encode((record, record)), position=0) == (record, record)

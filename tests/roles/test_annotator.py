"""The annotators: what they ask, what they make of the words, and that no failure becomes a critique."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.config.collect import AnnotatorConfig
from critic_engine.config.search import CriticConfig
from critic_engine.errors import GenerationError, ReplicaLostError
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Generation, GenerationRequest, Sample
from critic_engine.roles.annotator import (
    Annotated,
    Annotation,
    Annotator,
    CriticAnnotator,
    ModelAnnotator,
    Parting,
)
from critic_engine.roles.critic import Critic
from critic_engine.types import Problem, TokenUsage

PLAIN = PromptFamily.load("plain")
PARTING = Parting(("row 1 has 2",), ("row 2 has 1", "answer: 3"), ("row 2 has 2", "answer: 4"))


def drawn(num_critiques: int, temperature: float, max_tokens: int, max_attempts: int) -> AnnotatorConfig:
    return AnnotatorConfig(
        num_critiques=num_critiques, temperature=temperature, max_tokens=max_tokens, max_attempts=max_attempts
    )


ONE_CRITIQUE = drawn(1, 0.7, 200, 1)


def blames(side: str, step: int = 2, reason: str = "row 2 has 1") -> str:
    return f"Wrong path: {side}\nFirst wrong step: {step}\nCritique: {reason}"


def is_swapped(request: GenerationRequest) -> bool:
    """Whether the wrong branch is shown first."""
    prompt = request.messages[-1].text
    return prompt.index("row 2 has 2") < prompt.index("row 2 has 1")


def annotate(annotator: Annotator, problem: Problem, *, seed: int = 1, parting: Parting = PARTING) -> Annotated:
    extras: Mapping[str, object] = {"hint": "zq-reference-7731"}
    return asyncio.run(annotator.annotate(problem, parting, seed=seed, extras=extras))


def model(script: object, options: AnnotatorConfig = ONE_CRITIQUE) -> tuple[ModelAnnotator, ScriptedGenerator]:
    generator = ScriptedGenerator(script, name="a model", is_recording=True)  # type: ignore[arg-type]
    return ModelAnnotator(generator, PLAIN, options), generator


def by_order(straight: str, swapped: str) -> Callable[[GenerationRequest, int], str]:
    return lambda request, seed: swapped if is_swapped(request) else straight


@pytest.mark.parametrize(
    ("straight", "swapped", "annotation"),
    [
        (blames("B"), blames("A", reason="other words"), Annotation(2, "row 2 has 1")),
        (blames("B", 3), blames("A", 3), Annotation(3, "row 2 has 1")),
        (blames("B"), blames("B"), Annotation(2, "row 2 has 1", "orders_disagree")),
        (blames("B", 2), blames("A", 3), Annotation(2, "row 2 has 1", "orders_disagree")),
        (blames("A"), blames("B"), Annotation(2, "row 2 has 1", "blames_right_path")),
        (blames("B", 1), blames("A", 1), Annotation(1, "row 2 has 1", "blames_shared_steps")),
        (blames("B", 4), blames("A", 4), Annotation(4, "row 2 has 1", "unreadable")),
        (blames("B", 0), blames("A", 0), Annotation(0, "row 2 has 1", "unreadable")),
        ("I cannot tell.", blames("A"), Annotation(None, "", "unreadable")),
        (blames("B"), "I cannot tell.", Annotation(None, "", "unreadable")),
    ],
)
def test_an_annotation_stands_if_both_orders_blame_the_same_step_of_the_wrong_branch(
    straight: str, swapped: str, annotation: Annotation, problem: Problem
) -> None:
    annotator, generator = model(by_order(straight, swapped))
    found = annotate(annotator, problem)
    assert found.annotations == (annotation,)
    assert len(generator.requests) == 2
    assert {is_swapped(request) for request in generator.requests} == {False, True}


@pytest.mark.parametrize(
    "reason",
    ["path B says 2", "Path-A misreads", "path: B says 2", "attempt (B) is off", "the branches A and B",
     "path **B** is", 'solution "A" is', "the first path", "the other path is right", "the second branch",
     "the left attempt", "the right-branch", "B claims the bar is 3, while A reads 4.", "Unlike A, B reads 2"],
)  # fmt: skip
def test_words_that_speak_of_the_paths_are_no_critique(reason: str, problem: Problem) -> None:
    annotator, _ = model(by_order(blames("B", reason=reason), blames("A")))
    assert annotate(annotator, problem).annotations == (Annotation(2, reason, "names_paths"),)


@pytest.mark.parametrize(
    "reason",
    ["the first solution of x", "the path around", "a path by the sea", "the left row", "path Bravo", "path",
     "It does not attempt a count of the bars", "The path a ball takes", "The solution a step earlier"],
)  # fmt: skip
def test_words_that_speak_of_other_things_are_a_critique(reason: str, problem: Problem) -> None:
    annotator, _ = model(by_order(blames("B", reason=reason), blames("A")))
    assert annotate(annotator, problem).annotations == (Annotation(2, reason),)


def test_step_0_is_none_where_nothing_is_shared(problem: Problem) -> None:
    annotator, _ = model(
        lambda request, seed: blames("A" if "row 2 has 2" in request.messages[-1].text.split("Path B")[0] else "B", 0)
    )
    (found,) = annotate(annotator, problem, parting=Parting((), PARTING.right, PARTING.wrong)).annotations
    assert found.fault == "unreadable"


def test_the_model_sees_both_branches_and_pictures_and_never_which_is_right(problem: Problem) -> None:
    annotator, generator = model(by_order(blames("B"), blames("A")))
    annotate(annotator, problem)
    for request in generator.requests:
        (message,) = request.messages
        assert message.images == problem.images
        assert "zq-reference-7731" not in message.text
        for shown in ("[1] row 1 has 2", "[2] row 2 has 1", "[3] answer: 3", "[2] row 2 has 2", "[3] answer: 4"):
            assert shown in message.text
    straight, swapped = (request.messages[-1].text.splitlines() for request in generator.requests)
    assert straight != swapped
    assert sorted(straight) == sorted(swapped)


def test_the_first_annotation_is_greedy_and_the_others_are_drawn_with_other_seeds(problem: Problem) -> None:
    annotator, generator = model(by_order(blames("B"), blames("A")), drawn(3, 0.9, 77, 1))
    found = annotate(annotator, problem)
    assert len(found.annotations) == 3
    assert [request.sampling.temperature for request in generator.requests] == [0, 0, 0.9, 0.9, 0.9, 0.9]
    assert {request.sampling.max_tokens for request in generator.requests} == {77}
    seeds = [request.seeds for request in generator.requests]
    assert len(set(seeds)) == 6
    again, other = (model(by_order("", ""), drawn(3, 0.9, 77, 1)) for _ in range(2))
    annotate(again[0], problem)
    annotate(other[0], problem, seed=2)
    assert [request.seeds for request in again[1].requests] == seeds
    assert not {request.seeds for request in other[1].requests} & set(seeds)


def test_an_annotation_that_was_cut_is_unreadable(problem: Problem) -> None:
    annotator, _ = model(lambda request, seed: Sample(blames("B"), num_tokens=5, finish_reason="length"))
    found = annotate(annotator, problem)
    assert found.annotations == (Annotation(None, "", "unreadable"),)
    assert found.usage.generated_tokens == 10


def test_usage_is_that_of_all_texts_unreadable_ones_too(problem: Problem) -> None:
    annotator, generator = model(by_order("not a word", blames("A")), drawn(2, 0.7, 200, 1))
    found = annotate(annotator, problem)
    requests, generator.requests = generator.requests, []
    spent = [asyncio.run(generator.generate(request)).usage for request in requests]
    assert found.usage == sum(spent, TokenUsage())


@pytest.mark.parametrize("is_retryable", [False, True])
def test_a_models_failure_is_a_fault_of_that_annotation_alone(is_retryable: bool, problem: Problem) -> None:
    generator = ScriptedGenerator(
        by_order(blames("B"), blames("A")), faults={0: GenerationError("down", is_retryable=is_retryable)}
    )
    found = annotate(ModelAnnotator(generator, PLAIN, drawn(2, 0.7, 200, 1)), problem)
    assert found.annotations == (Annotation(None, "", "error"), Annotation(2, "row 2 has 1"))


def test_a_request_that_is_sent_again_counts_as_a_retry(problem: Problem) -> None:
    busy = GenerationError("busy", is_retryable=True)
    generator = ScriptedGenerator(by_order(blames("B"), blames("A")), faults={0: busy})
    found = annotate(ModelAnnotator(generator, PLAIN, drawn(1, 0.7, 200, 2)), problem)
    assert found.annotations == (Annotation(2, "row 2 has 1"),)
    assert found.usage.num_retries == 1


def test_retries_of_a_request_that_failed_for_good_count_too_and_its_last_failure_is_none(problem: Problem) -> None:
    def fail(request: GenerationRequest, seed: int) -> str:
        raise GenerationError("busy", is_retryable=True)

    annotator, _ = model(fail, drawn(1, 0.7, 200, 3))
    found = annotate(annotator, problem)
    assert found.annotations == (Annotation(None, "", "error"),)
    assert found.usage == TokenUsage(num_retries=4)


class LostGenerator(ScriptedGenerator):
    async def generate(self, request: GenerationRequest) -> Generation:
        raise ReplicaLostError("it is gone")


def test_a_lost_model_is_not_a_fault(problem: Problem) -> None:
    lost = LostGenerator(["x"])
    critic = Critic(lost, PLAIN, CriticConfig())
    for annotator in (ModelAnnotator(lost, PLAIN, ONE_CRITIQUE), CriticAnnotator([critic], name="critic")):
        with pytest.raises(ReplicaLostError):
            annotate(annotator, problem)


def critics(*texts: str | GenerationError) -> CriticAnnotator:
    def script(text: str | GenerationError) -> Callable[[GenerationRequest, int], str]:
        def say(request: GenerationRequest, seed: int) -> str:
            if isinstance(text, GenerationError):
                raise text
            return text

        return say

    asked = [Critic(ScriptedGenerator(script(text)), PLAIN, CriticConfig(max_attempts=1)) for text in texts]
    return CriticAnnotator(asked, name="the critic")


@pytest.mark.parametrize(
    ("text", "annotation"),
    [
        ("Verdict: wrong\nFirst wrong step: 2\nIt is 1.\nScore: 0", Annotation(2, "It is 1")),
        ("Verdict: wrong\nFirst wrong step: 1\nIt is 1.", Annotation(1, "It is 1", "blames_shared_steps")),
        ("Verdict: wrong\nFirst wrong step: 9\nIt is 1.", Annotation(None, "It is 1", "unreadable")),
        ("Verdict: wrong\nIt is 1.", Annotation(None, "It is 1", "unreadable")),
        ("Verdict: right\nScore: 1", Annotation(None, "", "misses_error")),
        ("Hm.", Annotation(None, "", "unreadable")),
        (GenerationError("down"), Annotation(None, "", "error")),
    ],
)
def test_a_critic_sees_the_wrong_path_alone(
    text: str | GenerationError, annotation: Annotation, problem: Problem
) -> None:
    annotator = critics(text)
    assert annotator.name == "the critic"
    assert annotate(annotator, problem).annotations == (annotation,)


def test_a_critics_unreadable_texts_and_retries_are_counted(problem: Problem) -> None:
    busy = GenerationError("busy", is_retryable=True)

    def annotated(*faults: int) -> Annotated:
        generator = ScriptedGenerator(lambda request, seed: "no verdict", faults=dict.fromkeys(faults, busy))
        critic = Critic(generator, PLAIN, CriticConfig(max_attempts=3))
        return annotate(CriticAnnotator([critic], name="critic"), problem)

    unreadable, failed = annotated(1), annotated(0, 1, 2)
    assert unreadable.annotations == (Annotation(None, "", "unreadable"),)
    assert (unreadable.usage.generated_tokens, unreadable.usage.num_retries) == (6, 1)
    assert failed == Annotated((Annotation(None, "", "error"),), TokenUsage(num_retries=2))


def test_each_critic_gives_an_annotation_in_their_order(problem: Problem) -> None:
    right, wrong = "Verdict: right\nScore: 1", "Verdict: wrong\nFirst wrong step: 3\nno.\nScore: 0"
    found = annotate(critics(right, GenerationError("down"), wrong), problem)
    assert [each.fault for each in found.annotations] == ["misses_error", "error", None]
    assert found.usage.generated_tokens > 0


def test_a_critic_is_shown_the_whole_wrong_path_and_nothing_of_the_right_one(problem: Problem) -> None:
    generator = ScriptedGenerator(["Verdict: right"], is_recording=True)
    annotate(CriticAnnotator([Critic(generator, PLAIN, CriticConfig())], name="critic"), problem)
    (request,) = generator.requests
    assert request.messages == (PLAIN.critique(problem, steps=PARTING.wrong_path.steps),)
    assert "row 2 has 1" not in request.messages[0].text


def test_requests_bear_the_id_of_the_problem(problem: Problem) -> None:
    annotator, generator = model(blames("B"))
    annotate(annotator, problem)
    assert {request.session for request in generator.requests} == {problem.problem_id}

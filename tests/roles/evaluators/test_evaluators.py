import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from critic_engine.config.search import (
    BlendEvaluatorConfig,
    BlendPart,
    CriticConfig,
    DirectEvaluatorConfig,
    ExpanderConfig,
    ReasonerConfig,
    RewardModelConfig,
    RolloutEvaluatorConfig,
)
from critic_engine.errors import ConfigError, GenerationError
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import UNKNOWN, Continuation, Evaluation, Evaluator, Rollout, Sample, Score, TokenLogprob
from critic_engine.roles.checker import Checker
from critic_engine.roles.critic import Critic
from critic_engine.roles.evaluators.blend import BlendEvaluator
from critic_engine.roles.evaluators.direct import CheckerEvaluator, NoEvaluator
from critic_engine.roles.evaluators.factory import Roles, make_evaluator
from critic_engine.roles.evaluators.reward_model import ScorerEvaluator, VerdictTokenEvaluator
from critic_engine.roles.evaluators.rollouts import AgreementEvaluator, ReferenceEvaluator
from critic_engine.roles.expanders import SolutionExpander, StepExpander
from critic_engine.roles.reasoner import Reasoner
from critic_engine.types import Critique, Message, Problem, ProblemRow, SamplingOptions, TokenUsage, Trajectory

OPEN = Trajectory(("row 1 : a1 none",))
FINISHED = Trajectory(("row 1 : a1 none", "answer : 0"), is_finished=True, answer="0")
ANSWERLESS = Trajectory(("row 1 : a1 none",), is_finished=True)
CRITIQUE = Critique("wrong step 1 : a1 is red circle", "wrong", 0.2, 1)
Make = Callable[..., tuple[Any, Any]]


def written(*answers: str | None) -> list[Sample]:
    """Return completions that give these answers; None gives none."""
    texts = ["a2 none" if answer is None else f"a2 none\nanswer : {answer}" for answer in answers]
    return [Sample(text, num_tokens=7, finish_reason="stop") for text in texts]


def cut(text: str = "a2 none\nanswer : 1") -> Sample:
    return Sample(text, num_tokens=7, finish_reason="length")


def judge(evaluator: Evaluator, problem: Problem, trajectory: Trajectory = OPEN, *, seed: int = 5) -> Evaluation:
    return asyncio.run(evaluator.evaluate(problem, trajectory, seed=seed))


@pytest.fixture
def step_expander(listed: Callable[..., Any]) -> Make:
    def make(*items: Any) -> tuple[StepExpander, Any]:
        generator = listed(*items)
        return StepExpander(
            Reasoner(generator, PromptFamily.load("pocket"), ReasonerConfig()), ExpanderConfig()
        ), generator

    return make


@pytest.fixture
def checker(problem: Problem) -> Checker:
    return Checker([ProblemRow(1, "a", problem, ("0",))])


class Fixed:
    """An evaluator that always says the same, or always fails."""

    def __init__(self, outcome: Evaluation | GenerationError) -> None:
        self._outcome = outcome
        self.seeds: list[int] = []

    async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
        self.seeds.append(seed)
        if isinstance(self._outcome, GenerationError):
            raise self._outcome
        return self._outcome


def valued(value: float | None, critique: Critique | None = None) -> Fixed:
    return Fixed(Evaluation(value, critique, TokenUsage(10, 2)))


class TestDirect:
    def test_a_critic_is_an_evaluator(self, listed: Callable[..., Any], problem: Problem) -> None:
        critic = Critic(
            listed([Sample("right", num_tokens=9, finish_reason="stop")]), PromptFamily.load("pocket"), CriticConfig()
        )
        evaluation = judge(critic, problem, FINISHED)
        assert evaluation.critique == Critique("right", "right", None)
        assert evaluation.usage.generated_tokens == 9

    def test_unreadable_critique_leaves_the_value_unknown_and_is_counted(
        self, listed: Callable[..., Any], problem: Problem
    ) -> None:
        weather = [Sample("Lovely weather.", num_tokens=3, finish_reason="stop")]
        critic = Critic(listed(weather, weather), PromptFamily.load("pocket"), CriticConfig(max_attempts=2))
        evaluation = judge(critic, problem, FINISHED)
        assert (evaluation.value, evaluation.critique, evaluation.num_unreadable) == (None, None, 2)

    def test_no_evaluator_gives_an_unknown_value_for_nothing(self, problem: Problem) -> None:
        assert judge(NoEvaluator(), problem, FINISHED) == Evaluation(None, None, TokenUsage())

    def test_checker_knows_of_finished_paths_alone(self, checker: Checker, problem: Problem) -> None:
        evaluator = CheckerEvaluator(checker)
        assert judge(evaluator, problem, FINISHED) == Evaluation(1.0, None, TokenUsage())
        assert judge(evaluator, problem, replace(FINISHED, answer="1")).value == 0.0
        assert judge(evaluator, problem, ANSWERLESS).value == 0.0
        assert judge(evaluator, problem, OPEN) == UNKNOWN
        assert judge(evaluator, Problem("another ?"), FINISHED) == UNKNOWN


class TestReference:
    def test_value_is_the_share_of_right_completions(
        self, step_expander: Make, checker: Checker, problem: Problem
    ) -> None:
        expander, generator = step_expander(written("0", "1", "0.0", "2"))
        evaluation = judge(ReferenceEvaluator(expander, checker, num_rollouts=4), problem)
        assert evaluation.value == 0.5
        assert evaluation.critique is None
        assert [(rollout.continuation.answer, rollout.value) for rollout in evaluation.rollouts] == [
            ("0", 1.0),
            ("1", 0.0),
            ("0.0", 1.0),
            ("2", 0.0),
        ]
        assert evaluation.rollouts[0].continuation.steps == ("a2 none", "answer : 0")
        assert (evaluation.usage.generated_tokens, evaluation.num_unreadable) == (28, 0)
        (request,) = generator.requests
        assert request.prefix == "row 1 : a1 none\n"
        assert len(set(request.seeds)) == 4

    def test_completions_depend_on_the_seed_alone(
        self, step_expander: Make, checker: Checker, problem: Problem
    ) -> None:
        expander, generator = step_expander(*[written("0", "0")] * 3)
        evaluator = ReferenceEvaluator(expander, checker, num_rollouts=2)
        for seed in (1, 1, 2):
            judge(evaluator, problem, seed=seed)
        first, again, other = (request.seeds for request in generator.requests)
        assert first == again != other

    def test_completion_without_an_answer_is_not_right_and_is_counted(
        self, step_expander: Make, checker: Checker, problem: Problem
    ) -> None:
        expander, _ = step_expander([*written("0", None), cut()])
        evaluation = judge(ReferenceEvaluator(expander, checker, num_rollouts=3), problem)
        assert evaluation.value == pytest.approx(1 / 3)
        assert [rollout.value for rollout in evaluation.rollouts] == [1.0, 0.0, 0.0]
        assert evaluation.num_unreadable == 2

    def test_what_has_no_words_is_not_right_and_nothing_but_that_is_unknown(
        self, step_expander: Make, checker: Checker, problem: Problem
    ) -> None:
        blank = Sample("", num_tokens=3, finish_reason="length")
        expander, _ = step_expander([*written("0"), blank], [blank, blank])
        evaluator = ReferenceEvaluator(expander, checker, num_rollouts=2)
        evaluation = judge(evaluator, problem)
        assert (evaluation.value, evaluation.num_unreadable) == (0.5, 1)
        nothing = judge(evaluator, problem)
        assert (nothing.value, nothing.rollouts, nothing.num_unreadable) == (None, (), 2)

    def test_finished_trajectory_needs_no_completion(
        self, step_expander: Make, checker: Checker, problem: Problem
    ) -> None:
        expander, generator = step_expander()
        evaluator = ReferenceEvaluator(expander, checker, num_rollouts=4)
        assert judge(evaluator, problem, FINISHED) == Evaluation(1.0, None, TokenUsage())
        assert judge(evaluator, problem, replace(FINISHED, answer="7")).value == 0.0
        assert judge(evaluator, problem, ANSWERLESS).value == 0.0
        assert generator.requests == []

    def test_nothing_is_drawn_for_a_problem_that_cannot_be_checked(self, step_expander: Make, problem: Problem) -> None:
        expander, generator = step_expander()
        assert judge(ReferenceEvaluator(expander, Checker(), num_rollouts=4), problem) == UNKNOWN
        assert generator.requests == []

    def test_failure_to_draw_is_an_error_and_no_value(
        self, step_expander: Make, checker: Checker, problem: Problem
    ) -> None:
        expander, _ = step_expander(GenerationError("no engine"))
        with pytest.raises(GenerationError, match="no engine"):
            judge(ReferenceEvaluator(expander, checker, num_rollouts=4), problem)


class TestAgreement:
    def test_value_is_the_share_of_the_commonest_answer(self, step_expander: Make, problem: Problem) -> None:
        expander, _ = step_expander(written("3", "4", "3.0", "+3"))
        evaluation = judge(AgreementEvaluator(expander, num_rollouts=4), problem)
        assert evaluation.value == 0.75
        assert [rollout.value for rollout in evaluation.rollouts] == [0.75, 0.25, 0.75, 0.75]

    def test_choices_are_one_answer_however_they_are_named(self, step_expander: Make) -> None:
        expander, _ = step_expander(written("B", "a cat"))
        problem = Problem("which ?", choices=("two dogs", "a cat"))
        assert judge(AgreementEvaluator(expander, num_rollouts=2), problem).value == 1.0

    def test_completion_without_an_answer_agrees_with_none(self, step_expander: Make, problem: Problem) -> None:
        expander, _ = step_expander(written("3", None, "3", None))
        evaluation = judge(AgreementEvaluator(expander, num_rollouts=4), problem)
        assert (evaluation.value, evaluation.num_unreadable) == (0.5, 2)
        assert [rollout.value for rollout in evaluation.rollouts] == [0.5, None, 0.5, None]

    def test_one_answer_agrees_with_nothing(self, step_expander: Make, problem: Problem) -> None:
        expander, _ = step_expander(written("3", None))
        evaluation = judge(AgreementEvaluator(expander, num_rollouts=2), problem)
        assert evaluation.value is None
        assert [rollout.value for rollout in evaluation.rollouts] == [None, None]

    def test_finished_trajectory_is_valued_from_where_its_last_step_began(
        self, step_expander: Make, problem: Problem
    ) -> None:
        expander, generator = step_expander(written("0", "0.0", "1", "0"))
        evaluation = judge(AgreementEvaluator(expander, num_rollouts=4), problem, FINISHED)
        assert evaluation.value == 0.75
        assert generator.requests[0].prefix == "row 1 : a1 none\n"
        assert evaluation.rollouts == ()

    def test_exact_text_before_the_last_step_is_gone_on_from(self, step_expander: Make, problem: Problem) -> None:
        expander, generator = step_expander(written("0", "0"))
        trajectory = Trajectory(
            ("row 1 : a1 no", "ne answer : 0"), True, "0", texts=("row 1 : a1 no", "ne\nanswer : 0")
        )
        judge(AgreementEvaluator(expander, num_rollouts=2), problem, trajectory)
        assert generator.requests[0].prefix == "row 1 : a1 no"

    def test_answer_that_no_completion_gives_has_no_share(self, step_expander: Make, problem: Problem) -> None:
        expander, _ = step_expander(written("1", "2"), written("1", None))
        evaluator = AgreementEvaluator(expander, num_rollouts=2)
        assert judge(evaluator, problem, FINISHED).value == 0.0
        assert judge(evaluator, problem, FINISHED).value is None

    def test_finished_trajectory_without_an_answer_is_not_judged(self, step_expander: Make, problem: Problem) -> None:
        expander, generator = step_expander()
        assert judge(AgreementEvaluator(expander, num_rollouts=2), problem, ANSWERLESS) == UNKNOWN
        assert generator.requests == []

    @pytest.mark.parametrize("trajectory", [FINISHED, Trajectory(("answer : 0",), is_finished=True, answer="0")])
    def test_whole_solution_is_valued_by_fresh_ones(
        self, listed: Callable[..., Any], problem: Problem, trajectory: Trajectory
    ) -> None:
        generator = listed(written("0", "1"))
        options = ExpanderConfig(kind="solution")
        expander = SolutionExpander(Reasoner(generator, PromptFamily.load("pocket"), ReasonerConfig()), options)
        evaluation = judge(AgreementEvaluator(expander, num_rollouts=2), problem, trajectory)
        assert evaluation.value == 0.5
        assert generator.requests[0].prefix == ""


def verdict(text: str, **probabilities: float) -> list[Sample]:
    top = tuple((word, math.log(probability)) for word, probability in probabilities.items())
    return [Sample(text, 1, "length", tokens=(TokenLogprob(text, dict(top).get(text, -1.0), top),))]


class TestVerdictToken:
    @pytest.mark.parametrize(("family", "prefix"), [("pocket", ""), ("plain", "Verdict:")])
    def test_value_is_read_off_one_token_behind_the_label(
        self, listed: Callable[..., Any], problem: Problem, family: str, prefix: str
    ) -> None:
        generator, prompts = listed(verdict("right", right=0.6, wrong=0.2)), PromptFamily.load(family)
        evaluation = judge(VerdictTokenEvaluator(generator, prompts), problem, FINISHED, seed=3)
        assert evaluation.value == pytest.approx(0.75)
        assert (evaluation.critique, evaluation.num_unreadable, evaluation.usage.generated_tokens) == (None, 0, 1)
        (request,) = generator.requests
        assert request.messages == (prompts.critique(problem, steps=FINISHED.steps),)
        assert (request.prefix, request.seeds) == (prefix, (3,))
        assert request.sampling == SamplingOptions(max_tokens=1, num_top_logprobs=10)

    def test_wrong_lowers_the_value(self, listed: Callable[..., Any], problem: Problem) -> None:
        evaluator = VerdictTokenEvaluator(listed(verdict("wrong", wrong=0.9, right=0.1)), PromptFamily.load("pocket"))
        assert judge(evaluator, problem, FINISHED).value == pytest.approx(0.1)

    @pytest.mark.parametrize(
        "samples",
        [
            verdict("row", row=0.9, right=0.06, wrong=0.02),
            verdict("right"),
            [Sample("right", 1, "length")],
            [Sample("", 1, "stop", tokens=())],
        ],
        ids=["another word", "no alternatives", "no log-probabilities", "no token"],
    )
    def test_token_that_is_no_verdict_leaves_the_value_unknown(
        self, listed: Callable[..., Any], problem: Problem, samples: list[Sample]
    ) -> None:
        evaluation = judge(VerdictTokenEvaluator(listed(samples), PromptFamily.load("pocket")), problem, FINISHED)
        assert (evaluation.value, evaluation.num_unreadable) == (None, 1)
        assert evaluation.usage.generated_tokens == 1

    def test_trajectory_without_steps_is_not_judged(self, listed: Callable[..., Any], problem: Problem) -> None:
        evaluator = VerdictTokenEvaluator(listed(), PromptFamily.for_model(RewardModelConfig()))
        assert judge(evaluator, problem, Trajectory()) == UNKNOWN


class ListedScorer:
    """A scorer that gives each conversation the same value and remembers it."""

    name = "listed"

    def __init__(self) -> None:
        self.conversations: list[tuple[Message, ...]] = []

    async def score(self, messages: tuple[Message, ...]) -> Score:
        self.conversations.append(messages)
        return Score(0.7, num_prompt_tokens=12)

    async def aclose(self) -> None:
        pass


class TestScorer:
    def test_question_and_solution_are_a_conversation(self) -> None:
        scorer = ListedScorer()
        evaluator = ScorerEvaluator(scorer, PromptFamily.for_model(RewardModelConfig(model="./rm")))
        problem = Problem("Which is larger?", choices=("9.8", "9.11"))
        trajectory = Trajectory(("9.8 is 9.80", "answer: A"), texts=("9.8 is ", "9.80\nanswer: A\n"))
        assert judge(evaluator, problem, trajectory) == Evaluation(
            0.7, None, TokenUsage(prompt_tokens=12, num_requests=1).by_critic()
        )
        assert scorer.conversations == [
            (
                Message("user", "Which is larger?\n(A) 9.8\n(B) 9.11"),
                Message("assistant", "9.8 is 9.80\nanswer: A"),
            )
        ]
        assert judge(evaluator, problem, Trajectory()) == UNKNOWN

    def test_problem_with_images_is_refused(self, problem: Problem) -> None:
        evaluator = ScorerEvaluator(ListedScorer(), PromptFamily.for_model(RewardModelConfig(model="./rm")))
        with pytest.raises(GenerationError, match="listed reads text only"):
            judge(evaluator, problem)


class TestBlend:
    def test_value_is_the_weighted_mean_and_the_words_are_the_first(self, problem: Problem) -> None:
        other = replace(CRITIQUE, words="other")
        evaluator = BlendEvaluator([(3.0, valued(0.5)), (1.0, valued(0.9, CRITIQUE)), (0.5, valued(None, other))])
        evaluation = judge(evaluator, problem)
        assert evaluation.value == pytest.approx(0.6)
        assert evaluation.critique == CRITIQUE
        assert evaluation.usage == TokenUsage(30, 6)

    def test_unknown_values_are_left_out_and_weights_made_to_sum_to_one(self, problem: Problem) -> None:
        assert judge(BlendEvaluator([(1.0, valued(None)), (4.0, valued(0.3))]), problem).value == pytest.approx(0.3)
        assert judge(BlendEvaluator([(1.0, valued(None)), (4.0, valued(None))]), problem).value is None

    def test_mean_of_equal_values_is_that_value_whatever_the_rounding(self, problem: Problem) -> None:
        parts = [(weight, valued(1.0)) for weight in (0.1, 0.2, 0.3, 0.7)]
        assert judge(BlendEvaluator(parts), problem).value == 1.0

    def test_counts_and_rollouts_are_those_of_all_parts(self, problem: Problem) -> None:
        rollout = Rollout(Continuation(("answer : 0",), False, True, "0", None), 1.0)
        parts = [Fixed(Evaluation(0.5, None, TokenUsage(1, 1), 2, (rollout,))) for _ in range(2)]
        evaluation = judge(BlendEvaluator([(1.0, part) for part in parts]), problem)
        assert evaluation.num_unreadable == 4
        assert evaluation.rollouts == (replace(rollout, value=None),) * 2
        assert parts[0].seeds != parts[1].seeds

    def test_part_that_fails_is_left_out_and_its_error_kept(self, problem: Problem) -> None:
        failing = Fixed(GenerationError("no engine"))
        evaluation = judge(BlendEvaluator([(1.0, failing), (1.0, valued(0.4))]), problem)
        assert (evaluation.value, evaluation.num_unreadable, evaluation.errors) == (0.4, 0, ("no engine",))

    def test_blend_fails_when_every_part_does(self, problem: Problem) -> None:
        failing = [(1.0, Fixed(GenerationError(text))) for text in ("first", "second")]
        with pytest.raises(GenerationError, match="first"):
            judge(BlendEvaluator(failing), problem)

    def test_parts_work_side_by_side(self, problem: Problem) -> None:
        class Waiting:
            def __init__(self, barrier: asyncio.Barrier) -> None:
                self._barrier = barrier

            async def evaluate(self, problem: Problem, trajectory: Trajectory, *, seed: int) -> Evaluation:
                await self._barrier.wait()
                return UNKNOWN

        async def both() -> Evaluation:
            barrier = asyncio.Barrier(2)
            blend = BlendEvaluator([(1.0, Waiting(barrier)), (1.0, Waiting(barrier))])
            return await asyncio.wait_for(blend.evaluate(problem, OPEN, seed=0), timeout=300)

        assert asyncio.run(both()) == UNKNOWN


CRITIC_PART = BlendPart(evaluator=DirectEvaluatorConfig(kind="critic"))


class TestMaking:
    @pytest.fixture
    def roles(self, step_expander: Make, listed: Callable[..., Any], checker: Checker) -> Roles:
        return Roles(
            expander=step_expander()[0],
            critic=Critic(listed(), PromptFamily.load("pocket"), CriticConfig()),
            reward_model=VerdictTokenEvaluator(listed(), PromptFamily.for_model(RewardModelConfig())),
            checker=checker,
        )

    @pytest.mark.parametrize(
        ("config", "kind"),
        [
            (DirectEvaluatorConfig(kind="critic"), Critic),
            (DirectEvaluatorConfig(kind="reward_model"), VerdictTokenEvaluator),
            (RolloutEvaluatorConfig(kind="rollout"), AgreementEvaluator),
            (RolloutEvaluatorConfig(kind="rollout", against="reference"), ReferenceEvaluator),
            (DirectEvaluatorConfig(kind="checker"), CheckerEvaluator),
            (DirectEvaluatorConfig(kind="none"), NoEvaluator),
            (
                BlendEvaluatorConfig(kind="blend", parts=(BlendPart(evaluator=DirectEvaluatorConfig(kind="critic")),)),
                BlendEvaluator,
            ),
        ],
    )
    def test_evaluator_is_the_one_configured(self, config: Any, kind: type, roles: Roles) -> None:
        assert type(make_evaluator(config, roles)) is kind

    @pytest.mark.parametrize(
        ("config", "field", "message"),
        [
            (DirectEvaluatorConfig(kind="critic"), "kind", "there is no critic"),
            (DirectEvaluatorConfig(kind="reward_model"), "kind", "there is no reward model"),
            (DirectEvaluatorConfig(kind="checker"), "kind", "`critic-engine collect`"),
            (RolloutEvaluatorConfig(kind="rollout", against="reference"), "against", "`critic-engine collect`"),
        ],
    )
    def test_what_is_missing_is_named_with_its_field(self, config: Any, field: str, message: str, roles: Roles) -> None:
        alone = Roles(expander=roles.expander)
        blend = BlendEvaluatorConfig(kind="blend", parts=(BlendPart(evaluator=config),))
        for whole, where in ((config, "evaluator"), (blend, "evaluator.parts.0.evaluator")):
            with pytest.raises(ConfigError) as caught:
                make_evaluator(whole, alone)
            assert caught.value.field == f"{where}.{field}"
            assert f"{where}.{field} is " in str(caught.value)
            assert message in str(caught.value)

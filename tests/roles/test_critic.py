import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from critic_engine.config.search import CriticConfig
from critic_engine.errors import GenerationError
from critic_engine.parsing.critique_form import CritiqueForm
from critic_engine.parsing.critique_parts import CritiqueParts
from critic_engine.prompts import PromptFamily
from critic_engine.protocols import Evaluation, Sample, TokenLogprob
from critic_engine.roles.critic import Critic, verdict_probability
from critic_engine.types import Critique, Problem, SamplingOptions, TokenUsage, Trajectory

STEPS = Trajectory(("row 1 : a1 none", "row 2 : a2 none", "answer : 0"), is_finished=True, answer="0")
PROMPT_TOKENS = 25  # words and line breaks of the pocket prompt for these steps
BARE = PromptFamily.load("pocket").form.critique
LABELLED = PromptFamily.load("plain").form.critique
NO_VERDICT = "critique has neither 'right' nor 'wrong' at its beginning"
Make = Callable[..., tuple[Critic, Any]]


def probability(text: str, tokens: tuple[TokenLogprob, ...], form: CritiqueForm) -> float | None:
    parts = CritiqueParts.find(text, form)
    return None if parts is None else verdict_probability(parts, text, tokens, form)


def token(text: str, **top: float) -> TokenLogprob:
    """Return a drawn token; ``top`` holds the probability of each likely token, with ``_`` for a space."""
    listed = tuple((word.replace("_", " "), math.log(probability)) for word, probability in top.items())
    return TokenLogprob(text, dict(listed).get(text, -9.0), listed)


def said(text: str, *tokens: TokenLogprob) -> Sample:
    return Sample(text, num_tokens=5, finish_reason="stop", tokens=tokens or None)


@pytest.fixture
def make(listed: Callable[..., Any]) -> Make:
    def make(*items: Any, family: str = "pocket", **options: Any) -> tuple[Critic, Any]:
        generator = listed(*items)
        return Critic(generator, PromptFamily.load(family), CriticConfig(**options)), generator

    return make


def judge(critic: Critic, problem: Problem, trajectory: Trajectory = STEPS) -> Evaluation:
    return asyncio.run(critic.evaluate(problem, trajectory, seed=11))


def test_critique_has_words_verdict_step_and_the_value_of_its_first_token(make: Make, problem: Problem) -> None:
    first = token("wrong", right=0.2, wrong=0.6, row=0.1)
    critic, generator = make([said("wrong step 2 : a2 is red circle\n", first, token(" step"))])
    words = "wrong step 2 : a2 is red circle"
    value = pytest.approx(0.25)
    assert judge(critic, problem) == Evaluation(
        value, Critique(words, "wrong", value, 2), TokenUsage(PROMPT_TOKENS, 5).by_critic(), 0
    )
    request = generator.requests[0]
    assert request.messages == (PromptFamily.load("pocket").critique(problem, steps=STEPS.steps),)
    assert request.sampling == SamplingOptions(temperature=0.0, max_tokens=256, num_top_logprobs=10)
    assert (request.seeds, request.prefix) == ((11,), "")


def test_value_is_unknown_without_log_probabilities_and_without_a_score(make: Make, problem: Problem) -> None:
    critic, _ = make([said("wrong step 2 : a2 is red circle")])
    evaluation = judge(critic, problem)
    assert evaluation.value is None
    assert evaluation.critique == Critique("wrong step 2 : a2 is red circle", "wrong", None, 2)


def test_value_is_the_score_in_the_text_without_log_probabilities(make: Make, problem: Problem) -> None:
    critic, _ = make([said("Verdict: right\nScore: 0.7")], family="plain")
    assert judge(critic, problem).value == 0.7


def test_log_probabilities_come_before_the_score_in_the_text(make: Make, problem: Problem) -> None:
    tokens = (token("Verdict"), token(":"), token(" right", _right=0.9, _wrong=0.1), token("\nScore: 0.7"))
    critic, _ = make([said("Verdict: right\nScore: 0.7", *tokens)], family="plain")
    assert judge(critic, problem).value == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("first", "value"),
    [
        (token("right", right=0.75, wrong=0.25), 0.75),
        (token("right", right=0.3, Right=0.2, _right=0.1, wrong=0.3, _WRONG=0.1), 0.6),
        (token("wr", wr=0.5, right=0.25, w=0.25), 0.25),
        (token("Right", wrong=0.5), math.exp(-9) / (math.exp(-9) + 0.5)),
        (token("right", right=0.97, a=0.02, b=0.01), 1.0),
        (token("wrong", wrong=0.97, a=0.02, b=0.01), 0.0),
    ],
)
def test_value_is_the_share_of_right_in_what_either_verdict_begins_with(first: TokenLogprob, value: float) -> None:
    rest = token("ong") if first.text == "wr" else token(" .")
    text = first.text + rest.text
    assert probability(text, (first, rest), BARE) == pytest.approx(value)


@pytest.mark.parametrize(
    "tokens",
    [
        (token("right"),),
        (token("right", right=0.6),),
        (token("right", right=0.6, a=0.2, b=0.1),),
        (token("maybe", right=0.6, wrong=0.4),),
        (token("right", right=math.nan, wrong=0.4),),
        (),
    ],
    ids=["nothing listed", "one listed", "other may be likely", "no verdict", "not a number", "no tokens"],
)
def test_value_is_unknown_where_the_tokens_do_not_tell(tokens: tuple[TokenLogprob, ...]) -> None:
    text = "".join(token.text for token in tokens)
    assert probability(text, tokens, BARE) is None


def test_verdict_token_is_found_behind_other_words() -> None:
    tokens = (
        token("It looks right, ", right=0.9, wrong=0.1),
        token("**Ver"),
        token("dict"),
        token(":**"),
        token(" Wrong", _Right=0.1, _Wrong=0.9),
        token("</s>"),
    )
    text = "It looks right, **Verdict:** Wrong"
    assert probability(text, tokens, LABELLED) == pytest.approx(0.1)


def test_verdict_token_is_found_among_tokens_that_hold_no_spaces() -> None:
    tokens = tuple(token(word) for word in ("Verdict", ":"))
    tokens += (token("wrong", right=0.4, wrong=0.6), token("First"), token("wrong", right=0.1, wrong=0.9))
    text = "Verdict : wrong First wrong"
    assert probability(text, tokens, LABELLED) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("鱻鱻 right Verdict: wrong", [*["\ufffd"] * 6, " right", " Ver", "dict", ":"]),
        ("鱻鱻 wrong, so Verdict: wrong", [*["\ufffd"] * 6, " wrong", ",", " so", " Verdict", ":"]),
        ("→ Verdict: wrong", ["→", " Verdict", ":"]),
        ("Verdict: wrong", ["<think_nothing_at_all>", "Verdict", ":"]),
    ],
    ids=["bytes", "the word before", "arrow", "special token"],
)
def test_verdict_token_is_found_behind_what_decodes_otherwise_alone(text: str, before: list[str]) -> None:
    other = [token(piece, _right=0.9, _wrong=0.1) for piece in before]
    tokens = (*other, token(" wrong", _right=0.2, _wrong=0.8), token(" step", _right=0.9, _wrong=0.1), token("<end>"))
    assert probability(text, tokens, LABELLED) == pytest.approx(0.2)


@pytest.mark.parametrize("pieces", [["Verdict:wrong"], ["Verdict:wr", "ong"], ["Verdict", ":", " wr", "<pad>ong"]])
def test_value_is_unknown_where_no_token_begins_the_verdict_alone(pieces: list[str]) -> None:
    tokens = tuple(token(piece, _right=0.9, _wrong=0.1) for piece in pieces)
    assert probability("Verdict: wrong", tokens, LABELLED) is None


def test_words_without_spaces_between_their_tokens_still_have_a_value(make: Make, problem: Problem) -> None:
    tokens = (token("wrong", right=0.2, wrong=0.8), *(token(word) for word in ("step", "2", ":", "a2", "is", "none")))
    critic, _ = make([said("wrong step 2 : a2 is none", *tokens)])
    assert judge(critic, problem).value == pytest.approx(0.2)


def test_unreadable_text_is_drawn_again_warmer_and_with_another_seed(make: Make, problem: Problem) -> None:
    critic, generator = make([said("hm")], [said("")], [said("right")], max_attempts=3)
    evaluation = judge(critic, problem)
    assert evaluation == Evaluation(
        None,
        Critique("right", "right", None),
        TokenUsage(3 * PROMPT_TOKENS, 15).by_critic(),
        num_unreadable=2,
        unreadable=(f"{NO_VERDICT}: 'hm'", f"{NO_VERDICT}: ''"),
    )
    assert [request.sampling.temperature for request in generator.requests] == [0.0, 0.7, 0.7]
    assert len({request.seeds for request in generator.requests}) == 3
    assert all(0 <= seed < 2**63 for request in generator.requests for seed in request.seeds)


def test_a_retry_is_never_colder_than_configured(make: Make, problem: Problem) -> None:
    critic, generator = make([said("hm")], [said("right")], temperature=1.2)
    judge(critic, problem)
    assert [request.sampling.temperature for request in generator.requests] == [1.2, 1.2]


def test_text_unreadable_again_and_again_has_no_value_and_all_its_tokens_count(make: Make, problem: Problem) -> None:
    critic, generator = make(*[[said("\x00 maybe {x}")]] * 9, max_attempts=4)
    reasons = (rf"{NO_VERDICT}: '\x00 maybe {{x}}'",) * 4
    assert judge(critic, problem) == Evaluation(
        None, None, TokenUsage(4 * PROMPT_TOKENS, 20).by_critic(), num_unreadable=4, unreadable=reasons
    )
    assert len(generator.requests) == 4


def test_judging_the_same_twice_asks_the_same(make: Make, problem: Problem) -> None:
    critic, generator = make(*[[said("hm")]] * 4)
    judge(critic, problem)
    judge(critic, problem)
    assert generator.requests[:2] == generator.requests[2:]


def test_a_trajectory_without_steps_is_not_judged(make: Make, problem: Problem) -> None:
    critic, generator = make()
    assert judge(critic, problem, Trajectory()) == Evaluation(None, None, TokenUsage())
    assert generator.requests == []


def test_retryable_failure_is_tried_again_unchanged(make: Make, problem: Problem) -> None:
    critic, generator = make(GenerationError("busy", is_retryable=True), [said("right")])
    assert judge(critic, problem).num_unreadable == 0
    assert generator.requests[0] == generator.requests[1]


@pytest.mark.parametrize(("is_retryable", "num_requests"), [(True, 2), (False, 1)])
def test_generation_error_passes_through(is_retryable: bool, num_requests: int, make: Make, problem: Problem) -> None:
    critic, generator = make(*[GenerationError("down", is_retryable=is_retryable)] * 3)
    with pytest.raises(GenerationError, match="down"):
        judge(critic, problem)
    assert len(generator.requests) == num_requests


def test_tokens_of_an_unreadable_text_are_not_lost_when_the_retry_fails(make: Make, problem: Problem) -> None:
    critic, _ = make([said("hm")], GenerationError("down"))
    reasons = (f"{NO_VERDICT}: 'hm'",)
    assert judge(critic, problem) == Evaluation(
        None, None, TokenUsage(PROMPT_TOKENS, 5).by_critic(), num_unreadable=1, unreadable=reasons
    )


def test_a_step_that_does_not_exist_is_not_named(make: Make, problem: Problem) -> None:
    critic, _ = make([said("wrong step 4 : there is none")])
    critique = judge(critic, problem).critique
    assert critique is not None
    assert (critique.verdict, critique.first_wrong_step) == ("wrong", None)


@pytest.mark.parametrize(
    ("text", "verdict"), [("Verdict: right\nScore: 0.2", "right"), ("Verdict: wrong\nScore: 0.9", "wrong")]
)
def test_a_score_that_contradicts_the_verdict_is_counted_and_gives_no_value(
    make: Make, problem: Problem, text: str, verdict: str
) -> None:
    critic, generator = make([said(text)], family="plain")
    evaluation = judge(critic, problem)
    assert evaluation.critique is not None
    assert (evaluation.value, evaluation.critique.verdict, len(generator.requests)) == (None, verdict, 1)
    assert evaluation.num_unreadable == len(evaluation.unreadable) == 1
    assert f"contradicts the verdict '{verdict}'" in evaluation.unreadable[0]


def test_log_probabilities_give_a_value_whatever_the_score_says(make: Make, problem: Problem) -> None:
    tokens = (token("Verdict:"), token(" right", _right=0.9, _wrong=0.1), token("\nScore:"), token(" 0.2"))
    critic, _ = make([said("Verdict: right\nScore: 0.2", *tokens)], family="plain")
    evaluation = judge(critic, problem)
    assert (evaluation.value, evaluation.num_unreadable) == (pytest.approx(0.9), 0)


def test_the_value_is_read_at_the_verdict_that_counts() -> None:
    thought = [token(piece, _right=0.1, _wrong=0.9) for piece in ("<think>", "Verdict:", " wrong", "</think>")]
    draft = [token(piece, _right=0.1, _wrong=0.9) for piece in ("\nVerdict:", " right", ".\nNo.\n")]
    last = [token("Verdict:"), token(" right", _right=0.97, _wrong=0.03), token("<|im_end|>")]
    text = "<think>Verdict: wrong</think>\nVerdict: right.\nNo.\nVerdict: right"
    assert probability(text, (*thought, *draft, *last), LABELLED) == pytest.approx(0.97)


def test_the_value_is_found_though_the_tokens_hold_a_thought_that_the_text_does_not() -> None:
    thought = [token(piece, _right=0.9, _wrong=0.1) for piece in ("<think>", "Verdict:", " wrong", "</think>")]
    tokens = (*thought, token("Verdict"), token(":"), token(" wrong", _right=0.2, _wrong=0.8))
    assert probability("Verdict: wrong", tokens, LABELLED) == pytest.approx(0.2)


def test_synonyms_count_for_their_verdict() -> None:
    first = token(" in", _in=0.6, _correct=0.2, _right=0.1, _wrong=0.1)
    assert probability("Verdict: incorrect", (token("Verdict:"), first, token("correct")), LABELLED) == (
        pytest.approx(0.3)
    )


EXAMINED = "Step 1: It reads 3.\n\nStep 2: It adds 3 and 4 to 8; it is 7."
JUDGED = "Verdict: wrong\nFirst wrong step: 2\nThe sum is 7.\nScore: 0.1"


@pytest.mark.parametrize(
    ("text", "examination", "words"),
    [
        (JUDGED, "", JUDGED),
        (f"{EXAMINED}\n\n{JUDGED}\n", EXAMINED, JUDGED),
        (f"<think>Verdict: right</think>\n{EXAMINED}\n\n**{JUDGED}", EXAMINED, f"**{JUDGED}"),
        (f"{EXAMINED}\n\n<think>is it?</think>{JUDGED}", EXAMINED, JUDGED),
        (
            f"{EXAMINED}\n\nVerdict: wrong\nFirst wrong step: 2",
            "Step 1: It reads 3.",
            "Step 2: It adds 3 and 4 to 8; it is 7.\n\nVerdict: wrong\nFirst wrong step: 2",
        ),
        (f"{EXAMINED}\n\nVerdict: right\nScore: 0.9", EXAMINED, "Verdict: right\nScore: 0.9"),
    ],
)
def test_words_are_the_part_with_the_verdict_and_its_reason(
    text: str, examination: str, words: str, make: Make, problem: Problem
) -> None:
    critic, _ = make([said(text)], family="reasoned")
    critique = judge(critic, problem).critique
    assert critique is not None
    assert (critique.examination, critique.words) == (examination, words)
    assert critique.whole == (f"{examination}\n\n{words}" if examination else words)


def test_words_before_a_verdict_without_a_reason_are_bounded(make: Make, problem: Problem) -> None:
    critic, _ = make([said("It adds. " * 900 + "\nVerdict: wrong\nScore: 0.1")], family="reasoned")
    critique = judge(critic, problem).critique
    assert critique is not None
    assert critique.words.startswith("It adds. It adds.")
    assert 900 < len(critique.words) < 1050


def test_max_tokens_are_those_of_the_prompts_unless_set(make: Make, problem: Problem) -> None:
    for family, options, num_tokens in (("reasoned", {}, 2048), ("plain", {}, 256), ("reasoned", {"max_tokens": 9}, 9)):
        critic, generator = make([said(JUDGED)], family=family, **options)
        judge(critic, problem)
        assert generator.requests[0].sampling.max_tokens == num_tokens


@pytest.mark.parametrize(
    ("text", "is_read"),
    [
        ("Verdict: wrong\nFirst wrong step: 2\nThe sum", True),
        ("Verdict: right\nAll", True),
        ("Step 1: It reads 3.\nVerdict: right\nStep 2: It", False),
        ("Step 1: It reads 3.\nVerdict: wrong\nFirst wrong step: 1\nIt", True),
        ("Step 1: It reads 3.", False),
    ],
)
def test_a_cut_text_is_read_if_its_verdict_is_surely_the_last(
    text: str, is_read: bool, make: Make, problem: Problem
) -> None:
    critic, _ = make([Sample(text, 70, "length")], family="plain", max_attempts=1, max_tokens=70)
    evaluation = judge(critic, problem)
    assert (evaluation.critique is not None) == is_read
    if not is_read:
        assert evaluation.unreadable == (
            f"the critique was cut at 70 tokens before its verdict; raise critic.max_tokens, which is 70: {text!r}",
        )


def test_a_cut_thought_names_its_own_option_and_is_quoted(make: Make, problem: Problem) -> None:
    critic, _ = make([Sample("", 90, "length", thought="<think>\nLet me")], family="plain", max_attempts=1)
    (reason,) = judge(critic, problem).unreadable
    assert reason == (
        "the critic's thought was cut at 90 tokens; raise critic.max_thought_tokens, which is 8192, or set "
        "critic.thinking to off: '<think>\\nLet me'"
    )


def test_a_long_text_that_cannot_be_read_is_quoted_at_both_ends_in_one_short_line(make: Make, problem: Problem) -> None:
    critic, _ = make([said("\x1b[2J first\n" * 5000 + "last\u202e")], family="plain", max_attempts=1)
    (reason,) = judge(critic, problem).unreadable
    assert reason.startswith("critique has neither 'right' nor 'wrong' behind 'Verdict:': '\\x1b[2J first\\n")
    assert reason.endswith("first\\nlast\\u202e'")
    assert reason.isprintable()
    assert len(reason) < 1000

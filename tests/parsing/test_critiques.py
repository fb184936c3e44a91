import contextlib
import pickle

import pydantic
import pytest

from critic_engine.errors import ParseError
from critic_engine.parsing.critique_form import CritiqueForm
from critic_engine.parsing.critique_parts import CritiqueParts
from critic_engine.parsing.critiques import ReadCritique, parse_critique, reason_of
from tests.growth import assert_linear

BARE = CritiqueForm(verdict_label="", right="right", wrong="wrong", step_label="step")
LABELLED = CritiqueForm(
    verdict_label="Verdict:", right="right", wrong="wrong", step_label="First wrong step:", score_label="Score:"
)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("right", ReadCritique("right", None, None)),
        (" Right.\n", ReadCritique("right", None, None)),
        ("wrong step 2 : a1 is blue square", ReadCritique("wrong", 2, None)),
        ("**WRONG** step 1", ReadCritique("wrong", 1, None)),
        ("wrong", ReadCritique("wrong", None, None)),
        ("right step 2", ReadCritique("right", None, None)),
    ],
)
def test_bare_verdicts_are_read(text: str, read: ReadCritique) -> None:
    assert parse_critique(text, BARE, num_steps=3) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Verdict: right\nAll steps hold.\nScore: 0.9", ReadCritique("right", None, 0.9)),
        ("Verdict: wrong\nFirst wrong step: 2\nIt says 3.\nScore: 0.1", ReadCritique("wrong", 2, 0.1)),
        ("**Verdict:** Wrong.\n**First wrong step:** [2]\n**Score:** 20%", ReadCritique("wrong", 2, 0.2)),
        ("Let me see.\n\nverdict : WRONG\nfirst wrong step = #3\nscore = 3/10", ReadCritique("wrong", 3, 0.3)),
        ("Verdict: wrong\nFirst wrong step: none\n2 apples", ReadCritique("wrong", None, None)),
        ('"Verdict: right or wrong"\nVerdict: wrong', ReadCritique("wrong", None, None)),
        ("Verdict: right/wrong\nVerdict: right", ReadCritique("right", None, None)),
        ("Verdict: right\nScore: .75\nScore: 0.8", ReadCritique("right", None, 0.8)),
    ],
)
def test_labelled_verdicts_are_read(text: str, read: ReadCritique) -> None:
    assert parse_critique(text, LABELLED, num_steps=3) == read


@pytest.mark.parametrize("step", ["0", "4", "99999", "1" * 5000, "-"])
def test_a_step_that_does_not_exist_leaves_the_verdict_standing(step: str) -> None:
    assert parse_critique(f"wrong step {step} : no", BARE, num_steps=3) == ReadCritique("wrong", None, None)


@pytest.mark.parametrize("score", ["7", "1.5", "-0.5", "7/0", "12/10", "150%", "1e-3", "0.7e-3", "high", "0000.5"])
def test_a_score_that_is_no_probability_is_unknown(score: str) -> None:
    assert parse_critique(f"Verdict: right\nScore: {score}", LABELLED, num_steps=3).score is None


@pytest.mark.parametrize("text", ["Verdict: wrong\nScore: 0.9", "Verdict: right\nScore: 0.2"])
def test_a_score_that_contradicts_the_verdict_is_unknown(text: str) -> None:
    assert parse_critique(text, LABELLED, num_steps=3).score is None


@pytest.mark.parametrize(
    "text",
    ["", "rightly so", "it is right", "a1 is wrong", "row 1 : a1 none", "not right", "\x00\x01", "right or wrong"],
)
def test_a_bare_text_without_a_verdict_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="critique has neither 'right' nor 'wrong' at its beginning"):
        parse_critique(text, BARE, num_steps=3)


@pytest.mark.parametrize("text", ["right", "Verdict:", "Verdict: not right", "Right, let us check.", "Overdict: right"])
def test_a_text_without_a_labelled_verdict_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="behind 'Verdict:'"):
        parse_critique(text, LABELLED, num_steps=3)


def test_the_error_quotes_the_beginning_and_keeps_the_whole_through_pickling() -> None:
    text = "x" * 199 + "yz"
    with pytest.raises(ParseError) as caught:
        parse_critique(text, BARE, num_steps=3)
    assert str(caught.value).endswith(repr("x" * 199 + "y"))
    assert pickle.loads(pickle.dumps(caught.value)).text == text


def test_verdict_words_may_contain_each_other_and_hold_pattern_characters() -> None:
    form = CritiqueForm(verdict_label="It is", right="correct", wrong="incorrect", step_label="at (step)")
    assert parse_critique("It is incorrect at (step) 2", form, num_steps=3) == ReadCritique("wrong", 2, None)
    assert parse_critique("It  is\ncorrect", form, num_steps=3).verdict == "right"


@pytest.mark.parametrize("synonyms", [("Right",), ("no",), ("",)])
def test_a_verdict_word_stands_once_and_is_not_empty(synonyms: tuple[str, ...]) -> None:
    with pytest.raises(pydantic.ValidationError, match="verdict word"):
        CritiqueForm(
            verdict_label="", right="right", wrong="no", step_label="step", right_synonyms=synonyms, wrong_synonyms=()
        )


def test_verdict_words_must_differ() -> None:
    with pytest.raises(pydantic.ValidationError, match="must differ"):
        CritiqueForm(verdict_label="", right="Yes", wrong="yes", step_label="step")


@pytest.mark.parametrize(
    "text",
    [
        "Verdict: " * 120_000,
        "Verdict:" + " " * 1_000_000,
        "Verdict: right or wrong\n" * 40_000,
        "*" * 1_000_000,
        "\x00" * 1_000_000,
        "Verdict: wrong" + "First wrong step: " * 60_000,
        "Verdict: wrong First wrong step: " + "1" * 1_000_000,
        "Verdict: right" + "Score: 1" * 120_000,
        "Verdict: right Score: " + "9" * 1_000_000,
        "right" + "step " * 200_000,
    ],
    ids=range(10),
)
@pytest.mark.parametrize("form", [BARE, LABELLED], ids=["bare", "labelled"])
def test_a_megabyte_of_hostile_text_is_read_or_refused_in_linear_time(text: str, form: CritiqueForm) -> None:
    def read(text: str) -> None:
        with contextlib.suppress(ParseError):
            parse_critique(text, form, num_steps=3)

    assert_linear(read, text)


@pytest.mark.parametrize(
    "piece",
    [
        '"', "'", "“", "`", "```\n", "~~", "> ", "<quote>", "\\boxed{", "[1] ", "Step 2: ", '"Verdict: right"\n', "\n",
        "First wrong step:\n", "Score (", "Score: 1 ", "the ", "<b>", " \n", "Verdict: right?\n", "<think>",
    ],
)  # fmt: skip
def test_quotations_and_labels_without_end_are_read_in_linear_time(piece: str) -> None:
    def read(text: str) -> None:
        parts = CritiqueParts.find(f"{text}\nVerdict: wrong\n{text}", LABELLED)
        if parts is not None:
            assert parts.useful_start <= parts.verdict.start
            assert isinstance(parts.reason, str)

    assert_linear(read, piece * (50_000 // len(piece)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Step 1: fine.\nStep 2: It adds 3 and 4 to 8.\n\nVerdict: wrong\nFirst wrong step: 2", "It adds 3 and 4 to 8"),
        ("It holds.\n\nThe sum in it is 7.\n\nVerdict: wrong\nScore: 0.1", "The sum in it is 7"),
        ("Verdict: wrong\nFirst wrong step: 1.5\n**Reason:** It is 7.\nScore: high", "It is 7"),
        ("Verdict: wrong\nThe first wrong step is 2.\nIt <think>or not</think> is 7.", "It is 7"),
        ("Verdict: right\nFirst wrong step: none\nScore: 0.9", ""),
    ],
)
def test_the_reason_stands_behind_the_verdict_or_else_before_it(text: str, reason: str) -> None:
    assert reason_of(text, LABELLED) == reason

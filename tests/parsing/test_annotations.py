"""Reading what an annotator says of two branches, and what a critic says besides its verdict."""

import pytest

from critic_engine.errors import ParseError
from critic_engine.parsing.annotations import ReadAnnotation, names_paths, parse_annotation
from critic_engine.parsing.critiques import reason_of
from critic_engine.prompts import PromptFamily
from tests.growth import assert_linear

PLAIN = PromptFamily.load("plain").form.critique
POCKET = PromptFamily.load("pocket").form.critique


@pytest.mark.parametrize(
    "text",
    [
        "Wrong path: B\nFirst wrong step: 3\nCritique: It says 4,\nthe picture shows 5.",
        "**Wrong path:** B\n**First wrong step:** 3\n**Critique:** It says 4, the picture shows 5.",
        "wrong path: path b.\nfirst wrong step: step 3\ncritique: It says 4, the picture shows 5.",
        'I compared both.\n"Wrong path: B"\n- First wrong step: [3]\n- Critique: It says 4, the picture shows 5.',
        "Wrong path : (B)\nFirst wrong step : #3\nCritique : It says 4,   the picture shows 5.\n\n",
        "First wrong step: 3\nWrong path: `B`\nCritique: It says 4, the picture shows 5.",
        "Critique: It says 4, the picture shows 5.\nWrong path: B\nFirst wrong step: 3",
        "Critique: It says 4, the picture shows 5. Wrong path: B First wrong step: 3",
        "**Critique:** It says 4, the picture shows 5. **First wrong step:** 3 **Wrong path:** B",
        "- Critique: It says 4,\n  the picture shows 5.\n\n- **Wrong path:** B\n- **First wrong step:** 3",
        "Wrong path: B\nCritique: It says 4, the picture shows 5.\nFirst wrong step: 3",
        "Wrong path: B\nFirst wrong step: 3\nCritique: It says 4, the picture shows 5.\nWrong path: B\nCritique: no",
    ],
)
def test_markup_case_and_order_do_not_matter(text: str) -> None:
    assert parse_annotation(text) == ReadAnnotation("B", 3, "It says 4, the picture shows 5.")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Wrong path: C\nFirst wrong step: 1\nCritique: no.",
        "Wrong path: Apple\nFirst wrong step: 1\nCritique: no.",
        "Wrong path: A\nFirst wrong step: K\nCritique: no.",
        "Wrong path: A\nFirst wrong step: 1234567\nCritique: no.",
        "Wrong path: A\nFirst wrong step: 1\nCritique:  \n ",
        "Wrong path: A\nFirst wrong step: 1\nIt is off.",
        "Critique:\nWrong path: A\nFirst wrong step: 1",
        '"Wrong path: A" or "Wrong path: B".\n"First wrong step: K"\n"Critique: "',
    ],
)
def test_a_text_that_lacks_a_part_is_refused(text: str) -> None:
    with pytest.raises(
        ParseError, match="annotation lacks one of 'Wrong path: A', 'First wrong step: K' and"
    ) as caught:
        parse_annotation(text)
    assert caught.value.text == text


def test_labels_within_the_reason_do_not_end_it() -> None:
    reason = "It takes the wrong path: a row is left out, and its first wrong step: 3 says so."
    read = parse_annotation(f"Wrong path: B\nFirst wrong step: 3\nCritique: {reason}")
    assert read.reason == reason


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(ParseError, match="half a surrogate pair"):
        parse_annotation("Wrong path: A\nFirst wrong step: 1\nCritique: \ud800")


def test_the_message_quotes_the_beginning_of_a_long_text_only() -> None:
    with pytest.raises(ParseError) as caught:
        parse_annotation("\x1b[2J" * 50_000)
    assert str(caught.value).endswith(repr("\x1b[2J" * 50))
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "wrong path:" * 40_000,
        "wrong path: " + "*" * 400_000,
        "first wrong step:" + " " * 400_000,
        "_" * 400_000,
        "\n" * 400_000,
        "\n*" * 200_000,
    ],
)
def test_hostile_text_is_read_in_linear_time(text: str) -> None:
    def read(text: str) -> None:
        with pytest.raises(ParseError):
            parse_annotation(text)
        assert parse_annotation(f"Critique: x {text}\nWrong path: B\nFirst wrong step: 3").first_wrong_step == 3
        reason_of(text, PLAIN)

    assert_linear(read, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("right", ""),
        ("wrong step 2 : the sum is 4", "the sum is 4"),
        ("wrong step 2 :", ""),
        ("wrong step 2 : step 1 has 3", "step 1 has 3"),
        ("wrong step 2 : -3 + 1 is -2", "-3 + 1 is -2"),
        ("wrong step 2 - .5 is meant", ".5 is meant"),
        ("wrong step 2 : - 3 are there.", "3 are there"),
        ("no verdict at all", "no verdict at all"),
        ("wrong\nstep 12\nstep counts are off", "step counts are off"),
    ],
)
def test_a_pocket_critics_reason_is_what_stands_behind_its_verdict(text: str, reason: str) -> None:
    assert reason_of(text, POCKET) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Verdict: wrong\nFirst wrong step: 2\nIt says 4.\nIt is 5.\nScore: 0.1", "It says 4. It is 5"),
        ("**Verdict: wrong**\n**First wrong step: 2**\nIt says 4.\n**Score: 10%**", "It says 4"),
        ("Verdict: wrong\nFirst wrong step: 2\nThe score: 3 is misread.\nScore: 0.1", "The score: 3 is misread"),
        ("Verdict: wrong\nScore: 0", ""),
        ("Verdict: right\nNo corrections needed.\nScore: 1", "No corrections needed"),
    ],
)
def test_a_critics_reason_has_neither_its_step_nor_its_score(text: str, reason: str) -> None:
    assert reason_of(text, PLAIN) == reason


@pytest.mark.parametrize("name", ["plain", "headed", "reasoned", "pocket"])
@pytest.mark.parametrize("reason", ["it is 5", "-3 is less", "the step before says 2 of 3 and so on"])
def test_the_reason_of_a_written_critique_is_the_one_it_was_written_with(name: str, reason: str) -> None:
    family = PromptFamily.load(name)
    assert reason_of(family.written_critique(step=2, reason=reason), family.form.critique) == reason


@pytest.mark.parametrize(
    "reason",
    [
        "path B says 2", "Path-A misreads", "path: B says 2", "the branches A and B", "PATH B", "the other Attempt",
        "B claims the bar is 3, while A reads 4.",
        "Unlike A, B reads row 2 wrongly.",
        "It says 3. B is wrong there.",
        "It says 3, and B wrongly says 4.",
        "Row 2 holds 3, so A misreads it.",
        "A does not count row 2.",
        "A reads 4.",
        "**B** skips row 2.",
        "Both A and B claim 3.",
        "A's count is off.",
        "The bar is 3 (B says 4).",
        "In step 2 B adds 3.",
        "This is where B goes wrong.",
        "Step 2 of B adds a row twice.",
        "The reasoning in A is sound.",
        "It reads 4, whereas B has 3.",
    ],
)  # fmt: skip
def test_words_that_speak_of_two_paths_are_noticed(reason: str) -> None:
    assert names_paths(reason)


@pytest.mark.parametrize(
    "reason",
    [
        "It does not attempt a count of the bars",
        "The path a ball takes",
        "The solution a step earlier",
        "solution b = 3 does not hold",
        "B2 is blue and A1 is red.",
        "It lacks vitamin B says the label.",
        "Option B says otherwise.",
        "Point B is 3 away from A.",
        "The answer is B.",
        "It walks from A to B and counts twice.",
        "The points A, B and C are on a line.",
        "A + B is 5 and B = 3.",
        "AB is longer, while B - A is 3.",
        "A count of 3 is too low. A stated value is left out.",
        "A bar is missing. A claim is made.",
        "A red shape is read as blue, while a bar has 3.",
        "A wrongly read row is added.",
        "the key of B-flat",
        "Magnet A is stronger, and B is weaker.",
    ],
)
def test_letters_of_other_things_and_articles_are_not_taken_for_paths(reason: str) -> None:
    assert not names_paths(reason)


def test_where_a_problem_has_choices_a_letter_alone_is_one_of_them() -> None:
    for reason in ("B is not supported by the image.", "B claims the bar is 3, while A reads 4."):
        assert names_paths(reason)
        assert not names_paths(reason, has_choices=True)
    assert names_paths("Path B reads row 2 wrongly.", has_choices=True)


@pytest.mark.parametrize(
    "piece", ["A ", "B", "path ", "path:((", ". A not ", "and B wrongly ", "while ", "B aly", "*'"]
)
def test_a_hostile_reason_is_searched_for_paths_in_linear_time(piece: str) -> None:
    assert_linear(names_paths, piece * (200_000 // len(piece)))

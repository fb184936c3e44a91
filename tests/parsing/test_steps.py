import random
from dataclasses import replace

import pytest

from critic_engine.config.search import ExpanderConfig
from critic_engine.parsing.steps import MAX_INNER_STOPS, StepDraft, StepSplitter
from critic_engine.protocols import Sample, TokenLogprob
from tests.growth import assert_linear

LINES = StepSplitter(ExpanderConfig(split="delimiter"))
PARAGRAPHS = StepSplitter(ExpanderConfig(split="delimiter", delimiter="\n\n"))
RULED = StepSplitter(ExpanderConfig(split="delimiter", delimiter="---"))
NUMBERED = StepSplitter(ExpanderConfig(split="template"))
MARKED = StepSplitter(ExpanderConfig(split="template", step_template="### "))
SENTENCES = StepSplitter(ExpanderConfig(split="sentence"))
TOKENS = StepSplitter(ExpanderConfig(split="tokens"))
ALL = [LINES, PARAGRAPHS, RULED, NUMBERED, MARKED, SENTENCES, TOKENS]
FRAGMENTS = [
    *("so", "x", "Then", " ", " the cat ", "12", "3.14", "\n", "\n\n", "\r\n", "\t", ". ", ".", "! ", "? ", "..."),
    *("！", "e.g. ", "i.e. ", "Fig. 2", "No. 7", "Dr. Who", "J. Doe", "\n1. ", "2. ", "---", "-", "### ", "#", "Step "),
    *("Step 1:", "Step 2:", "Step 3:", "Step 4:", "\nStep 2: ", "\nStep 3: ", "Step 12:", "$number", "\x00", "é"),
    *("\n### ", "\n### ", ": ", "。"),
]

THOUGHTS = ["<think>", "</think>", "</think>\n", "<think>hm. \nStep 2: --- ### \n\n</think>", "<think>\n\n</think>\n\n"]


def random_texts(num: int, seed: int, fragments: list[str] = FRAGMENTS) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(fragments, k=rng.randrange(1, 24))) for _ in range(num)]


def test_steps_are_stripped_and_blank_lines_are_none() -> None:
    assert LINES.steps("a is 1\n\n  b is 2 \r\n \n") == ("a is 1", "b is 2")
    assert LINES.pieces("a is 1\n\n  b is 2 \r\n \n") == ("a is 1\n", "\n  b is 2 \r\n \n")


def test_a_longer_delimiter_keeps_the_line_breaks_inside_a_step() -> None:
    assert PARAGRAPHS.steps("a\nb\n\nc") == ("a\nb", "c")


def test_a_delimiter_of_signs_is_not_shown() -> None:
    assert RULED.steps("---\n---a---\nb---") == ("a", "b")
    assert RULED.pieces("---\n---a---\nb---") == ("---\n---a---", "\nb---")


@pytest.mark.parametrize("splitter", ALL, ids=str)
def test_text_of_white_space_has_no_steps(splitter: StepSplitter) -> None:
    assert splitter.steps(" \n\t\n") == splitter.pieces(" \n\t\n") == ()


def test_a_heading_belongs_to_the_step_behind_it() -> None:
    text = "Step 1: a\nb\nStep 2: c\n\nStep 3: d"
    assert NUMBERED.steps(text) == ("Step 1: a\nb", "Step 2: c", "Step 3: d")
    assert NUMBERED.pieces(text) == ("Step 1: a\nb\nStep 2:", " c\n\nStep 3:", " d")


def test_only_the_start_of_a_line_heads_a_step() -> None:
    assert NUMBERED.steps("Step 1: see Step 3: below\nStep 2: b\nas in Step 1: and Step 2: c\nStep 3: d") == (
        "Step 1: see Step 3: below",
        "Step 2: b\nas in Step 1: and Step 2: c",
        "Step 3: d",
    )


@pytest.mark.parametrize(
    "heading",
    [
        *("Step 2:", "Step 2.", "step 2:", "STEP 2:", "**Step 2:**", "**Step 2**:", "### Step 2"),
        *("### Step 2:", "## **Step 2:**", "Step 2)", "Step 2 - Count", "**Step 2 (count)**"),
        *("* **Step 2:**", "  Step 2:", "Step  2:", "Step 12:", "Step 2：", "#### Step 2: Count"),
        *("Step 2", "**Step 2: Count**", "Step 1:", "Step 3:", "> Step 2:", "- Step 2:"),
    ],
)
def test_a_heading_may_have_markup_and_any_number(heading: str) -> None:
    text = f"Step 1: a\n{heading} \nb"
    assert NUMBERED.steps(text) == ("Step 1: a", f"{heading} \nb".strip())
    draft = StepDraft("", 100).after(Sample(text, num_tokens=9, finish_reason="stop"), NUMBERED)
    assert draft.ending == "stop"
    assert text.startswith(draft.text)
    assert NUMBERED.shown(draft.text, "") == "Step 1: a"
    assert NUMBERED.shown(text[len(draft.text) :], draft.text) == f"{heading} \nb".strip()


@pytest.mark.parametrize(
    "line", ["in Step 2: I will count", "Step 2 is wrong", "Steps 2: b", "Step 2.5 cm", "Step two: b", "Misstep 2: b"]
)
def test_words_about_a_step_head_none(line: str) -> None:
    assert len(NUMBERED.steps(f"Step 1: a\n{line}\nb")) == 1


def test_a_heading_that_no_stop_string_is_cuts_the_text_that_was_written() -> None:
    tokens = ("Step 1", ": a", "\n", "Step", " 7", ": b")
    draft = StepDraft("", 100).after(stopped("Step 1: a\nStep 7: b", None, *tokens), NUMBERED)
    assert (draft.text, draft.ending) == ("Step 1: a\nStep 7:", "stop")
    assert draft.tokens is not None
    assert [token.text for token in draft.tokens] == list(tokens)


def test_words_before_the_first_heading_belong_to_the_first_step() -> None:
    assert NUMBERED.steps("Let us see.\nStep 1: a\nStep 2: b") == ("Let us see.\nStep 1: a", "Step 2: b")


def test_a_heading_without_a_number_begins_every_step() -> None:
    assert MARKED.steps("### a\nb\n### c") == ("### a\nb", "### c")
    assert MARKED.steps("first\n### a") == ("first", "### a")


def test_a_heading_with_nothing_behind_it_is_no_step() -> None:
    assert NUMBERED.steps("Step 1: a\nStep 2:\nStep 3: b\nStep 4:") == ("Step 1: a", "Step 3: b")


def test_a_dollar_in_a_heading_is_written_twice() -> None:
    splitter = StepSplitter(ExpanderConfig(split="template", step_template="$$$number)"))
    assert splitter.steps("a\n$2) b\n$3) c $4) d\n$5) e") == ("a", "$2) b", "$3) c $4) d\n$5) e")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("One is red. Two is blue! Is it? Yes", ("One is red.", "Two is blue!", "Is it?", "Yes")),
        ("It is 3.14 cm, see a.b and x.\nSo", ("It is 3.14 cm, see a.b and x.", "So")),
        ("红色的有三个。蓝色的呢？没有！", ("红色的有三个。", "蓝色的呢？", "没有！")),
        ("Hm... Wait. ", ("Hm...", "Wait.")),
        ("Take e.g. the cat, i.e. No. 7 of Fig. 2. Then", ("Take e.g. the cat, i.e. No. 7 of Fig. 2.", "Then")),
        ("Dr. Who met J. R. Doe et al. there. So", ("Dr. Who met J. R. Doe et al. there.", "So")),
        ("1. Look. 2. Count\n12. Add. So", ("1. Look.", "2.", "Count", "12. Add.", "So")),
        ("**3. Bold** end. So\n- Step 4. Go. So", ("**3. Bold** end.", "So", "- Step 4. Go.", "So")),
        ("There are 12. So it is", ("There are 12.", "So it is")),
        ("A config. file is no Prof. Smith. Ok", ("A config.", "file is no Prof. Smith.", "Ok")),
        ("one\n\n two", ("one", "two")),
        (" . So. ", ("So.",)),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, steps: tuple[str, ...]) -> None:
    assert SENTENCES.steps(text) == steps


def test_a_number_behind_a_long_line_begins_no_list() -> None:
    assert SENTENCES.steps("x" * 23 + " " * 14 + "12. So")[1] == "So"


def test_a_sentence_of_nothing_but_abbreviations_is_bounded() -> None:
    assert SENTENCES.steps("e.g. " * 40) == tuple(
        " ".join(["e.g."] * num) for num in (MAX_INNER_STOPS + 1, MAX_INNER_STOPS + 1, 40 - 2 * (MAX_INNER_STOPS + 1))
    )


def test_a_whole_text_has_a_step_a_line_where_tokens_are_all_that_cut() -> None:
    assert TOKENS.steps("a\n\nb c") == ("a", "b c")
    assert TOKENS.stop_strings("a") == ()
    assert TOKENS.shown(" a\nb ", "") == "a\nb"


@pytest.mark.parametrize("splitter", ALL, ids=str)
@pytest.mark.parametrize("fragments", [FRAGMENTS, FRAGMENTS + THOUGHTS], ids=["plain", "with thoughts"])
def test_pieces_joined_are_the_text_and_splitting_them_again_changes_nothing(
    fragments: list[str], splitter: StepSplitter
) -> None:
    texts = [text for text in random_texts(2500, seed=1, fragments=fragments) if text.strip()]
    num_split = 0
    for text in texts:
        pieces = splitter.pieces(text)
        if not pieces:
            assert not splitter.steps(text)
            continue
        num_split += len(pieces) > 1
        assert "".join(pieces) == text
        steps = splitter.steps(text)
        assert len(steps) == len(pieces)
        assert all(step and step == step.strip() for step in steps)
        assert not any("hm." in step or "think>" in step for step in steps)
        behind = ""
        for piece, step in zip(pieces, steps, strict=True):
            assert splitter.steps(piece, behind) == (step,)
            behind += piece
    assert num_split > 200


THINKING = "<think>\nSo. Then.\n\nStep 2: answer: 1\n---\n### \n</think>\n\n"


@pytest.mark.parametrize("splitter", ALL, ids=str)
def test_a_thought_is_no_step_and_ends_none(splitter: StepSplitter) -> None:
    assert splitter.steps(THINKING + "a") == splitter.steps("a" + THINKING) == ("a",)
    assert splitter.pieces(THINKING + "a") == (THINKING + "a",)
    assert splitter.steps(THINKING) == splitter.pieces(THINKING) == ()
    assert splitter.shown(THINKING + " a ", "b\n") == "a"
    assert splitter.steps("hm\n. answer: 1\n</think>\na") == ("a",)


def test_a_thought_stands_in_the_piece_of_the_words_behind_it() -> None:
    text = f"a\n{THINKING}b\n<think>never"
    assert LINES.steps(text) == ("a", "b")
    assert LINES.pieces(text) == ("a\n", f"{THINKING}b\n<think>never")
    assert NUMBERED.steps(f"Step 1: a\n{THINKING}Step 2: b") == ("Step 1: a", "Step 2: b")
    assert SENTENCES.steps(f"One is red. {THINKING}Two is blue. So") == ("One is red.", "Two is blue.", "So")


def test_inside_a_thought_only_the_marker_that_closes_it_stops() -> None:
    for splitter in ALL:
        assert splitter.stop_strings("a\n<think>So") == ("</think>",)
        assert splitter.stop_strings("a\n<think>So</think>b") == splitter.stop_strings("b")


def test_a_draft_keeps_its_thought_and_pays_for_its_text_alone() -> None:
    tokens = (TokenLogprob("b", -1.0), TokenLogprob("\n", -1.0))
    sample = Sample("b", num_tokens=900, finish_reason="stop", stop="\n", tokens=tokens, thought=THINKING)
    draft = StepDraft("a\n", 10).after(sample, LINES)
    assert (draft.ending, draft.text, draft.num_tokens_left, draft.num_tokens) == ("stop", f"{THINKING}b\n", 8, 900)
    assert draft.tokens == tokens
    guessed = StepDraft("a\n", 10).after(replace(sample, tokens=None, thought="<think>abcd</think>"), LINES)
    assert guessed.num_tokens_left == 10 - 45


def test_a_draft_that_stops_in_a_thought_goes_on_behind_it() -> None:
    draft = StepDraft("", 99).after(stopped("so <think>x", "\n"), LINES)
    assert (draft.ending, draft.text) == (None, "so <think>x\n")
    draft = draft.after(stopped("answer: 3\n", "</think>"), LINES)
    assert (draft.ending, draft.text) == (None, "so <think>x\nanswer: 3\n</think>")
    draft = draft.after(stopped(" it is", "\n"), LINES)
    assert draft.ending == "stop"
    assert LINES.shown(draft.text, "") == "so \n it is"


@pytest.mark.parametrize("thought", ["<think>hm", "hm, whose opening the template wrote"])
def test_a_draft_whose_thought_never_closes_is_cut(thought: str) -> None:
    draft = StepDraft("", 9).after(Sample("", num_tokens=50, finish_reason="length", thought=thought), LINES)
    assert (draft.ending, draft.has_words, LINES.shown(draft.text, "")) == ("cut", False, "")


@pytest.mark.parametrize("splitter", ALL, ids=str)
def test_hostile_text_is_split_in_time_linear_in_it(splitter: StepSplitter) -> None:
    assert_linear(splitter.steps, "e.g. Step 2: A. ### --- \n1. " * 5_000)
    assert_linear(splitter.steps, "<think>a</think>\nStep 2: ### --- b. " * 3_000)


def test_a_step_stops_at_the_heading_of_the_next() -> None:
    firsts = [
        [*NUMBERED.stop_strings(text)[:4]]
        for text in ("", "Step 1: a\n**Step 2:", "Step 1: a\nStep 2:", "a, cut by the cap", "Step 1: a\nStep 4:")
    ]
    assert firsts == [
        [f"\nStep {number}:", f"\n**Step {number}:", f"\n### Step {number}:", f"\nStep {number}."]
        for number in (2, 3, 3, 2, 5)
    ]
    assert NUMBERED.stop_strings("Step 1: a, cut at a line's end\n")[0] == "Step 2:"
    assert MARKED.stop_strings("### a\n### ") == ("\n### ",)
    assert MARKED.stop_strings("") == ("### ", "\n### ")


def test_the_blank_behind_a_sentence_is_left_to_the_next_one() -> None:
    assert [SENTENCES.kept(stop) for stop in SENTENCES.stop_strings("")] == [".", "!", "?", "\n", "。", "！", "？"]
    assert [LINES.kept("\n"), NUMBERED.kept("Step 2:")] == ["\n", "Step 2:"]


def stopped(text: str, stop: str | None, *tokens: str, num_tokens: int = 1) -> Sample:
    logprobs = tuple(TokenLogprob(token, -1.0) for token in tokens) or None
    return Sample(text, num_tokens=num_tokens, finish_reason="stop", stop=stop, tokens=logprobs)


def test_a_draft_goes_on_behind_blanks_which_cost_its_limit_nothing() -> None:
    draft = StepDraft("a\n", 10).after(stopped(" ", "\n", num_tokens=9), LINES)
    assert (draft.ending, draft.prefix, draft.num_tokens_left) == (None, "a\n \n", 10)
    draft = draft.after(stopped("b", "\n", num_tokens=4), LINES)
    assert (draft.ending, draft.text, draft.num_tokens_left) == ("stop", " \nb\n", 6)


def test_a_draft_goes_on_behind_an_abbreviation_as_far_as_its_limit() -> None:
    draft = StepDraft("", 10).after(stopped("see Fig", ". ", num_tokens=6), SENTENCES)
    assert (draft.ending, draft.text, draft.num_tokens_left) == (None, "see Fig.", 4)
    assert draft.after(stopped(" 2", ". ", num_tokens=3), SENTENCES).ending == "stop"
    assert draft.after(Sample(" 2 and", num_tokens=4, finish_reason="length"), SENTENCES).ending == "cut"
    assert draft.after(stopped(" 2 and Fig", ". ", num_tokens=4), SENTENCES).ending == "cut"
    assert draft.after(stopped(" 2", None), SENTENCES).ending == "turn"


def test_a_token_that_only_completed_the_stop_string_is_no_token_of_the_text() -> None:
    tokens = StepDraft("", 9).after(stopped("It is", ". ", "It", " is", ".", " So"), SENTENCES).tokens
    assert tokens is not None
    assert [token.text for token in tokens] == ["It", " is", "."]
    whole = StepDraft("", 9).after(stopped("It is", ". ", "It", " is", ". "), SENTENCES).tokens
    assert whole is not None
    assert len(whole) == 3


def test_a_draft_has_no_tokens_when_one_of_its_samples_has_none() -> None:
    draft = StepDraft("", 9).after(stopped("a Fig", ". ", "a", " Fig."), SENTENCES)
    assert draft.after(stopped(" 2", "\n"), SENTENCES).tokens is None

import random

import pytest

from critic_engine.parsing.thoughts import find_thoughts, marked_thought, split_thought, visible
from tests.growth import assert_linear

PAIRS = [
    ("<think>", "</think>"),
    ("<think>\n", "\n</think>\n\n"),
    ("< think >", "</ think >"),
    ("<THINK>", "</THINK>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>\n\n<|begin_of_solution|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("<|im_start|>think\n", "<|im_start|>answer\n"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>"),
    (
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.look<|message|>",
        "<|call|><|start|>assistant<|channel|>final<|message|>",
    ),
]


@pytest.mark.parametrize(("opening", "closing"), PAIRS, ids=range(len(PAIRS)))
def test_a_thought_of_every_style_is_dropped(opening: str, closing: str) -> None:
    thought = f"{opening}We see 3. answer: 12\n{closing}"
    assert visible(thought + "answer: 14").strip() == "answer: 14"
    assert visible(f"We see 3. answer: 12\n{closing}answer: 14").strip() == "answer: 14"
    assert visible(f"a\n{thought}b\n{thought}c").split() == ["a", "b", "c"]
    assert visible(f"a\n{opening}We see 3.\nanswer: 12").strip() == "a"
    assert split_thought(thought + "answer: 14 ") == (thought, "answer: 14 ")
    assert split_thought(f"{opening}We see 3.") == (f"{opening}We see 3.", "")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", ""),
        ("red : 1\nanswer : 1", "red : 1\nanswer : 1"),
        ("<think></think>x", "x"),
        ("<think>\n\n</think>\n\nx", "\n\nx"),
        ("4<think>hm</think>2", "4\n2"),
        ("analysisWe need 12assistantfinalanswer: 14", "answer: 14"),
        ("analysisWe need 12", ""),
        ("analysis of the picture", "analysis of the picture"),
        ("<|channel|>final<|message|>answer: 14<|return|>", "answer: 14"),
        ("Here is my thought process: 12? Here is my response: answer: 14", " answer: 14"),
        ("So here is it. Here is my response: answer: 14", "So here is it. Here is my response: answer: 14"),
        ("<think>a <think>b</think> answer: 3</think>c", "c"),
        ("<think>I begin with <think>, hm</think>c", "c"),
        ("<think>I write `</think>` at its end, so answer: 3</think>c", "c"),
        ("<think>'<think> </think>' is asked for, so answer: 3</think>c", "c"),
        ("the tag `<think>` begins it", "the tag `<think>` begins it"),
        ("<think>a</think>answer: 4\n</think>", "answer: 4\n"),
        ("I write <think> </think> here, answer: 3</think>c", "c"),
        ("<think>a</think>b<think>never closed", "b"),
        ("<think>a[/THINK]b</think>c", "c"),
        ("1 < 2 and <b>3</b>", "1 < 2 and <b>3</b>"),
    ],
)
def test_what_is_left_of_a_text_is_what_its_reader_sees(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_a_thought_that_the_prompt_opened_is_split_off() -> None:
    assert split_thought("hm\n</think>\n\nb", is_open=True) == ("hm\n</think>\n\n", "b")
    assert split_thought("hm, never closed", is_open=True) == ("hm, never closed", "")
    assert split_thought("I use <think> tags</think>b", is_open=True) == ("I use <think> tags</think>", "b")
    assert split_thought("b<think>c</think>", is_open=False) == ("", "b<think>c</think>")
    assert split_thought("", is_open=True) == ("", "")


@pytest.mark.parametrize(
    ("text", "closing"),
    [
        ("<think>a", "</think>"),
        ("x <Thinking>a", "</Thinking>"),
        ("[THINK]a", "[/THINK]"),
        ("<|channel|>analysis<|message|>a", "<|channel|>final<|message|>"),
        ("<think>a</think>b", None),
        ("b", None),
    ],
)
def test_the_marker_that_would_close_a_thought_is_known(text: str, closing: str | None) -> None:
    assert find_thoughts(text).closing == closing


def test_a_thought_without_markers_gets_them() -> None:
    assert marked_thought("<think>a</think>\n") == "<think>a</think>\n"
    assert visible(marked_thought("a b\nanswer: 3")).strip() == ""
    assert marked_thought("") == ""
    assert visible("b\n" + marked_thought("a</think>", "b\n") + "c").split() == ["b", "c"]
    assert visible("b\n" + marked_thought("a[/THINK]", "b\n") + "c").split() == ["b", "c"]
    assert marked_thought("a</think>", "<think>b</think>c\n") == "<think>\na</think>"


FRAGMENTS = [*("a", " b", "\n", "answer: 3", "`", '"'), *(part for pair in PAIRS for part in pair), "<|end|>"]


def test_parts_of_a_text_are_seen_as_in_the_whole() -> None:
    rng = random.Random(5)
    num_cut = 0
    for _ in range(3000):
        text = "".join(rng.choices(FRAGMENTS, k=rng.randrange(1, 14)))
        thoughts = find_thoughts(text)
        assert all(begin < end for begin, end in thoughts.spans)
        edges = [edge for span in thoughts.spans for edge in span]
        assert edges == sorted(set(edges))
        middle = rng.randrange(len(text) + 1)
        parts = thoughts.visible(0, middle) + thoughts.visible(middle)
        assert "".join(parts.split()) == "".join(thoughts.visible().split())
        assert "".join(split_thought(text)) == "".join(split_thought(text, is_open=True)) == text
        num_cut += thoughts.visible() != text
    assert num_cut > 1500


@pytest.mark.parametrize(
    "text",
    [
        "<think>" * 40_000,
        "</think>" * 40_000,
        "<think></think>" * 20_000,
        "<think><think></think>" * 15_000,
        "a</think> <think>" * 20_000,
        '"<think>' * 40_000,
        "<|channel|>analysis<|message|>" * 10_000,
        "<|start|>assistant<|channel|>" * 10_000,
        "<|channel|>" + "a" * 300_000,
        "<|channel|>analysis" * 20_000,
        "<|channel|>final" + " " * 300_000,
        "<" * 300_000,
        (" " * 30_000 + "Here is my thought process:") * 10,
    ],
    ids=range(13),
)
def test_hostile_text_is_read_in_linear_time(text: str) -> None:
    assert_linear(visible, text)
    assert_linear(split_thought, text)

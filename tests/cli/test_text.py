"""What is printed of a model's text is text and nothing else."""

import json

import pytest

from critic_engine.cli.text import one_line, printable
from critic_engine.run.report import json_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://host\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;cm0gLXJm\x07paste", "paste"),
        ("\x1bPdevice\x1b\\x", "x"),
        ("\x9b31mred", "red"),
        ("\x9d0;title\x9cx", "x"),
        ("\x1bcreset", "reset"),
        ("\x1b", ""),
        ("over\rwritten\b\b\x00\x7f", "overwritten"),
        ("a\r\nb\tc", "a\nb c"),
        ("abc\u202edcba", "abcdcba"),
        ("half \ud800", "half "),
        ("[bold]kept[/bold] 3 < 4 ü 漢 👩\u200d🔬", "[bold]kept[/bold] 3 < 4 ü 漢 👩\u200d🔬"),
    ],
)
def test_escapes_and_controls_are_taken_out_and_words_kept(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_one_line_is_one_line_of_the_length_asked_for() -> None:
    assert one_line(" a\n\n b\u2028c ") == "a bc"
    assert one_line("abcdef", max_chars=4) == "abc…"
    assert one_line("abcd", max_chars=4) == "abcd"


def test_json_holds_the_text_unchanged_and_no_control_character() -> None:
    fields = {"answer": "\x1b[31m\x9b\x7f\u202e\u2028 ü 漢 \n", "half": "\ud800"}
    line = json_line(fields)
    assert json.loads(line) == fields
    assert line.isprintable()
    assert "漢" in line
    line.encode()

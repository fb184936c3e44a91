import pytest

from critic_engine.backends.cutting import cut_at_stop


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("one\ntwo", ("\n",), ("one", "\n")),
        ("one two", ("two", "one"), ("", "one")),
        ("one", ("absent",), ("one", None)),
        ("a..b", (".", ".."), ("a", "..")),
        ("one", (), ("one", None)),
    ],
)
def test_text_is_cut_at_the_first_stop_string(text: str, stops: tuple[str, ...], expected: tuple[str, str]) -> None:
    assert cut_at_stop(text, stops) == expected

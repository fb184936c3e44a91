from critic_engine.parsing.steps import split_steps


def test_steps_are_stripped_and_blank_lines_are_none() -> None:
    assert split_steps("a is 1\n\n  b is 2 \r\n \n", "\n") == ("a is 1", "b is 2")


def test_a_longer_delimiter_keeps_the_line_breaks_inside_a_step() -> None:
    assert split_steps("a\nb\n\nc", "\n\n") == ("a\nb", "c")


def test_text_of_white_space_has_no_steps() -> None:
    assert split_steps(" \n\t\n", "\n") == ()

"""The tree on the screen: every node, safe text, and never more than fits."""

import io

import pytest
from rich.console import Console

from critic_engine.cli.tree_view import LiveTree, live_tree, print_node
from critic_engine.episode.episode import SearchEvent
from critic_engine.types import Critique, Verdict


def event(
    node_id: int, parent_id: int = 0, *, step: str = "a step", words: str = "fine", **fields: object
) -> SearchEvent:
    known: dict[str, object] = {
        "depth": 1,
        "value": 0.25,
        "is_finished": False,
        "answer": None,
        "is_duplicate": False,
        "num_tokens": 1,
        "critique": Critique(words=words, verdict="right", value=0.25),
    }
    return SearchEvent(node_id=node_id, parent_id=parent_id, steps=(step,), **{**known, **fields})


def console() -> Console:
    return Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system=None)


def drawn(tree: LiveTree, max_nodes: int = 100) -> str:
    screen = console()
    screen.print(tree.draw(max_nodes))
    return screen.file.getvalue()


def test_children_hang_below_their_parents() -> None:
    tree = LiveTree("how many?")
    for node in (event(1, step="first"), event(2, step="second"), event(3, 1, step="below first", answer="4")):
        tree.add(node)
    shown = [line.strip(" │├└─") for line in drawn(tree).splitlines()]
    steps = ["how many?", "0.25 first", "0.25 below first => 4", "0.25 second"]
    assert [line for line in shown if line != "fine"] == steps


def test_hostile_text_reaches_the_screen_as_plain_words() -> None:
    tree = LiveTree("[blink]q[/blink]\x1b[2J")
    tree.add(event(1, step="[red]x[/red]\x1b]0;evil\x07", words="[/nonsense]\x1b[31m", answer="\x9b31m[b]4"))
    shown = drawn(tree)
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    for words in ("[blink]q[/blink]", "[red]x[/red]", "[/nonsense]", "=> [b]4"):
        assert words in shown


@pytest.mark.parametrize(("verdict", "colour"), [("wrong", 31), ("right", 32)])
def test_a_value_has_the_colour_of_the_critics_verdict(verdict: Verdict, colour: int) -> None:
    tree = LiveTree("q")
    tree.add(event(1, critique=Critique(words="fine", verdict=verdict, value=0.25)))
    tree.add(event(2, value=None, critique=None))
    screen = Console(file=io.StringIO(), force_terminal=True, color_system="standard")
    screen.print(tree.draw(100))
    shown = screen.file.getvalue()
    assert f"\x1b[{colour}m0.25" in shown
    assert "\x1b[39m -- " in shown


def test_large_tree_shows_its_newest_nodes_and_what_leads_to_them() -> None:
    tree = LiveTree("q")
    tree.add(event(1, step="trunk"))
    for node_id in range(2, 500):
        tree.add(event(node_id, 1, step=f"leaf {node_id}"))
    shown = drawn(tree, max_nodes=5)
    assert "trunk" in shown
    assert "leaf 499" in shown
    assert "leaf 2\n" not in shown
    assert "earlier nodes" in shown
    assert len(shown.splitlines()) < 20


def test_whole_tree_stays_on_the_screen_at_the_end() -> None:
    screen = console()
    with live_tree("q", screen) as tree:
        tree.add(event(1, step="first"))
    assert screen.file.getvalue().rstrip().endswith("fine")


def test_lines_are_indented_by_depth_and_leave_duplicates_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_node(event(1))
    print_node(event(2, 1, depth=2, value=None, critique=None, answer="4\x1b[2J"))
    print_node(event(1, is_duplicate=True))
    assert capsys.readouterr().err.splitlines() == [
        "  [0>1] 0.25 a step",
        "    critic: fine",
        "    [1>2]  --  a step => 4",
    ]

"""The search tree of one question on stderr: redrawn in place in a terminal, indented lines elsewhere."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from critic_engine.cli.text import one_line
from critic_engine.episode.episode import SearchEvent

_MAX_CHARS = 160
_MAX_NODES_AT_END = 200
_COLOURS = {"wrong": "red", "right": "green"}


@contextmanager
def watch_tree(question: str) -> Iterator[Callable[[SearchEvent], None]]:
    """Yield the function to call with each event, from any thread."""
    if not sys.stderr.isatty():
        yield print_node
        return
    with live_tree(question, Console(stderr=True)) as tree:
        yield tree.add


@contextmanager
def live_tree(question: str, console: Console) -> "Iterator[LiveTree]":
    """Redraw the tree in place, its newest nodes on one screen, and print the whole tree at the end."""
    tree = LiveTree(question)

    def screenful() -> Tree:
        return tree.draw(max((console.height - 4) // 2, 2))

    with Live(console=console, get_renderable=screenful, transient=True, refresh_per_second=8):
        yield tree
    console.print(tree.draw(_MAX_NODES_AT_END))


class LiveTree:
    """The tree that the events so far make."""

    def __init__(self, question: str) -> None:
        """Begin with the question alone."""
        self._question = question
        self._events: dict[int, SearchEvent] = {}
        self._lock = threading.Lock()

    def add(self, event: SearchEvent) -> None:
        """Add a node; any thread may call."""
        with self._lock:
            self._events.setdefault(event.node_id, event)

    def draw(self, max_nodes: int) -> Tree:
        """Return the tree of the newest nodes and their ancestors, ``max_nodes`` at most."""
        with self._lock:
            events = dict(self._events)
        shown: set[int] = set()
        for node_id in reversed(events):
            if len(shown) >= max_nodes:
                break
            while node_id in events and node_id not in shown:
                shown.add(node_id)
                node_id = events[node_id].parent_id
        root = Tree(Text(one_line(self._question, max_chars=_MAX_CHARS), style="bold"))
        branches: dict[int, Tree] = {}
        for node_id in sorted(shown):
            event = events[node_id]
            branches[node_id] = branches.get(event.parent_id, root).add(_label(event))
        if len(events) > len(shown):
            root.add(Text(f"… and {len(events) - len(shown)} earlier nodes", style="dim"))
        return root


def print_node(event: SearchEvent) -> None:
    """Print a new node on a line of its own, indented by its depth, with the critic's words below it."""
    if event.is_duplicate:
        return
    indent = "  " * event.depth
    answer = "" if event.answer is None else f" => {one_line(event.answer)}"
    click.echo(f"{indent}[{event.parent_id}>{event.node_id}] {_value(event)} {_step(event)}{answer}", err=True)
    if event.critique is not None:
        click.echo(f"{indent}  critic: {_words(event)}", err=True)


def _label(event: SearchEvent) -> Text:
    """Return a node as rich text; markup in model text is not interpreted."""
    label = Text(_value(event), style="default" if event.critique is None else _COLOURS[event.critique.verdict])
    label.append(f" {_step(event)}", style="default")
    if event.answer is not None:
        label.append(f" => {one_line(event.answer, max_chars=_MAX_CHARS)}", style="bold default")
    if event.critique is not None:
        label.append(f"\n     {_words(event)}", style="dim italic default")
    return label


def _value(event: SearchEvent) -> str:
    return " -- " if event.value is None else f"{event.value:.2f}"


def _step(event: SearchEvent) -> str:
    return one_line(" / ".join(event.steps), max_chars=_MAX_CHARS)


def _words(event: SearchEvent) -> str:
    return "" if event.critique is None else one_line(event.critique.words, max_chars=_MAX_CHARS)

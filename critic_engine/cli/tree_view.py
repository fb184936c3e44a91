"""The search tree of one question on stderr: redrawn in place in a terminal, indented lines elsewhere."""

import sys
import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from critic_engine.cli.text import one_line
from critic_engine.episode.episode import SearchEvent

_MAX_STEP_CHARS = 160
_MAX_WORDS_CHARS = 160
_MAX_NODES_AT_END = 200
_COLOURS = {"wrong": "red", "right": "green"}


def watch_tree(question: str) -> "LiveTree | TreeLines":
    """Return a live tree or plain lines, whichever suits stderr; enter it, and call it with each event."""
    return LiveTree(question, Console(stderr=True)) if sys.stderr.isatty() else TreeLines()


class LiveTree(AbstractContextManager["LiveTree"]):
    """The tree redrawn in place: the newest nodes always fit the screen; the whole tree is printed at the end."""

    def __init__(self, question: str, console: Console) -> None:
        """Draw on ``console`` below the question."""
        self._question = question
        self._console = console
        self._events: dict[int, SearchEvent] = {}
        self._lock = threading.Lock()
        self._live = Live(console=console, get_renderable=self._screenful, transient=True, refresh_per_second=8)

    def __call__(self, event: SearchEvent) -> None:
        """Add a node; any thread may call."""
        with self._lock:
            self._events.setdefault(event.node_id, event)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Print the finished tree."""
        self._live.stop()
        self._console.print(self.draw(_MAX_NODES_AT_END))

    def draw(self, max_nodes: int) -> Tree:
        """Return the tree of the newest nodes and their ancestors, ``max_nodes`` at most."""
        with self._lock:
            events = dict(self._events)
        shown = self._newest(events, max_nodes)
        root = Tree(Text(one_line(self._question, max_chars=_MAX_STEP_CHARS), style="bold"))
        branches: dict[int, Tree] = {}
        for node_id in sorted(shown):
            event = events[node_id]
            branches[node_id] = branches.get(event.parent_id, root).add(_label(event))
        if len(events) > len(shown):
            root.add(Text(f"… and {len(events) - len(shown)} earlier nodes", style="dim"))
        return root

    @staticmethod
    def _newest(events: dict[int, SearchEvent], max_nodes: int) -> set[int]:
        shown: set[int] = set()
        for node_id in reversed(events):
            if len(shown) >= max_nodes:
                break
            while node_id in events and node_id not in shown:
                shown.add(node_id)
                node_id = events[node_id].parent_id
        return shown

    def _screenful(self) -> Tree:
        return self.draw(max((self._console.height - 4) // 2, 2))


class TreeLines(AbstractContextManager["TreeLines"]):
    """One line per node, indented by depth, with the critic's words below it."""

    def __call__(self, event: SearchEvent) -> None:
        """Print a new node."""
        if event.is_duplicate:
            return
        indent = "  " * event.depth
        answer = "" if event.answer is None else f" => {one_line(event.answer)}"
        click.echo(f"{indent}[{event.parent_id}>{event.node_id}] {_value(event)} {_step(event)}{answer}", err=True)
        if event.critique is not None:
            click.echo(f"{indent}  critic: {_words(event)}", err=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""


def _label(event: SearchEvent) -> Text:
    """Return a node as rich text; markup in model text is not interpreted."""
    label = Text(_value(event), style="default" if event.critique is None else _COLOURS[event.critique.verdict])
    label.append(f" {_step(event)}", style="default")
    if event.answer is not None:
        label.append(f" => {one_line(event.answer, max_chars=_MAX_STEP_CHARS)}", style="bold default")
    if event.critique is not None:
        label.append(f"\n     {_words(event)}", style="dim italic default")
    return label


def _value(event: SearchEvent) -> str:
    return " -- " if event.value is None else f"{event.value:.2f}"


def _step(event: SearchEvent) -> str:
    return one_line(" / ".join(event.steps), max_chars=_MAX_STEP_CHARS)


def _words(event: SearchEvent) -> str:
    return "" if event.critique is None else one_line(event.critique.words, max_chars=_MAX_WORDS_CHARS)

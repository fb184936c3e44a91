"""One pair of paths in two columns, the steps they share above and the critiques of the wrong one below."""

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from critic_engine.cli.display_names import reason_words
from critic_engine.cli.text import one_line
from critic_engine.data.harvest.pairs import Branch
from critic_engine.data.selection.critique_filters import ScreenedCritique
from critic_engine.data.selection.examples import Example

_MAX_STEP_CHARS = 600
_MAX_STEPS = 40
_MAX_QUESTION_CHARS = 2000
_MAX_NAME_CHARS = 80


def print_example(console: Console, example: Example) -> None:
    """Print one pair; texts of problems and models are escaped, and cut if they are very long."""
    pair = example.pair
    kind = pair.kind.replace("_", " ")
    console.print(
        Rule(Text(f"{example.pair_id}: {kind} pair of {one_line(example.row_id, max_chars=_MAX_NAME_CHARS)}"))
    )
    console.print(_question(example))
    if pair.shared:
        console.print(Text("both:", style="bold"))
        for line in _steps(pair.shared, first=1):
            console.print(line)
    console.print(_branches(example))
    if not example.is_believed:
        console.print(Text("no critiques: the checks do not confirm that the two paths part at an error"))
    for judged in example.critiques:
        console.print(_critique(judged))
    console.print()


def _question(example: Example) -> Text:
    problem = example.problem
    text = Text("question: ", style="bold")
    text.append(one_line(problem.question, max_chars=_MAX_QUESTION_CHARS), style="not bold")
    if problem.choices:
        choices = " | ".join(one_line(choice, max_chars=_MAX_NAME_CHARS) for choice in problem.choices)
        text.append(f"\nchoices: {choices}", style="not bold")
    if problem.images:
        text.append(f" [{len(problem.images)} image{'s' if len(problem.images) > 1 else ''}]", style="not bold dim")
    return text


def _branches(example: Example) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=True)
    cells = []
    for name, branch, colour in (("chosen", example.pair.chosen, "green"), ("rejected", example.pair.rejected, "red")):
        table.add_column(Text(_heading(name, branch), style=colour), overflow="fold", ratio=1)
        cells.append(Text("\n").join(_steps(branch.steps, first=example.pair.depth + 1)))
    table.add_row(*cells)
    return table


def _heading(name: str, branch: Branch) -> str:
    heading = name if branch.answer is None else f"{name}: {one_line(branch.answer, max_chars=_MAX_NAME_CHARS)}"
    if branch.value is None:
        return heading
    draws = f" by {branch.num_rollouts:,}" if branch.num_rollouts else ""
    return f"{heading} (value {branch.value:.2f}{draws})"


def _steps(steps: Sequence[str], *, first: int) -> Iterator[Text]:
    for number, step in enumerate(steps[:_MAX_STEPS], start=first):
        yield Text.assemble((f"{number:>3} ", "dim"), one_line(step, max_chars=_MAX_STEP_CHARS))
    if len(steps) > _MAX_STEPS:
        yield Text(f"  … and {len(steps) - _MAX_STEPS} more steps", style="dim")


def _critique(judged: ScreenedCritique) -> Text:
    record = judged.record
    verdict, colour = ("kept", "green") if judged.reason is None else ("left out", "red")
    text = Text(f"critique {verdict}", style=colour)
    text.append(f" by {one_line(record.annotator, max_chars=_MAX_NAME_CHARS)}", style="default")
    if judged.lift is not None:
        lift = judged.lift
        text.append(f", lift {lift.estimate:+.2f} ({lift.low:+.2f} to {lift.high:+.2f})", style="default")
    if record.refined is not None:
        text.append(f", {record.refined.num_right} of {record.refined.num_known} right with it", style="default")
    if judged.reason is not None:
        text.append(f"; one of those that {reason_words('critiques', judged.reason)}", style="default")
    if record.words:
        text.append(f"\n    {one_line(record.words, max_chars=_MAX_QUESTION_CHARS)}", style="italic default")
    return text

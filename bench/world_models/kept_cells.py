"""A file of cells, so that a method that has not changed is not run again."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.world_models.cells import Cell, Task, run_tasks


class KeptCells:
    """A file of one JSON object a line: a cell, and the hash of all settings that it follows from.

    The hash does not cover code: begin another file when a search or the worlds have changed.
    """

    def __init__(self, path: Path | None) -> None:
        """Open a file, or none; a last line that was not written to its end is dropped."""
        self._path = path
        self._known: dict[str, Cell] = {}
        if path is None or not path.exists():
            return
        lines = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        path.write_text("".join(lines), encoding="utf-8")
        for line in lines:
            kept = json.loads(line)
            self._known[kept["settings"]] = Cell(**kept["cell"])

    def run(self, tasks: Sequence[Task], *, num_jobs: int) -> Iterator[Cell]:
        """Yield the cell of each task in order; those that the file lacks are run and added."""
        keys = [settings_hash(task) for task in tasks]
        lacking = {key: task for key, task in zip(keys, tasks, strict=True) if key not in self._known}
        fresh = run_tasks(list(lacking.values()), num_jobs=num_jobs)
        for key in keys:
            if key not in self._known:
                self._known[key] = cell = next(fresh)
                self._add(key, cell)
            yield self._known[key]

    def _add(self, key: str, cell: Cell) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"settings": key, "cell": asdict(cell)}) + "\n")


def settings_hash(task: Task) -> str:
    """Return a hash of the regime, the method with its whole configuration, the budget and the problems."""
    method = task.method
    config = method.config(max_tokens=1, seed=0).model_dump_json()
    text = repr((task.regime, method.name, method.overrides, config, task.budget, task.num, task.num_seeds, task.split))
    return hashlib.sha256(text.encode()).hexdigest()[:32]

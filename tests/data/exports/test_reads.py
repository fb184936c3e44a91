"""An export reads each problem of a labelled run once, whatever the format."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from critic_engine.data.exports import FORMATS, ExportOptions, export_rows, format_named
from critic_engine.data.selection.rows import RunRows
from critic_engine.errors import ConfigError
from critic_engine.run.store import RunStore
from critic_engine.types import FailedRow, ProblemRow
from tests.data.harvesting import NUM_ROWS, collected

CASES = [(name, container) for name in FORMATS for container in format_named(name).containers]


class CountingStore(RunStore):
    """A store that counts how often each problem is read."""

    num_reads: Counter[int]

    def row(self, position: int) -> ProblemRow | FailedRow:
        self.num_reads[position] += 1
        return super().row(position)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    collected(folder)
    return folder


@pytest.mark.parametrize("role", ["critic", "reasoner"])
@pytest.mark.parametrize(("format", "container"), CASES)
def test_every_problem_is_read_once(
    format: str, container: Literal["parquet", "jsonl"], role: Literal["critic", "reasoner"], run: Path, tmp_path: Path
) -> None:
    options = ExportOptions(format=format, out=tmp_path / "out", role=role, container=container, validation_share=0.3)
    with closing(CountingStore.view(run)) as store:
        assert isinstance(store, CountingStore)
        store.num_reads = Counter()
        rows = RunRows(store, kind=format_named(format).row_type, role=role)
        if format == "rlaifv":
            with pytest.raises(ConfigError, match="num_images"):  # the problems have none, and it wants one
                export_rows(rows, options)
        else:
            assert export_rows(rows, options).num_rows["train"] > 0
        assert store.num_reads == dict.fromkeys(range(NUM_ROWS), 1)

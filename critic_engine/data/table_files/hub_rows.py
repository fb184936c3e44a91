"""Data sets that the ``datasets`` package reads, from the Hugging Face hub or from a folder."""

import contextlib
import functools
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from critic_engine.data.table_files.table import Table
from critic_engine.errors import ProblemError

HUB_PREFIX = "hf:"
"""How the name of a data set begins, ``hf:NAME[/CONFIG][:SPLIT]``."""

_NUM_LOOKED_AT = 8


def open_hub(source: str) -> Table:
    """Return the rows of one split, streamed anew each time they are read; nothing of it is run, and no image decoded.

    Raises:
        ProblemError: ``datasets`` is not installed, there is no such data set, or the hub cannot be reached.
    """
    name, config, split = _parts(source)
    with _hub_errors(source):
        import datasets

        configs = datasets.get_dataset_config_names(name)
        if config is None and len(configs) > 1 and "default" not in configs:
            shown = ", ".join(configs[:20])
            raise ProblemError(f"{source} has the configs {shown}; name one, as in {HUB_PREFIX}{name}/{configs[0]}")
        splits = datasets.get_dataset_split_names(name, config)
        if split is None and len(splits) > 1:
            raise ProblemError(
                f"{source} has the splits {', '.join(splits[:20])}; name one, as in {source}:{splits[0]}"
            )
        if split is not None and split not in splits:
            raise ProblemError(f"{source} has no split {split!r}; its splits are {', '.join(splits[:20])}")
        place = (source, name, config, split or splits[0])
        rows, count_rows = functools.partial(_read, *place), functools.partial(_count, *place)
        first = list(itertools.islice(rows(), _NUM_LOOKED_AT))
    columns = dict.fromkeys(column for row in first for column in row)
    folder = Path(name) if Path(name).is_dir() else Path.cwd()
    return Table(columns=tuple(columns), rows=rows, count_rows=count_rows, folder=folder)


def _parts(source: str) -> tuple[str, str | None, str | None]:
    """Return the name, the config and the split."""
    name, colon, split = source.removeprefix(HUB_PREFIX).rpartition(":")
    if not colon:
        name, split = split, ""
    parts = name.strip().split("/")
    is_path = name.startswith((".", "/", "~"))
    if not name.strip() or not all(parts[1:]) or (len(parts) > 3 and not is_path) or (colon and not split):
        raise ProblemError(f"{source} names no data set; write {HUB_PREFIX}NAME[/CONFIG][:SPLIT]")
    if is_path or len(parts) < 3:
        return str(Path(name).expanduser()) if is_path else name, None, split or None
    return "/".join(parts[:2]), parts[2], split or None


def _read(source: str, name: str, config: str | None, split: str) -> Iterator[Mapping[str, object]]:
    with _hub_errors(source):
        import datasets

        rows: Any = datasets.load_dataset(name, config, split=split, streaming=True)
        yield from rows.decode(False)


def _count(source: str, name: str, config: str | None, split: str) -> int:
    """Return the number of rows that the data set states; they are streamed and counted if it states none."""
    with _hub_errors(source):
        import datasets

        stated = (datasets.load_dataset_builder(name, config).info.splits or {}).get(split)
    num_rows: int = 0 if stated is None else stated.num_examples or 0
    return num_rows or sum(1 for _ in _read(source, name, config, split))


@contextlib.contextmanager
def _hub_errors(source: str) -> Iterator[None]:
    """Turn what ``datasets`` raises, which is of many kinds, into a ``ProblemError`` of one line."""
    try:
        import datasets  # noqa: F401
    except ImportError as error:
        raise ProblemError(
            f"{source} needs the package datasets; install it by pip install 'critic-engine[datasets]'"
        ) from error
    try:
        yield
    except ProblemError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ProblemError(
            f"{source} cannot be read: {reason}; check the name and the network, or give a file"
        ) from error

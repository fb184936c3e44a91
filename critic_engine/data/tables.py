"""Rows of a data file or of a folder of them as plain mappings, looked over first and then streamed."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from critic_engine.data.table_files.arrow_files import open_arrow, open_parquet
from critic_engine.data.table_files.csv_files import open_csv
from critic_engine.data.table_files.hub_rows import HUB_PREFIX, open_hub
from critic_engine.data.table_files.json_files import open_json, open_json_lines
from critic_engine.data.table_files.table import RawRow, Table
from critic_engine.errors import ProblemError

_OPENERS: Mapping[str, Callable[[Path], Table]] = {
    ".jsonl": open_json_lines,
    ".ndjson": open_json_lines,
    ".json": open_json,
    ".csv": open_csv,
    ".tsv": open_csv,
    ".parquet": open_parquet,
    ".arrow": open_arrow,
}
_COMPRESSED = ".gz"
_SHARD = re.compile(r"(.*?)-?[0-9]{5}-of-[0-9]{5}(?:-[0-9a-f]+)?\Z")
_MAX_ENTRIES = 10_000


def open_table(source: str | Path) -> Table:
    """Return the table in a file, in a folder of shards, or in a data set of the hub, after one pass over a file.

    Args:
        source: A file; a folder that ``datasets`` saved or that holds one split; such a folder with the name of a split
            behind it; or ``hf:NAME[/CONFIG][:SPLIT]``.

    Raises:
        ProblemError: the file as a whole cannot be used; the message names the file and what to do.
    """
    if is_on_hub(source):
        return open_hub(str(source))
    path = Path(source)
    try:
        table = _open_path(path)
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror or error}") from error
    if not table.count_rows():
        raise ProblemError(f"{path} is empty; it needs at least one row")
    return table


def is_on_hub(source: str | Path) -> bool:
    """Return whether the source of a table is a data set of the hub."""
    return str(source).startswith(HUB_PREFIX)


def is_there(source: Path) -> bool:
    """Return whether a table may be opened, without reading it."""
    return is_on_hub(source) or source.exists() or (source.parent.is_dir() and bool(_shards_of_split(source)))


def _open_path(path: Path) -> Table:
    if path.is_dir():
        return _joined(path, _shards(path))
    if path.is_file():
        return _open_file(path)
    if path.parent.is_dir() and (shards := _shards_of_split(path)):
        return _joined(path, shards)
    if path.exists():
        raise ProblemError(f"{path} is not a file; give the path of a problems file")
    raise ProblemError(f"{path} does not exist; give the path of a problems file")


def _open_file(path: Path) -> Table:
    suffix = path.suffix.lower()
    if suffix == _COMPRESSED:
        suffix = path.with_suffix("").suffix.lower()
        suffix = "" if suffix in (".parquet", ".arrow") else suffix
    opener = _OPENERS.get(suffix)
    if opener is None:
        raise ProblemError(f"{path} must end in {', '.join(_OPENERS)}; convert or rename it")
    return opener(path)


def _shards(folder: Path) -> list[Path]:
    """Return the files of the one split in a folder, in order."""
    splits = _splits(folder)
    if not splits:
        raise ProblemError(
            f"{folder} is not a file, and as a folder holds no {', '.join(_OPENERS)}; give the path of a problems file"
        )
    if len(splits) > 1:
        names = ", ".join(sorted(splits)[:20])
        raise ProblemError(f"{folder} holds several splits, {names}; name one, as in {folder / min(splits)}")
    return next(iter(splits.values()))


def _shards_of_split(path: Path) -> list[Path]:
    """Return the files of the split that is named behind its folder; none if the folder has no such split."""
    return _splits(path.parent).get(path.name, [])


def _splits(folder: Path) -> dict[str, list[Path]]:
    """Return the data files of a folder by split: shards, one file each, or folders that ``datasets`` saved."""
    for place in (folder, folder / "data"):
        if not place.is_dir():
            continue
        names = sorted(itertools.islice(place.iterdir(), _MAX_ENTRIES + 1))
        if len(names) > _MAX_ENTRIES:
            raise ProblemError(f"{place} holds more than {_MAX_ENTRIES:,} files; give the path of a problems file")
        if (place / "state.json").is_file():
            files = [each for each in names if each.suffix == ".arrow" and each.name.startswith("data-")]
            return {"data": files} if files else {}
        saved = {each.name: _splits(each).get("data", []) for each in names if (each / "state.json").is_file()}
        if saved:
            return saved
        if splits := _split_files(names):
            return splits
    return {}


def _split_files(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the data files among ``paths`` by split; of files that differ in their kind alone each is one."""
    splits: dict[str, list[Path]] = {}
    for path in paths:
        if path.is_file() and path.suffix.lower() in _OPENERS and path.suffix.lower() != ".json":
            shard = _SHARD.fullmatch(path.stem)
            splits.setdefault(path.stem if shard is None else shard.group(1) or "data", []).append(path)
    if all(len({path.suffix for path in found}) == 1 for found in splits.values()):
        return splits
    return {path.name: [path] for found in splits.values() for path in found}


def _joined(path: Path, shards: list[Path]) -> Table:
    """Return one table of several files, in order."""
    tables = [_open_file(shard) for shard in shards]
    columns = dict.fromkeys(column for table in tables for column in table.columns)

    def rows() -> Iterator[RawRow]:
        return itertools.chain.from_iterable(table.rows() for table in tables)

    folder = path if path.is_dir() else path.parent
    return Table(
        columns=tuple(columns), rows=rows, folder=folder, count_rows=lambda: sum(table.count_rows() for table in tables)
    )

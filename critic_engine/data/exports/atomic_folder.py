"""Putting a folder in its place when it is whole: beside it until then, and gone when anything fails."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from critic_engine.errors import ConfigError

MANIFEST = "export.json"
"""Says that a folder is an export, and of what."""


def check_target(target: Path, *, is_overwritten: bool) -> None:
    """Refuse a folder that an export may not make.

    Raises:
        ConfigError: it exists, unless it is an earlier export and may be overwritten; or it would lie in a file.
    """
    above = next(folder for folder in target.absolute().parents if os.path.lexists(folder))
    if not above.is_dir():
        raise ConfigError(f"{target} would lie in {above}, which is no folder; name another", field="out")
    if not os.path.lexists(target):
        return
    if not _is_export(target):
        raise ConfigError(f"{target} exists and is no earlier export; name a new folder", field="out")
    if not is_overwritten:
        raise ConfigError(f"{target} holds an earlier export; add --overwrite, or name a new folder", field="out")


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder beside ``target`` that takes its place on leaving, or is removed when anything fails.

    The folders that ``target`` lies in are made, too, and go with it.

    Raises:
        OSError: it could not be written; ``target`` is as it was.
    """
    try:
        with _parents_of(target):
            folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.unfinished-", dir=target.parent))
            try:
                folder.chmod(0o755)
                yield folder
                _replace(target, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise OSError(error.errno or 0, f"{reason}; the export is not there", str(target)) from error


@contextlib.contextmanager
def _parents_of(target: Path) -> Iterator[None]:
    """Make the folders that ``target`` lies in; when anything fails, remove those made that hold nothing else."""
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for folder in missing:
                folder.rmdir()
        raise


def _replace(target: Path, folder: Path) -> None:
    if not os.path.lexists(target):
        folder.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.replaced-", dir=target.parent))
    try:
        target.rename(old / "export")
        folder.rename(target)
    except BaseException:
        # Ctrl-C between the two leaves the earlier export, too.
        if not os.path.lexists(target):
            (old / "export").rename(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _is_export(target: Path) -> bool:
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return not target.is_symlink() and isinstance(manifest, dict) and "critic_engine_export" in manifest

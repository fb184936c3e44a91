"""Find, read, merge and override YAML files as plain mappings."""

import copy
import difflib
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from critic_engine.errors import ConfigError

_PACKAGE = Path(__file__).parents[1]


def presets() -> dict[str, Path]:
    """Return the paths of the shipped method presets by name: in the package of a wheel, beside it in a checkout."""
    return {path.stem: path for path in sorted(_shipped().glob("*.yaml"))}


def hosting_presets() -> dict[str, Path]:
    """Return the paths of the shipped hosting presets by name; they are combined with a method preset."""
    return {path.stem: path for path in sorted((_shipped() / "hosting").glob("*.yaml"))}


def _shipped() -> Path:
    folders = (_PACKAGE / "presets", _PACKAGE.parent / "configs")
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def read_document(source: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML file, or in a preset by name.

    Raises:
        ConfigError: there is no such file or preset, or it holds no mapping.
    """
    path = _find(source)
    try:
        document = _parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"config {path} cannot be read as YAML: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"config {path} holds a {type(document).__name__}; it must be a mapping of sections")
    return document


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` overridden by ``above``; a section is replaced if ``above`` changes its ``kind``."""
    found = dict(below)
    for name, value in above.items():
        known = found.get(name)
        if isinstance(known, dict) and value is None:
            continue
        if isinstance(known, dict) and isinstance(value, dict) and _is_same_kind(known, value):
            value = merged(known, value)
        # A copy: YAML's anchors make one mapping of two sections, and what changes one must not change the other.
        found[name] = copy.deepcopy(value)
    return found


def _is_same_kind(below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    return "kind" not in below or above.get("kind", below["kind"]) == below["kind"]


def apply_override(document: dict[str, Any], override: str, *, sections: Container[str]) -> None:
    """Apply one ``dotted.name=value`` to ``document``; the name may be that of a whole section in ``sections``.

    Raises:
        ConfigError: the override does not have that form.
    """
    name, separator, text = override.partition("=")
    *path, field = name.split(".")
    if not separator or not field or not (path or field in sections):
        raise ConfigError(f"override {override!r} must read section.field=value, such as budget.max_tokens=400")
    for section in path:
        document = document.setdefault(section, {})
        if not isinstance(document, dict):
            raise ConfigError(f"override {override!r}: {section} is not a section", field=name)
    try:
        document[field] = _parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"override {override!r}: the value cannot be read as YAML: {error}", field=name) from error


def nearest(name: object, known: Iterable[str]) -> str:
    """Return words that name the known name nearest to an unknown one, to end its error; empty if none is near."""
    found = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _parse_yaml(text: str) -> Any:
    """Return the YAML document in ``text``; raise ``ValueError`` with a one-line reason if it is invalid."""
    try:
        return yaml.safe_load(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    # The parser passes on errors of its constructors: 2001-99-99, or !!bool and !!timestamp before a word.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def _find(source: str | Path) -> Path:
    path = Path(source)
    if path.is_file():
        return path
    methods, hosting = presets(), hosting_presets()
    known = {**methods, **hosting}
    if str(source) in known:
        return known[str(source)]
    raise ConfigError(
        f"config {source} is neither a file nor a preset; the presets are {', '.join(methods)}; and for where models "
        f"run {', '.join(hosting)}{nearest(source, known)}"
    )

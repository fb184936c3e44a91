"""Every field of a configuration with its value, its default and its documentation, for people and as YAML."""

import ast
import dataclasses
import inspect
import json
import textwrap
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import yaml
from pydantic import BaseModel, JsonValue
from pydantic_core import PydanticUndefined, to_jsonable_python

from critic_engine.config.engine import EngineConfig, StrategyConfig
from critic_engine.config.files import nearest
from critic_engine.errors import ConfigError

Place: TypeAlias = tuple[str | int, ...]
_WIDTH = 110


@dataclass(frozen=True, slots=True)
class ConfigField:
    """A field, or a section, which has further fields."""

    place: Place
    """Names of the sections it lies in and its own; items of a list are numbered."""
    doc: str
    value: JsonValue
    """None for a section."""
    default: JsonValue
    has_default: bool
    """False for a section, and for a field that must be given."""
    is_section: bool

    @property
    def name(self) -> str:
        """The dotted name."""
        return ".".join(map(str, self.place))


def describe(config: EngineConfig, names: Sequence[str] = ()) -> list[ConfigField]:
    """Return the fields of a configuration, or of the named sections and fields, each after the section it lies in.

    A named section that the configuration leaves out is described by its defaults.

    Raises:
        ConfigError: there is no such section or field.
    """
    for name in names:
        filled: EngineConfig = _filled(config, name.split("."))
        config = filled
    found = list(_fields(config, ()))
    for name in names:
        if not any(each.name == name for each in found):
            raise ConfigError(f"there is no section or field {name}{_nearest(name, found)}", field=name)
    return [each for each in found if not names or any(_is_shown(each.name, name) for name in names)]


def as_yaml(fields: Sequence[ConfigField]) -> str:
    """Return the fields as YAML that ``load_config`` reads, each below its documentation as a comment.

    A default stands behind each value that differs from it. What was explained once is not explained again.
    """
    lines: list[str] = []
    explained: set[tuple[str | int, str]] = set()
    for each in fields:
        indent = "  " * (len(each.place) - 1)
        if (each.place[-1], each.doc) not in explained:
            explained.add((each.place[-1], each.doc))
            comment = f"{indent}# "
            lines += textwrap.wrap(each.doc, _WIDTH, initial_indent=comment, subsequent_indent=comment)
        lines.append(indent + _line(each))
    return "\n".join(lines) + "\n"


def _line(each: ConfigField) -> str:
    if each.is_section:
        return "-" if isinstance(each.place[-1], int) else f"{each.place[-1]}:"
    line = f"{each.place[-1]}: {_flow(each.value)}"
    return line if not each.has_default or each.value == each.default else f"{line}  # default: {_flow(each.default)}"


def _flow(value: JsonValue) -> str:
    if isinstance(value, str) and not value.isprintable():
        return json.dumps(value)  # which is YAML in one line too
    # In a list, a plain scalar is written without the mark that ends a document.
    return yaml.safe_dump([value], default_flow_style=True, width=10**6, sort_keys=False).strip()[1:-1]


def _fields(section: object, place: Place) -> Iterator[ConfigField]:
    for name, doc, default in _documented(section):
        value = getattr(_holder(section, name), name)
        own = (*place, name)
        if _is_section(value):
            yield ConfigField(own, doc, None, None, has_default=False, is_section=True)
            yield from _fields(value, own)
        elif isinstance(value, tuple) and value and all(map(_is_section, value)):
            yield ConfigField(own, doc, None, None, has_default=False, is_section=True)
            for number, item in enumerate(value):
                yield ConfigField((*own, number), "", None, None, has_default=False, is_section=True)
                yield from _fields(item, (*own, number))
        else:
            is_known = default is not PydanticUndefined and default is not dataclasses.MISSING
            known = to_jsonable_python(default) if is_known else None
            yield ConfigField(own, doc, to_jsonable_python(value), known, has_default=is_known, is_section=False)


def _documented(section: object) -> Iterator[tuple[str, str, object]]:
    """Yield the name, documentation and default of each field."""
    if isinstance(section, StrategyConfig):
        yield "kind", _doc("The strategy.", StrategyConfig.model_fields["kind"].annotation), PydanticUndefined
        section = section.options
    if isinstance(section, BaseModel):
        for name, info in type(section).model_fields.items():
            yield name, _doc(info.description or "", info.annotation), info.get_default(call_default_factory=True)
        return
    assert dataclasses.is_dataclass(section)
    docs, types = _docstrings(type(section)), typing.get_type_hints(type(section))
    # The strategies leave out what other sections decide.
    shown = to_jsonable_python(StrategyConfig.model_construct(kind="mcts", options=section))
    for each in dataclasses.fields(section):
        if each.name in shown:
            yield each.name, _doc(docs.get(each.name, ""), types[each.name]), each.default


def _holder(section: object, name: str) -> object:
    return section.options if isinstance(section, StrategyConfig) and name != "kind" else section


def _is_section(value: object) -> bool:
    return isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def _doc(text: str, annotation: object) -> str:
    """Return the documentation in one line, with the values that a field may take where it does not name them."""
    text = " ".join(text.replace("``", "`").split())
    choices = [str(each) for each in _choices(annotation)]
    if all(f"`{choice}`" in text for choice in choices):
        return text
    return f"{text} One of {', '.join(choices)}."


def _choices(annotation: object) -> tuple[object, ...]:
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    return ()


def _docstrings(options: type) -> dict[str, str]:
    """Return the string below each field of a dataclass."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(options))).body
    assert isinstance(node, ast.ClassDef)
    pairs = zip(node.body, node.body[1:], strict=False)
    return {
        field.target.id: text.value.value
        for field, text in pairs
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _filled(section: Any, parts: Sequence[str]) -> Any:
    """Return the section with a default in the place of each section on the way that it leaves out."""
    name, *rest = parts
    if isinstance(section, StrategyConfig) or name not in type(section).model_fields:
        return section
    value = getattr(section, name)
    if value in (None, ()):
        made = _default_section(type(section).model_fields[name].annotation)
        value = value if made is None else made if value is None else (made,)
    if rest and isinstance(value, BaseModel):
        value = _filled(value, rest)
    return section.model_copy(update={name: value})


def _default_section(annotation: object) -> BaseModel | None:
    for each in typing.get_args(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each()
    return None


def _is_shown(name: str, wanted: str) -> bool:
    """Return whether a field is the wanted one, lies in it, or is a section that holds it."""
    return f"{name}.".startswith(f"{wanted}.") or wanted.startswith(f"{name}.")


def _nearest(name: str, known: Sequence[ConfigField]) -> str:
    names = [each.name for each in known]
    same = [each for each in names if each.rpartition(".")[2] == name]
    return f"; did you mean {' or '.join(same[:3])}?" if same else nearest(name, names)

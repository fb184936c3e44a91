"""The columns of an export and their types in Arrow, in the ``datasets`` library and in a dataset card."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import pyarrow

ColumnType: TypeAlias = Literal[
    "text", "int", "float", "bool", "texts", "ints", "floats", "bools",
    "image", "images", "messages", "parts", "turn", "turns",
]  # fmt: skip
"""``messages`` have texts for contents, ``parts`` lists of parts; a ``turn`` says ``from`` and ``value``."""

_ARROW_NAMES = {"text": "string", "int": "int64", "float": "float64", "bool": "bool"}
_LISTS = {"texts": "text", "ints": "int", "floats": "float", "bools": "bool", "images": "image", "turns": "turn"}
_STRUCTS: dict[str, dict[str, str]] = {
    "message": {"role": "text", "content": "text"},
    "message of parts": {"role": "text", "content": "list of part"},
    "part": {"type": "text", "text": "text"},
    "turn": {"from": "text", "value": "text"},
}
_LISTS |= {"messages": "message", "parts": "message of parts", "list of part": "part"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an export."""

    name: str
    type: ColumnType


def arrow_schema(columns: tuple[Column, ...]) -> pyarrow.Schema:
    """Return the schema of a Parquet file, with the metadata by which ``datasets`` tells images from bytes."""
    import pyarrow

    features = {column.name: _feature(column.type) for column in columns}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pyarrow.schema([(column.name, _arrow_type(column.type)) for column in columns], metadata=metadata)


def card_features(columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    """Return the columns of JSON lines as a card's ``dataset_info`` states them; an image is its path."""
    return [{"name": column.name, **_stated(column.type)} for column in columns]


def _arrow_type(name: str) -> Any:
    import pyarrow

    if name in _LISTS:
        return pyarrow.list_(_arrow_type(_LISTS[name]))
    if name == "image":
        return pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    if name in _STRUCTS:
        return pyarrow.struct([(field, _arrow_type(type_)) for field, type_ in _STRUCTS[name].items()])
    return pyarrow.type_for_alias(_ARROW_NAMES[name])


def _feature(name: str) -> Any:
    """Return a type as ``datasets`` writes it into a file, readable by its releases 2 to 5."""
    if name in _LISTS:
        element = _feature(_LISTS[name])
        # A Sequence of structs would be read as a struct of lists; a plain list is not.
        return [element] if _LISTS[name] in _STRUCTS else {"feature": element, "_type": "Sequence"}
    if name == "image":
        return {"_type": "Image"}
    if name in _STRUCTS:
        return {field: _feature(type_) for field, type_ in _STRUCTS[name].items()}
    return {"dtype": _ARROW_NAMES[name], "_type": "Value"}


def _stated(name: str) -> dict[str, Any]:
    """Return a type as the YAML of a dataset card states it, readable by releases 2 to 5 of ``datasets``."""
    if name in _LISTS:
        element = _stated(_LISTS[name])
        return {"list": element["struct"]} if _LISTS[name] in _STRUCTS else {"sequence": element["dtype"]}
    if name in _STRUCTS:
        return {"struct": [{"name": field, **_stated(type_)} for field, type_ in _STRUCTS[name].items()]}
    return {"dtype": "string" if name == "image" else _ARROW_NAMES[name]}

"""A right value of any type that goes in or comes out, from the table of examples."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from enum import Enum
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from msgspec import Meta, Struct, UnsetType
from msgspec.inspect import type_info

from cortez.core.typing import JsonValue, TypeForm
from cortez.examples.fields import FIELDS, START
from cortez.examples.types import EXAMPLES

PLAIN: dict[TypeForm, JsonValue] = {
    str: "text",
    int: 1,
    float: 0.5,
    bool: False,
    UUID: FIELDS["id"],
    datetime: START,
    date: START[:10],
    list: [],
}


def example_of(type_: TypeForm) -> JsonValue:
    """A right value of the type, as JSON has it."""
    if get_origin(type_) is Annotated:
        inner, *metas = get_args(type_)
        if inner is Any:
            return [] if metas[0].extra_json_schema.get("type") == "array" else {}
        return _lowest(inner, metas) if inner in (int, float) else example_of(inner)
    kinds = [kind for kind in get_args(type_) if kind is not UnsetType]
    if NoneType in kinds:
        return None
    if get_origin(type_) is Literal:
        first: JsonValue = kinds[0]
        return first
    if kinds:
        return _composed(get_origin(type_), kinds)
    if isinstance(type_, type) and issubclass(type_, Struct):
        return EXAMPLES.get(type_.__name__) or dict(_fields(type_))
    if isinstance(type_, type) and issubclass(type_, Enum):
        text: JsonValue = next(iter(type_)).value
        return text
    return PLAIN.get(type_, {})


def _lowest(type_: type[float], metas: list[Meta]) -> float:
    return type_(next((meta.ge for meta in metas if meta.ge is not None), 1))


def _composed(origin: TypeForm, kinds: list[TypeForm]) -> JsonValue:
    if isinstance(origin, type) and issubclass(origin, Struct):  # a page of a list
        return {"items": [example_of(kinds[0])], "next_cursor": None}
    if origin in (list, tuple, set, frozenset):
        return [] if kinds[0] is Any else [example_of(kinds[0])]
    return {} if origin is dict else example_of(kinds[0])


def _fields(type_: type[Struct]) -> Iterator[tuple[str, JsonValue]]:
    """What is required of an input (or the first field, where nothing is), all that is there in an answer."""
    hints = get_type_hints(type_, include_extras=True)
    info: Any = type_info(type_)
    is_input = type_.__struct_config__.forbid_unknown_fields
    required = [field for field in info.fields if field.required] or info.fields[:1]
    for field in required if is_input else info.fields:
        yield field.encode_name, _value(type_, field.name, hints[field.name])


def _value(type_: type[Struct], name: str, hint: TypeForm) -> JsonValue:
    names = [*(f"{kind.__name__}.{name}" for kind in type_.__mro__), name]
    for value in (FIELDS[name] for name in names if name in FIELDS):
        with suppress(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode(value), type=hint)
            return value
    return example_of(hint)

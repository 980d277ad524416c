"""The JSON Schema of the types that decode and encode: msgspec's own, with what it leaves out."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import inspect

from cortez.core.typing import JsonValue, TypeForm
from cortez.core.web.schemas import Input
from cortez.enums import Choice, named

Json = dict[str, Any]
ExampleOf = Callable[[TypeForm], Any]  # a valid value of a type, as JSON has it
REFERENCE = "#/components/schemas/{name}"


class Shapes:
    """The schema of every given type, the components that they refer to, and what makes an example of a type."""

    def __init__(self, types: Iterable[TypeForm], example_of: ExampleOf) -> None:
        self.example_of = example_of
        given = {repr(type_): type_ for type_ in types}
        parts = {repr(part.cls): part for part in parts_of(inspect.multi_type_info(given.values()))}
        schemas, components = msgspec.json.schema_components(
            [*given.values(), *(part.cls for part in parts.values())], ref_template=REFERENCE
        )
        for part, schema in zip(parts.values(), schemas[len(given) :], strict=True):
            complete(components[schema["$ref"].rpartition("/")[2]], part)
        self.schemas: dict[str, Json] = {key: readable(schema) for key, schema in zip(given, schemas, strict=False)}
        self.components: Json = {page_name(name): readable(schema) for name, schema in components.items()}

    def of(self, type_: TypeForm) -> Json:
        return dict(self.schemas[repr(type_)])


def parts_of(found: Iterable[inspect.Type]) -> Iterator[inspect.StructType | inspect.EnumType]:
    """Every structure and enumeration in these types, however deep."""
    seen: set[str] = set()
    waiting = list(found)
    while waiting:
        node = waiting.pop()
        if isinstance(node, inspect.StructType | inspect.EnumType):
            if repr(node.cls) in seen:
                continue
            seen.add(repr(node.cls))
            yield node
        if isinstance(node, tuple):
            waiting.extend(node)
        elif isinstance(node, inspect.Type | inspect.Field):
            waiting.extend(getattr(node, name) for name in node.__struct_fields__)


def complete(schema: Json, part: inspect.StructType | inspect.EnumType) -> None:
    """Say what msgspec knows but does not publish."""
    if isinstance(part, inspect.EnumType):
        if issubclass(part.cls, Choice):
            schema["description"] = "Understood in any case" + "".join(
                f"; {alias.upper()} means {value}" for alias, value in named(part.cls).items()
            )
        return
    for field in part.fields:
        date(schema["properties"][field.encode_name], field.type)
    origin = getattr(part.cls, "__origin__", part.cls)
    if not issubclass(origin, Input):
        answered(schema, part.fields, omits=origin.__struct_config__.omit_defaults)


def date(schema: Json, type_: inspect.Type) -> None:
    """A time is a text of that format, also where its type asks for no offset: what we give always has one."""
    inner = type_.type if isinstance(type_, inspect.Metadata) else type_
    kinds = inner.types if isinstance(inner, inspect.UnionType) else (inner,)
    if any(isinstance(kind, inspect.DateTimeType) for kind in kinds):
        for text in (schema, *schema.get("anyOf", ())):
            if text.get("type") == "string":
                text.setdefault("format", "date-time")


def answered(schema: Json, fields: Iterable[inspect.Field], *, omits: bool) -> None:
    """In an answer every field is there, except one that may be unset, or is left out as a default."""
    given = {field.encode_name for field in fields if field.required or not (omits or may_be_unset(field))}
    schema["required"] = [name for name in schema["properties"] if name in given]
    for name in given:
        schema["properties"][name].pop("default", None)


def may_be_unset(field: inspect.Field) -> bool:
    """Not required and yet without a default: its default is UNSET."""
    return not field.required and field.default is field.default_factory is msgspec.NODEFAULT


def page_name(name: str) -> str:
    """`Listing_ActivityOut_` reads better as a name in a client: `ActivityOutPage`."""
    return re.sub(r"Listing_(?:[\w.]+\.)?(\w+)_$", r"\1Page", name)


def readable(schema: Json) -> Json:
    """With our names, and with patterns as JSON Schema knows them."""
    made: Json = {name: readable_value(value) for name, value in schema.items()}
    if isinstance(made.get("enum"), list):
        made["type"] = "string"
    if isinstance(made.get("pattern"), str):
        made["pattern"] = ecma(made["pattern"])
    if isinstance(made.get("$ref"), str):
        made["$ref"] = page_name(made["$ref"])
    return made


def readable_value(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return readable(value)
    return [readable_value(item) for item in value] if isinstance(value, list) else value


def ecma(pattern: str) -> str:
    r"""Python's end of text (\Z) is ECMA's end anchor ($), and its space (\s) has five characters more."""
    space = r"\s\x1c-\x1f\x85"
    return pattern.replace(r"\Z", "$").replace(r"\s]", f"{space}]").replace(r"\s*", f"[{space}]*")

"""As much of JSON Schema as the published document uses, to hold real answers and examples against it."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
FORMATS: dict[str, Callable[[str], object]] = {"uuid": UUID, "date-time": datetime.fromisoformat}
KNOWN = {
    *("$ref", "type", "title", "description", "default", "examples", "enum", "format", "pattern", "anyOf"),
    *("properties", "required", "additionalProperties", "items", "minItems", "maxItems"),
    *("minLength", "maxLength", "minimum", "maximum"),
}


def resolve(document: Any, node: Any) -> Any:
    """What a reference leads to. Raises KeyError where it leads nowhere."""
    while "$ref" in node:
        path = node["$ref"].removeprefix("#/").split("/")
        node = document
        for name in path:
            node = node[name]
    return node


def faults(document: Any, schema: Any, value: Any, at: str = "") -> Iterator[str]:
    """What is wrong with a value, by the schema; a keyword that this does not know is a fault of the schema."""
    schema = resolve(document, schema)
    yield from (f"{at}: keyword {name}" for name in schema.keys() - KNOWN)
    if "anyOf" in schema:
        tried = [list(faults(document, option, value, at)) for option in schema["anyOf"]]
        yield from min(tried, key=len)
    allowed = TYPES[schema["type"]] if "type" in schema else (object,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed and object not in allowed):
        yield f"{at}: {value!r} is no {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    match value:
        case dict():
            yield from object_faults(document, schema, value, at)
        case list():
            yield from bound_faults(schema, "Items", len(value), at)
            for index, item in enumerate(value):
                yield from faults(document, schema.get("items", {}), item, f"{at}/{index}")
        case str():
            yield from text_faults(schema, value, at)
        case int() | float():
            yield from bound_faults(schema, "imum", value, at)


def object_faults(document: Any, schema: Any, value: dict[str, Any], at: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    yield from (f"{at}/{name}: missing" for name in schema.get("required", ()) if name not in value)
    if schema.get("additionalProperties") is False or ("properties" in schema and "required" in schema):
        yield from (f"{at}/{name}: not published" for name in value if name not in properties)
    for name, inner in properties.items():
        if name in value:
            yield from faults(document, inner, value[name], f"{at}/{name}")


def text_faults(schema: Any, value: str, at: str) -> Iterator[str]:
    yield from bound_faults(schema, "Length", len(value), at)
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: {value!r} does not match {schema['pattern']}"
    if "format" in schema:
        try:
            FORMATS[schema["format"]](value)
        except ValueError:
            yield f"{at}: {value!r} is no {schema['format']}"


def bound_faults(schema: Any, name: str, value: float, at: str) -> Iterator[str]:
    if value < schema.get(f"min{name}", value) or value > schema.get(f"max{name}", value):
        yield f"{at}: {value} is out of bounds"

"""Names of types that several packages need. Those of the database are in `core.db.types`."""

from typing import Any, TypeAlias

# What a document of JSON holds, at any depth.
JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]"
JsonObject: TypeAlias = dict[str, JsonValue]
# What an annotation says, as a value: a class, or a form such as Annotated[int, ...] or UUID | None.
TypeForm: TypeAlias = type | Any

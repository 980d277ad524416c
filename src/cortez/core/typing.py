"""Names of types that several packages need. Those of the database are in `core.db.types`."""

from typing import TypeAlias

# What a document of JSON holds, at any depth.
JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]"
JsonObject: TypeAlias = dict[str, JsonValue]

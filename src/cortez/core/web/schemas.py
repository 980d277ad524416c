"""What every input and output shares: bounded types, documents, resources."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct

from cortez.core.db.classification import ERASED
from cortez.core.db.types import Changes, stored
from cortez.core.typing import JsonValue

MAX_DEPTH = 12
MAX_DOCUMENT = 64_000
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

KEY_PATTERN = r"^[A-Za-z0-9._~@:-]+\Z"
BusinessKey = Annotated[str, Meta(min_length=1, max_length=100, pattern=KEY_PATTERN)]
# Of an account. An erased student's pseudonym is none: who had it would see that student's rows.
StudentKey = Annotated[str, Meta(min_length=1, max_length=100, pattern=rf"^(?!{ERASED}){KEY_PATTERN[1:]}")]
Short = Annotated[str, Meta(min_length=1, max_length=100)]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Prose = Annotated[str, Meta(max_length=5_000)]
LongText = Annotated[str, Meta(min_length=1, max_length=100_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Instant = Annotated[datetime, Meta(tz=True, description="With its offset from UTC; between 1970 and 2200.")]


# Documents of an answer: decoded, or passed on undecoded as they are stored (`cortez.core.db.base.shown`).
OutDocument = Annotated[Any, Meta(extra_json_schema={"type": "object"})]
OptionalDocument = Annotated[Any, Meta(extra_json_schema={"anyOf": [{"type": "object"}, {"type": "null"}]})]
OutList = Annotated[Any, Meta(extra_json_schema={"type": "array"})]


class Input(Struct, forbid_unknown_fields=True, kw_only=True):
    """A request body: unknown fields are refused, documents bounded, times within 1970 to 2200."""

    def __post_init__(self) -> None:
        values = msgspec.structs.astuple(self)
        kinds = [*map(type, values)]
        documents = kinds.count(dict) + kinds.count(list)
        if datetime not in kinds and (not documents or all_small(self, documents)):
            return  # as nearly all are, so that nobody looks at field after field
        for name, kind, value in zip(self.__struct_fields__, kinds, values, strict=True):
            if kind is dict or kind is list:
                check_document(name, value)
            elif kind is datetime and not EARLIEST <= value <= LATEST:
                raise ValueError(f"`{name}` must lie between 1970 and 2200")

    def changes(self) -> Changes:
        """The fields that were sent, as stored values."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: stored(value) for name, value in given.items() if value is not UNSET}


def all_small(given: Struct, documents: int) -> bool:
    """Whether no document can be too large or too deep, since all of them together are not: seen in one pass.

    Every level of the deepest one opens a bracket, beside those that the structure and the other documents begin with.
    """
    encoded = msgspec.json.encode(given)
    return len(encoded) <= MAX_DOCUMENT and encoded.count(b"{") + encoded.count(b"[") - documents <= MAX_DEPTH


def check_document(name: str, value: JsonValue) -> None:
    """Raises ValueError where a document is nested too deeply or too large."""
    if _depth(value) > MAX_DEPTH:
        raise ValueError(f"`{name}` is nested deeper than {MAX_DEPTH} levels")
    if len(msgspec.json.encode(value)) > MAX_DOCUMENT:
        raise ValueError(f"`{name}` is larger than {MAX_DOCUMENT} bytes")


def _depth(value: JsonValue) -> int:
    deepest, level = 0, [value]
    while level and deepest <= MAX_DEPTH:
        deepest += 1
        inner = [child for child in level if isinstance(child, dict | list)]
        level = [item for child in inner for item in (child.values() if isinstance(child, dict) else child)]
    return deepest


class Resource(Struct, gc=False):
    """A single entity in an answer."""

    id: UUID
    created_at: datetime
    updated_at: datetime

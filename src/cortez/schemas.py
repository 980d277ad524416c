"""What every input and output shares: bounded types, strict decoding, resources and lists."""

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Generic, TypeVar, get_args, get_type_hints
from uuid import UUID

import msgspec
from litestar import Request
from msgspec import UNSET, Meta, Struct, UnsetType

from cortez.choices import Choice, listed
from cortez.errors import CortezError, FieldError, Invalid, PreconditionFailed
from cortez.privacy import ERASED

T = TypeVar("T")

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


# Documents of an answer: decoded, or passed on undecoded as they are stored (`cortez.db.shown`).
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

    def changes(self) -> dict[str, Any]:
        """The fields that were sent, as stored values."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: stored(value) for name, value in given.items() if value is not UNSET}


def stored(value: Any) -> Any:
    """A value as a column holds it: enumerations as text, structures as plain documents."""
    if isinstance(value, Choice):
        return value.value
    if isinstance(value, Struct | list | dict):
        return msgspec.to_builtins(value, builtin_types=(datetime, UUID))
    return value


def all_small(given: Struct, documents: int) -> bool:
    """Whether no document can be too large or too deep, since all of them together are not: seen in one pass.

    Every level of the deepest one opens a bracket, beside those that the structure and the other documents begin with.
    """
    encoded = msgspec.json.encode(given)
    return len(encoded) <= MAX_DOCUMENT and encoded.count(b"{") + encoded.count(b"[") - documents <= MAX_DEPTH


def check_document(name: str, value: Any) -> None:
    """Raises ValueError where a document is nested too deeply or too large."""
    if _depth(value) > MAX_DEPTH:
        raise ValueError(f"`{name}` is nested deeper than {MAX_DEPTH} levels")
    if len(msgspec.json.encode(value)) > MAX_DOCUMENT:
        raise ValueError(f"`{name}` is larger than {MAX_DOCUMENT} bytes")


def _depth(value: Any) -> int:
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


class Listing(Struct, Generic[T], frozen=True):
    """A page of a list; `total` only where it was asked for, counted to 10,000."""

    items: list[T]
    next_cursor: str | None = None
    total: int | UnsetType = UNSET
    total_is_capped: bool | UnsetType = UNSET


def etag(resource: Resource, body: bytes) -> str:
    """The revision, for If-Match, then a digest of this very representation."""
    return f'"{revision(resource.updated_at)}-{hashlib.blake2b(body, digest_size=6).hexdigest()}"'


def revision(updated_at: datetime) -> str:
    return f"{round(updated_at.timestamp() * 1_000_000):x}"


class Match:
    """The If-Match header of a request."""

    def __init__(self, header: str | None) -> None:
        self.revisions = [
            tag.strip().removeprefix("W/").strip('"').partition("-")[0] for tag in (header or "*").split(",")
        ]

    def check(self, updated_at: datetime) -> None:
        """Raises PreconditionFailed where the entity has changed since the client read it."""
        if self.revisions != ["*"] and revision(updated_at) not in self.revisions:
            raise PreconditionFailed(None, "The entity has changed since you read it. Read it again, then repeat.")


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded strictly, straight into the type that the handler asks for."""

    async def json(self) -> Any:
        raw = await self.body() or b"{}"
        parameter = self.scope["route_handler"].parsed_fn_signature.parameters["data"]
        return decode(raw, parameter.annotation)


@lru_cache
def decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_)


def decode(raw: bytes, type_: Any) -> Any:
    """The body as `type_`. Raises 400 for what is no JSON, 422 with a pointer for what does not fit."""
    try:
        value = decoder(type_).decode(raw)
        refuse_nul(raw)
    except msgspec.ValidationError as error:
        field = explain(error, type_)
        raise Invalid(None, f"{field.pointer}: {field.detail}" if field.pointer else field.detail, [field]) from None
    except RecursionError:
        raise Invalid.at("", "The document is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CortezError("MALFORMED_JSON", f"The body is not JSON: {error}.") from None
    return value


def refuse_nul(raw: bytes) -> None:
    """PostgreSQL stores no NUL in text or JSON, so neither database is given one."""
    if b"\\u0000" in raw and "\0" in _flat(msgspec.json.decode(raw)):
        raise Invalid.at("", "A text may not contain the NUL character.")


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(key + _flat(item) for key, item in value.items())
    if isinstance(value, list):
        return "".join(_flat(item) for item in value)
    return value if isinstance(value, str) else ""


def explain(error: msgspec.ValidationError, type_: Any = None) -> FieldError:
    """A validation error as a JSON pointer and a sentence; for an enumeration the sentence lists the values."""
    reason, _, path = str(error).partition(" - at `")
    pointer = path.rstrip("`").removeprefix("$").replace("[", ".").replace("]", "").replace(".", "/")
    if reason.startswith(("Object missing required field", "Object contains unknown field")):
        pointer += "/" + reason.split("`")[1]
    if reason.startswith("`"):  # a field that its structure has checked
        pointer += "/" + reason.split("`")[1]
    if reason.startswith("Invalid enum value"):
        reason += _valid_values(type_, pointer)
    return FieldError(pointer, reason)


def _valid_values(type_: Any, pointer: str) -> str:
    for name in pointer.strip("/").split("/"):
        if name.isdigit() and get_args(type_):
            type_ = get_args(type_)[0]
        elif isinstance(type_, type) and issubclass(type_, Struct):
            type_ = get_type_hints(type_).get(name)
    return listed(type_)

"""Strict decoding of JSON bodies."""

from functools import lru_cache
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Struct

from cortez.core.typing import JsonValue, TypeForm
from cortez.enums import listed
from cortez.errors import CortezError, FieldError, Invalid

T = TypeVar("T")


@lru_cache
def decoder(type_: TypeForm) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_)


def decode(raw: bytes, type_: type[T]) -> T:
    """The body as `type_`. Raises 400 for what is no JSON, 422 with a pointer for what does not fit."""
    try:
        value: T = decoder(type_).decode(raw)  # type: ignore[arg-type]
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


def _flat(value: JsonValue) -> str:
    if isinstance(value, dict):
        return "".join(key + _flat(item) for key, item in value.items())
    if isinstance(value, list):
        return "".join(_flat(item) for item in value)
    return value if isinstance(value, str) else ""


def explain(error: msgspec.ValidationError, type_: TypeForm = None) -> FieldError:
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


def _valid_values(type_: TypeForm, pointer: str) -> str:
    for name in pointer.strip("/").split("/"):
        if name.isdigit() and get_args(type_):
            type_ = get_args(type_)[0]
        elif isinstance(type_, type) and issubclass(type_, Struct):
            type_ = get_type_hints(type_).get(name)
    return listed(type_)

"""A value of the predecessor as the type of its column here; what does not fit, and what had to be done to it."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import TypeAlias, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import JSON, Boolean, CheckConstraint, Double, Integer, String, Table

from cortez.core.db.types import TableColumn, UtcDateTime, default_of
from cortez.core.typing import JsonValue
from cortez.core.web.schemas import EARLIEST, LATEST
from cortez.enums import Choice

INT = 2**31
TRUTH = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}

# What a driver gives of a column of the predecessor, or what JSON held there.
Old: TypeAlias = (
    "None | bool | int | float | Decimal | str | bytes | date | time | UUID | Sequence[Old] | Mapping[str, Old]"
)

C = TypeVar("C", bound=Choice)


class Unfit(Exception):
    """The value is none of its column's; the message says why."""


class Fit(Struct, frozen=True):
    """What a value became. `change` says how it was altered; `is_loss`: so that it must be kept as it was too."""

    value: Old
    change: str = ""
    is_loss: bool = False


def converter(column: TableColumn) -> Callable[[Old], Fit]:
    """What makes a value of the column of any other; it raises Unfit where it cannot."""
    if choice := choices(column.table).get(column.name):
        return partial(as_choice, choice)
    for kind, convert in CONVERSIONS:
        if isinstance(column.type, kind):
            return partial(convert, column)
    raise TypeError(f"{column} has a type that no table of the predecessor has.")


@lru_cache
def choices(table: Table) -> dict[str, type[Choice]]:
    """The enumerations of a table's columns, by its checks."""
    checks = (one.info["choice"] for one in table.constraints if isinstance(one, CheckConstraint) and one.info)
    return dict(checks)


def as_choice(choice: type[Choice], raw: Old) -> Fit:
    member = member_of(choice, raw)
    if member is None:
        raise Unfit("is none of the values that are allowed")
    return Fit(member.value, "" if member.value == raw else "spelled as here")


def member_of(choice: type[C], raw: Old) -> C | None:
    """The one of this name, in any case or by alias."""
    try:
        return choice(raw) if isinstance(raw, str) else None
    except ValueError:
        return None


def as_text(column: TableColumn, raw: Old) -> Fit:
    if isinstance(raw, bytes):
        raw = raw.decode("utf-8", "surrogateescape")
    text = raw if isinstance(raw, str) else str(raw)
    if text.isascii() and "\0" not in text:
        return shortened(column, text)
    clean = text.replace("\0", "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if clean != text:
        return shortened(column, clean, "bytes that are no text were taken out", is_loss=True)
    return shortened(column, text)


def shortened(column: TableColumn, text: str, change: str = "", is_loss: bool = False) -> Fit:
    """The text, with what was done to it, or what fits into the column of it."""
    length = getattr(column.type, "length", None)
    if length is None or len(text) <= length:
        return Fit(text, change, is_loss)
    return Fit(text[:length], f"cut to {length} characters", is_loss=True)


def as_integer(column: TableColumn, raw: Old) -> Fit:
    number = as_number(raw)
    if not number.is_integer() or not -INT <= number < INT:
        raise Unfit("is no whole number of 32 bits")
    return Fit(int(number), "" if isinstance(raw, int) else "read as a number")


def as_double(column: TableColumn, raw: Old) -> Fit:
    return Fit(as_number(raw), "read as a number" if isinstance(raw, str) else "")


def as_number(raw: Old) -> float:
    if isinstance(raw, str):
        try:
            raw = Decimal(raw.strip())
        except InvalidOperation:
            raise Unfit("is no number") from None
    if not isinstance(raw, int | float | Decimal) or not math.isfinite(raw):
        raise Unfit("is no number")
    try:
        return float(raw)
    except OverflowError:
        raise Unfit("is no number that can be stored") from None


def as_boolean(column: TableColumn, raw: Old) -> Fit:
    known = raw if isinstance(raw, bool) else TRUTH.get(str(raw).strip().lower())
    if known is None:
        raise Unfit("is neither true nor false")
    return Fit(known, "read as true or false" if isinstance(raw, str) else "")


def as_time(column: TableColumn, raw: Old) -> Fit:
    """A time without its offset was meant in UTC."""
    moment = raw
    if isinstance(raw, str):
        try:
            moment = datetime.fromisoformat(raw.strip())
        except ValueError:
            raise Unfit("is no time") from None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if not isinstance(moment, datetime):
        raise Unfit("is no time")
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if not EARLIEST <= moment <= LATEST:
        raise Unfit("is no time between 1970 and 2200")
    return Fit(moment)


def as_document(column: TableColumn, raw: Old) -> Fit:
    """A list where the column holds lists, else an object; anything else is put into one."""
    value = raw
    if isinstance(raw, str | bytes):
        try:
            value = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise Unfit("is no JSON") from None
    has_nul = not isinstance(raw, str) or "\\u0000" in raw
    clean = without_nul(value) if has_nul else value
    change, is_loss = ("NUL characters were taken out", True) if has_nul and clean != value else ("", False)
    if clean is None:
        return Fit(None)
    if isinstance(clean, dict) and not holds_list(column):
        return Fit(clean, change, is_loss)
    if holds_list(column):
        return Fit(clean, change, is_loss) if isinstance(clean, list) else Fit([clean], "put into a list", is_loss)
    return Fit({"value": clean}, "put into an object", is_loss)


@lru_cache
def holds_list(column: TableColumn) -> bool:
    return isinstance(default_of(column), list)


def without_nul(value: Old) -> Old:
    if isinstance(value, dict):
        return {key.replace("\0", ""): without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    return value.replace("\0", "") if isinstance(value, str) else value


CONVERSIONS: tuple[tuple[type, Callable[[TableColumn, Old], Fit]], ...] = (
    (UtcDateTime, as_time),
    (JSON, as_document),
    (Boolean, as_boolean),
    (Integer, as_integer),
    (Double, as_double),
    (String, as_text),
)


def plain(value: Old) -> JsonValue:
    """A value as a document can hold it, whatever it is."""
    if isinstance(value, bytes):
        return "hex:" + value.hex()
    if isinstance(value, str):
        return value.replace("\0", "\u2400").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)

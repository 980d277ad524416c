"""Database errors as domain errors, by SQLSTATE."""

import re
import traceback
from functools import cache
from pathlib import Path

from sqlalchemy.exc import DBAPIError, IntegrityError

from cortez.core.db.base import Duplicate, models
from cortez.errors import Conflict, CortezError, Invalid, Unavailable

OURS = str(Path(__file__).parents[2])


# The unit of work is repeated for these; the last is a plan made before a migration.
LOCK_TIMEOUT = "55P03"
REPEATABLE = {"40P01": "deadlock", "40001": "serialization", LOCK_TIMEOUT: "lock_timeout", "0A000": "plan_changed"}
AWAY = Unavailable("DATABASE_UNAVAILABLE", "The database cannot be reached; try again.")
DAMAGED = Unavailable("DATABASE_DAMAGED", "The database's files are damaged. Restore the latest backup.")

# SQLSTATE, or its first two characters -> what the client is told.
BY_STATE: dict[str, CortezError] = {
    "23505": Conflict("DUPLICATE", "Such an entry exists already."),
    "23503": Conflict("REFERENCE_BROKEN", "This refers to something that is not there, or is still referred to."),
    "23502": Invalid("VALUE_REQUIRED", "A required value is missing."),
    "23514": Invalid("CHECK_FAILED", "A value is outside what is allowed."),
    "22": Invalid("VALUE_INVALID", "A value does not fit its column."),
    "40": Unavailable("WRITE_CONFLICT", "Another write was in the way; try again."),
    LOCK_TIMEOUT: Unavailable("LOCK_TIMEOUT", "Another write held a row for too long; try again."),
    "57014": Unavailable("STATEMENT_TIMEOUT", "The database took too long; try again."),
    "53": Unavailable("DATABASE_FULL", "The database has no room or no connection left."),
    "25006": Unavailable("DATABASE_READ_ONLY", "The database accepts no writes now."),
    "0A000": Unavailable("SCHEMA_CHANGED", "The schema has just changed; try again."),
    "08": AWAY,
    "57": AWAY,
    "58": AWAY,
    "XX001": DAMAGED,
    "XX002": DAMAGED,
}

# What SQLite says -> the SQLSTATE that PostgreSQL would have given.
SQLITE_STATES = {
    "UNIQUE constraint failed": "23505",
    "FOREIGN KEY constraint failed": "23503",
    "NOT NULL constraint failed": "23502",
    "CHECK constraint failed": "23514",
    "database is locked": LOCK_TIMEOUT,
    "database or disk is full": "53100",
    "attempt to write a readonly database": "25006",
    "unable to open database file": "58030",
    "disk I/O error": "58030",
    "database disk image is malformed": "XX001",
    "file is not a database": "XX001",
}


def sqlstate(error: BaseException | None) -> str:
    """The SQLSTATE of a database error on either engine; an empty text for any other."""
    if not isinstance(error, DBAPIError):
        return ""
    for told in (error.orig, getattr(error.orig, "__cause__", None)):  # some of SQLAlchemy's own do not carry it on
        if given := getattr(told, "sqlstate", None):
            return str(given)
    message = str(error.orig)
    return next((state for words, state in SQLITE_STATES.items() if words in message), "")


def repeatable_cause(error: BaseException | None) -> str | None:
    """Why the same unit of work, begun again, may well succeed; None where it will not."""
    state = sqlstate(error)
    if state == "23505" and (broken := broken_uniqueness(error)) and broken.is_race:
        return "unique_id"
    return REPEATABLE.get(state)


def broken_uniqueness(error: BaseException | None) -> Duplicate | None:
    """What the model says of the uniqueness that was broken; None where it says nothing."""
    table, column = _duplicate_key(error) or ("", "")
    return duplicates().get(table, {}).get(column)


@cache
def duplicates() -> dict[str, dict[str, Duplicate]]:
    """By table and the first column of a uniqueness, of every model."""
    return {table: model.duplicates for table, model in models().items()}


def _duplicate_key(error: BaseException | None) -> tuple[str, str] | None:
    """The table and the first column of the uniqueness that was broken."""
    if not isinstance(error, IntegrityError):
        return None
    cause = getattr(error.orig, "__cause__", None) or error.orig
    if found := re.search(r"Key \((\w+)", getattr(cause, "detail", None) or ""):
        return str(getattr(cause, "table_name", "")), found[1]
    found = re.search(r"UNIQUE constraint failed: (\w+)\.(\w+)", str(error.orig))
    return (found[1], found[2]) if found else None


def of_database(error: DBAPIError) -> CortezError | None:
    """The answer to a database error; None where the service itself is wrong."""
    if known := broken_uniqueness(error):
        return Conflict(known.code, known.detail)
    state = sqlstate(error)
    found = BY_STATE.get(state) or BY_STATE.get(state[:2])
    return found or (AWAY if error.connection_invalidated else None)


def described(error: BaseException) -> str:
    """An error for the log: its type, where in our code it arose, what the database calls it.

    Not its message: a database quotes values in it, and values are people's.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if OURS in frame.filename]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames[-5:]))
    told = getattr(error, "orig", None)
    cause = getattr(told, "__cause__", None) or told  # the driver's own, around which SQLAlchemy may have put one
    named = (sqlstate(error), getattr(cause, "table_name", None), getattr(cause, "constraint_name", None))
    return " ".join(filter(None, (type(error).__name__, *named, f"at {where or 'a library'}")))

"""Domain errors, and the one table from error (and SQLSTATE) to RFC 9457 problem+json."""

import logging
import math
import re
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from random import getrandbits
from typing import Annotated, Any

import asyncpg
import msgspec
from litestar import Request, Response
from litestar.enums import ParamType
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import Scope
from msgspec import Meta
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cortez.choices import listed
from cortez.metrics import POOL_TIMEOUTS

logger = logging.getLogger(__name__)

OURS = str(Path(__file__).parent)
PROBLEM_JSON = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one value; `pointer` is a JSON pointer into the body, or the name of a parameter."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every error answer, after RFC 9457."""

    type: Annotated[str, Meta(description="Names the kind of error, as `code` does.")]
    title: Annotated[str, Meta(description="The status in words.")]
    status: Annotated[int, Meta(description="The status of the answer.")]
    detail: Annotated[str, Meta(description="What went wrong this time, for a person to read.")]
    instance: Annotated[str, Meta(description="The path that was asked.")]
    code: Annotated[str, Meta(description="Names the kind of error, for programs: it never changes.")]
    request_id: Annotated[str, Meta(description="The answer's X-Request-ID, which finds it in the log.")]
    errors: Annotated[list[FieldError], Meta(description="Which values are wrong, where that can be said.")] = []


class CortezError(Exception):
    """An error with an answer: raised, it rolls the unit of work back."""

    status = HTTPStatus.BAD_REQUEST
    code = "BAD_REQUEST"

    def __init__(self, code: str | None = None, detail: str = "", errors: list[FieldError] | None = None) -> None:
        super().__init__(detail)
        self.code = code or self.code
        self.detail = detail
        self.errors = errors or []
        self.headers: dict[str, str] = {}

    def __reduce__(self) -> Any:
        """It may come out of another process, and the kinds differ in what they are made of."""
        return remade, (type(self), self.__dict__)


def remade(kind: type[CortezError], values: dict[str, Any]) -> CortezError:
    error = kind.__new__(kind, values["detail"])
    error.__dict__.update(values)
    return error


class Unauthorized(CortezError):
    status, code = HTTPStatus.UNAUTHORIZED, "AUTHENTICATION_REQUIRED"

    def __init__(self, code: str | None = None, detail: str = "Sign in, or send an API key.") -> None:
        super().__init__(code, detail)
        self.headers = {"WWW-Authenticate": "Bearer"}


class Forbidden(CortezError):
    status, code = HTTPStatus.FORBIDDEN, "FORBIDDEN"

    def __init__(self, code: str | None = None, detail: str = "Your role does not allow this.") -> None:
        super().__init__(code, detail)


class NotFound(CortezError):
    """Absent, or not yours: the two look the same."""

    status, code = HTTPStatus.NOT_FOUND, "NOT_FOUND"

    def __init__(self, noun: str, key: object) -> None:
        super().__init__(f"{noun.upper().replace(' ', '_')}_NOT_FOUND", f"There is no {noun} {key}.")


class TooSlow(CortezError):
    status, code = HTTPStatus.REQUEST_TIMEOUT, "REQUEST_TIMEOUT"


class Conflict(CortezError):
    status, code = HTTPStatus.CONFLICT, "CONFLICT"


class PreconditionFailed(CortezError):
    status, code = HTTPStatus.PRECONDITION_FAILED, "PRECONDITION_FAILED"


class TooLarge(CortezError):
    status, code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "TOO_LARGE"


class UnsupportedMediaType(CortezError):
    status, code = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE"


class Invalid(CortezError):
    """A value that the contract does not allow."""

    status, code = HTTPStatus.UNPROCESSABLE_ENTITY, "VALIDATION_ERROR"

    @classmethod
    def at(cls, pointer: str, detail: str, code: str | None = None) -> "Invalid":
        return cls(code, detail, [FieldError(pointer, detail)])


class TooManyRequests(CortezError):
    status, code = HTTPStatus.TOO_MANY_REQUESTS, "RATE_LIMITED"

    def __init__(self, code: str | None, detail: str, seconds: float) -> None:
        super().__init__(code, detail)
        self.headers = {"Retry-After": str(math.ceil(seconds))}


class Unavailable(CortezError):
    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"

    def __init__(self, code: str | None = None, detail: str = "The service is busy; try again.") -> None:
        super().__init__(code, detail)
        self.headers = {"Retry-After": "1"}


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

# Columns of a broken uniqueness -> what the client is told.
DUPLICATES = {
    ("users", "email"): ("EMAIL_IN_USE", "An account with this e-mail exists already."),
    ("users", "email_key"): ("EMAIL_IN_USE", "An account with this e-mail exists already."),
    ("users", "username"): ("USERNAME_IN_USE", "An account with this username exists already."),
    ("users", "username_key"): ("USERNAME_IN_USE", "An account with this username exists already."),
    ("users", "student_id"): ("STUDENT_ID_IN_USE", "An account with this student_id exists already."),
    ("courses", "course_id"): ("COURSE_ALREADY_EXISTS", "This course_id is not available."),
    ("activities", "activity_id"): ("ACTIVITY_ALREADY_EXISTS", "This activity_id is not available."),
    ("subjects", "code"): ("SUBJECT_ALREADY_EXISTS", "A subject with this code exists already."),
    ("unidades", "materia_code"): ("UNIT_NUMBER_IN_USE", "The subject has a unit with this number already."),
    ("simulator_events", "id"): ("EVENT_CONFLICT", "An event with this id exists already."),
    ("risks", "session_id"): ("RISK_EXISTS", "This rule has found this subject in the session already."),
    ("lti_deployments", "issuer"): ("DEPLOYMENT_ALREADY_EXISTS", "This deployment of the issuer exists already."),
    ("exercise_hints", "exercise_id"): ("HINT_NUMBER_IN_USE", "The exercise has a hint with this number already."),
    ("exercise_tests", "exercise_id"): ("TEST_NUMBER_IN_USE", "The exercise has a test with this number already."),
    ("cognitive_traces", "id"): ("TRACE_CONFLICT", "A trace with this id exists already."),
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
    if state == "23505" and _duplicate_key(error) == ("cognitive_traces", "id"):
        return "unique_id"
    return REPEATABLE.get(state)


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
    if known := DUPLICATES.get(_duplicate_key(error) or ("", "")):
        return Conflict(*known)
    state = sqlstate(error)
    found = BY_STATE.get(state) or BY_STATE.get(state[:2])
    return found or (AWAY if error.connection_invalidated else None)


def of_litestar(error: HTTPException, query: Mapping[str, Any]) -> CortezError:
    """Litestar's own errors in our terms: a bad value is 422, a malformed id in a path 404."""
    if isinstance(error, ValidationException):
        if any(isinstance(item, dict) and item.get("source") == ParamType.PATH for item in error.extra or ()):
            return NotFound("page", "at this address")
        extra = error.extra if isinstance(error.extra, list) else []
        fields = [_field(item, query) for item in extra if isinstance(item, dict)]
        return Invalid(None, "; ".join(f"{field.pointer}: {field.detail}" for field in fields) or error.detail, fields)
    status = HTTPStatus(error.status_code)
    answer = CortezError(status.name, error.detail or status.phrase)
    answer.status = status
    answer.headers = dict(error.headers or {})
    return answer


def _field(item: dict[str, Any], query: Mapping[str, Any]) -> FieldError:
    name, reason = str(item.get("key", "")), str(item.get("message", ""))
    if reason.startswith("Invalid enum value") and name in query:
        reason += listed(query[name].annotation)
    return FieldError(name.replace(".", "/"), reason)


def answer_to(error: Exception, query: Mapping[str, Any]) -> CortezError:
    """What the client is told of any exception on a route with these query parameters."""
    match error:
        case CortezError():
            return error
        case HTTPException():
            return of_litestar(error, query)
        case DBAPIError():
            return of_database(error) or unexpected()
        case ExceptionGroup():  # what Litestar makes of an error that comes up while a dependency is cleaned up
            return answer_to(error.exceptions[0], query)
        case PoolTimeout():
            return Unavailable("POOL_EXHAUSTED", "All database connections are busy; try again.")
        case OSError() | TimeoutError() | asyncpg.PostgresError() | asyncpg.InterfaceError():
            return AWAY  # only an attempt to connect fails like this, bare of SQLAlchemy
    return unexpected()


def unexpected() -> CortezError:
    answer = CortezError("INTERNAL_ERROR", "Something went wrong on our side; the request_id finds it in the log.")
    answer.status = HTTPStatus.INTERNAL_SERVER_ERROR
    return answer


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


def request_id(scope: Scope) -> str:
    """The id of a request, always our own: it is stored for good, and a client's could name a person."""
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        state["request_id"] = f"{getrandbits(128):032x}"
    return str(state["request_id"])


def problem_of(request: Request[Any, Any, Any], error: CortezError) -> Problem:
    return Problem(
        type=f"urn:cortez:problem:{error.code.lower()}",
        title=error.status.phrase,
        status=error.status,
        detail=error.detail,
        instance=request.scope["path"],
        code=error.code,
        request_id=request_id(request.scope),
        errors=error.errors,
    )


def on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """The one exception handler of the application."""
    route = request.scope.get("route_handler")  # none where no route matched
    if isinstance(error, PoolTimeout):
        POOL_TIMEOUTS.labels("pool").inc()
    known = answer_to(error, route.opt.get("query", {}) if route else {})
    if known.status == HTTPStatus.INTERNAL_SERVER_ERROR or known in (AWAY, DAMAGED):
        logger.error("%s: %s, request %s", known.code, described(error), request_id(request.scope))
    body = problem_of(request, known)
    return Response(body, status_code=known.status, media_type=PROBLEM_JSON, headers=known.headers)

"""Every exception as a problem document, after RFC 9457."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

import asyncpg
import msgspec
from litestar import Response
from litestar.enums import ParamType
from litestar.exceptions import HTTPException, ValidationException
from litestar.typing import FieldDefinition
from msgspec import Meta
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cortez.core.db.errors import AWAY, DAMAGED, described, of_database
from cortez.core.observability.metrics import POOL_TIMEOUTS
from cortez.core.observability.request_ids import request_id
from cortez.core.web.requests import ServiceRequest
from cortez.core.web.route_options import options_of
from cortez.enums import listed
from cortez.errors import CortezError, FieldError, Invalid, NotFound, Unavailable

logger = logging.getLogger(__name__)
PROBLEM_JSON = "application/problem+json"


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


def of_litestar(error: HTTPException, query: Mapping[str, FieldDefinition]) -> CortezError:
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


def _field(item: Mapping[str, str], query: Mapping[str, FieldDefinition]) -> FieldError:
    name, reason = str(item.get("key", "")), str(item.get("message", ""))
    if reason.startswith("Invalid enum value") and name in query:
        reason += listed(query[name].annotation)
    return FieldError(name.replace(".", "/"), reason)


def answer_to(error: Exception, query: Mapping[str, FieldDefinition]) -> CortezError:
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


def problem_of(request: ServiceRequest, error: CortezError) -> Problem:
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


def on_exception(request: ServiceRequest, error: Exception) -> Response[Problem]:
    """The one exception handler of the application."""
    route = request.scope.get("route_handler")  # none where no route matched
    if isinstance(error, PoolTimeout):
        POOL_TIMEOUTS.labels("pool").inc()
    known = answer_to(error, options_of(route).query if route else {})
    if known.status == HTTPStatus.INTERNAL_SERVER_ERROR or known in (AWAY, DAMAGED):
        logger.error("%s: %s, request %s", known.code, described(error), request_id(request.scope))
    body = problem_of(request, known)
    return Response(body, status_code=known.status, media_type=PROBLEM_JSON, headers=known.headers)

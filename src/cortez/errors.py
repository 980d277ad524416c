"""Domain errors: each has a status and a code, and rolls the unit of work back where it is raised."""

import math
from http import HTTPStatus
from typing import Any

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one value; `pointer` is a JSON pointer into the body, or the name of a parameter."""

    pointer: str
    detail: str


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

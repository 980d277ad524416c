"""Guards of routes: who may call them at all."""

from typing import TYPE_CHECKING, Any

from cortez.errors import Forbidden

if TYPE_CHECKING:
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler


class allow:  # noqa: N801 - reads as a function
    """Deny everybody but these roles and scopes: `allow("teacher", "key:sessions")`."""

    def __init__(self, *roles: str) -> None:
        self.roles = roles

    async def __call__(self, connection: "ASGIConnection[Any, Any, Any, Any]", handler: "BaseRouteHandler") -> None:
        if not connection.user.may(*self.roles):
            raise Forbidden


people = allow("student", "tutor", "teacher")
teaching = allow("tutor", "teacher")
teachers = allow("teacher")
admins = allow("admin")

"""What a handler is given."""

from collections.abc import Callable
from typing import Any, TypeVar

from litestar.di import NamedDependency, Provide
from litestar.types import Scope
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.security.principal import Principal

R = TypeVar("R")  # a repository


def provided(kind: Callable[[AsyncSession, Principal], R]) -> Provide:
    """A repository on the request's session, for the principal of the request."""

    async def provide(session: NamedDependency[AsyncSession], scope: Scope) -> Any:
        return kind(session, scope["user"])  # each dependency costs a dozen calls, so this asks for one

    return Provide(provide)

"""What a handler is given."""

from collections.abc import Callable
from typing import Any

from litestar.di import NamedDependency, Provide
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.security import Principal


def provided(kind: Callable[[AsyncSession, Principal], Any]) -> Provide:
    """A repository on the request's session, for the principal of the request."""

    async def provide(session: NamedDependency[AsyncSession], principal: NamedDependency[Principal]) -> Any:
        return kind(session, principal)

    return Provide(provide)

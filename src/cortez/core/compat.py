"""What is used of libraries beyond their documentation: private names, and names without a promise.

Each library here has an upper bound in `pyproject.toml`, and each name a test in `tests/test_compat.py`, which fails
first when a new release has changed it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from asyncpg.pgproto import pgproto
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import await_only, greenlet_spawn

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationStep
    from alembic.script import ScriptDirectory
    from litestar.types import Scope
    from litestar.utils.scope.state import ScopeState

# `greenlet_spawn` runs a function in a greenlet, where `await_only` awaits: SQLAlchemy's bridge to its sync half.
__all__ = [
    "FastUUID",
    "await_only",
    "body_is_read",
    "greenlet_spawn",
    "guest_connection",
    "observers",
    "own_state",
    "steps_to",
]

# asyncpg's own UUID, a subclass of Python's: made in a sixth of the time.
FastUUID = pgproto.UUID

V = TypeVar("V")


def observers(engine: Engine) -> Any:
    """By event, the listeners of a SQLAlchemy engine, for what goes to the database past its execution."""
    return engine.dispatch


class GuestConnection(Connection):
    """SQLAlchemy's connection on a pooled one whose transactions another object begins and ends."""

    def commit(self) -> NoReturn:
        """Raise TypeError."""
        raise TypeError("A guest's connection commits nothing: its unit of work does.")

    def rollback(self) -> NoReturn:
        """Raise TypeError."""
        raise TypeError("A guest's connection rolls nothing back: its unit of work does.")


def guest_connection(engine: Engine, pooled: PoolProxiedConnection | None) -> Connection:
    """A connection for SQLAlchemy on one of the pool; it takes no other when that is lost."""
    return GuestConnection(engine, pooled, _allow_revalidate=False)


def steps_to(script: "ScriptDirectory", destination: str, current: str) -> "Iterable[MigrationStep]":
    """The revisions from one to another, as alembic's cookbook works them out."""
    steps: Iterable[MigrationStep] = script._upgrade_revs(destination, current)
    return steps


def own_state(value: V) -> "V | ScopeState":
    """A fresh copy of Litestar's state of a request, for another attempt at it; any other value as it is."""
    from litestar.utils.scope.state import ScopeState  # commands need not load it

    if not isinstance(value, ScopeState):
        return value
    state = ScopeState()
    state.exception_handlers = value.exception_handlers
    return state


def body_is_read(scope: "Scope", body: bytes) -> None:
    """Let Litestar know the body of a request that we have read already."""
    from litestar.utils.scope.state import ScopeState  # commands need not load it

    ScopeState.from_scope(scope).body = body

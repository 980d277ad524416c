"""Kept statements on the driver itself: what goes to the database most often goes past SQLAlchemy's execution.

The statements are SQLAlchemy's, compiled by it; so are the pool, the transactions, the events that observers listen
to, and the errors that are raised. What is left out is a session's connection for a read that needs none, and for each
statement a cache key, an execution context, a cursor and a result: two thirds of the processor time of a small one.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from asyncpg import IntegrityConstraintViolationError, InterfaceError, InternalClientError, PostgresError
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from cortez.queries import watched
from cortez.statements import Kept

FAILURES = (PostgresError, InterfaceError, InternalClientError, sqlite3.Error)  # of the drivers
BROKEN = (IntegrityConstraintViolationError, sqlite3.IntegrityError)
# SQLAlchemy begins with its own first statement, which ours may come before: private, so it is missed at the start.
BEGIN: Callable[[Any], Awaitable[None]] = AsyncAdapt_asyncpg_connection._start_transaction
CLEAN = "clean"  # a connection that comes back without a transaction


class ReadingSession(Session):
    """Lends a connection of its pool for kept statements, until SQLAlchemy wants one for another statement."""

    lent: PoolProxiedConnection | None = None

    @property
    def engine(self) -> Engine:
        return self.bind  # type: ignore[return-value]  # as `Database` makes them

    @property
    def is_crowded(self) -> bool:
        """Whether the pool would close a connection that comes back."""
        pool: Any = self.engine.pool
        return bool(pool.overflow() > 0)

    def lend(self) -> PoolProxiedConnection:
        if self.lent is None:
            dialect = self.engine.dialect
            try:
                self.lent = self.engine.raw_connection()
            except dialect.loaded_dbapi.Error as error:
                raise told(error, None, lost=dialect.is_disconnect(error, None, None)) from error
        return self.lent

    def take_back(self) -> None:
        """To the pool, as it was: nothing has begun on it."""
        lent, self.lent = self.lent, None
        if lent is not None:
            lent.info[CLEAN] = True
            lent.close()

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        self.take_back()  # the same one is taken again at once
        return super().get_bind(*args, **kwargs)

    def close(self) -> None:
        self.take_back()
        if self.in_transaction():
            super().close()


async def close(session: AsyncSession) -> None:
    """Close it. What was only lent goes back at once, without a greenlet: for each, memory is mapped and unmapped."""
    sync = session.sync_session
    reading = sync if isinstance(sync, ReadingSession) and sync.lent is not None else None
    if sync.in_transaction() or (reading and reading.is_crowded):
        await session.close()
    elif reading:
        reading.take_back()


class Line(NamedTuple):
    """A way to the database: the pool's connection, and SQLAlchemy's around it where the session has one."""

    session: Session
    engine: Engine
    connection: Connection | None
    pooled: PoolProxiedConnection

    @property
    def is_autocommit(self) -> bool:
        return isinstance(self.session, ReadingSession)

    def cut(self) -> None:
        """It is in no state to be used again."""
        if self.connection is not None:
            self.connection.invalidate()
        elif isinstance(self.session, ReadingSession):
            self.session.lent = None
            self.pooled.invalidate()


def lent_to(session: Session) -> Line | None:
    """Its line where one is lent to it already."""
    if isinstance(session, ReadingSession) and session.lent is not None:
        return Line(session, session.engine, None, session.lent)
    return None


def line_of(session: Session) -> Line:
    if isinstance(session, ReadingSession) and not session.in_transaction():
        return Line(session, session.engine, None, session.lend())
    session.flush()
    connection = session.connection()
    return Line(session, connection.engine, connection, connection.connection)


async def fetch(
    session: AsyncSession, kept: Kept, values: Mapping[str, Any], make: Callable[..., Any] | None = None
) -> list[Any]:
    """The rows that it finds, or returns: what `make` makes of their columns, else named tuples.

    Raises what `session.execute` would.
    """
    sync = session.sync_session
    line = lent_to(sync)
    if line is None:
        line = await greenlet_spawn(line_of, sync)
    dialect = line.engine.dialect
    driver: Any = line.pooled.driver_connection
    embedded = dialect.name == "sqlite"
    form = kept.form(dialect)
    with watched(line.engine, line.connection, form.text, form.arguments(values)) as (text, arguments):
        try:
            if not (embedded or line.is_autocommit or driver.is_in_transaction()):
                await BEGIN(line.pooled.dbapi_connection)
            found = await (driver.execute_fetchall(text, arguments) if embedded else driver.fetch(text, *arguments))
        except BaseException as error:
            lost = not embedded and driver.is_closed()
            if lost or not isinstance(error, Exception):  # of one that was cancelled, the rows may be on their way
                await greenlet_spawn(line.cut)
            if isinstance(error, (*FAILURES, dialect.loaded_dbapi.Error)):
                raise told(error, text, lost=lost) from error
            raise
    return form.rows(found, make)


def told(error: BaseException, statement: str | None, *, lost: bool = False) -> DBAPIError:
    """A driver's error as SQLAlchemy tells those of its statements; without the values, which are people's."""
    kind = IntegrityError if isinstance(error, BROKEN) else DBAPIError
    return kind(statement, None, error, hide_parameters=True, connection_invalidated=lost)

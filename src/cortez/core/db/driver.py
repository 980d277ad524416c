"""Kept statements on the driver itself: what goes to the database most often goes past SQLAlchemy's execution.

The statements are SQLAlchemy's, compiled by it; so are the pool, the events that observers listen to, and the errors
that are raised. What is left out is a session's connection where none is needed, the transaction that SQLAlchemy keeps
beside the database's, and for each statement a cache key, an execution context, a cursor and a result.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from asyncpg import IntegrityConstraintViolationError, InterfaceError, InternalClientError, PostgresError
from sqlalchemy import String, bindparam, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.util import greenlet_spawn

from cortez.core.db.audit_context import ACTOR, SAID, is_person
from cortez.core.db.compiled_queries import Kept
from cortez.core.db.instrumentation import watched
from cortez.core.db.lending import LendingSession, Line, UnitSession

FAILURES = (PostgresError, InterfaceError, InternalClientError, sqlite3.Error)  # of the drivers
BROKEN = (IntegrityConstraintViolationError, sqlite3.IntegrityError)
COMMIT, ROLLBACK = "COMMIT", "ROLLBACK"
BEGIN = "begin"  # execution option: how a unit of work begins on a pooled connection

Begin = Callable[[Any], Awaitable[None]]

NAME_AUTHOR = Kept(
    select(
        *(
            func.set_config(name, bindparam(parameter, type_=String()), True)
            for name, parameter in (("cortez.actor", "actor"), ("cortez.request_id", "request_id"))
        )
    )
)


def line_of(session: Session) -> Line:
    """The way that a statement takes; SQLAlchemy's where it has begun something."""
    if isinstance(session, LendingSession) and session.is_alone:
        dialect = session.engine.dialect
        try:
            return session.lend()
        except dialect.loaded_dbapi.Error as error:
            raise told(error, None, lost=dialect.is_disconnect(error, None, None)) from error
    session.flush()
    connection = session.connection()
    return Line.of(connection.engine, connection.connection, connection)


def lent_to(session: Session) -> Line | None:
    """Its line where one is lent to it already."""
    return session.lent if isinstance(session, LendingSession) and session.lent and session.is_alone else None


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
    driver, form = line.driver, kept.form(line.engine.dialect)
    with watched(line.engine, line.joined or line.pooled, form.text, form.arguments(values)) as (text, arguments):
        try:
            if isinstance(sync, UnitSession):
                await begin(line, sync)
            ask = driver.execute_fetchall(text, arguments) if line.is_embedded else driver.fetch(text, *arguments)
            found = await ask
        except BaseException as error:
            await fail(sync, line, text, error)
    return form.rows(found, make)


async def name_author(session: AsyncSession) -> None:
    """Tell PostgreSQL's audit triggers who writes, before a kept statement or COPY inserts what only people log.

    Statements of SQLAlchemy do this by themselves, and SQLite asks the connection.
    """
    actor, request_id = session.info[ACTOR]
    if is_person(actor) and session.get_bind().dialect.name == "postgresql":
        await fetch(session, NAME_AUTHOR, {"actor": actor, "request_id": request_id or ""})


async def begin(line: Line, unit: UnitSession) -> None:
    """Begin the unit's transaction, unless that was done."""
    if line.joined is None and not unit.begun:
        line.pooled.info[ACTOR], line.pooled.info[SAID] = unit.info[ACTOR], False  # what SQLite's triggers ask for
        await line.engine.get_execution_options()[BEGIN](line.pooled)
        unit.begun = True
    elif not line.is_embedded and line.adapter._transaction is None:
        await begin_on_server(line.pooled)


async def begin_on_server(pooled: Any) -> None:
    """As SQLAlchemy's adapter begins with its own first statement, which ours may come before."""
    await pooled.driver_connection.execute("BEGIN")
    pooled.dbapi_connection._transaction = Begun(pooled.driver_connection)


class Begun:
    """A transaction as SQLAlchemy's adapter ends one."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    async def commit(self) -> None:
        """Raises where it had failed before: the server then rolls it back, and calls that no error."""
        if await self.driver.execute(COMMIT) == ROLLBACK:
            raise PendingRollbackError("A statement of this transaction had failed, so it was rolled back.")

    async def rollback(self) -> None:
        await self.driver.execute(ROLLBACK)


async def commit(session: AsyncSession) -> None:
    """Commit: through SQLAlchemy where it has taken part, else on the driver. Raises what `session.commit` would."""
    unit: Any = session.sync_session
    if not unit.is_alone:
        await session.commit()
        return
    if not unit.begun:
        return
    line: Line = unit.lend()
    line.engine.dispatch.commit(line.pooled)
    try:
        await (line.driver.execute_fetchall(COMMIT) if line.is_embedded else line.adapter._transaction.commit())
    except BaseException as error:
        await fail(unit, line, COMMIT, error)
    if not line.is_embedded:
        line.adapter._transaction = None
    unit.begun = False
    unit.dispatch.after_commit(unit)
    await close(session)


async def close(session: AsyncSession) -> None:
    """Close it. What was only lent goes back at once, without a greenlet: for each, memory is mapped and unmapped."""
    sync: Any = session.sync_session
    if sync.is_open or sync.is_crowded:
        await session.close()
    else:
        sync.take_back()


async def fail(session: Any, line: Line, statement: str, error: BaseException) -> NoReturn:
    """Raise what is to be raised for it; a line that it has left in an unknown state is not used again."""
    lost = line.has_ended
    if lost or not isinstance(error, Exception):  # of one that was cancelled, the rows may be on their way
        await greenlet_spawn(line.joined.invalidate if line.joined is not None else session.cut)
    if isinstance(error, (*FAILURES, line.engine.dialect.loaded_dbapi.Error)):
        raise told(error, statement, lost=lost) from error
    raise error


def told(error: BaseException, statement: str | None, *, lost: bool = False) -> DBAPIError:
    """A driver's error as SQLAlchemy tells those of its statements; without the values, which are people's."""
    kind = IntegrityError if isinstance(error, BROKEN) else DBAPIError
    return kind(statement, None, error, hide_parameters=True, connection_invalidated=lost)

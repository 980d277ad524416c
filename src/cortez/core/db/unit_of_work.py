"""A unit of work owns a connection of the pool and its transaction. SQLAlchemy's session is a guest on it.

The engines are set to autocommit, so SQLAlchemy begins and ends nothing on the wire. A `Kept` statement runs on the
driver's connection, any other through the session; the first of either takes the connection and, to write, begins.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, TypeVar, overload

from asyncpg import IntegrityConstraintViolationError, InterfaceError, InternalClientError, PostgresError
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import PoolProxiedConnection

from cortez.core.compat import await_only, greenlet_spawn, guest_connection, observers
from cortez.core.db.audit_context import AUTHOR, SERVICE, Author, naming
from cortez.core.db.compiled_queries import Kept, NamedRow
from cortez.core.db.instrumentation import timed, watched
from cortez.core.db.types import ColumnValue, Values
from cortez.core.db.write_turns import Turn, WriteTurns
from cortez.core.observability.metrics import COMMITTED, ROLLED_BACK

DRIVER_ERRORS = (PostgresError, InterfaceError, InternalClientError, sqlite3.Error)
INTEGRITY_ERRORS = (IntegrityConstraintViolationError, sqlite3.IntegrityError)
BEGIN, BEGIN_EMBEDDED, COMMIT, ROLLBACK = "BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"
FAILED = "A statement of this transaction had failed, so it was rolled back."
LOST = "The connection of this unit of work was lost; close the unit and begin again."

O = TypeVar("O")  # noqa: E741 - an output type
BeforeCommit = Callable[[AsyncSession], Awaitable[None]]


class GuestSession(Session):
    """SQLAlchemy's session on the connection of its unit of work, which alone begins, commits and rolls back."""

    def __init__(self, bind: None, binds: None, *, expire_on_commit: bool, unit: "UnitOfWork") -> None:
        super().__init__(bind, expire_on_commit=expire_on_commit, binds=binds)
        self.unit = unit

    def get_bind(self, *args: Any, **kwargs: Any) -> Connection:
        """The one connection of the unit, whatever is asked for."""
        return self.unit.host()

    def begin(self, nested: bool = False) -> SessionTransaction:
        """Set a savepoint, at once, so that it holds for `Kept` statements too. Raises TypeError for a transaction."""
        if not nested:
            raise TypeError("A session begins nothing: its unit of work does, with the first statement.")
        savepoint = super().begin(nested=True)
        self.connection()
        return savepoint

    def commit(self) -> NoReturn:
        """Raise TypeError."""
        raise TypeError("A session commits nothing: the request's unit of work does, or `unit_of(session).commit()`.")

    def rollback(self) -> None:
        """Close the unit of work."""
        self.close()

    def reset(self) -> None:
        """Close the unit of work."""
        self.close()

    def close(self) -> None:
        """Close the unit of work."""
        await_only(self.unit.close())

    def leave(self, *, keep: bool) -> None:
        """End SQLAlchemy's part, which sends nothing unless a savepoint is open. `keep`: its entities stay."""
        transaction = self.get_transaction()  # there is one as soon as it has something to do
        if not keep and (transaction or self.identity_map):
            super().close()
        elif transaction:
            transaction.close()


class UnitOfWork:
    """What is read and written on one connection, from the first statement until `commit` or `close`.

    `async with unit as session` closes in the end, so that what was not committed is rolled back. Where it only reads
    (`writes=False`), each statement is a transaction of its own.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        writes: bool,
        author: Author = SERVICE,
        turns: WriteTurns | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> None:
        """`before_commit` brings up to date what follows from the changes. `turns` orders the writers of SQLite."""
        self.engine: Engine = engine.sync_engine
        self.writes = writes
        self.author = author
        self.turns = turns
        self.before_commit = before_commit
        self.is_embedded = engine.dialect.name == "sqlite"
        self.pooled: PoolProxiedConnection | None = None
        self.driver: Any = None  # the driver's own connection
        self.guest: Connection | None = None  # SQLAlchemy's, around the pooled one
        self.turn: Turn | None = None
        self.has_begun = False
        self.is_broken = False  # lost, or cancelled while an answer was on its way
        self.session = AsyncSession(sync_session_class=GuestSession, expire_on_commit=False, unit=self)
        self.sync_session: GuestSession = self.session.sync_session  # type: ignore[assignment]  # of that class

    async def __aenter__(self) -> AsyncSession:
        return self.session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def open(self) -> None:
        """Take a connection from the pool, in SQLAlchemy's greenlet. Raises DBAPIError."""
        if self.pooled is not None:
            return
        dialect = self.engine.dialect
        try:
            self.pooled = self.engine.raw_connection()
        except dialect.loaded_dbapi.Error as error:
            raise as_dbapi_error(error, None, lost=dialect.is_disconnect(error, None, None)) from error
        self.driver = self.pooled.driver_connection

    def host(self) -> Connection:
        """SQLAlchemy's connection around the pooled one, in its greenlet. Raises DBAPIError, PendingRollbackError."""
        self.refuse_failed()
        if self.guest is None:
            self.open()
            if self.writes and not self.has_begun:
                await_only(self.begin())
            self.guest = guest_connection(self.engine, self.pooled)
        return self.guest

    def refuse_failed(self) -> None:
        """Raises PendingRollbackError where the connection is lost or a flush has failed: only `close` is left."""
        if self.is_broken or (self.pooled is not None and not self.pooled.is_valid):
            raise PendingRollbackError(LOST)
        if not self.sync_session.is_active:
            raise PendingRollbackError(FAILED)

    async def ready(self) -> None:
        """Have a connection, the transaction begun and nothing unflushed. Raises DBAPIError, PendingRollbackError."""
        if self.pooled is None:
            await greenlet_spawn(self.open)
        else:
            self.refuse_failed()
        if self.writes:
            await self.flush()
            if not self.has_begun:
                await self.begin()

    async def flush(self) -> None:
        """Send what SQLAlchemy's session has not sent yet; without a transaction of its own, there is nothing."""
        session = self.sync_session
        if session.in_transaction() and (session.new or session.deleted or session.dirty):
            await self.session.flush()

    async def begin(self) -> None:
        """Begin the transaction; the author of its changes, for the audit log, goes out with it."""
        assert self.pooled  # noqa: S101 - open
        if self.turns and not self.turn:
            self.turn = await self.turns.take()
        if self.is_embedded:
            self.pooled.info[AUTHOR], statement, author = self.author, BEGIN_EMBEDDED, ""
        else:
            statement, author = BEGIN, naming(self.author)
        try:
            with watched(self.engine, self.pooled, statement, ()) as (text, _):
                await self.send(text + author)
        except BaseException as error:
            self.is_broken = not self.is_embedded  # the server may have begun before it failed to name the author
            self.fail(error, statement)
        self.has_begun = True
        if self.turn:
            self.turn.begin()

    async def send(self, statement: str) -> str | Iterable[sqlite3.Row]:
        """The database's answer to a statement without values; PostgreSQL's is a word for what it did."""
        answer: str | Iterable[sqlite3.Row]
        answer = await (self.driver.execute_fetchall(statement) if self.is_embedded else self.driver.execute(statement))
        return answer

    @overload
    async def fetch(self, kept: Kept, values: Mapping[str, ColumnValue], make: None = None) -> list[NamedRow]: ...

    @overload
    async def fetch(self, kept: Kept, values: Mapping[str, ColumnValue], make: Callable[..., O]) -> list[O]: ...

    async def fetch(
        self, kept: Kept, values: Mapping[str, ColumnValue], make: Callable[..., O] | None = None
    ) -> list[O] | list[NamedRow]:
        """The rows that it finds, or returns: what `make` makes of their columns, else named tuples.

        Raises what `session.execute` would.
        """
        await self.ready()
        form, driver = kept.form(self.engine.dialect), self.driver
        try:
            with watched(self.engine, self.pooled, form.text, form.arguments(values)) as (text, arguments):
                ask = driver.execute_fetchall(text, arguments) if self.is_embedded else driver.fetch(text, *arguments)
                found = await ask
        except BaseException as error:
            self.fail(error, form.text)
        return form.rows(found, make) if make else form.rows(found, form.row)

    async def copy(self, table: str, columns: Sequence[str], records: Iterable[Values]) -> None:
        """Store rows by PostgreSQL's COPY. Raises DBAPIError."""
        await self.ready()
        statement = f"COPY {table}"
        try:
            with timed(self.engine, statement):
                await self.driver.copy_records_to_table(table, columns=columns, records=records)
        except BaseException as error:
            self.fail(error, statement)

    def fail(self, error: BaseException, statement: str) -> NoReturn:
        """Raise it, a driver's as SQLAlchemy does. A connection in an unknown state is not used again."""
        lost = not self.is_embedded and bool(self.driver.is_closed())
        if lost or not isinstance(error, Exception):  # of one that was cancelled, the rows may be on their way
            self.is_broken = True
        if isinstance(error, (*DRIVER_ERRORS, self.engine.dialect.loaded_dbapi.Error)):
            raise as_dbapi_error(error, statement, lost=lost) from error
        raise error

    async def commit(self) -> None:
        """Commit, with what follows from the changes, and give the connection back.

        Where that fails, the unit is closed, with nothing stored. Raises DBAPIError, PendingRollbackError, or TypeError
        where a savepoint is open.
        """
        try:
            if self.before_commit:
                await self.before_commit(self.session)
            self.refuse_failed()
            if self.sync_session.in_nested_transaction():
                raise TypeError("A savepoint is open: leave `begin_nested()` before the commit.")
            await self.flush()
            await self.end()
        except BaseException:
            await self.close()
            raise
        self.sync_session.leave(keep=True)
        await self.give_back()

    async def end(self) -> None:
        """COMMIT, of what has begun."""
        if not self.has_begun:
            return
        observers(self.engine).commit(self.pooled)
        try:
            with timed(self.engine, COMMIT):
                answer = await self.send(COMMIT)
        except BaseException as error:
            self.fail(error, COMMIT)
        self.has_begun = False
        if answer == ROLLBACK:  # PostgreSQL calls that no error
            ROLLED_BACK.inc()
            raise PendingRollbackError(FAILED)
        COMMITTED.inc()

    async def close(self) -> None:
        """Roll back what is not committed, and give the connection back; the next statement takes another."""
        try:
            if self.sync_session.in_nested_transaction():
                await greenlet_spawn(partial(self.sync_session.leave, keep=False))
            else:
                self.sync_session.leave(keep=False)
            if self.has_begun:
                ROLLED_BACK.inc()
                observers(self.engine).rollback(self.pooled)
                await self.undo()
        finally:
            await self.give_back()

    async def undo(self) -> None:
        """ROLLBACK, where there is a connection to send it on; one that does not answer is not used again."""
        if self.is_broken or self.pooled is None or not self.pooled.is_valid:
            return
        try:
            await self.send(ROLLBACK)
        except BaseException as error:
            self.is_broken = True
            if not isinstance(error, Exception):
                raise

    async def give_back(self) -> None:
        """Return the connection to the pool, or close one whose state is unknown; then end the write turn."""
        pooled, broken = self.pooled, self.is_broken
        self.pooled, self.driver, self.guest, self.has_begun, self.is_broken = None, None, None, False, False
        try:
            if pooled is not None:
                await release(self.engine, pooled, broken=broken)
        finally:
            turn, self.turn = self.turn, None
            if turn:
                turn.end()

    async def move_to(self, engine: AsyncEngine) -> None:
        """Go on at another server, with nothing begun."""
        await self.close()
        self.engine = engine.sync_engine


async def release(engine: Engine, pooled: PoolProxiedConnection, *, broken: bool) -> None:
    """To the pool. Without a greenlet where the pool keeps it, since memory is mapped and unmapped for each."""
    pool: Any = engine.pool
    if broken and pooled.is_valid:
        await greenlet_spawn(pooled.invalidate)
    elif pool.overflow() > 0:
        await greenlet_spawn(pooled.close)
    else:
        pooled.close()


def unit_of(session: AsyncSession) -> UnitOfWork:
    """The unit of work whose guest the session is."""
    guest: GuestSession = session.sync_session  # type: ignore[assignment]  # as every unit makes it
    return guest.unit


def as_dbapi_error(error: BaseException, statement: str | None, *, lost: bool = False) -> DBAPIError:
    """A driver's error as SQLAlchemy raises those of its statements; without the values, which are people's."""
    kind = IntegrityError if isinstance(error, INTEGRITY_ERRORS) else DBAPIError
    return kind(statement, None, error, hide_parameters=True, connection_invalidated=lost)

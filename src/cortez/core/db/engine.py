"""The engine, made once per process, and the only two ways to a session: one to read, one unit of work to write."""

import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import msgspec
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import PoolResetState
from sqlalchemy.util import await_only

from cortez.core.concurrency.admission import ADMISSION, MOST_WAITING, PERSON, Gate
from cortez.core.concurrency.fair_queue import Company, Crowded, Turns
from cortez.core.db.audit_context import ACTOR, WritingSession, add_functions, tell_the_audit_log
from cortez.core.db.driver import BEGIN, Begin, begin_on_server, close, told
from cortez.core.db.driver import commit as commit_transaction
from cortez.core.db.instrumentation import SLOW, watch_statements, watch_transactions, watched
from cortez.core.db.lending import ALONE, CLEAN, ReadingSession
from cortez.core.db.replica import ANSWER, POSITION, Replica
from cortez.settings import Settings

T = TypeVar("T")

TURN, SINCE = "turn", "since"  # whose turn to write it is, among those of this process, and when that write began
BEFORE_COMMIT, HELD = "before_commit", "held"

BeforeCommit = Callable[[AsyncSession], Awaitable[None]]


class Database:
    """The engine and its session factories.

    `reading` sessions hold no transaction (one round trip a statement); `writing` sessions begin at their first
    statement, on SQLite with the write lock. A request passes the `gate` before it takes a session.
    """

    def __init__(self, settings: Settings, before_commit: BeforeCommit | None = None, actor: str = "service") -> None:
        """`before_commit` runs in each unit of work, and brings up to date what follows from its changes."""
        self.settings = settings
        self.gate = Gate(settings.db_pool_size + settings.db_max_overflow)
        info: dict[str, Any] = {ACTOR: (actor, None)}
        if before_commit:
            info[BEFORE_COMMIT] = before_commit
        self.is_sqlite = settings.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(settings) if self.is_sqlite else _postgresql(settings)
        read_url = settings.read_url
        self.replica = Replica(_replica(settings, read_url), self.engine) if read_url else None
        alone: dict[str, Any] = {ALONE: True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        reader = self.engine.execution_options(**alone)
        begins = take_turns(self.engine, settings.db_lock_timeout) if self.is_sqlite else begin_on_server
        writer = self.engine.execution_options(**{BEGIN: begins})
        if not self.is_sqlite:
            tell_the_audit_log(writer)
        watch_transactions(writer)
        session = partial(AsyncSession, expire_on_commit=False)
        self.reading = partial(session, bind=reader, sync_session_class=ReadingSession)
        self.writing = partial(session, bind=writer, sync_session_class=WritingSession, info=info)

    @asynccontextmanager
    async def session(self, *, writes: bool) -> AsyncGenerator[AsyncSession]:
        """A session that is closed in the end, whatever happens, if it was not before."""
        session = (self.writing if writes else self.reading)()
        try:
            yield session
        finally:
            sync: Any = session.sync_session
            if sync.is_open:
                async with session:  # whatever happens meanwhile
                    pass
            elif sync.lent:
                await close(session)

    @asynccontextmanager
    async def unit(self) -> AsyncGenerator[AsyncSession]:
        """A unit of work outside a request: commits at the end, rolls back when an exception leaves it."""
        async with self.writing() as session:
            yield session
            await commit(session)

    async def read(self, ask: Callable[[AsyncSession], Awaitable[T]], position: str | None) -> T:
        """What `ask` finds, on a session of its own: at the replica where that has come so far, else at the primary."""
        if self.replica:
            async with self.reading(info={POSITION: position}) as session:
                if await self.replica.take_over(session):
                    try:
                        return await ask(session)
                    except Exception as error:
                        if not self.replica.must_give_way(error):
                            raise
        async with self.reading() as session:
            return await ask(session)

    async def close(self) -> None:
        await self.engine.dispose()
        if self.replica:
            await self.replica.engine.dispose()


async def commit(session: AsyncSession) -> None:
    """Commit, with what follows from the changes; where that fails, all of it is rolled back.

    The explicit rollback matters: after a COMMIT that SQLite refuses, closing alone would hand the connection back
    with the transaction open, and the next unit's commit would save these rows.
    """
    try:
        before_commit: BeforeCommit | None = session.info.get(BEFORE_COMMIT)
        if before_commit:
            await before_commit(session)
        await commit_transaction(session)
    except BaseException:
        await session.rollback()
        raise


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _pool(settings: Settings) -> dict[str, Any]:
    return {
        "pool_size": settings.db_pool_size,
        "max_overflow": settings.db_max_overflow,
        "pool_timeout": settings.db_pool_timeout,
        "pool_recycle": settings.db_pool_recycle,
        "pool_use_lifo": True,
        "hide_parameters": True,
        "execution_options": {SLOW: settings.slow_query},
        "json_serializer": _encode,
        "json_deserializer": msgspec.json.decode,
    }


def _replica(settings: Settings, url: URL) -> AsyncEngine:
    """Not asked before use, unlike the primary: each read begins with a question. Where no answer comes, it is gone."""
    limits = {"timeout": min(ANSWER, settings.db_connect_timeout), "command_timeout": settings.db_statement_timeout + 1}
    engine = create_async_engine(url, connect_args=connect_args(settings) | limits, **_pool(settings))
    watch_statements(engine)
    return engine


def _postgresql(settings: Settings) -> AsyncEngine:
    engine = create_async_engine(settings.url, connect_args=connect_args(settings), **_pool(settings))
    _ping_after_idleness(engine, settings.db_pre_ping_idle)
    watch_statements(engine)
    return engine


def connect_args(settings: Settings) -> dict[str, Any]:
    """What asyncpg is told; behind PgBouncer the timeouts come from the role instead, and nothing is cached."""
    if settings.db_pgbouncer:
        return {
            "timeout": settings.db_connect_timeout,
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
        }
    return {
        "timeout": settings.db_connect_timeout,
        "server_settings": {
            "application_name": "cortez",
            "statement_timeout": _milliseconds(settings.db_statement_timeout),
            "lock_timeout": _milliseconds(settings.db_lock_timeout),
            "idle_in_transaction_session_timeout": _milliseconds(settings.db_statement_timeout),
            "jit": "off",
        },
    }


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))


def _ping_after_idleness(engine: AsyncEngine, idle: float) -> None:
    """Ask a connection only if it was idle: a ping costs three flights, and one just used is alive."""

    @event.listens_for(engine.sync_engine, "checkin")
    def stamp(connection: Any, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def ping(connection: Any, record: Any, proxy: Any) -> None:
        since = record.info.get("idle_since")
        if since is None or time.monotonic() - since < idle:
            return
        try:
            engine.dialect.do_ping(connection)
        except Exception as error:
            raise DisconnectionError from error


def _sqlite(settings: Settings) -> AsyncEngine:
    if settings.url.database:
        Path(settings.url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        settings.url,
        connect_args={"timeout": settings.db_lock_timeout, "factory": EmbeddedConnection},
        pool_reset_on_return=None,  # see prepare_sqlite
        **_pool(settings),
    )
    prepare_sqlite(engine)
    watch_statements(engine)
    return engine


class EmbeddedConnection(sqlite3.Connection):
    """Closes its cursors with itself: one with rows unread would keep the transaction, and the write lock, open.

    Where a request was cancelled, its traceback holds such a cursor until somebody looks for garbage.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        cursor = super().cursor(*args, **kwargs)
        self.cursors.add(cursor)
        return cursor

    def close(self) -> None:
        while self.cursors:
            self.cursors.pop().close()
        super().close()


# What is erased must not lie on in the file's free pages.
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON", "secure_delete=ON")


def take_turns(engine: AsyncEngine, patience: float) -> Begin:
    """Begins a transaction that writes, with the lock; the writers of this process queue here, one principal in turn.

    In front of its lock SQLite only asks again, later and later. A writer that has waited too long for a turn goes on
    to ask SQLite, which says so. Other processes are met there, as ever.

    While other principals write, a person pauses after each write for as long as it took. Without that, a client that
    writes in a loop takes every other turn, and each other writer has to wait for one of its writes.
    """
    turns, immediate, company = Turns(1, MOST_WAITING), immediately(engine), Company()

    async def wait(whose: str) -> str | None:
        company.note(whose)
        with suppress(TimeoutError, Crowded):
            await turns.take(whose, 1, patience)
            return whose
        return None

    async def begin(pooled: Any) -> None:
        admission = ADMISSION.get()
        pooled.info[TURN] = await wait(admission.whose if admission else "")
        await immediate(pooled)
        pooled.info[SINCE] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkin")
    def give(connection: Any, record: Any) -> None:
        whose, since = record.info.pop(TURN, None), record.info.pop(SINCE, None)
        if whose is None:
            return
        rests = since is not None and whose.startswith(PERSON) and company.is_shared(whose)
        turns.release(whose, time.monotonic() - since if rests else 0.0)

    return begin


def immediately(engine: AsyncEngine) -> Begin:
    """Begins a transaction with the lock of those that write."""

    async def begin(pooled: Any) -> None:
        await begin_embedded(engine.sync_engine, pooled, "BEGIN IMMEDIATE")

    return begin


async def begin_embedded(engine: Engine, pooled: Any, statement: str) -> None:
    try:
        with watched(engine, pooled, statement, ()) as (text, values):
            await pooled.driver_connection.execute_fetchall(text, values)  # one way to its thread; a cursor takes four
    except sqlite3.Error as error:
        raise told(error, statement) from error


def prepare_sqlite(engine: AsyncEngine) -> None:
    """WAL, full durability, foreign keys; and transactions that we begin ourselves, not the driver."""

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        add_functions(connection, record.info)

    @event.listens_for(engine.sync_engine, "reset")
    def roll_back(connection: Any, record: Any, state: PoolResetState) -> None:
        if not (record.info.pop(CLEAN, False) or state.transaction_was_reset or state.terminate_only):
            connection.rollback()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        options, pooled = connection.get_execution_options(), connection.connection
        if options.get(ALONE, False) or pooled.driver_connection is None:
            return
        begins: Begin | None = options.get(BEGIN)
        await_only(begins(pooled) if begins else begin_embedded(connection.engine, pooled, "BEGIN"))


@event.listens_for(WritingSession, "after_begin")
def note_connection(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    session.info[HELD] = connection.info


@event.listens_for(WritingSession, "after_commit")
def need_no_rollback(session: Session) -> None:
    """It has none where nothing was done."""
    if held := session.info.pop(HELD, None):
        held[CLEAN] = True

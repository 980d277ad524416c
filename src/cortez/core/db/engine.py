"""The engine, made once per process, and the units of work on it: those that read, and those that write."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from cortez.core.concurrency.admission import Gate
from cortez.core.db.audit_context import SERVICE, Author
from cortez.core.db.instrumentation import SLOW, watch_statements
from cortez.core.db.replica import ANSWER, POSITION, Replica
from cortez.core.db.sqlite import EmbeddedConnection, prepare_sqlite
from cortez.core.db.types import ColumnValue
from cortez.core.db.unit_of_work import BeforeCommit, UnitOfWork, unit_of
from cortez.core.db.write_turns import WriteTurns
from cortez.core.typing import JsonObject
from cortez.settings import Settings

T = TypeVar("T")


class Database:
    """The engine and its units of work. A request passes the `gate` before it takes one."""

    def __init__(self, settings: Settings, before_commit: BeforeCommit | None = None, author: Author = SERVICE) -> None:
        """`before_commit` runs in each unit of work, and brings up to date what follows from its changes."""
        self.settings = settings
        self.gate = Gate(settings.db_pool_size + settings.db_max_overflow)
        self.is_sqlite = settings.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(settings) if self.is_sqlite else _postgresql(settings)
        read_url = settings.read_url
        self.replica = Replica(_replica(settings, read_url), self.engine) if read_url else None
        turns = WriteTurns(settings.db_lock_timeout) if self.is_sqlite else None
        self.reader = partial(UnitOfWork, self.engine, writes=False)
        self.writer = partial(
            UnitOfWork, self.engine, writes=True, author=author, turns=turns, before_commit=before_commit
        )

    def session(self, *, writes: bool) -> UnitOfWork:
        """`async with` gives a session. It is closed in the end, and what its unit of work did not commit is undone."""
        return self.writer() if writes else self.reader()

    def reading(self) -> UnitOfWork:
        return self.session(writes=False)

    @asynccontextmanager
    async def unit(self) -> AsyncGenerator[AsyncSession]:
        """A unit of work outside a request: commits at the end, rolls back when an exception leaves it."""
        async with self.session(writes=True) as session:
            yield session
            await unit_of(session).commit()

    async def read(self, ask: Callable[[AsyncSession], Awaitable[T]], position: str | None) -> T:
        """What `ask` finds, on a session of its own: at the replica where that has come so far, else at the primary."""
        if self.replica:
            async with self.reading() as session:
                session.info[POSITION] = position
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


def _encode(value: ColumnValue) -> str:
    return msgspec.json.encode(value).decode()


def _pool(settings: Settings) -> dict[str, Any]:
    return {
        "pool_size": settings.db_pool_size,
        "max_overflow": settings.db_max_overflow,
        "pool_timeout": settings.db_pool_timeout,
        "pool_recycle": settings.db_pool_recycle,
        "pool_use_lifo": True,
        "pool_reset_on_return": None,  # a unit of work leaves nothing open
        "skip_autocommit_rollback": True,
        "hide_parameters": True,
        "execution_options": {SLOW: settings.slow_query},
        "json_serializer": _encode,
        "json_deserializer": msgspec.json.decode,
    }


def _replica(settings: Settings, url: URL) -> AsyncEngine:
    """Not asked before use, unlike the primary: each read begins with a question. Where no answer comes, it is gone."""
    limits = {"timeout": min(ANSWER, settings.db_connect_timeout), "command_timeout": settings.db_statement_timeout + 1}
    engine = _at_server(settings, url, limits)
    watch_statements(engine)
    return engine


def _postgresql(settings: Settings) -> AsyncEngine:
    engine = _at_server(settings, settings.url, {})
    _hand_out_the_living(engine, settings.db_pre_ping_idle)
    watch_statements(engine)
    return engine


def _at_server(settings: Settings, url: URL, limits: Mapping[str, float]) -> AsyncEngine:
    """PostgreSQL, where no transaction begins but one that is asked for by BEGIN."""
    given = {**connect_args(settings), **limits}
    return create_async_engine(url, connect_args=given, isolation_level="AUTOCOMMIT", **_pool(settings))


def connect_args(settings: Settings) -> JsonObject:
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


def _hand_out_the_living(engine: AsyncEngine, idle: float) -> None:
    """Replace connections that are known to be closed, and those that were idle and do not answer.

    Asking costs a flight, so one that was just used is not asked.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def stamp(connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def look(connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
        if record.driver_connection.is_closed():  # type: ignore[union-attr]  # asyncpg's
            raise InvalidatePoolError  # the others have been there as long, and whatever closed it may have closed them
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
        **_pool(settings),
    )
    prepare_sqlite(engine)
    watch_statements(engine)
    return engine

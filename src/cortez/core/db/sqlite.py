"""SQLite, the embedded database: how each of its connections is set."""

import sqlite3
from typing import Any
from weakref import WeakSet

from sqlalchemy import event
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from cortez.core.db.audit_context import add_functions

# What is erased must not lie on in the file's free pages.
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON", "secure_delete=ON")


class EmbeddedConnection(sqlite3.Connection):
    """Closes its cursors with itself: one with rows unread would keep the transaction, and the write lock, open.

    Where a request was cancelled, its traceback holds such a cursor until the garbage collector runs.
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


def prepare_sqlite(engine: AsyncEngine) -> None:
    """WAL, full durability, foreign keys; and no transaction but one that is asked for by BEGIN."""

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: AsyncAdapt_aiosqlite_connection, record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        add_functions(connection, record.info)


def begin_each(engine: AsyncEngine, statement: str = "BEGIN") -> None:
    """Begin each transaction of SQLAlchemy's with this statement, where it and not a unit of work owns them."""

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

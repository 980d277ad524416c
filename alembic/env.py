"""Runs the revisions: asynchronous, one deployer at a time, with timeouts, one transaction per revision."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.runtime.migration import MigrationStep
from alembic.util import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from cortez import settings as configuration
from cortez import tables
from cortez.data_loss import FLAG, refuse_losses
from cortez.database import IMMEDIATE, prepare_sqlite
from cortez.db import UtcDateTime
from cortez.schema_changes import LOCK_TIMEOUT, insist

# Any number, the same for every deployer; PostgreSQL keeps session locks by number.
LOCK = 0x636F7274657A
STATEMENT_TIMEOUT = "15min"
DEPLOYER_POLL = 0.1  # seconds
EMBEDDED_PATIENCE = 900.0  # seconds that a deployer waits for another on SQLite
REMAKING = (
    "PRAGMA foreign_keys=OFF",
    "PRAGMA legacy_alter_table=ON",
)  # for SQLite, which changes a table by making it anew


def render_type(kind: str, item: Any, context_: Any) -> str | bool:
    """Revisions name plain types: they must still run when the models have moved on."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.JSON):
        context_.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


OPTIONS: dict[str, Any] = {
    "render_item": render_type,
    "target_metadata": tables.metadata,
    "compare_type": True,
    "compare_server_default": True,
    "transaction_per_migration": True,
}


def address() -> URL:
    given: URL | None = context.config.attributes.get("url")
    return given or configuration.load().migration_url


def planned(connection: Connection) -> list[MigrationStep]:
    """What the command asks for, worked out once: `+1` must not move when it is tried again."""
    configure(connection)
    migration = context.get_context()
    steps: list[MigrationStep] = list(migration.opts["fn"](migration.get_current_heads(), migration))
    if context.get_x_argument(as_dictionary=True).get(FLAG) != "yes":
        refuse_losses(connection, steps)
    return steps


def configure(connection: Connection, **options: Any) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    context.configure(connection=connection, render_as_batch=is_sqlite, **OPTIONS, **options)


def migrate_embedded(connection: Connection) -> None:
    """All of it in one transaction, which holds the only lock that SQLite has."""
    with connection.begin():
        steps = planned(connection)
        configure(connection, fn=lambda heads, migration: steps)
        context.run_migrations()
        if orphans := connection.execute(text("PRAGMA foreign_key_check")).all():
            raise RuntimeError(f"Rows without their parent: {orphans[:10]}")


def migrate_locked(connection: Connection) -> None:
    """A revision for which a lock was not free is rolled back, and tried again."""
    with one_deployer(connection):
        steps = planned(connection)
        connection.rollback()
        while True:
            insist(partial(take, connection, steps[:1]))
            del steps[:1]
            if not steps:
                break


def take(connection: Connection, steps: list[MigrationStep]) -> None:
    configure(connection, fn=lambda heads, migration: steps)
    try:
        context.run_migrations()
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


@contextmanager
def one_deployer(connection: Connection) -> Iterator[None]:
    """Under a session lock that outlives the single transactions, so that parallel deployers wait for each other.

    Asked for again and again: a statement that waited for it would hold a snapshot, and CREATE INDEX CONCURRENTLY in
    the deployer that has the lock waits for every older snapshot.
    """
    taken = text("SELECT pg_try_advisory_lock(:key)")
    while not connection.scalar(taken, {"key": LOCK}):
        connection.rollback()
        time.sleep(DEPLOYER_POLL)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
        connection.commit()


def offline() -> None:
    """Print the SQL instead of running it."""
    url = address()
    if url.get_backend_name() == "sqlite":
        print_embedded()
        return
    named = {"paramstyle": "named"}  # others double every %, which functions use
    context.configure(url=url, literal_binds=True, dialect_opts=named, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


def print_embedded() -> None:
    """SQLite makes a table anew from what is there: the revisions run on a database in memory, and that is printed."""
    context.configure(url="sqlite://", **OPTIONS)
    migration = context.get_context()
    start = migration.get_current_heads()
    wanted = migration.opts["fn"](start, migration)
    migration.opts.update(as_sql=False, starting_rev=None)  # the next context is one that runs
    with sa.create_engine("sqlite://").connect() as connection:
        for pragma in REMAKING:
            connection.exec_driver_sql(pragma)
        if start:
            rehearse(connection, context.script._upgrade_revs(start[0], "base"))
        event.listen(connection, "before_cursor_execute", print_change)
        context.static_output("\n".join(f"{line};" for line in (*REMAKING, "BEGIN IMMEDIATE")))
        rehearse(connection, wanted)
        context.static_output("COMMIT;")


def rehearse(connection: Connection, steps: Iterable[MigrationStep]) -> None:
    configure(connection, fn=lambda heads, migration: steps)
    context.run_migrations()
    connection.commit()


def print_change(connection: Any, cursor: Any, statement: str, values: Any, *more: object) -> None:
    if statement.split()[0].upper() not in {"SELECT", "PRAGMA"}:
        if values:
            raise CommandError(f"Write the values into the statement, so that it can be printed: {statement}")
        context.static_output(statement.strip() + ";")


def sqlite(url: URL) -> AsyncEngine:
    """SQLite changes a table by making it anew.

    Dropping the old one must not delete the rows that hang on it, and what names it must not be read while it is gone.
    """
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": EMBEDDED_PATIENCE})
    prepare_sqlite(engine)

    @event.listens_for(engine.sync_engine, "connect")
    def off(connection: Any, record: Any) -> None:
        for pragma in REMAKING:
            connection.execute(pragma)

    return engine.execution_options(**{IMMEDIATE: True})


def postgresql(url: URL) -> AsyncEngine:
    timeouts = {"lock_timeout": LOCK_TIMEOUT, "statement_timeout": STATEMENT_TIMEOUT}
    return create_async_engine(url, poolclass=NullPool, connect_args={"server_settings": timeouts})


async def online() -> None:
    url = address()
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = sqlite(url) if is_sqlite else postgresql(url)
    async with engine.connect() as connection:
        await connection.run_sync(migrate_embedded if is_sqlite else migrate_locked)
    await engine.dispose()


if context.is_offline_mode():
    offline()
else:
    asyncio.run(online())

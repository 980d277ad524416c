"""Runs the revisions: asynchronous, one deployer at a time, with timeouts.

PostgreSQL commits after each revision, under a lock that spans them. SQLite has no lock but a transaction's, so all
revisions are one.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationStep
from alembic.util import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.engine import URL, ExecutionContext
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool
from sqlalchemy.schema import SchemaItem

from cortez import tables
from cortez.core.compat import steps_to
from cortez.core.db import diagnostics
from cortez.core.db.sqlite import begin_each, prepare_sqlite
from cortez.core.db.types import AnyType, UtcDateTime, Values
from cortez.core.migrations import grants, runner
from cortez.core.migrations.downgrade_guard import FLAG, refuse_losses
from cortez.core.migrations.operations import EMBEDDED_PATIENCE, LOCK_TIMEOUT, insist
from cortez.core.migrations.revisions import AHEAD
from cortez.settings import Settings, SettingsError, load

# Any number, the same for every deployer; PostgreSQL keeps session locks by number.
LOCK = 0x636F7274657A
STATEMENT_TIMEOUT = "15min"
DEPLOYER_POLL = 0.1  # seconds
REMAKING = (
    "PRAGMA foreign_keys=OFF",
    "PRAGMA legacy_alter_table=ON",
)  # for SQLite, which changes a table by making it anew


def render_type(kind: str, item: AnyType | SchemaItem, context_: AutogenContext) -> str | bool:
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


say: Callable[[str], None] = context.config.attributes.get("say", print)


def given_settings() -> Settings:
    """Those of our own command, else of the environment."""
    try:
        return context.config.attributes.get("settings") or load()
    except SettingsError as error:
        raise CommandError(str(error)) from None


def planned(connection: Connection) -> list[MigrationStep]:
    """What the command asks for, worked out once: `+1` must not move when it is tried again."""
    configure(connection)
    migration = context.get_context()
    known = {one.revision for one in context.script.walk_revisions()}
    for unknown in set(migration.get_current_heads()) - known:
        raise CommandError(AHEAD.format(unknown))
    steps: list[MigrationStep] = list(migration.opts["fn"](migration.get_current_heads(), migration))
    if context.get_x_argument(as_dictionary=True).get(FLAG) != "yes":
        refuse_losses(connection, steps)
    return steps


def configure(connection: Connection, **options: Any) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    context.configure(connection=connection, render_as_batch=is_sqlite, **OPTIONS, **options)


def migrate_embedded(connection: Connection) -> None:
    """All of it in one transaction, which holds the only lock that SQLite has."""
    done: list[str] = []  # nothing is until all is
    with connection.begin():
        steps = planned(connection)
        applied = runner.Progress(done.append).applied
        configure(connection, fn=lambda heads, migration: steps, on_version_apply=applied)
        context.run_migrations()
        if orphans := connection.execute(text("PRAGMA foreign_key_check")).all():
            raise RuntimeError(f"Rows without their parent: {orphans[:10]}")
    for line in done:
        say(line)


def migrate_locked(connection: Connection) -> None:
    """A revision for which a lock was not free is rolled back, and tried again."""
    with one_deployer(connection):
        steps = planned(connection)
        connection.rollback()
        applied = runner.Progress(say).applied
        while True:
            insist(partial(take, connection, steps[:1], applied))
            del steps[:1]
            if not steps:
                break
        grant(connection)


def take(connection: Connection, steps: list[MigrationStep], applied: Callable[..., None]) -> None:
    configure(connection, fn=lambda heads, migration: steps, on_version_apply=applied)
    try:
        context.run_migrations()
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def granted() -> str:
    """The role that serves, where one was named."""
    return str(context.config.attributes.get("grant_to") or "")


def grant(connection: Connection) -> None:
    if role := granted():
        grants.refuse_owner(connection, role)
        for statement in grants.statements(role):
            connection.exec_driver_sql(statement)
        connection.commit()


@contextmanager
def one_deployer(connection: Connection) -> Iterator[None]:
    """Under a session lock that outlives the single transactions, so that parallel deployers wait for each other.

    Asked for again and again: a statement that waited for it would hold a snapshot, and CREATE INDEX CONCURRENTLY in
    the deployer that has the lock waits for every older snapshot.
    """
    taken, is_told = text("SELECT pg_try_advisory_lock(:key)"), False
    while not connection.scalar(taken, {"key": LOCK}):
        connection.rollback()
        if not is_told:
            say("Another deployer is migrating; waiting for it.")
            is_told = True
        time.sleep(DEPLOYER_POLL)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
        connection.commit()


def offline(url: URL) -> None:
    """Print the SQL instead of running it."""
    if url.get_backend_name() == "sqlite":
        print_embedded()
        return
    named = {"paramstyle": "named"}  # others double every %, which functions use
    context.configure(url=url, literal_binds=True, dialect_opts=named, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
    if role := granted():
        context.static_output("\n".join(f"{statement};" for statement in grants.statements(role)))


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
            rehearse(connection, steps_to(context.script, start[0], "base"))
        event.listen(connection, "before_cursor_execute", print_change)
        context.static_output("\n".join(f"{line};" for line in (*REMAKING, "BEGIN IMMEDIATE")))
        rehearse(connection, wanted)
        context.static_output("COMMIT;")


def rehearse(connection: Connection, steps: Iterable[MigrationStep]) -> None:
    configure(connection, fn=lambda heads, migration: steps)
    context.run_migrations()
    connection.commit()


def print_change(
    connection: Connection, cursor: DBAPICursor, statement: str, values: Values, context_: ExecutionContext, many: bool
) -> None:
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
    begin_each(engine, "BEGIN IMMEDIATE")

    @event.listens_for(engine.sync_engine, "connect")
    def off(connection: AsyncAdapt_aiosqlite_connection, record: ConnectionPoolEntry) -> None:
        for pragma in REMAKING:
            connection.execute(pragma)

    return engine


def postgresql(url: URL, patience: float) -> AsyncEngine:
    timeouts = {"lock_timeout": LOCK_TIMEOUT, "statement_timeout": STATEMENT_TIMEOUT}
    own = {"timeout": patience, "server_settings": timeouts}
    return create_async_engine(url, poolclass=NullPool, connect_args=own)


async def online(url: URL, settings: Settings) -> None:
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = sqlite(url) if is_sqlite else postgresql(url, settings.db_connect_timeout)
    async with engine.connect() as connection:
        await connection.run_sync(migrate_embedded if is_sqlite else migrate_locked)
    await engine.dispose()


def make_file(url: URL) -> None:
    """Where it cannot be made this says why; SQLite does not.

    One that is there is left alone: closing it would give up every lock that this process holds on it, SQLite's too.
    """
    file = Path(url.database or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.open("ab").close()


def run(settings: Settings) -> None:
    """Raises CommandError with one line where the database is at fault."""
    url = settings.migration_url
    if url.get_backend_name() == "sqlite" and granted():
        raise CommandError("SQLite has no roles. Leave --grant-to out.")
    if context.is_offline_mode():
        return offline(url)
    try:
        if url.get_backend_name() == "sqlite":
            make_file(url)
        asyncio.run(online(url, settings))
    except Exception as error:
        if line := diagnostics.told(error, url):
            raise CommandError(line) from error
        raise


run(given_settings())

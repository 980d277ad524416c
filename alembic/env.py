"""Runs the revisions: asynchronous, one deployer at a time, with timeouts.

PostgreSQL commits after each revision, under a lock that spans them. SQLite has no lock but a transaction's, so all
revisions are one.
"""

import asyncio
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from cortez import faults, migrations, tables
from cortez.database import prepare_sqlite
from cortez.db import UtcDateTime
from cortez.settings import Settings, SettingsError, load

# Any number, the same for every deployer; PostgreSQL keeps session locks by number.
LOCK = 0x636F7274657A
STATEMENT_TIMEOUT = "15min"


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
}


def given_settings() -> Settings:
    """Those of our own command, else of the environment."""
    try:
        return context.config.attributes.get("settings") or load()
    except SettingsError as error:
        raise CommandError(str(error)) from None


say = context.config.attributes.get("say", print)


def offline(url: URL) -> None:
    """Print the SQL instead of running it."""
    if url.get_backend_name() == "sqlite":
        raise CommandError(
            "SQLite's tables are made anew from those that are there, so their SQL is not known before. "
            "To see what happens, migrate a copy of the file."
        )
    context.configure(
        url=url.set(drivername=url.get_backend_name()), literal_binds=True, transaction_per_migration=True, **OPTIONS
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate(connection: Connection) -> None:
    found = migrations.revision_of(connection)
    connection.rollback()  # within a transaction that is open already alembic would leave committing to us
    if migrations.is_ahead(found):
        raise CommandError(str(migrations.complaint(found)))
    is_sqlite = connection.dialect.name == "sqlite"
    done: list[str] = []  # on SQLite nothing is until all is
    context.configure(
        connection=connection,
        render_as_batch=is_sqlite,
        transactional_ddl=True,  # on SQLite too: its transactions are ours, not the driver's
        transaction_per_migration=not is_sqlite,
        on_version_apply=migrations.Progress(done.append if is_sqlite else say).applied,
        **OPTIONS,
    )
    with context.begin_transaction():
        context.run_migrations()
        if is_sqlite:
            refuse_orphans(connection)
    for line in done:
        say(line)


def spare_children(engine: AsyncEngine) -> None:
    """SQLite changes a table by making it anew; dropping the old one must not delete the rows that hang on it."""

    @event.listens_for(engine.sync_engine, "connect")
    def off(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys=OFF")


def refuse_orphans(connection: Connection) -> None:
    if orphans := connection.execute(text("PRAGMA foreign_key_check")).all():
        raise RuntimeError(f"Rows without their parent: {orphans[:10]}")


def migrate_locked(connection: Connection, lock_timeout: float) -> None:
    """Under a session lock that outlives the single transactions, so that parallel deployers wait for each other."""
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
    if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
        say("Another deployer is migrating; waiting for it.")
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
    connection.execute(text(f"SET lock_timeout = {round(lock_timeout * 1000)}"))
    connection.commit()
    try:
        migrate(connection)
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
        connection.commit()


async def online(url: URL, settings: Settings) -> None:
    is_sqlite = url.get_backend_name() == "sqlite"
    patience = settings.db_lock_timeout if is_sqlite else settings.db_connect_timeout
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": patience})
    if is_sqlite:
        prepare_sqlite(engine)
        spare_children(engine)
        engine = engine.execution_options(immediate=True)
    async with engine.connect() as connection:
        if is_sqlite:
            await connection.run_sync(migrate)
        else:
            await connection.run_sync(migrate_locked, settings.db_lock_timeout)
        await connection.commit()
    await engine.dispose()


def make_file(url: URL) -> None:
    """Where it cannot be made, or opened, this says why; SQLite does not."""
    file = Path(url.database or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.open("ab").close()


def run(settings: Settings) -> None:
    """Raises CommandError with one line where the database is at fault."""
    url = settings.migration_url
    if context.is_offline_mode():
        return offline(url)
    try:
        if url.get_backend_name() == "sqlite":
            make_file(url)
        asyncio.run(online(url, settings))
    except Exception as error:
        if line := faults.told(error, url):
            raise CommandError(line) from error
        raise


run(given_settings())

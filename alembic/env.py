"""Runs the revisions: asynchronous, one deployer at a time, with timeouts, one transaction per revision."""

import asyncio
from typing import Any

import sqlalchemy as sa
from alembic import context
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from cortez import settings as configuration
from cortez import tables
from cortez.database import prepare_sqlite
from cortez.db import UtcDateTime

# Any number, the same for every deployer; PostgreSQL keeps session locks by number.
LOCK = 0x636F7274657A
LOCK_TIMEOUT, STATEMENT_TIMEOUT = "5s", "15min"


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


def offline() -> None:
    """Print the SQL instead of running it."""
    url = address()
    context.configure(url=url.set(drivername=url.get_backend_name()), literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


def migrate(connection: Connection) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    context.configure(connection=connection, render_as_batch=is_sqlite, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


def spare_children(engine: AsyncEngine) -> None:
    """SQLite changes a table by making it anew; dropping the old one must not delete the rows that hang on it."""

    @event.listens_for(engine.sync_engine, "connect")
    def off(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys=OFF")


def migrate_embedded(connection: Connection) -> None:
    migrate(connection)
    if orphans := connection.execute(text("PRAGMA foreign_key_check")).all():
        raise RuntimeError(f"Rows without their parent: {orphans[:10]}")


def migrate_locked(connection: Connection) -> None:
    """Under a session lock that outlives the single transactions, so that parallel deployers wait for each other."""
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
    connection.commit()
    try:
        migrate(connection)
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
        connection.commit()


async def online() -> None:
    url = address()
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = create_async_engine(url, poolclass=NullPool)
    if is_sqlite:
        prepare_sqlite(engine)
        spare_children(engine)
        engine = engine.execution_options(immediate=True)
    async with engine.connect() as connection:
        await connection.run_sync(migrate_embedded if is_sqlite else migrate_locked)
        await connection.commit()
    await engine.dispose()


if context.is_offline_mode():
    offline()
else:
    asyncio.run(online())

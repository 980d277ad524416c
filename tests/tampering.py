"""An owner of the database who puts the triggers out of the way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from cortez.core.db.engine import Database


@asynccontextmanager
async def unguarded(database: Database) -> AsyncIterator[AsyncConnection]:
    """A connection on which no trigger of the audit log acts; what was done on it stays."""
    async with database.engine.connect() as connection:
        if database.is_sqlite:
            triggers = (
                await connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
            ).all()
            for one in triggers:
                await connection.execute(text(f"DROP TRIGGER {one.name}"))
            yield connection
            for one in triggers:
                await connection.exec_driver_sql(one.sql)
        else:
            await connection.execute(text("SET session_replication_role = replica"))
            yield connection
            await connection.execute(text("SET session_replication_role = origin"))
        await connection.commit()

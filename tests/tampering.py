"""An owner of the database who puts the triggers out of the way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.db.engine import Database


@asynccontextmanager
async def unguarded(database: Database) -> AsyncIterator[AsyncSession]:
    """A session on whose connection no trigger of the audit log acts; what was done there stays."""
    async with database.unit() as session:
        connection = await session.connection()
        if database.is_sqlite:
            triggers = (
                await connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
            ).all()
            for one in triggers:
                await connection.execute(text(f"DROP TRIGGER {one.name}"))
            yield session
            for one in triggers:
                await connection.exec_driver_sql(one.sql)
        else:
            await connection.execute(text("SET session_replication_role = replica"))
            yield session
            await connection.execute(text("SET session_replication_role = origin"))

"""INSERT with ON CONFLICT, which each database has in a dialect of its own."""

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.db.base import Base
from cortez.core.db.unit_of_work import unit_of


def insert_into(session: AsyncSession, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT for the session's database, with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return sqlite.insert(table) if unit_of(session).is_embedded else postgresql.insert(table)

"""Every query is served by an index, and every index serves one (M6)."""

import pytest
from litestar import Litestar

from cortez.core.db.engine import Database
from factory import Make
from plans import everything, faults, idle, plan


@pytest.mark.requirement("M6")
async def test_each_query_has_its_index_and_each_index_its_query(app: Litestar, make: Make, database: Database) -> None:
    sent = await everything(app, make)
    used: set[str] = set()
    unserved: dict[str, set[str]] = {}
    async with database.session(writes=True) as session:
        connection = await session.connection()
        if not database.is_sqlite:
            await connection.exec_driver_sql("ANALYZE")  # what was asked has written, too
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for one in sent:
            found = await plan(connection, one)
            used |= found.used
            if scanned := faults(one, found):
                unserved[one.call] = scanned
    assert len(sent) > 500
    assert unserved == {}
    assert database.is_sqlite or idle(used) == []

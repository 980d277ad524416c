"""Kept statements on the driver: they find, raise and take part in transactions as SQLAlchemy's own execution does."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from cortez.accounts.models import ApiKey, Course
from cortez.database import Database, commit
from cortez.db import ListOf, utc_now, within
from cortez.driver import fetch
from cortez.errors import sqlstate
from cortez.sessions.repository import SESSIONS
from cortez.statements import Kept
from cortez.traces.repository import SHOWN, TRACES
from factory import Make
from watching import statements

COURSES = Course.__table__
TITLES = Kept(select(COURSES.c.title).where(COURSES.c.course_id == bindparam("key")))
STORE = Kept(insert(Course).values({column.name: bindparam(column.name) for column in COURSES.c}))
WAIT, PID = Kept(select(func.pg_sleep(30))), Kept(select(func.pg_backend_pid().label("pid")))


def lent(database: Database) -> int:
    """Connections that are not in the pool."""
    pool: Any = database.engine.pool
    count: int = pool.checkedout()
    return count


def row(key: str) -> dict[str, Any]:
    given = {"id": uuid4(), "course_id": key, "title": "Kept", "created_at": utc_now(), "updated_at": utc_now()}
    return {column.name: given.get(column.name) for column in COURSES.c}


async def titles(database: Database, key: str) -> list[str]:
    async with database.reading() as session:
        return [found.title for found in await fetch(session, TITLES, {"key": key})]


async def test_rows_are_those_of_a_session(make: Make, database: Database) -> None:
    """Ids, instants, figures, documents decoded and not, and nothing: each column of traces and sessions."""
    one = await make.session()
    await make.trace(one, context={"ñ": [1, None, {"a": 0.5}]}, ai_involvement=0.25)
    for columns, table in ((SHOWN, TRACES), (list(TRACES.c), TRACES), (list(SESSIONS.c), SESSIONS)):
        statement = select(*columns).where(within(table.c.id, bindparam("ids", type_=ListOf(table.c.id.type))))
        async with database.reading() as session:
            values = {"ids": list(await session.scalars(select(table.c.id)))}
            theirs = list(await session.execute(statement, values))
        async with database.reading() as session:
            ours = await fetch(session, Kept(statement), values)
        assert [tuple(found) for found in ours] == [tuple(found) for found in theirs] != []
        assert all(isinstance(mine, type(other)) for mine, other in zip(ours[0], theirs[0], strict=True))
        assert ours[0]._fields == tuple(theirs[0]._fields)


async def test_one_text_serves_any_number_of_values(make: Make, database: Database) -> None:
    made = [await make.course() for _ in range(5)]
    kept = Kept(
        select(COURSES.c.course_id).where(
            within(COURSES.c.course_id, bindparam("keys", type_=ListOf(COURSES.c.course_id.type)))
        )
    )
    async with database.reading() as session:
        for wanted in ([], made[:1], made):
            assert sorted(found.course_id for found in await fetch(session, kept, {"keys": wanted})) == wanted
    with pytest.raises(TypeError, match="one text"):
        Kept(select(COURSES.c.id).where(COURSES.c.course_id.in_(made))).form(database.engine.dialect)


async def test_a_missing_value_is_no_null(database: Database) -> None:
    async with database.reading() as session:
        with pytest.raises(KeyError, match="key"):
            await fetch(session, TITLES, {})
    assert lent(database) == 0


async def test_a_reading_session_has_one_connection_at_a_time(make: Make, database: Database) -> None:
    key = await make.course()
    async with database.session(writes=False) as session:
        for _ in range(2):
            assert len(await fetch(session, TITLES, {"key": key})) == 1
            assert (lent(database), session.in_transaction()) == (1, False)
        assert await session.scalar(select(Course.title).where(Course.course_id == key))
        assert (lent(database), session.in_transaction()) == (1, True)
        assert len(await fetch(session, TITLES, {"key": key})) == 1
        assert lent(database) == 1
        await session.close()
        assert lent(database) == 0
        await fetch(session, TITLES, {"key": key})
    assert lent(database) == 0


async def test_a_crowded_pool_closes_what_comes_back(database: Database) -> None:
    """That takes a way to the server, which only SQLAlchemy's own closing can wait for."""
    pool: Any = database.engine.pool
    before = pool.size()
    async with AsyncExitStack() as stack:
        for _ in range(before + 3):
            session = await stack.enter_async_context(database.session(writes=False))
            await fetch(session, TITLES, {"key": "x"})
        assert (lent(database), pool.overflow()) == (before + 3, 3)
    assert (lent(database), pool.checkedin(), pool.overflow()) == (0, before, 0)


@pytest.mark.parametrize("commits", [True, False])
async def test_a_unit_s_first_statement_begins_its_transaction(database: Database, commits: bool) -> None:
    async with database.writing() as session:
        await fetch(session, STORE, row("new"))
        assert await titles(database, "new") == []
        if commits:
            await commit(session)
    assert await titles(database, "new") == (["Kept"] if commits else [])


async def test_what_is_not_flushed_yet_is_found(database: Database) -> None:
    async with database.writing() as session:
        session.add(Course(course_id="new", title="New"))
        assert [found.title for found in await fetch(session, TITLES, {"key": "new"})] == ["New"]


async def test_an_error_is_one_of_sqlalchemy_s(make: Make, database: Database) -> None:
    """And says no value; the session goes on after a rollback."""
    await make.course("there")
    async with database.writing() as session:
        with pytest.raises(IntegrityError) as broken:
            await fetch(session, STORE, row("there"))
        assert sqlstate(broken.value) == "23505"
        assert broken.value.params is None
        await session.rollback()
        await fetch(session, STORE, row("other"))
        await commit(session)
    assert await titles(database, "other") == ["Kept"]
    assert lent(database) == 0


async def test_observers_see_it_once_with_its_places(make: Make, database: Database) -> None:
    key = await make.course()
    with statements(database) as sent:
        await titles(database, key)
    assert sent == [TITLES.form(database.engine.dialect).text]
    assert key not in sent[0]


async def test_who_is_audited_is_not_written_past_the_log(database: Database) -> None:
    with pytest.raises(TypeError, match="audit log"):
        Kept(insert(ApiKey).values(name=bindparam("name"))).form(database.engine.dialect)


@pytest.mark.parametrize("writes", [False, True])
async def test_a_connection_that_is_lost_is_not_used_again(database: Database, writes: bool) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has no server to go away")
    async with database.session(writes=writes) as session:
        ((pid,),) = await fetch(session, PID, {})
        async with database.reading() as other:
            assert await other.scalar(select(func.pg_terminate_backend(pid)))
        with pytest.raises(DBAPIError) as lost:
            await fetch(session, PID, {})
        assert lost.value.connection_invalidated
        await session.rollback()
        assert await fetch(session, PID, {}) != [(pid,)]
    assert lent(database) == 0


@pytest.mark.parametrize("writes", [False, True])
async def test_a_connection_that_still_waits_is_not_used_again(database: Database, writes: bool) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite does not sleep")
    async with database.session(writes=writes) as session:
        ((pid,),) = await fetch(session, PID, {})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await fetch(session, WAIT, {})
    assert lent(database) == 0
    async with database.session(writes=writes) as session:
        assert await fetch(session, PID, {}) != [(pid,)]

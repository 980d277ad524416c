"""Kept statements on the driver: they find, raise and take part in transactions as SQLAlchemy's own execution does."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing, suppress
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import Integer, Uuid, bindparam, func, insert, select, sql, text
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.models import Course, CourseMember
from cortez.audit.models import AuditEntry
from cortez.clock import utc_now
from cortez.core.db.audit_context import SERVICE, Author
from cortez.core.db.compiled_queries import STATEMENTS, Kept
from cortez.core.db.engine import Database
from cortez.core.db.errors import sqlstate
from cortez.core.db.expressions import within
from cortez.core.db.types import ListOf
from cortez.core.db.unit_of_work import unit_of
from cortez.core.observability.metrics import TRANSACTIONS
from cortez.core.security.principal import SYSTEM
from cortez.sessions.access import SESSIONS
from cortez.sessions.repository import FIRST
from cortez.settings import Settings
from cortez.traces.repository import SHOWN, TRACES, TraceRepository
from factory import Make
from watching import statements

COURSES = Course.__table__
TITLES = Kept(select(COURSES.c.title).where(COURSES.c.course_id == bindparam("key")))
STORE = Kept(insert(Course).values({column.name: bindparam(column.name) for column in COURSES.c}))
LATE = Kept(
    insert(sql.table("late", sql.column("id", Integer()), sql.column("course", Uuid()))).values(
        id=bindparam("id"), course=bindparam("course")
    )
)
WAIT, PID = Kept(select(func.pg_sleep(30))), Kept(select(func.pg_backend_pid().label("pid")))


async def fetch(session: AsyncSession, kept: Kept, values: dict[str, Any]) -> list[Any]:
    return await unit_of(session).fetch(kept, values)


async def commit(session: AsyncSession) -> None:
    await unit_of(session).commit()


def lent(database: Database) -> int:
    """Connections that are not in the pool."""
    pool: Any = database.engine.pool
    count: int = pool.checkedout()
    return count


def row(key: str) -> dict[str, Any]:
    given = {"id": uuid4(), "course_id": key, "title": "Kept", "created_at": utc_now(), "updated_at": utc_now()}
    return {column.name: given.get(column.name) for column in COURSES.c}


async def terminate(database: Database, session: AsyncSession) -> int:
    """End the server's process behind the session's connection; its id."""
    ((pid,),) = await fetch(session, PID, {})
    async with database.reading() as other:
        assert await other.scalar(select(func.pg_terminate_backend(pid)))
    return int(pid)


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


async def test_a_statement_is_kept_by_what_the_next_call_has_too(make: Make, database: Database) -> None:
    """A label is another object in each call: its statement would be built and compiled for each request."""
    one = await make.session()
    for _ in range(FIRST + 1):
        await make.trace(one)
    async with database.reading() as session:
        traces = TraceRepository(session, SYSTEM)
        shown, has_more = await traces.included(one.id, 2 * FIRST)
        kept = dict(STATEMENTS)
        assert (await traces.included(one.id, 2 * FIRST), len(shown)) == ((shown, has_more), FIRST + 1)
        assert kept == STATEMENTS


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
    async with database.session(writes=True) as session:
        await fetch(session, STORE, row("new"))
        assert await titles(database, "new") == []
        if commits:
            await commit(session)
    assert await titles(database, "new") == (["Kept"] if commits else [])


@pytest.mark.parametrize("commits", [True, False])
async def test_sqlalchemy_joins_a_transaction_that_has_begun(database: Database, commits: bool) -> None:
    """On the same connection, whoever comes first; and both are committed, or neither."""
    async with database.session(writes=True) as session:
        await fetch(session, STORE, row("kept"))
        session.add(Course(course_id="added", title="Kept"))
        await session.flush()
        assert lent(database) == 1
        assert [found.title for found in await fetch(session, TITLES, {"key": "added"})] == ["Kept"]
        await fetch(session, STORE, row("later"))
        await (commit(session) if commits else session.rollback())
        assert lent(database) == 0
        await fetch(session, STORE, row("next"))  # a transaction of its own
        await commit(session)
    wanted = ["Kept"] if commits else []
    assert [await titles(database, key) for key in ("kept", "added", "later", "next")] == [wanted] * 3 + [["Kept"]]
    assert lent(database) == 0


async def test_a_transaction_is_committed_however_little_sqlalchemy_had_to_do(database: Database) -> None:
    """Asked for its connection only; given something and nothing to flush; or given nothing at all."""
    async with database.session(writes=True) as session:
        await fetch(session, STORE, row("asked"))
        assert (await session.connection()).dialect.name
        assert [found.title for found in await fetch(session, TITLES, {"key": "asked"})] == ["Kept"]
        assert lent(database) == 1
        await commit(session)
        await fetch(session, STORE, row("idle"))
        session.add(idle := Course(course_id="none", title="None"))
        session.expunge(idle)
        await commit(session)
        await fetch(session, STORE, row("alone"))
        await commit(session)
        await commit(session)
    assert [await titles(database, key) for key in ("asked", "idle", "alone", "none")] == [["Kept"]] * 3 + [[]]
    assert lent(database) == 0


async def test_entities_stay_in_the_session_after_a_commit(database: Database) -> None:
    """What is changed in them later is stored by the next commit, in a transaction of its own."""
    async with database.session(writes=True) as session:
        session.add(course := Course(course_id="c", title="First"))
        await commit(session)
        assert lent(database) == 0
        course.title = "Second"
        await commit(session)
        course.title = "Third"
    assert await titles(database, "c") == ["Second"]
    async with database.unit() as other:
        other.add(course)  # which no session has any more
    assert await titles(database, "c") == ["Third"]


async def test_a_session_cannot_commit_by_itself(database: Database) -> None:
    async with database.session(writes=True) as session:
        session.add(Course(course_id="c", title="Lost"))
        with pytest.raises(TypeError, match="unit of work"):
            await session.commit()
    assert await titles(database, "c") == []
    assert lent(database) == 0


async def test_a_unit_that_is_left_is_rolled_back(database: Database) -> None:
    """Also where the request is cancelled; on SQLite the lock is free for the next."""
    async with database.session(writes=True) as session:
        await fetch(session, STORE, row("left"))
    entered = asyncio.Event()

    async def dawdle() -> None:
        async with database.session(writes=True) as session:
            await fetch(session, STORE, row("left"))
            entered.set()
            await asyncio.sleep(60)

    slow = asyncio.create_task(dawdle())
    await entered.wait()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    async with database.unit() as session:
        await fetch(session, STORE, row("left"))
    assert await titles(database, "left") == ["Kept"]
    assert lent(database) == 0


async def test_a_failed_transaction_is_not_committed(make: Make, database: Database) -> None:
    """Though a failure was passed over; PostgreSQL would call that no error."""
    if database.is_sqlite:
        pytest.skip("there a statement fails by itself")
    await make.course("there")
    async with database.session(writes=True) as session:
        await fetch(session, STORE, row("before"))
        with pytest.raises(IntegrityError):
            await fetch(session, STORE, row("there"))
        with pytest.raises(PendingRollbackError):
            await commit(session)
    assert await titles(database, "before") == []
    assert lent(database) == 0


async def test_what_was_begun_on_a_lost_connection_is_not_gone_on_with(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has no server to go away")
    for go_on in (lambda session: fetch(session, TITLES, {"key": "x"}), commit, lambda session: session.connection()):
        async with database.session(writes=True) as session:
            await fetch(session, STORE, row("lost"))
            await terminate(database, session)
            with pytest.raises(DBAPIError):
                await fetch(session, TITLES, {"key": "lost"})
            with pytest.raises(PendingRollbackError):
                await go_on(session)
    assert await titles(database, "lost") == []
    assert lent(database) == 0


async def test_a_commit_that_gets_no_answer_is_an_error(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has no server to go away")
    async with database.session(writes=True) as session:
        await fetch(session, STORE, row("lost"))
        await terminate(database, session)
        with pytest.raises(DBAPIError) as lost:
            await commit(session)
    assert lost.value.connection_invalidated
    assert await titles(database, "lost") == []
    assert lent(database) == 0


async def test_a_commit_that_is_refused_leaves_nothing(database: Database) -> None:
    """A constraint that is looked at in the end: the next unit of work commits its own only."""
    reference = "uuid REFERENCES courses (id) DEFERRABLE INITIALLY DEFERRED"
    async with database.engine.begin() as connection:
        await connection.execute(text(f"CREATE TABLE late (id integer PRIMARY KEY, course {reference})"))
    try:
        async with database.session(writes=True) as session:
            await fetch(session, STORE, row("refused"))
            await fetch(session, LATE, {"id": 1, "course": uuid4()})
            with pytest.raises(IntegrityError):
                await commit(session)
        async with database.unit() as session:
            await fetch(session, STORE, row("next"))
        assert [await titles(database, key) for key in ("refused", "next")] == [[], ["Kept"]]
        assert lent(database) == 0
    finally:
        async with database.engine.begin() as connection:
            await connection.execute(text("DROP TABLE late"))


async def test_one_connection_serves_one_unit_after_the_other(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has no servers to tell apart")
    seen = set()
    for key in ("first", "second"):
        async with database.unit() as session:
            await fetch(session, STORE, row(key))
            ((pid,),) = await fetch(session, PID, {})
        async with database.unit() as session:
            session.add(Course(course_id=f"{key} added", title="Added"))
            seen |= {pid, await session.scalar(select(func.pg_backend_pid()))}
            assert await titles(database, f"{key} added") == []
    assert len(seen) == 1


async def test_commits_and_rollbacks_are_counted_whoever_makes_them(database: Database) -> None:
    def counted() -> list[float]:
        (metric,) = TRANSACTIONS.collect()
        found = {one.labels["outcome"]: one.value for one in metric.samples}
        return [found["committed"], found["rolled_back"]]

    before = counted()
    async with database.unit() as session:
        await fetch(session, STORE, row("one"))
    async with database.session(writes=True) as session:
        await fetch(session, STORE, row("two"))
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1]


async def test_what_is_not_flushed_yet_is_found(database: Database) -> None:
    async with database.session(writes=True) as session:
        session.add(Course(course_id="new", title="New"))
        assert [found.title for found in await fetch(session, TITLES, {"key": "new"})] == ["New"]


async def test_an_error_is_one_of_sqlalchemy_s(make: Make, database: Database) -> None:
    """And says no value; the session goes on after a rollback."""
    await make.course("there")
    async with database.session(writes=True) as session:
        with pytest.raises(IntegrityError) as broken:
            await fetch(session, STORE, row("there"))
        assert sqlstate(broken.value) == "23505"
        assert broken.value.params is None
        await session.rollback()
        await fetch(session, STORE, row("other"))
        await commit(session)
    assert await titles(database, "other") == ["Kept"]
    assert lent(database) == 0


async def test_a_begin_that_fails_half_way_leaves_no_transaction_in_the_pool(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL has begun when the name of the author fails."""
    if database.is_sqlite:
        pytest.skip("SQLite begins in a statement of its own")
    with monkeypatch.context() as patch:
        patch.setattr("cortez.core.db.unit_of_work.naming", lambda author: "; SELECT 1/0")
        async with database.session(writes=True) as session:
            with pytest.raises(DBAPIError):
                await fetch(session, STORE, row("never"))
    async with database.unit() as session:
        await fetch(session, STORE, row("next"))
    assert [await titles(database, key) for key in ("never", "next")] == [[], ["Kept"]]
    assert lent(database) == 0


async def test_a_lock_that_is_refused_twice_takes_no_write_turn_along(settings: Settings) -> None:
    hasty = Database(msgspec.structs.replace(settings, db_lock_timeout=0.05))
    if not hasty.is_sqlite:
        pytest.skip("PostgreSQL has no turns")
    with closing(sqlite3.connect(str(settings.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with hasty.session(writes=True) as session:
            for _ in range(2):
                with pytest.raises(DBAPIError, match="locked"):
                    await fetch(session, STORE, row("locked"))
    turns = unit_of(session).turns
    assert turns
    assert turns.turns.free == 1
    await hasty.close()


@pytest.mark.parametrize("commits", [True, False])
async def test_a_savepoint_covers_kept_statements(database: Database, commits: bool) -> None:
    async with database.session(writes=True) as session:
        await fetch(session, STORE, row("before"))
        with suppress(IntegrityError):
            async with session.begin_nested():
                await fetch(session, STORE, row("inside"))
                await fetch(session, STORE, row("before"))
        async with session.begin_nested():
            session.add(Course(course_id="after", title="Kept"))
        if commits:
            await commit(session)
    kept = ["Kept"] if commits else []
    assert [await titles(database, key) for key in ("before", "inside", "after")] == [kept, [], kept]
    assert lent(database) == 0


async def test_a_savepoint_that_is_left_open_is_not_committed(database: Database) -> None:
    async with database.session(writes=True) as session:
        await session.begin_nested()
        await fetch(session, STORE, row("open"))
        with pytest.raises(TypeError, match="savepoint"):
            await commit(session)
        await session.begin_nested()
        await fetch(session, STORE, row("left"))
    assert [await titles(database, key) for key in ("open", "left")] == [[], []]
    assert lent(database) == 0
    async with database.unit() as session:
        await fetch(session, STORE, row("next"))


async def test_a_flush_that_failed_is_the_end_of_its_unit(make: Make, database: Database) -> None:
    """Though it was passed over: half of what was to be stored would be."""
    await make.course("there")
    async with database.session(writes=True) as session:
        session.add(Course(course_id="half", title="Half"))
        await session.flush()
        session.add(Course(course_id="there", title="There"))
        with suppress(IntegrityError):
            await session.flush()
        with pytest.raises(PendingRollbackError):
            await fetch(session, TITLES, {"key": "half"})
        with pytest.raises(PendingRollbackError):
            await commit(session)
        await fetch(session, STORE, row("next"))
        await commit(session)
    assert [await titles(database, key) for key in ("half", "next")] == [[], ["Kept"]]


async def test_what_follows_a_commit_that_failed_is_another_transaction(make: Make, database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("there a statement fails by itself")
    await make.course("there")
    async with database.session(writes=True) as session:
        with suppress(IntegrityError):
            await session.execute(insert(Course).values(row("there")))
        with pytest.raises(PendingRollbackError):
            await commit(session)
        await session.execute(insert(Course).values(row("later")))
    assert await titles(database, "later") == []
    assert lent(database) == 0


async def test_nothing_but_the_unit_begins_and_ends_a_transaction(database: Database) -> None:
    async with database.session(writes=True) as session:
        with pytest.raises(TypeError, match="unit of work"):
            async with session.begin():
                session.add(Course(course_id="c", title="Lost"))
        connection = await session.connection()
        for end in (connection.commit, connection.rollback):
            with pytest.raises(TypeError, match="unit of work"):
                await end()
        await fetch(session, STORE, row("c"))
        await session.reset()
    assert await titles(database, "c") == []
    assert lent(database) == 0


async def test_observers_see_it_once_with_its_places(make: Make, database: Database) -> None:
    key = await make.course()
    with statements(database) as sent:
        await titles(database, key)
    assert sent == [TITLES.form(database.engine.dialect).text]
    assert key not in sent[0]


async def test_the_audit_log_names_who_runs_one(make: Make, database: Database) -> None:
    """Whatever is in the name, and only in this transaction."""
    actor = "command:it's \\'; SELECT 1; --"
    members = [CourseMember.__table__.c[name] for name in ("id", "course_id", "user_id", "role")]
    moments = {name: utc_now() for name in ("joined_at", "created_at", "updated_at")}
    join = Kept(insert(CourseMember).values({column.name: bindparam(column.name) for column in members} | moments))
    given = {"course_id": await make.course(), "role": "student"}
    for author in (Author(actor, "r"), SERVICE):
        async with database.unit() as session:
            unit_of(session).author = author
            await fetch(session, join, given | {"id": uuid4(), "user_id": (await make.student()).id})
    entries = sorted(await make.all(AuditEntry), key=lambda one: int(one.position))
    assert [(one.actor_kind, one.actor, one.request_id) for one in entries if one.table_name == "course_members"] == [
        ("command", actor.partition(":")[2], "r"),
        ("service", None, None),
    ]


@pytest.mark.parametrize("writes", [False, True])
async def test_a_connection_that_is_lost_is_not_used_again(database: Database, writes: bool) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has no server to go away")
    async with database.session(writes=writes) as session:
        pid = await terminate(database, session)
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

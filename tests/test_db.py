"""Units of work: one commit for a write, none for a read or an error, and nothing left behind by a failed one."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import httpx
import pytest
from litestar import Litestar, post
from litestar.di import NamedDependency
from sqlalchemy import Float, event, false, func, literal, select, text, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.models import Course
from cortez.app import create_app
from cortez.core.db.engine import Database
from cortez.core.web.problems import Problem
from cortez.core.web.requests import StrictRequest
from cortez.core.web.responses import Answer, refused
from cortez.errors import Conflict
from cortez.sessions.changes import mean_of, sum_of
from cortez.settings import Settings
from factory import Make
from running import client_of, live

COURSE = {"course_id": "c-1", "title": "One"}


@pytest.fixture
def commits(database: Database) -> Iterator[Counter[str]]:
    """How often the engine committed and rolled back."""
    counts: Counter[str] = Counter()
    listeners: dict[str, Any] = {
        name: lambda connection, name=name: counts.update([name]) for name in ("commit", "rollback")
    }
    for name, listener in listeners.items():
        event.listen(database.engine.sync_engine, name, listener)
    yield counts
    for name, listener in listeners.items():
        event.remove(database.engine.sync_engine, name, listener)


async def courses(database: Database) -> int:
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(Course)) or 0


@pytest.mark.requirement("T1")
@pytest.mark.requirement("MED-TX-001")
async def test_a_write_commits_once(make: Make, commits: Counter[str]) -> None:
    admin = await make.admin()
    commits.clear()
    assert (await admin.post("/courses", json=COURSE)).status_code == 201
    assert commits["commit"] == 1


@pytest.mark.requirement("T1")
async def test_a_read_commits_nothing(make: Make, commits: Counter[str]) -> None:
    admin = await make.admin()
    commits.clear()
    assert (await admin.get("/courses")).status_code == 200
    assert commits["commit"] == 0


@pytest.mark.requirement("T1")
async def test_a_head_commits_nothing(make: Make, commits: Counter[str]) -> None:
    admin = await make.admin()
    commits.clear()
    assert (await admin.client.head("/courses")).status_code == 200
    assert commits["commit"] == 0


@pytest.mark.requirement("T1")
async def test_an_error_commits_nothing(make: Make, commits: Counter[str], database: Database) -> None:
    admin = await make.admin()
    await admin.post("/courses", json=COURSE)
    commits.clear()
    answer = await admin.post("/courses", json=COURSE)
    assert (answer.status_code, answer.json()["code"]) == (409, "COURSE_ALREADY_EXISTS")
    assert commits["commit"] == 0
    assert await courses(database) == 1


@pytest.mark.requirement("T1")
async def test_a_refused_request_commits_nothing(make: Make, commits: Counter[str]) -> None:
    student = await make.student()
    commits.clear()
    assert (await student.post("/courses", json=COURSE)).status_code == 403
    assert (await student.post("/courses", json={})).status_code == 403
    assert commits["commit"] == 0


async def test_nothing_stays_checked_out(make: Make, database: Database) -> None:
    admin = await make.admin()
    for path in ("/courses", "/courses/none", "/users", "/sessions?limit=0", "/nowhere"):
        await admin.get(path)
        await admin.post(path, json={"x": 1})
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


@post("/probe/returned-conflict")
async def returned_conflict(session: NamedDependency[AsyncSession], request: StrictRequest) -> Answer[Problem]:
    session.add(Course(course_id="kept", title="Kept"))
    return refused(request, Conflict("KEPT", "An answer that is an error, with an effect."))


@post("/probe/raised-conflict")
async def raised_conflict(session: NamedDependency[AsyncSession]) -> None:
    session.add(Course(course_id="lost", title="Lost"))
    await session.flush()
    raise Conflict("LOST", "Raised, so that nothing is kept.")


@post("/probe/broken-commit")
async def broken_commit(session: NamedDependency[AsyncSession]) -> None:
    """Breaks a foreign key that is checked only at the commit."""
    session.add(Course(course_id="half", title="Half"))
    await session.flush()
    await session.execute(text("INSERT INTO probe_children VALUES (1)"))


@post("/probe/count")
async def increment(session: NamedDependency[AsyncSession]) -> None:
    """Reads, waits, writes: a lost update where nothing guards it."""
    statement = select(Course).where(Course.course_id == "counter").with_for_update(key_share=True)
    course = (await session.scalars(statement.execution_options(populate_existing=True))).one()
    await asyncio.sleep(0.002)
    course.title = str(int(course.title) + 1)


@post("/probe/swap/{first:str}/{second:str}")
async def swap(session: NamedDependency[AsyncSession], request: StrictRequest) -> None:
    """Two rows in the order given, so that opposite orders deadlock."""
    for name in (request.path_params["first"], request.path_params["second"]):
        await session.execute(update(Course).where(Course.course_id == name).values(title="swapped"))
        await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
async def probed(settings: Settings) -> AsyncGenerator[Litestar]:
    """The application with routes that misbehave."""
    app = create_app(settings, extra=[returned_conflict, raised_conflict, broken_commit, increment, swap])
    async with live(app) as running:
        yield running


@pytest.fixture
async def probe(make: Make, probed: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    admin = await make.admin()
    token = admin.client.headers["authorization"].removeprefix("Bearer ")
    async with client_of(probed, token) as client:
        client.base_url = httpx.URL("http://test/")
        yield client


@pytest.mark.requirement("T1")
async def test_a_returned_error_keeps_its_effect(probe: httpx.AsyncClient, database: Database) -> None:
    assert (await probe.post("/probe/returned-conflict")).status_code == 409
    assert await courses(database) == 1


@pytest.mark.requirement("T1")
async def test_a_raised_error_keeps_nothing(probe: httpx.AsyncClient, database: Database) -> None:
    assert (await probe.post("/probe/raised-conflict")).status_code == 409
    assert await courses(database) == 0


@pytest.fixture
async def deferred(database: Database) -> AsyncGenerator[None]:
    """A foreign key that only the commit checks."""
    async with database.unit() as session:
        await session.execute(text("CREATE TABLE probe_parents (id INTEGER PRIMARY KEY)"))
        reference = "REFERENCES probe_parents (id) DEFERRABLE INITIALLY DEFERRED"
        await session.execute(text(f"CREATE TABLE probe_children (parent INTEGER {reference})"))
    yield
    async with database.unit() as session:
        await session.execute(text("DROP TABLE probe_children"))
        await session.execute(text("DROP TABLE probe_parents"))


@pytest.mark.requirement("T2")
async def test_a_failing_commit_is_an_error_and_leaves_nothing(
    probe: httpx.AsyncClient, database: Database, deferred: None
) -> None:
    assert (await probe.post("/probe/broken-commit")).status_code == 409
    assert (await probe.post("/probe/returned-conflict")).status_code == 409
    async with database.reading() as session:
        assert list(await session.scalars(select(Course.course_id))) == ["kept"]


@pytest.mark.requirement("T2")
async def test_a_failing_commit_leaves_no_idempotency_key(probe: httpx.AsyncClient, deferred: None) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await probe.post("/probe/broken-commit", headers=headers)
    second = await probe.post("/probe/broken-commit", headers=headers)
    assert first.json()["request_id"] != second.json()["request_id"]


@pytest.mark.requirement("T3")
async def test_a_unit_outside_a_request_commits_and_rolls_back_the_same_way(database: Database) -> None:
    async with database.unit() as session:
        session.add(Course(course_id="kept", title="Kept"))

    async def broken() -> None:
        async with database.unit() as session:
            session.add(Course(course_id="lost", title="Lost"))
            await session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken()
    assert await courses(database) == 1


@pytest.mark.requirement("T1")
async def test_a_write_cancelled_in_the_middle_leaves_no_lock(make: Make, database: Database) -> None:
    """Its traceback, which holds the rows it has not read, is still there: nobody has looked for garbage."""
    await make.session()

    async def write(pause: float) -> None:
        async with database.unit() as unit:
            if database.is_sqlite:  # it runs the statement in a thread, to its end
                driver: Any = (await (await unit.connection()).get_raw_connection()).driver_connection
                await driver.create_function("pg_sleep", 1, time.sleep)
            pausing = text("UPDATE sessions SET status = 'paused' RETURNING pg_sleep(:pause)")
            await unit.execute(pausing, {"pause": pause})

    cancelled = asyncio.create_task(write(0.3))
    await asyncio.sleep(0.1)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await write(0)


async def test_no_increment_is_lost(probe: httpx.AsyncClient, database: Database, make: Make) -> None:
    await make.add(Course(course_id="counter", title="0"))
    answers = await asyncio.gather(*[probe.post("/probe/count") for _ in range(50)])
    acknowledged = sum(answer.status_code == 201 for answer in answers)
    async with database.reading() as session:
        assert await session.scalar(select(Course.title)) == str(acknowledged)
    assert acknowledged == 50


async def test_a_write_conflict_repeats_the_unit(probe: httpx.AsyncClient, make: Make) -> None:
    await make.add(Course(course_id="a", title="A"), Course(course_id="b", title="B"))
    paths = ["/probe/swap/a/b", "/probe/swap/b/a"]
    answers = await asyncio.gather(*[probe.post(path) for path in paths * 2])
    assert {answer.status_code for answer in answers} <= {201, 503}
    assert sum(answer.status_code == 201 for answer in answers) >= 3


@pytest.mark.parametrize("count", [1, 3, 11])
async def test_the_mean_of_equal_shares_is_that_share(database: Database, count: int) -> None:
    """An alert at more than 0.7 is not raised at exactly that; floats that are added up come to a little more."""
    shares = union_all(*[select(literal(0.7, Float).label("share"))] * count).subquery()
    async with database.reading() as session:
        assert await session.scalar(select(mean_of(shares.c.share))) == 0.7
        assert await session.scalar(select(mean_of(shares.c.share)).where(false())) is None
        assert await session.scalar(select(sum_of(shares.c.share))) == round(0.7 * count, 6)

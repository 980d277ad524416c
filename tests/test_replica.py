"""Reads at a streaming replica: what comes from it, what must not, and that nobody notices when it is not there."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar, get
from litestar.di import NamedDependency
from sqlalchemy import Connection, Text, case, cast, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from conftest import POSTGRES
from cortez.app import create_app
from cortez.content.models import Subject
from cortez.core.db.engine import Database
from cortez.core.db.replica import PATIENCE, POSITION
from cortez.core.migrations import runner
from cortez.core.web.guards import people
from cortez.ops.doctor import BAD, GOOD, ODD, of_replica
from cortez.ops.readiness import condition_of
from cortez.settings import Settings
from factory import Make, Someone
from postgres import Cluster, cluster, replica
from running import client_of, empty, live, settings_for

pytestmark = pytest.mark.xdist_group("replica")  # one primary with its replica for all

STEP = {"interaction_type": "student_prompt", "content": "Why?"}
SLEEPERS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


@get("/api/v1/slow", guards=[people])
async def slow(session: NamedDependency[AsyncSession]) -> str:
    """Never ends on a replica."""
    sleep = case((func.pg_is_in_recovery(), cast(func.pg_sleep(60), Text)), else_="the primary")
    found = await session.scalar(select(sleep).select_from(select(func.count()).select_from(Subject).subquery()))
    return str(found)


@pytest.fixture(scope="module")
def primary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("primary"), synchronous_commit="on") as made:
        runner.upgrade(settings_for(made.url))
        yield made


@pytest.fixture(scope="module")
def standby(primary: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with replica(primary, tmp_path_factory.mktemp("standby")) as made:
        yield made


@pytest.fixture(scope="module")
def replicated(primary: Cluster, standby: Cluster) -> Settings:
    return settings_for(primary.url, database_read_url=standby.url)


@pytest.fixture(scope="module")
async def running_app(replicated: Settings) -> AsyncGenerator[Litestar]:
    async with live(create_app(replicated, [slow])) as running:
        yield running


@pytest.fixture
async def app(running_app: Litestar) -> AsyncGenerator[Litestar]:
    """On an empty database, and nothing known of its replica."""
    found = running_app.state.database.replica
    found.alone_until, found.trouble, found.patience = 0.0, "", PATIENCE
    await found.engine.dispose()
    yield running_app
    await empty(running_app.state.database)


@pytest.fixture
async def make(app: Litestar) -> AsyncGenerator[Make]:
    async with Make(app, client_of) as made:
        yield made


class Place:
    """Somebody with a session, and how many statements of the service the replica has answered."""

    def __init__(self, app: Litestar, student: Someone, path: str) -> None:
        found: Database = app.state.database
        assert found.replica
        self.database, self.replica = found, found.replica
        self.student, self.path = student, path
        self.answered = 0
        event.listen(self.replica.engine.sync_engine, "after_cursor_execute", self.count)

    def count(self, connection: Connection, *details: Any) -> None:
        self.answered += 1

    async def step(self) -> str:
        """Stores one, and gives its id."""
        stored = await self.student.post(self.path, json=STEP)
        assert stored.status_code == 201
        id_: str = stored.json()["id"]
        return id_

    async def steps(self) -> list[str]:
        """The ids of all that are read."""
        answer = await self.student.get(self.path)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    async def is_read_again(self) -> None:
        """Once it was left alone for long enough, the next read tries it, and it answers."""
        self.replica.alone_until, self.replica.patience = 0.0, 5.0
        assert await self.is_read()
        assert not self.replica.trouble

    async def notices(self) -> list[str]:
        condition = await condition_of(self.database)
        assert condition.shortcomings == []
        return condition.notices

    async def is_read(self) -> bool:
        """Whether the replica answers a list."""
        before = self.answered
        await self.steps()
        return self.answered > before


@pytest.fixture
async def place(app: Litestar, make: Make) -> Place:
    session = await make.session(student := await make.student(student_id=uuid4().hex))
    return Place(app, student, f"/sessions/{session.id}/traces")


@asynccontextmanager
async def asked(server: Cluster) -> AsyncGenerator[asyncpg.Connection]:
    """A connection to the server itself."""
    connection = await asyncpg.connect(server.url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def paused(standby: Cluster) -> AsyncGenerator[asyncpg.Connection]:
    """While the replica replays nothing."""
    async with asked(standby) as connection:
        await connection.execute("SELECT pg_wal_replay_pause()")
        try:
            yield connection
        finally:
            await connection.execute("SELECT pg_wal_replay_resume()")


@asynccontextmanager
async def hasty(standby: Cluster) -> AsyncGenerator[None]:
    """While it soon cancels a read that is in the way of replaying."""
    standby.options["max_standby_streaming_delay"] = "100ms"
    await restart(standby)
    yield
    del standby.options["max_standby_streaming_delay"]
    await restart(standby)


async def restart(standby: Cluster) -> None:
    await asyncio.to_thread(standby.stop)
    await asyncio.to_thread(standby.start)


async def test_a_replica_answers_reads_and_what_was_just_stored_is_there(place: Place) -> None:
    place.replica.patience = 5.0
    for _ in range(20):
        before = place.answered
        assert await place.step() in await place.steps()
        assert place.answered > before


async def test_its_pool_is_measured_beside_the_primarys(place: Place, app: Litestar) -> None:
    assert await place.is_read()
    said = await place.student.client.get("http://test/metrics")
    for server in ("primary", "replica"):
        assert f'cortez_pool_limit{{server="{server}"}} ' in said.text


async def test_a_stream_comes_from_it_too(place: Place, make: Make) -> None:
    place.replica.patience = 5.0
    stored, admin = [await place.step() for _ in range(3)], await make.admin()
    before = place.answered
    exported = await admin.get(f"/exports/traces?student_id={place.student.student_id}")
    assert [msgspec.json.decode(line)["id"] for line in exported.text.splitlines()] == stored
    assert place.answered > before


async def test_a_write_and_who_asks_never_go_there(place: Place) -> None:
    before = place.answered
    await place.step()
    assert (await place.student.post("/auth/logout")).status_code == 200
    assert (await place.student.get(place.path)).status_code == 401
    assert place.answered == before


async def test_one_that_has_only_to_catch_up_is_waited_for(place: Place, standby: Cluster) -> None:
    place.replica.patience = 5.0
    async with paused(standby) as connection:
        stored = await place.step()
        before, reading = place.answered, asyncio.create_task(place.steps())
        await asyncio.sleep(0.01)
        assert not reading.done()
        await connection.execute("SELECT pg_wal_replay_resume()")
        assert stored in await reading
    assert place.answered > before


async def test_one_that_lags_is_left_alone_for_a_while(place: Place, standby: Cluster) -> None:
    async with paused(standby):
        for _ in range(10):
            assert await place.step() in await place.steps()
        lagging = place.replica.trouble
        assert re.fullmatch(r"it lags behind by [0-9,]+ bytes", lagging)
        assert place.replica.alone_until > 0
        assert await place.notices() == [f"Reads go to the primary. Of the replica: {lagging}."]
        finding = await of_replica(place.database.settings, make_url(standby.url))
        assert (finding.mark, "lags behind" in finding.said) == (ODD, True)
    await place.is_read_again()
    assert await place.notices() == []


async def test_one_read_at_a_time_tries_it_again(place: Place) -> None:
    place.replica.leave_alone(0.0, "it was lost")
    before = place.answered
    async with place.database.reading() as one, place.database.reading() as other:
        for session in (one, other):
            session.info[POSITION] = "00000001 0/0"
        trying = asyncio.create_task(place.replica.take_over(one))
        await asyncio.sleep(0)
        assert not await place.replica.take_over(other)
        assert await trying
    assert place.answered >= before
    assert not place.replica.trouble


async def slow_read(place: Place, standby: asyncpg.Connection) -> asyncio.Task[httpx.Response]:
    """One that the replica is at."""
    place.replica.patience = 5.0
    reading = asyncio.create_task(place.student.get("/slow"))
    while not await standby.fetchval(SLEEPERS):
        assert not reading.done()
        await asyncio.sleep(0.01)
    return reading


async def test_a_read_that_replaying_ends_is_answered_by_the_primary(
    place: Place, primary: Cluster, standby: Cluster
) -> None:
    async with hasty(standby), asked(standby) as there, asked(primary) as here:
        await place.replica.engine.dispose()
        reading = await slow_read(place, there)
        await here.execute("BEGIN; LOCK TABLE subjects; COMMIT")
        assert (await reading).text == "the primary"
        assert not place.replica.trouble
        assert await place.is_read()


@pytest.mark.parametrize("crash", [False, True])
async def test_a_read_whose_connection_ends_is_answered_by_the_primary(
    place: Place, standby: Cluster, crash: bool
) -> None:
    async with asked(standby) as there:
        reading = await slow_read(place, there)
        if crash:
            await asyncio.to_thread(standby.stop, signal.SIGQUIT)
        else:
            await there.execute(f"SELECT pg_terminate_backend(pid) FROM ({SLEEPERS}) AS sleepers")
        assert (await reading).text == "the primary"
    assert place.replica.trouble.startswith("it cannot be reached")
    assert await place.step() in await place.steps()
    assert await place.notices() == [f"Reads go to the primary. Of the replica: {place.replica.trouble}."]
    if crash:
        await asyncio.to_thread(standby.start)
    await place.is_read_again()


async def test_after_its_restart_connections_from_before_are_not_tried_one_by_one(
    place: Place, standby: Cluster
) -> None:
    place.replica.patience = 5.0
    await asyncio.gather(*[place.steps() for _ in range(4)])
    await restart(standby)
    assert not await place.is_read()
    await place.is_read_again()
    await asyncio.gather(*[place.steps() for _ in range(4)])
    assert not place.replica.trouble


async def test_what_is_no_replica_of_this_cluster_is_not_read(place: Place, primary: Cluster, standby: Cluster) -> None:
    for url, said in {
        os.environ[POSTGRES]: "it is of another cluster",
        standby.url.replace("/postgres", "/template1"): "or another database",
        primary.url: "it follows no primary any more",
        "postgresql://cortez@127.0.0.1:1/none": "cannot be reached",
    }.items():
        settings = settings_for(primary.url, database_read_url=url)
        finding = await of_replica(settings, make_url(url))
        assert (finding.mark, said in finding.said) == (BAD, True)
    turned = settings_for(standby.url, database_read_url=standby.url)
    assert "leads to a replica too" in (await of_replica(turned, make_url(standby.url))).said
    finding = await of_replica(place.database.settings, make_url(standby.url))
    assert (finding.mark, "as far as the primary" in finding.said) == (GOOD, True)


async def test_one_that_missed_a_failover_is_not_read(place: Place) -> None:
    async with place.database.reading() as session:
        session.info[POSITION] = "00000002 0/0"
        assert not await place.replica.take_over(session)
        assert place.replica.trouble == "it is on timeline 1, and the primary on 2"
        assert not await session.scalar(select(func.pg_is_in_recovery()))


async def test_one_that_was_promoted_is_not_read(place: Place, standby: Cluster) -> None:
    """The last test: nothing makes a replica of it again."""
    assert await place.is_read()
    async with asked(standby) as connection:
        await connection.execute("SELECT pg_promote()")
    assert not await place.is_read()
    assert place.replica.trouble == "it follows no primary any more"
    assert await place.step() in await place.steps()

"""Reads at a streaming replica: what comes from it, what must not, and that nobody notices when it is not there."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import Connection, event

from cortez import migrations
from cortez.app import create_app
from cortez.database import Database
from cortez.settings import Settings
from factory import Make, Someone
from postgres import Cluster, cluster, replica
from running import client_of, empty, live, settings_for

pytestmark = pytest.mark.xdist_group("replica")  # one primary with its replica for all

STEP = {"interaction_type": "student_prompt", "content": "Why?"}


@pytest.fixture(scope="module")
def primary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("primary"), synchronous_commit="on") as made:
        migrations.upgrade(settings_for(made.url))
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
    async with live(create_app(replicated)) as running:
        yield running


@pytest.fixture
async def app(running_app: Litestar) -> AsyncGenerator[Litestar]:
    """On an empty database, and nothing known of its replica."""
    running_app.state.database.replica.alone_until = 0.0
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
async def told(server: Cluster, *before: str, after: str = "") -> AsyncGenerator[asyncpg.Connection]:
    """Statements to a server itself, and one when the block ends."""
    connection = await asyncpg.connect(server.url)
    try:
        for statement in before:
            await connection.execute(statement)
        yield connection
        await connection.execute(after)
    finally:
        await connection.close()


async def test_a_replica_answers_reads_and_what_was_just_stored_is_there(place: Place) -> None:
    for _ in range(20):
        assert await place.step() in await place.steps()
        assert not place.replica.trouble
    assert await place.is_read()


async def test_a_stream_comes_from_it_too(place: Place, make: Make) -> None:
    stored, admin = [await place.step() for _ in range(3)], await make.admin()
    before = place.answered
    exported = await admin.get(f"/exports/traces?student_id={place.student.student_id}")
    assert [msgspec.json.decode(line)["id"] for line in exported.text.splitlines()] == stored
    assert place.answered > before


async def test_a_write_and_who_asks_never_go_there(place: Place) -> None:
    before = place.answered
    await place.step()
    assert place.answered == before
    assert (await place.student.post("/auth/logout")).status_code == 200
    assert (await place.student.get(place.path)).status_code == 401
    assert place.answered == before


async def test_one_that_lags_is_waited_for_and_then_left_alone(place: Place, standby: Cluster) -> None:
    assert await place.is_read()
    async with told(standby, "SELECT pg_wal_replay_pause()", after="SELECT pg_wal_replay_resume()"):
        for _ in range(10):
            assert await place.step() in await place.steps()
        assert place.replica.trouble.startswith("it lags behind by ")
        place.replica.alone_until = 0.0
        assert not await place.is_read()
    place.replica.alone_until = 0.0
    assert await place.is_read()
    assert not place.replica.trouble


async def test_one_that_has_only_to_catch_up_answers(place: Place, standby: Cluster) -> None:
    await place.is_read()
    async with told(standby, "SELECT pg_wal_replay_pause()") as connection:
        stored = await place.step()
        before, reading = place.answered, asyncio.create_task(place.steps())
        await asyncio.sleep(0.01)
        await connection.execute("SELECT pg_wal_replay_resume()")
        assert stored in await reading
    assert place.answered > before

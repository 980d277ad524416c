"""The disk under the database fills up, and is freed; on PostgreSQL the server then turns read-only, and back.

Broken on purpose: without the states "53100" and "25006" in `errors.BY_STATE` every refused write is a 500.
"""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
import msgspec

from cortez.core.db.engine import Database
from cortez.core.migrations import runner
from cortez.settings import Settings
from postgres import Cluster
from reliability.smalldisk import Disk, behind, is_possible
from reliability.stage import SQLITE, Outcome, Stage
from reliability.traffic import Place, Traffic, prepare
from running import SECRET
from serving import serving

FIGURE = "R14"
CLAIM = "the database's disk full, then freed; the server read-only, then not"
TARGET = "writes 503, reads 200, back < 1 s, 0 lost"
SIZE = 48  # MB
BACK = 1.0  # seconds


class Trouble(NamedTuple):
    """Something that is brought about, and ended."""

    name: str
    begin: Callable[[], Awaitable[None]]
    end: Callable[[], Awaitable[None]]


class Scene(NamedTuple):
    """The service on a small disk, what befalls it, and its database in the end."""

    address: str
    place: Place
    troubles: list[Trouble]
    found: Callable[[], Awaitable[Settings]]


async def run(stage: Stage) -> Outcome:
    folder = stage.folder / "small"
    await asyncio.to_thread(folder.mkdir)
    if not await asyncio.to_thread(is_possible, folder):
        return Outcome("NOT MEASURED: this machine lets nobody mount a file system", kept=True)
    said, kept = [], True
    async with (on_sqlite if stage.database == SQLITE else on_postgresql)(stage, folder) as scene:
        traffic = Traffic(scene.address, scene.place, writers=4)
        async with traffic.flowing():
            for trouble in scene.troubles:
                await traffic.acknowledging(20)
                words, well = await befall(trouble, traffic, stage.quick)
                said.append(words)
                kept &= well
        database = Database(await scene.found())
        verdict = await traffic.verdict(database)
        await database.close()
    counts = traffic.counts
    kept &= not (verdict.faults or traffic.unasked or counts["broken"] or counts["refused"])
    return Outcome(f"{'; '.join(said)}; {verdict.said()}", kept)


async def befall(trouble: Trouble, traffic: Traffic, quick: bool) -> tuple[str, bool]:
    """What the clients saw meanwhile."""
    await trouble.begin()
    before = Counter(traffic.counts)
    await asyncio.sleep(2 if quick else 10)
    seen = traffic.counts - before
    await trouble.end()
    begun = time.monotonic()
    await traffic.acknowledging(1)
    back = time.monotonic() - begun
    said = f"{trouble.name}: {seen['200']:,} reads 200, {seen['503']:,} writes 503, {seen['201']} written, "
    return said + f"back after {back * 1000:.0f} ms", bool(seen["200"] and seen["503"]) and back < BACK


@asynccontextmanager
async def on_sqlite(stage: Stage, folder: Path) -> AsyncIterator[Scene]:
    """The database is moved to the small disk that only the server sees."""
    place = await prepare(stage)
    origin = stage.folder / "origin"
    await asyncio.to_thread(origin.mkdir)
    for file in stage.folder.glob("cortez.db*"):
        file.rename(origin / file.name)
    own = {"DATABASE_URL": f"sqlite:///{folder / 'cortez.db'}", "CORTEZ_SECRET_KEY": SECRET}
    with serving(stage.folder, own, behind(folder, SIZE, origin)) as server:
        disk = Disk(server.pid, folder)
        full = Trouble("disk full", in_thread(disk.fill), in_thread(disk.free))

        async def found() -> Settings:
            """What is on the disk then, as after a crash: the file and its journal."""
            for file in disk.path.glob("cortez.db*"):
                await asyncio.to_thread(shutil.copy, file, stage.folder)
            return stage.settings

        yield Scene(server.address, place, [full], found)


@asynccontextmanager
async def on_postgresql(stage: Stage, folder: Path) -> AsyncIterator[Scene]:
    """A cluster of its own, with the database in a tablespace on the small disk and its log elsewhere."""
    own = stage.folder / "postgres"
    await asyncio.to_thread(own.mkdir)
    cluster = Cluster(own, durable=True)
    cluster.behind = behind(folder, SIZE)
    await asyncio.to_thread(cluster.make)
    await asyncio.to_thread(cluster.start)
    boss = await asyncpg.connect(cluster.url)
    try:
        await boss.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        await boss.execute("CREATE DATABASE small TABLESPACE small")
        url = cluster.url.rpartition("/")[0] + "/small"
        moved = msgspec.structs.replace(stage, settings=msgspec.structs.replace(stage.settings, database_url=url))
        await asyncio.to_thread(runner.upgrade, moved.settings)
        place = await prepare(moved)
        assert cluster.process
        disk = Disk(cluster.process.pid, folder)
        with moved.server() as server:
            full = Trouble("disk full", in_thread(disk.fill), in_thread(disk.free))

            async def found() -> Settings:
                return moved.settings

            yield Scene(server.address, place, [full, read_only(boss)], found)
    finally:
        await boss.close()
        await asyncio.to_thread(cluster.stop)


def in_thread(act: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    return lambda: asyncio.to_thread(act)


def read_only(boss: "asyncpg.Connection[asyncpg.Record]") -> Trouble:
    async def set_to(value: str) -> None:
        await boss.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        await boss.execute("SELECT pg_reload_conf()")

    return Trouble("read-only", lambda: set_to("on"), lambda: set_to("off"))

"""A migration as docs/migrations.md recommends it, on tables in use, with readers in the way.

They keep transactions open. PostgreSQL only: SQLite has one lock, and who writes waits until a migration is through.

The same traffic is measured before: where the machine by itself stalls for longer than the target, that is the measure.
With a lock timeout of 5 s in place of 50 ms: 1158 ms, and 209 before.
"""

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg

from cortez.core.migrations.revisions import CHECKOUT
from cortez.sessions.models import LearningSession
from factory import Make
from migrating import processes, revisions, upgrade
from reliability.stage import POSTGRESQL, Outcome, Stage
from reliability.traffic import Traffic, prepare
from reliability.wire import Reply, Wire
from running import client_of

FIGURE = "R12"
CLAIM = "50 requests a second while a migration adds columns, an index, a check, a foreign key; long readers in the way"
TARGET = "worst stall < 250 ms, 0 x 5xx"
DATABASES = (POSTGRESQL,)
STALL = 0.25  # seconds
RATE = 50  # requests a second
HELD, FREE = 1.5, 1.0  # seconds that a reader keeps its transaction open, and that it does not
PATIENCE = 300.0  # seconds
REVISION = """
import sqlalchemy as sa
from cortez.core.migrations import operations

revision, down_revision = "busy", {head!r}


def upgrade() -> None:
    operations.add_column("cognitive_traces", sa.Column("teacher_id", sa.Uuid()))
    operations.add_foreign_key("fk_busy", "cognitive_traces", "users", ["teacher_id"], ["id"], "SET NULL")
    operations.create_index("idx_busy", "cognitive_traces", ["teacher_id", "created_at"])
    operations.add_check("cognitive_traces", "ck_busy", "length(content) >= 0")
    operations.add_required_column("sessions", sa.Column("busy", sa.Integer()), "trace_count + 1", default="0")
"""
COPIES = """
    INSERT INTO {table} SELECT (jsonb_populate_record(one, jsonb_build_object('id', gen_random_uuid()))).*
    FROM {table} AS one, generate_series(1, {count}) WHERE one.id = $1
"""


class Timed(Traffic):
    """Remembers how long the slowest request took; the clients' turns lie apart from each other."""

    worst = 0.0

    async def write(self, number: int) -> None:
        await asyncio.sleep(self.turn * number / self.writers)
        await super().write(number)

    async def read(self) -> None:
        await asyncio.sleep(self.turn * random.random())  # noqa: S311 - jitter
        await super().read()

    async def ask(self, wire: Wire, method: str, path: str, content: object = None, key: str = "") -> Reply | None:
        begun = time.monotonic()
        reply = await super().ask(wire, method, path, content, key)
        self.worst = max(self.worst, time.monotonic() - begun)
        return reply


async def fill(stage: Stage, aside: UUID, traces: int) -> None:
    """With copies of one step and of its session, in sessions where the clients do not work."""
    async with stage.app() as app, Make(app, client_of) as make:
        session = next(one for one in await make.all(LearningSession) if one.id == aside)
        trace = await make.trace(session)
    connection = await asyncpg.connect(stage.settings.database_url)
    await connection.execute(COPIES.format(table="sessions", count=traces // 20), session.id)
    await connection.execute(COPIES.format(table="cognitive_traces", count=traces), trace.id)
    await connection.execute("ANALYZE")
    await connection.close()


async def read_slowly(url: str, over: asyncio.Event) -> None:
    """In transactions that keep a snapshot, and locked what they have read."""
    connection = await asyncpg.connect(url)
    while not over.is_set():
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute("SELECT FROM sessions LIMIT 1; SELECT FROM cognitive_traces LIMIT 1")
            await asyncio.sleep(HELD * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        await asyncio.sleep(FREE * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
    await connection.close()


@asynccontextmanager
async def readers(url: str, count: int) -> AsyncIterator[None]:
    over = asyncio.Event()
    reading = [asyncio.create_task(read_slowly(url, over)) for _ in range(count)]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*reading)


def migrate(url: str, folder: Path) -> tuple[int | None, float]:
    """The exit code of a deployer's process, and how many seconds it took."""
    versions, begun = folder / "versions", time.monotonic()
    shutil.copytree(CHECKOUT / "alembic" / "versions", versions)
    (versions / "busy.py").write_text(REVISION.format(head=revisions()[-1]))
    deployer = processes.Process(target=upgrade, args=(url, "busy", versions))
    deployer.start()
    deployer.join(PATIENCE)
    return deployer.exitcode, time.monotonic() - begun


async def run(stage: Stage) -> Outcome:
    place, traces = await prepare(stage), 5_000 if stage.quick else 200_000
    await fill(stage, place.aside, traces)
    url = stage.settings.database_url
    with stage.server() as server:
        traffic = Timed(server.address, place, rate=RATE)
        async with traffic.flowing():
            await traffic.acknowledging(RATE * (1 if stage.quick else 10))
            usual, traffic.worst = traffic.worst, 0.0
            async with readers(url, 1 if stage.quick else 2):
                code, seconds = await asyncio.to_thread(migrate, url, stage.folder)
            await traffic.acknowledging(RATE)
    async with stage.app() as app:
        verdict = await traffic.verdict(app.state.database)
    failed = sum(count for name, count in traffic.counts.items() if name.startswith("5"))
    said = (
        f"{traces:,} traces, {seconds:.0f} s: worst stall {traffic.worst * 1000:.0f} ms (before: {usual * 1000:.0f}), "
    )
    said += f"{failed} x 5xx of {traffic.counts['asked']:,} requests; {verdict.lost} writes lost"
    kept = code == 0 and not (failed or verdict.faults or traffic.unasked or traffic.counts["broken"])
    return Outcome(said, kept and (stage.quick or traffic.worst < STALL))

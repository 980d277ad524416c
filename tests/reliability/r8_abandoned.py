"""Clients that hang up at any moment, and requests that are cancelled at any moment: nothing stays behind.

Half of the abandoned reads wait for a table that somebody has locked: they must end although it stays locked.

Broken on purpose: where `Connection.connection_lost` cancels nothing, abandoned readers hold connections until their
statements time out; where `UnitOfWork.attempt` does not close its session, 11 of 200 cancelled requests keep one.
"""

import asyncio
import random
import socket
import struct
from contextlib import suppress
from typing import Any

from litestar import Litestar
from sqlalchemy import func, select, text

from cortez.core.db.engine import Database
from cortez.sessions.models import LearningSession
from cortez.traces.models import CognitiveTrace
from factory import Make, Someone
from reliability.stage import SQLITE, Outcome, Stage
from reliability.traffic import Place, prepare
from reliability.wire import Wire
from running import client_of

FIGURE = "R8"
CLAIM = "requests abandoned, and cancelled, at random moments"
TARGET = "0 connections leaked, 0 idle in transaction or at work after 2 s"
SETTLE = 2.0  # seconds
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST
STEP = {"interaction_type": "student_prompt", "content": "Leaving"}
BUSY = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'cortez' AND pid <> pg_backend_pid() AND state <> 'idle'"""


async def run(stage: Stage) -> Outcome:
    count = 150 if stage.quick else 1_000
    chance = random.Random(8)  # noqa: S311 - the same every time
    place = await prepare(stage)
    abandoned, served = await abandon(stage, place, count, chance)
    async with stage.app() as app, Make(app, client_of) as make:
        cancelled, leaked = await cancel(app, make, count, chance)
        busy, uneven = await at_work(make.database), await miscounted(make.database)
    said = f"{count:,} abandoned: {abandoned} still at work, {served} answered after; "
    said += f"{cancelled:,} cancelled: {leaked} connections leaked, {busy} still at work; {uneven} sessions miscounted"
    return Outcome(said, not (abandoned or leaked or busy or uneven) and served == AFTER)


AFTER = 20  # requests at once, when all is over


async def abandon(stage: Stage, place: Place, count: int, chance: random.Random) -> tuple[int, int]:
    """How many statements are still at work, while the table is locked, and how many requests are answered then."""
    own = f"/api/v1/sessions/{place.sessions[0]}"
    with stage.server(DB_POOL_SIZE="8", DB_MAX_OVERFLOW="0") as server:
        async with stage.app() as app, app.state.database.session(writes=True) as locking:
            if stage.database != SQLITE:
                await locking.execute(text("LOCK TABLE git_traces IN ACCESS EXCLUSIVE MODE"))
            for start in range(0, count, 25):
                kinds = [("GET", f"{own}/git-traces"), ("GET", f"{own}/traces"), ("POST", f"{own}/traces")]
                leaving = [
                    leave(server.address, place, *chance.choice(kinds), chance) for _ in range(start, start + 25)
                ]
                await asyncio.gather(*leaving)
            await asyncio.sleep(SETTLE)
            left = await at_work(app.state.database) - (stage.database != SQLITE)
            answered = await asyncio.gather(*[ask(server.address, place, f"{own}/traces") for _ in range(AFTER)])
            await locking.close()
    return left, sum(answered)


async def leave(address: str, place: Place, method: str, path: str, chance: random.Random) -> None:
    """Sends a request, whole or not, and is gone within 30 ms; every other time without a goodbye."""
    wire = Wire(address, place.token)
    content = STEP if method == "POST" else None
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(chance.uniform(0, 0.03)):
            if chance.random() < 0.5:
                _, writer = await wire.connect()
                own: socket.socket = writer.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            await wire.send(method, path, content)
    wire.hang_up()


async def ask(address: str, place: Place, path: str) -> bool:
    async with Wire(address, place.token) as wire:
        return (await wire.send("GET", path)).status == 200


async def cancel(app: Litestar, make: Make, count: int, chance: random.Random) -> tuple[int, int]:
    """How many were cancelled before their end, and how many connections are out afterwards."""
    admin, session = await make.admin(), await make.session()
    path, cancelled = f"/sessions/{session.id}/traces", 0
    for start in range(0, count, 10):
        lot = [asyncio.create_task(one(admin, path, chance)) for _ in range(start, start + 10)]
        await asyncio.sleep(0)
        cancelled += sum(await asyncio.gather(*[end(task, chance.uniform(0, 0.03)) for task in lot]))
    for steps in range(60):  # and at each of the first moments of one
        task = asyncio.create_task(one(admin, path, chance))
        for _ in range(steps):
            await asyncio.sleep(0)
        cancelled += await end(task, 0)
    await asyncio.sleep(SETTLE)
    pool: Any = app.state.database.engine.pool
    for _ in range(5):
        assert (await admin.post(path, json=STEP)).status_code == 201
    return cancelled, pool.checkedout()


async def one(admin: Someone, path: str, chance: random.Random) -> None:
    if chance.random() < 0.5:
        await admin.get(path)
    else:
        await admin.post(path, json=STEP, headers={"Idempotency-Key": str(chance.random())})


async def end(task: "asyncio.Task[None]", after: float) -> bool:
    """Whether it was cancelled in time."""
    if after:
        await asyncio.wait([task], timeout=after)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def at_work(database: Database) -> int:
    """Connections of the service that are not idle; on SQLite nobody can tell."""
    if database.is_sqlite:
        return 0
    async with database.reading() as session:
        return await session.scalar(text(BUSY)) or 0


async def miscounted(database: Database) -> int:
    """Sessions of which a write was half done."""
    rows = select(func.count()).where(CognitiveTrace.session_id == LearningSession.id).scalar_subquery()
    async with database.reading() as session:
        uneven = select(func.count()).select_from(LearningSession).where(LearningSession.trace_count != rows)
        return await session.scalar(uneven) or 0

"""A replica answers reads while it lags, is lost, hangs and is promoted: nobody gets an error, or an older answer."""

import asyncio
import os
import signal
import time
from collections import Counter
from contextlib import AbstractAsyncContextManager

import asyncpg
import msgspec

from cortez.core.db.replica import LAGGING, LOST
from cortez.core.migrations import runner
from postgres import Cluster, cluster, create_database, replica
from reliability.stage import POSTGRESQL, Outcome, Stage
from reliability.traffic import Place, going, prepare
from reliability.wire import Reply, Wire

FIGURE = "R16"
CLAIM = "each write read back at once over another connection, two workers; the replica paused, killed, hung, promoted"
TARGET = "0 errors, 0 stale reads; nearly all reads at the replica before and after"
DATABASES = (POSTGRESQL,)
WRITERS, READERS = 4, 4
NEARLY_ALL = 0.9
WINDOWS = 5
ASKED = "FROM cognitive_traces"  # once in the replica's log for each read that it answers


class Traffic:
    """Writers that read back what they wrote, and readers of whatever was stored last."""

    def __init__(self, address: str, place: Place) -> None:
        self.address, self.place = address, place
        self.counts: Counter[str] = Counter()
        self.unasked: list[Reply] = []  # answers that no client should get
        self.slowest = 0.0
        self.latest = ""
        self.over = asyncio.Event()

    def flowing(self) -> AbstractAsyncContextManager[None]:
        writing = [self.write(number) for number in range(WRITERS)]
        return going(self.over, *writing, *[self.read_on() for _ in range(READERS)])

    async def write(self, number: int) -> None:
        path = f"/api/v1/sessions/{self.place.sessions[number]}/traces"
        step = {"interaction_type": "student_prompt", "content": "Is it there?"}
        async with Wire(self.address, self.place.token) as wire:
            while not self.over.is_set():
                reply = await wire.send("POST", path, step)
                self.counts["writes"] += 1
                if reply.status == 201:
                    self.latest = reply.json()["id"]
                    await self.read(self.latest)
                else:
                    self.unasked.append(reply)

    async def read_on(self) -> None:
        while not self.over.is_set():
            if self.latest:
                await self.read(self.latest)
            await asyncio.sleep(0.01)

    async def read(self, id_: str) -> None:
        """What was acknowledged before; 404 is an answer from before it was."""
        async with Wire(self.address, self.place.token) as wire:
            begun = time.monotonic()
            reply = await wire.send("GET", f"/api/v1/traces/{id_}")
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.counts["reads"] += 1
        self.counts["stale"] += reply.status == 404
        if reply.status not in {200, 404}:
            self.unasked.append(reply)

    async def reads(self, seconds: float) -> int:
        """How many there are meanwhile."""
        before = self.counts["reads"]
        await asyncio.sleep(seconds)
        return self.counts["reads"] - before


async def run(stage: Stage) -> Outcome:
    for name in ("primary", "standby"):
        await asyncio.to_thread((stage.folder / name).mkdir)
    with cluster(stage.folder / "primary", durable=True) as primary:
        url = await create_database(primary.url, "replicated")
        settings = msgspec.structs.replace(stage.settings, database_url=url)
        await asyncio.to_thread(runner.upgrade, settings)
        with replica(primary, stage.folder / "standby", durable=True, log_statement="all") as standby:
            return await play(msgspec.structs.replace(stage, settings=settings), standby)


async def play(stage: Stage, standby: Cluster) -> Outcome:
    place, rounds, calm = await prepare(stage, WRITERS), 1 if stage.quick else 5, 1.0 if stage.quick else 5.0
    read_url = standby.url.replace("/postgres", "/replicated")
    with stage.server(CORTEZ_WORKERS="2", DATABASE_READ_URL=read_url) as server:
        traffic = Traffic(server.address, place)
        async with traffic.flowing():
            shares = [await share_of(traffic, standby, calm)]
            for _ in range(rounds):
                await faults(standby, calm)
                if not stage.quick:
                    await hang(standby)
                await asyncio.sleep(LOST + 1)
                shares.append(await share_of(traffic, standby, calm))
            await told(standby, "SELECT pg_promote()")
            await asyncio.sleep(calm)
    counts, wrong = traffic.counts, traffic.unasked
    said = f"{counts['writes']:,} writes, {counts['reads']:,} reads: {len(wrong)} errors, {counts['stale']} stale; "
    said += f"before and after {rounds} rounds of faults at least {min(shares):.0%} of the reads at the replica; "
    said += f"slowest read {traffic.slowest * 1000:.0f} ms"
    return Outcome(said, not wrong and not counts["stale"] and min(shares) >= NEARLY_ALL)


async def share_of(traffic: Traffic, standby: Cluster, seconds: float) -> float:
    """Of the reads, those that the replica answers while all is well.

    A machine that does other things may let it lag for 50 ms, and then it is rightly left alone for a second: that
    window says nothing, and the next is looked at, five at most.
    """
    share = 0.0
    for _ in range(WINDOWS):
        await asyncio.sleep(0.5)
        before = asked(standby)
        reads = await traffic.reads(seconds)
        share = max(share, min(1.0, (asked(standby) - before) / reads))
        if share >= NEARLY_ALL:
            break
    return share


async def faults(standby: Cluster, seconds: float) -> None:
    await told(standby, "SELECT pg_wal_replay_pause()")
    await asyncio.sleep(seconds)
    await told(standby, "SELECT pg_wal_replay_resume()")
    await asyncio.sleep(LAGGING + 0.5)  # until it is read again
    await told(standby, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cortez'")
    await asyncio.sleep(0.5)
    await asyncio.to_thread(standby.stop, signal.SIGQUIT)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(standby.start)


def asked(standby: Cluster) -> int:
    return standby.log.read_text().count(ASKED)


async def told(standby: Cluster, statement: str) -> None:
    connection = await asyncpg.connect(standby.url)
    await connection.execute(statement)
    await connection.close()


async def hang(standby: Cluster) -> None:
    """Its processes stand still: connections stay, and nothing answers."""
    assert standby.process
    await asyncio.sleep(LOST + 1)  # until it is read again
    os.killpg(standby.process.pid, signal.SIGSTOP)
    await asyncio.sleep(4)
    os.killpg(standby.process.pid, signal.SIGCONT)

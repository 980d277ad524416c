"""More than a small pool can bear: writers that wait for a lock, bodies that drip, heads that never end, and a class.

The clients are in a process of their own that steps back, as they are elsewhere in life; the health probe is not.
"""

import asyncio
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from statistics import quantiles
from typing import NamedTuple

from sqlalchemy import update

from cortez.clock import utc_now
from cortez.sessions.models import LearningSession
from reliability.stage import POSTGRESQL, Outcome, Stage
from reliability.traffic import Place, prepare
from reliability.wire import Broken, Refused, Wire

FIGURE = "R7"
QUICK = (POSTGRESQL,)
CLAIM = "pool of 5: clients that wait for a locked row, that send a byte a second, that never end a head, and fast ones"
TARGET = "503 within 1 s, 0 hangs, slow bodies and heads cut off, `/health/live` p99 < 20 ms, well again within 1 s"
SMALL = {"DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "0", "CORTEZ_BODY_TIMEOUT": "3", "DB_LOCK_TIMEOUT": "1"}
PATIENT = 1.5  # seconds until a 503: one, and what the machine adds when everything runs on it
HANGING = 20.0  # no request may take so long: four attempts of two seconds, and some


class Storm(NamedTuple):
    """What became of the clients; `worst` seconds of a 503 that no lock was awaited for."""

    fast: Counter[int]
    slow: Counter[int]
    cut: int
    broken: int
    worst: float
    longest: float


async def run(stage: Stage) -> Outcome:
    clients, seconds = (40, 4) if stage.quick else (200, 20)
    place = await prepare(stage)
    loop = asyncio.get_running_loop()
    with (
        stage.server(**SMALL) as server,
        ProcessPoolExecutor(1, get_context("spawn"), initializer=os.nice, initargs=(10,)) as pool,
    ):
        async with stage.app(db_statement_timeout=120.0) as app, app.state.database.session(writes=True) as locking:
            own = update(LearningSession).where(LearningSession.id == place.aside).values(updated_at=utc_now())
            await locking.execute(own)
            storming = loop.run_in_executor(pool, rage, server.address, place, clients, seconds)
            live = await probe(server.address, storming.done)
            found = await storming
            await locking.close()
        recovered = await recover(server.address, place)
    p99 = quantiles(live, n=100)[98]
    said = f"{clients} of each: fast {shown(found.fast)}, waiting {shown(found.slow)}, {found.broken} broken off; "
    said += f"{found.cut} of {2 * clients} slow senders cut off; "
    said += f"503 within {found.worst:.2f} s, any answer within {found.longest:.1f} s; "
    said += f"live p99 {p99 * 1000:.0f} ms; well again after {recovered * 1000:.0f} ms"
    known = (found.fast.keys() | found.slow.keys()) <= {200, 201, 503}
    kept = known and found.cut == 2 * clients and not found.broken and found.longest < HANGING and recovered < 1
    return Outcome(said, kept and (stage.quick or (found.worst < PATIENT and p99 < 0.02)))


def shown(statuses: Counter[int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))


async def probe(address: str, over: object) -> list[float]:
    """Seconds of each answer of /health/live."""
    assert callable(over)
    times = []
    async with Wire(address) as wire:
        while not over():
            begun = time.perf_counter()
            assert (await wire.send("GET", "/health/live")).status == 200
            times.append(time.perf_counter() - begun)
            await asyncio.sleep(0.02)
    return times


async def recover(address: str, place: Place) -> float:
    """Seconds until a write is taken again, where everybody waited."""
    begun = time.perf_counter()
    step = {"interaction_type": "student_prompt", "content": "Again?"}
    async with Wire(address, place.token) as wire:
        while (await wire.send("POST", f"/api/v1/sessions/{place.aside}/traces", step)).status != 201:
            assert time.perf_counter() - begun < HANGING
    return time.perf_counter() - begun


def rage(address: str, place: Place, clients: int, seconds: float) -> Storm:
    return asyncio.run(Clients(address, place, seconds).all(clients))


class Clients:
    """All kinds of them, for so many seconds."""

    def __init__(self, address: str, place: Place, seconds: float) -> None:
        self.address, self.place = address, place
        self.end = time.monotonic() + seconds
        self.fast: Counter[int] = Counter()
        self.slow: Counter[int] = Counter()
        self.cut = self.broken = 0
        self.worst = self.longest = 0.0

    async def all(self, clients: int) -> Storm:
        kinds = (self.read, self.wait, self.drip_body, self.drip_head)
        await asyncio.gather(*[kind(number / clients) for kind in kinds for number in range(clients)])
        return Storm(self.fast, self.slow, self.cut, self.broken, self.worst, self.longest)

    async def read(self, first: float) -> None:
        """A student at work: a request a second."""
        await asyncio.sleep(first)
        async with Wire(self.address, self.place.token) as wire:
            while time.monotonic() < self.end:
                path = f"/api/v1/sessions/{self.place.sessions[0]}/traces?limit=20"
                await self.ask(wire, self.fast, "GET", path)
                await asyncio.sleep(1)

    async def wait(self, first: float) -> None:
        """Wants the row that is locked; a second between refusals, as Retry-After says."""
        path = f"/api/v1/sessions/{self.place.aside}/traces"
        step = {"interaction_type": "student_prompt", "content": "Now?"}
        await asyncio.sleep(first)
        async with Wire(self.address, self.place.token) as wire:
            while time.monotonic() < self.end:
                await self.ask(wire, self.slow, "POST", path, step)
                await asyncio.sleep(1)

    async def ask(self, wire: Wire, seen: Counter[int], method: str, path: str, content: object = None) -> None:
        begun = time.monotonic()
        try:
            reply = await wire.send(method, path, content)
        except (Broken, Refused):
            self.broken += 1
            return
        seen[reply.status] += 1
        taken = time.monotonic() - begun
        self.longest = max(self.longest, taken)
        if reply.status == 503 and reply.code == "POOL_EXHAUSTED":
            self.worst = max(self.worst, taken)

    async def drip_body(self, first: float) -> None:
        own = f"authorization: Bearer {self.place.token}\r\ncontent-type: application/json\r\ncontent-length: 10000\r\n"
        path = f"/api/v1/sessions/{self.place.sessions[0]}/traces"
        await self.drip(f"POST {path} HTTP/1.1\r\nhost: x\r\n{own}\r\n".encode())

    async def drip_head(self, first: float) -> None:
        await self.drip(b"GET /health/live HTTP/1.1\r\nhost: x\r\n")

    async def drip(self, beginning: bytes) -> None:
        """A byte a second, until the server has had enough."""
        host, _, port = self.address.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(beginning)
        ended = asyncio.create_task(reader.read())
        with suppress(OSError):
            async with asyncio.timeout(HANGING):
                while not ended.done():
                    writer.write(b" ")
                    await asyncio.wait([ended], timeout=1)
        self.cut += ended.done()
        ended.cancel()
        writer.transport.abort()

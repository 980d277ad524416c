"""Clients at work: they store steps under idempotency keys until each is acknowledged, list them, and keep count.

A step's content is its key and it has no id of its own, so that a key that is worked twice makes two rows.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import cycle
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select

from cortez.core.db.engine import Database
from cortez.sessions.models import LearningSession
from cortez.traces.models import CognitiveTrace
from factory import Make
from forgeries import secret_of
from reliability.stage import Stage
from reliability.wire import Broken, Refused, Reply, Wire
from running import client_of

IMPATIENCE = (
    0.1  # seconds at most between two attempts, whatever Retry-After says: more attempts, more that can go wrong
)


@asynccontextmanager
async def going(over: asyncio.Event, *work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Work that goes on while the block runs and is told when it is over; every request that was begun is finished."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*tasks)


class Place(msgspec.Struct, frozen=True):
    """Where the clients work, and the token that lets them."""

    token: str
    sessions: list[UUID]
    aside: UUID  # a session in which they do not work


async def prepare(stage: Stage, sessions: int = 4) -> Place:
    async with stage.app() as app, Make(app, client_of) as make:
        return await place_of(make, sessions)


async def place_of(make: Make, sessions: int = 4) -> Place:
    key = await make.key("read", "traces")
    *made, aside = [(await make.session()).id for _ in range(sessions + 1)]
    return Place(secret_of(key), made, aside)


class Verdict(msgspec.Struct, frozen=True):
    """What the database says of what the clients were told."""

    acknowledged: int
    lost: int  # acknowledged and not there
    doubled: int  # there more than once
    uncalled: int  # there, and never sent
    miscounted: int  # sessions whose trace_count is not the number of their steps

    @property
    def faults(self) -> int:
        return self.lost + self.doubled + self.uncalled + self.miscounted

    def said(self) -> str:
        wrong = f"{self.doubled} doubled, {self.uncalled} never sent, {self.miscounted} counts wrong"
        return f"{self.lost} of {self.acknowledged:,} acknowledged writes lost, {wrong}"


class Over(Exception):
    """The traffic ended before a step was acknowledged."""


class Traffic:
    """Writers and readers on connections of their own."""

    def __init__(self, address: str, place: Place, writers: int = 8, readers: int = 2, rate: float = 0) -> None:
        """`rate`: requests a second of all of them; as many as they can where it is 0."""
        self.address, self.place = address, place
        self.writers, self.readers = writers, readers
        self.turn = (writers + readers) / rate if rate else 0.0
        self.acknowledged: dict[str, bytes] = {}
        self.unknown: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.unasked: list[Reply] = []  # answers that no client should ever get
        self.news = asyncio.Event()
        self.over = asyncio.Event()
        self.open = asyncio.Event()  # cleared while nobody is expected to listen
        self.open.set()

    def flowing(self) -> AbstractAsyncContextManager[None]:
        writing = [self.write(number) for number in range(self.writers)]
        return going(self.over, *writing, *[self.read() for _ in range(self.readers)])

    async def write(self, number: int) -> None:
        async with Wire(self.address, self.place.token) as wire:
            while not self.over.is_set():
                self.counts["asked"] += 1
                until = time.monotonic() + self.turn
                with suppress(Over):
                    await self.deliver(wire, f"{number}-{self.counts['asked']}")
                    self.counts["done"] += 1
                await asyncio.sleep(until - time.monotonic())

    async def deliver(self, wire: Wire, key: str) -> Reply:
        """Sends a step until it is acknowledged. Raises Over."""
        session = self.place.sessions[sum(key.encode()) % len(self.place.sessions)]
        step = {"interaction_type": "student_prompt", "content": key}
        while not self.over.is_set():
            reply = await self.ask(wire, "POST", f"/api/v1/sessions/{session}/traces", step, key)
            if reply is None:
                self.unknown.add(key)
            elif reply.status == 201:
                self.acknowledged[key] = reply.body
                self.news.set()
                return reply
            await asyncio.sleep(random.uniform(0, IMPATIENCE))  # noqa: S311 - jitter
        raise Over

    async def acknowledging(self, count: int) -> None:
        """Waits until so many more steps are acknowledged."""
        wanted = len(self.acknowledged) + count
        while len(self.acknowledged) < wanted:
            self.news.clear()
            await self.news.wait()

    async def read(self) -> None:
        """Lists sessions in turn, each until it is answered."""
        async with Wire(self.address, self.place.token) as wire:
            for session in cycle(self.place.sessions):
                self.counts["asked"] += 1
                until = time.monotonic() + (self.turn or 0.005)
                while not await self.listed(wire, session):
                    if self.over.is_set():
                        return
                    await asyncio.sleep(random.uniform(0, IMPATIENCE))  # noqa: S311 - jitter
                self.counts["done"] += 1
                await asyncio.sleep(until - time.monotonic())
                if self.over.is_set():
                    return

    async def listed(self, wire: Wire, session: UUID) -> bool:
        reply = await self.ask(wire, "GET", f"/api/v1/sessions/{session}/traces?limit=20")
        return reply is not None and reply.status == 200

    async def ask(self, wire: Wire, method: str, path: str, content: object = None, key: str = "") -> Reply | None:
        """The answer; None where there was none."""
        await self.open.wait()
        try:
            reply = await wire.send(method, path, content, {"idempotency-key": key} if key else None)
        except Refused:
            self.counts["refused"] += 1
            return None
        except Broken:
            self.counts["broken"] += 1
            return None
        self.counts[str(reply.status)] += 1
        if reply.status not in {200, 201} and not (reply.status == 503 and "retry-after" in reply.headers):
            self.unasked.append(reply)
        return reply

    async def verdict(self, database: Database) -> Verdict:
        """After the traffic is over."""
        there = CognitiveTrace.session_id.in_(self.place.sessions)
        counted = select(CognitiveTrace.session_id, func.count()).where(there).group_by(CognitiveTrace.session_id)
        kept = select(LearningSession.id, LearningSession.trace_count).where(
            LearningSession.id.in_(self.place.sessions)
        )
        async with database.reading() as session:
            stored = Counter(await session.scalars(select(CognitiveTrace.content).where(there)))
            rows = dict((await session.execute(counted)).tuples().all())
            counts = dict((await session.execute(kept)).tuples().all())
        return Verdict(
            acknowledged=len(self.acknowledged),
            lost=len(self.acknowledged.keys() - stored.keys()),
            doubled=sum(count > 1 for count in stored.values()),
            uncalled=len(stored.keys() - self.acknowledged.keys() - self.unknown),
            miscounted=sum(counts[one] != rows.get(one, 0) for one in self.place.sessions),
        )

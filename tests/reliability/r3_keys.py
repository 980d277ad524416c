"""The same request five times at once under one key, while workers are killed: one effect, one answer."""

import asyncio
import os
import signal
from collections import defaultdict

from reliability.stage import Outcome, Stage
from reliability.traffic import Place, Traffic, prepare
from reliability.wire import Wire
from serving import Server

FIGURE = "R3"
CLAIM = "idempotency keys, each sent five times in parallel, with kills and restarts"
TARGET = "1,000 keys: 1,000 rows, all answers to a key byte-equal"
SENDS = 5
AT_ONCE = 12  # keys
SAME = ("location", "etag", "content-type")


class Sender:
    """Sends each key over five connections until every one of them has an answer."""

    def __init__(self, address: str, place: Place) -> None:
        self.traffic = Traffic(address, place)
        self.answers: defaultdict[str, set[tuple[bytes, ...]]] = defaultdict(set)

    async def send_all(self, keys: list[str]) -> None:
        waiting = iter(keys)

        async def lane() -> None:
            wires = [Wire(self.traffic.address, self.traffic.place.token) for _ in range(SENDS)]
            for key in waiting:
                await asyncio.gather(*[self.send(wire, key) for wire in wires])
            for wire in wires:
                wire.hang_up()

        await asyncio.gather(*[lane() for _ in range(AT_ONCE)])

    async def send(self, wire: Wire, key: str) -> None:
        reply = await self.traffic.deliver(wire, key)
        self.answers[key].add((reply.body, *(reply.headers[name].encode() for name in SAME)))


async def run(stage: Stage) -> Outcome:
    keys, every = (40, 15) if stage.quick else (1_000, 50)
    place = await prepare(stage)
    with stage.server(CORTEZ_WORKERS="2") as server:
        sender = Sender(server.address, place)
        killing = asyncio.create_task(kill(server, sender.traffic, every))
        await sender.send_all([f"key-{number}" for number in range(keys)])
        killing.cancel()
        await asyncio.wait([killing])
    async with stage.app() as app:
        verdict = await sender.traffic.verdict(app.state.database)
    unequal = sum(len(answers) != 1 for answers in sender.answers.values())
    said = f"{keys:,} keys x {SENDS}, {sender.traffic.counts['kills']} kills: {verdict.said()}; "
    said += f"{unequal} answered unequally"
    kept = not (verdict.faults or unequal or sender.traffic.unasked)
    return Outcome(said, kept and verdict.acknowledged == keys == len(sender.answers))


async def kill(server: Server, traffic: Traffic, every: int) -> None:
    """A worker, each time that so many keys more are acknowledged; another goes on."""
    while True:
        await traffic.acknowledging(every)
        os.kill(server.workers()[0], signal.SIGKILL)
        traffic.counts["kills"] += 1

"""kill -9 of the server under load: in turn of one worker, which the supervisor replaces, and of everything.

What an answer before its commit would lose, R2 shows sooner than this scenario.
"""

import asyncio
import os
import signal

from reliability.stage import Outcome, Stage
from reliability.traffic import Traffic, prepare

FIGURE = "R1"
CLAIM = "kill -9 of a worker, and of the whole server, in turn, under load"
TARGET = "0 of ≥ 20,000 acknowledged writes lost over 100 kills on both databases; every key one row"
EACH = 200  # acknowledged writes between two kills


async def run(stage: Stage) -> Outcome:
    kills = 2 if stage.quick else 50
    place = await prepare(stage)
    with stage.server() as server:
        traffic = Traffic(server.address, place, writers=16)
        async with traffic.flowing():
            for kill in range(kills):
                await traffic.acknowledging(EACH)
                if kill % 2:
                    os.kill(server.workers()[0], signal.SIGKILL)
                else:
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)
            await traffic.acknowledging(1)
    async with stage.app() as app:
        verdict = await traffic.verdict(app.state.database)
    said = f"{kills} kills: {verdict.said()}; {traffic.counts['broken']:,} requests broken off"
    return Outcome(said, not verdict.faults and not traffic.unasked and verdict.acknowledged >= kills * EACH)

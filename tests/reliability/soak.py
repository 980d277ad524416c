"""Half an hour of traffic with a fault every ten seconds: `make soak`. Memory and descriptors are sampled and drawn.

Faults, in turn: connections terminated, clients that abandon their requests, the database restarted (fast, then
immediate), one of the two workers killed. The other worker is never killed, so that what it keeps would show.
"""

import argparse
import asyncio
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pygal

from postgres import Cluster, cluster
from reliability.r2_connections import TERMINATE
from reliability.r8_abandoned import leave
from reliability.stage import POSTGRESQL, Stage
from reliability.traffic import Traffic, prepare
from serving import Server

RATE = 100  # requests a second
FAULT_EVERY = 10.0
SAMPLE_EVERY = 5.0
WARM = 120.0  # seconds until a worker has made what it makes once
ENOUGH = 0.999
SLOPE = 1.0  # MB a minute
HEAD = "| id | what is tried | database | measured | target | kept |\n|---|---|---|---|---|---|"
TARGET = "≥ 99.9 % after client retries, 0 lost; memory slope < 1 MB/min"
RESULTS = Path(__file__).parents[2] / "results"


class Sample(NamedTuple):
    """Of the worker that is never killed: minutes since the beginning, MB, open descriptors."""

    minute: float
    memory: float
    descriptors: int


def sampled(pid: int, minute: float) -> Sample:
    status = Path(f"/proc/{pid}/status").read_text()
    memory = int(status.split("VmRSS:")[1].split()[0]) / 1024
    return Sample(minute, memory, sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))


class Soak:
    def __init__(self, server: Server, postgres: Cluster, url: str, traffic: Traffic, seconds: float) -> None:
        self.server, self.postgres, self.url, self.traffic = server, postgres, url, traffic
        self.oldest = server.workers()[0]
        self.begun = time.monotonic()
        self.end = self.begun + seconds
        self.samples: list[Sample] = []
        self.faults = 0

    async def sample(self) -> None:
        while time.monotonic() < self.end:
            self.samples.append(sampled(self.oldest, (time.monotonic() - self.begun) / 60))
            await asyncio.sleep(SAMPLE_EVERY)

    async def fault(self) -> None:
        kinds = itertools.cycle((self.terminate, self.abandon, self.restart, self.crash, self.kill))
        while time.monotonic() + 2 * FAULT_EVERY < self.end:
            await asyncio.sleep(FAULT_EVERY)
            await next(kinds)()
            self.faults += 1

    async def terminate(self) -> None:
        connection = await asyncpg.connect(self.url)
        await connection.execute(TERMINATE)
        await connection.close()

    async def abandon(self) -> None:
        chance, path = random.Random(), f"/api/v1/sessions/{self.traffic.place.sessions[0]}/traces"  # noqa: S311
        await asyncio.gather(*[leave(self.server.address, self.traffic.place, "GET", path, chance) for _ in range(50)])

    async def restart(self) -> None:
        await asyncio.to_thread(self.postgres.stop, signal.SIGINT)
        await asyncio.to_thread(self.postgres.start)

    async def crash(self) -> None:
        await asyncio.to_thread(self.postgres.stop, signal.SIGQUIT)
        await asyncio.to_thread(self.postgres.start)

    async def kill(self) -> None:
        for pid in self.server.workers():
            if pid != self.oldest:
                os.kill(pid, signal.SIGKILL)

    def slope(self) -> float:
        """MB a minute, by least squares, once the worker is warm."""
        points = [(one.minute, one.memory) for one in self.samples if one.minute * 60 >= WARM]
        middle = sum(x for x, _ in points) / len(points)
        level = sum(y for _, y in points) / len(points)
        spread = sum((x - middle) ** 2 for x, _ in points)
        return sum((x - middle) * (y - level) for x, y in points) / spread

    def draw(self, file: Path) -> None:
        chart = pygal.XY(
            title="The worker that lives through it: memory (MB) and descriptors",
            x_title="minutes",
            show_dots=False,
            js=[],
            disable_xml_declaration=True,
        )
        chart.add("memory, MB", [(one.minute, one.memory) for one in self.samples])
        chart.add("descriptors", [(one.minute, one.descriptors) for one in self.samples])
        chart.render_to_file(str(file))


async def soak(folder: Path, minutes: float) -> bool:
    """Whether the promise was kept."""
    with cluster(folder, durable=True) as postgres:
        stage = await Stage.make(POSTGRESQL, "soak", folder / "stage", postgres.url, quick=False)
        place = await prepare(stage)
        with stage.server(CORTEZ_WORKERS="2") as server:
            traffic = Traffic(server.address, place, writers=4, readers=4, rate=RATE)
            run = Soak(server, postgres, stage.settings.database_url, traffic, minutes * 60)
            async with traffic.flowing():
                await asyncio.gather(run.sample(), run.fault())
        async with stage.app() as app:
            verdict = await traffic.verdict(app.state.database)
    counts = traffic.counts
    good = counts["done"] / counts["asked"]
    said = f"{minutes:g} min, {run.faults} faults, {counts['asked']:,} requests: {good:.3%} done after retries "
    said += f"({counts['503']:,} x 503, {counts['broken']} broken, {len(traffic.unasked)} other errors on the way); "
    said += f"{verdict.said()}; "
    first, last = run.samples[len(run.samples) // 10], run.samples[-1]
    said += f"memory {first.memory:.0f} to {last.memory:.0f} MB ({run.slope():+.2f} MB/min), "
    said += f"descriptors {first.descriptors} to {last.descriptors}"
    kept = good >= ENOUGH and not verdict.faults and not traffic.unasked and run.slope() < SLOPE
    what = f"traffic of {RATE} requests/s with a fault each 10 s"
    line = f"| R15 | {what} | postgresql | {said} | {TARGET} | {'yes' if kept else '**no**'} |"
    print(f"{HEAD}\n{line}")  # noqa: T201
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "soak.md").write_text(f"{HEAD}\n{line}\n")
    run.draw(RESULTS / "soak.svg")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cortez-") as name:
        kept = asyncio.run(soak(Path(name), asked.minutes))
    sys.exit(not kept)


if __name__ == "__main__":
    main()

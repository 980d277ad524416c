"""The database server is restarted under load, in good order and as after a crash; the service is not."""

import asyncio
import signal
import time

import httpx
import msgspec

from cortez.core.migrations import runner
from postgres import Cluster, cluster, create_database
from reliability.stage import POSTGRESQL, Outcome, Stage
from reliability.traffic import Traffic, prepare

FIGURE = "R6"
CLAIM = "PostgreSQL restarted under load, fast and immediate in turn"
TARGET = "nothing but 2xx and 503 with Retry-After; back within 250 ms; 0 lost"
DATABASES = (POSTGRESQL,)
BACK = 0.25  # seconds


async def run(stage: Stage) -> Outcome:
    restarts = 2 if stage.quick else 10
    own = stage.folder / "postgres"
    await asyncio.to_thread(own.mkdir)
    with cluster(own, durable=True) as postgres:
        settings = msgspec.structs.replace(
            stage.settings, database_url=await create_database(postgres.url, "restarted")
        )
        await asyncio.to_thread(runner.upgrade, settings)
        stage = msgspec.structs.replace(stage, settings=settings)
        place = await prepare(stage)
        with stage.server(CORTEZ_WORKERS="2") as server:
            traffic = Traffic(server.address, place)
            async with traffic.flowing():
                backs = [await restart(postgres, traffic, number) for number in range(restarts)]
        async with stage.app() as app:
            verdict = await traffic.verdict(app.state.database)
    said = (
        f"{restarts} restarts: {verdict.said()}; {traffic.counts['503']:,} x 503, {len(traffic.unasked)} other errors; "
    )
    said += f"back after {max(backs) * 1000:.0f} ms at most"
    kept = not (verdict.faults or traffic.unasked or traffic.counts["broken"] or traffic.counts["refused"])
    return Outcome(said, kept and (stage.quick or max(backs) <= BACK))


async def restart(postgres: Cluster, traffic: Traffic, number: int) -> float:
    """Seconds from the moment that the server takes connections to the first write that the service takes."""
    await traffic.acknowledging(50)
    await asyncio.to_thread(postgres.stop, (signal.SIGINT, signal.SIGQUIT)[number % 2])
    await asyncio.sleep(0.3)
    watching = asyncio.create_task(asyncio.to_thread(written, traffic))
    await asyncio.to_thread(postgres.start)
    return await watching - postgres.up_since


def written(traffic: Traffic) -> float:
    """When a write was taken, tried again and again by a client of its own."""
    headers = {"Authorization": f"Bearer {traffic.place.token}"}
    path = f"{traffic.address}/api/v1/sessions/{traffic.place.aside}/traces"
    with httpx.Client(headers=headers, timeout=30) as client:
        while client.post(path, json={"interaction_type": "student_prompt", "content": "Back?"}).status_code != 201:
            time.sleep(0.005)
    return time.monotonic()

"""Every connection of the service is terminated at the server, again and again, under load."""

import asyncio
import time

import asyncpg

from reliability.stage import POSTGRESQL, Outcome, Stage
from reliability.traffic import Traffic, prepare

FIGURE = "R2"
CLAIM = "every database connection terminated each 250 ms, under load"
TARGET = "0 of ≥ 30,000 acknowledged writes lost over 60 s at least; every key one row; nothing but 2xx and 503"
DATABASES = (POSTGRESQL,)
EVERY = 0.25
TERMINATE = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'cortez'"""


async def run(stage: Stage) -> Outcome:
    seconds, enough, most = (5, 200, 90) if stage.quick else (60, 30_000, 400)
    place = await prepare(stage)
    with stage.server(CORTEZ_WORKERS="2") as server:
        traffic = Traffic(server.address, place, writers=8)
        async with traffic.flowing():
            terminated = await storm(stage.settings.database_url, traffic, seconds, enough, most)
    async with stage.app() as app:
        verdict = await traffic.verdict(app.state.database)
    said = f"{terminated:,} connections terminated: {verdict.said()}; {traffic.counts['503']:,} x 503"
    return Outcome(said, not verdict.faults and not traffic.unasked and verdict.acknowledged >= enough)


async def storm(url: str, traffic: Traffic, seconds: float, enough: int, most: float) -> int:
    """Until both the time is up and enough was acknowledged; how many connections it took."""
    connection, begun, terminated = await asyncpg.connect(url), time.monotonic(), 0
    try:
        while (passed := time.monotonic() - begun) < most and (passed < seconds or len(traffic.acknowledged) < enough):
            await asyncio.sleep(EVERY)
            terminated += await connection.fetchval(TERMINATE)
    finally:
        await connection.close()
    return terminated

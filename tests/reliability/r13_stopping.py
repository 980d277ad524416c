"""SIGTERM and SIGHUP under load, with two workers: whoever has a connection gets an answer, and a stream its end."""

import asyncio
import signal
import time
from collections import Counter

import httpx

from reliability.stage import POSTGRESQL, Outcome, Stage
from reliability.traffic import Place, Traffic, prepare
from reliability.wire import Wire

FIGURE = "R13"
QUICK = (POSTGRESQL,)
CLAIM = "SIGTERM and rolling restarts (SIGHUP) under load, two workers"
TARGET = "0 requests broken on an accepted connection; rolling refuses none; exit < 5 s"
STEPS = 3_000  # in the stream that is on its way when the server stops


async def run(stage: Stage) -> Outcome:
    stops, rolls = (1, 1) if stage.quick else (25, 10)
    place = await prepare(stage)
    with stage.server(CORTEZ_WORKERS="2") as server:
        await fill(server.address, place)
        traffic = Traffic(server.address, place)
        whole, slowest = 0, 0.0
        async with traffic.flowing():
            for _ in range(rolls):
                await asyncio.sleep(0.5)
                await asyncio.to_thread(server.roll)
            rolled = Counter(traffic.counts)
            for _ in range(stops):
                download = asyncio.create_task(stream(server.address, place))
                await asyncio.sleep(0.5)
                begun = time.monotonic()
                server.tell(signal.SIGTERM)
                await asyncio.to_thread(server.wait)
                slowest = max(slowest, time.monotonic() - begun)
                whole += await download
                traffic.open.clear()
                await asyncio.to_thread(server.start)
                traffic.open.set()
    async with stage.app() as app:
        verdict = await traffic.verdict(app.state.database)
    counts = traffic.counts
    answered = counts["200"] + counts["201"]
    said = f"{rolls} rolls, {stops} stops: {answered:,} answered, {counts['broken']} broken, {counts['503']} x 503, "
    said += f"{rolled['refused']} refused while rolling ({counts['refused']} after the door was shut); "
    said += f"{whole} of {stops} streams whole; exit within {slowest:.1f} s; {verdict.lost} writes lost"
    kept = not (counts["broken"] or counts["503"] or rolled["refused"] or traffic.unasked or verdict.faults)
    return Outcome(said, kept and whole == stops and slowest < 5)


async def fill(address: str, place: Place) -> None:
    """Steps to stream."""
    item = {"interaction_type": "ai_response", "content": "x" * 1_000, "session_id": str(place.aside)}
    async with Wire(address, place.token) as wire:
        for _ in range(STEPS // 1_000):
            reply = await wire.send("POST", "/api/v1/traces/batch", [item] * 1_000)
            assert reply.status == 200, reply.body[:500]


async def stream(address: str, place: Place) -> bool:
    """Reads an export slowly; whether all of it came."""
    path, lines = f"{address}/api/v1/exports/traces", 0
    async with (
        httpx.AsyncClient(headers={"Authorization": f"Bearer {place.token}"}, timeout=30) as client,
        client.stream("GET", path) as answer,
    ):
        async for line in answer.aiter_lines():
            lines += bool(line)
            if lines % 1_000 == 0:
                await asyncio.sleep(0.3)
    return lines >= STEPS

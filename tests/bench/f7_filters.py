"""F7: every filtered list over a million traces and a hundred thousand sessions, its plan and its time."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import create_async_engine

from bench.filling import COURSE, fill
from bench.programs import ours
from bench.stage import Bench, Line, Scene
from cortez.app import create_app
from factory import Make
from plans import Watch, plan, watching
from running import client_of, live

FIGURES = ("F7",)
COURSES = 100
GROWN = {"cognitive_traces", "sessions", "risks", "evaluations"}
TRACES, QUICK_TRACES = 1_000_000, 10_000
TIMES, QUICK_TIMES = 100, 10
STUDENT, ACTIVITY = "bench-7", "bench-7"
SINCE, UNTIL = "2026-03-20T00:00:00Z", "2026-03-02T00:00:00Z"
BY_WHOM = (f"student_id={STUDENT}", f"activity_id={ACTIVITY}", f"course_id={COURSE}")
LISTS = {
    "/traces": [
        *BY_WHOM,
        f"occurred_after={SINCE}",
        f"occurred_before={UNTIL}",
        "trace_level=n4_cognitivo",
        "interaction_type=student_prompt",
        "cognitive_state=exploracion",
        f"student_id={STUDENT}&cognitive_state=exploracion",
        f"activity_id={ACTIVITY}&interaction_type=ai_response",
    ],
    "/sessions": [
        *BY_WHOM,
        "mode=tutor",
        "status=completed",
        f"started_after={SINCE}",
        f"started_before={UNTIL}",
        f"student_id={STUDENT}&activity_id={ACTIVITY}",
    ],
    "/risks": [
        *BY_WHOM[:2],
        "risk_level=critical",
        "dimension=cognitive",
        "resolved=false",
        f"student_id={STUDENT}&resolved=false",
    ],
    "/evaluations": BY_WHOM[:2],
}


def run(bench: Bench) -> Iterator[Line]:
    scene = bench.scene("filters", 1)
    size = QUICK_TRACES if bench.quick else TRACES
    fill(scene.url, size, COURSES)
    asked = [f"{path}?{query}" for path, queries in LISTS.items() for query in queries]
    scanned = asyncio.run(scans(scene, asked))
    yield Line(
        "F7",
        f"{len(asked)} filtered lists over {size:,} traces: big tables read from end to end",
        f"**{len(scanned)}** {' '.join(scanned)}",
        "0",
        not scanned,
    )
    with ours(scene.folder, scene.url) as server:
        headers = {"authorization": f"Bearer {scene.place.token}"}
        with httpx.Client(base_url=f"{server.address}/api/v1", headers=headers) as client:
            times = QUICK_TIMES if bench.quick else TIMES
            taken = timed(client, asked, times)
    one = taken.pop(ONE)
    slowest = max(taken, key=lambda path: taken[path])
    ratio = taken[slowest] / one
    told = f"p95 {taken[slowest] * 1000:.1f} ms; of a trace by its id {one * 1000:.1f} ms"
    what = f"a page of ten of each, the slowest `{slowest}`: {told}"
    yield Line("F7", what, f"**{ratio:.1f}**", "≤ 3", ratio <= 3)


ONE = "one trace"


def timed(client: httpx.Client, asked: list[str], times: int) -> dict[str, float]:
    """Seconds, p95, of a page of ten of each list, and of one trace by its id, all asked in turn."""
    found = client.get("/traces?limit=1").json()["items"][0]["id"]
    paths = {ONE: f"/traces/{found}"} | {path: f"{path}&limit=10" for path in asked}
    seconds: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(times + 2):
        for path, target in paths.items():
            begun = time.perf_counter()
            client.get(target).raise_for_status()
            seconds[path].append(time.perf_counter() - begun)
    return {path: statistics.quantiles(taken[2:], n=20)[-1] for path, taken in seconds.items()}


async def scans(scene: Scene, asked: list[str]) -> list[str]:
    """The lists whose plan, with the planner left free, reads a big table from end to end."""
    found: dict[str, Any] = {}
    async with live(create_app(scene.settings)) as app, Make(app, client_of) as make:
        people = [await make.key("read"), await make.teacher(course=COURSE)]
        with watching(app.state.database) as watch:
            for who in people:
                for path in asked:
                    found |= await sent_for(watch, path, who)
    engine = create_async_engine(scene.settings.url)
    async with engine.connect() as connection:
        bad = {one.call for one in found.values() if (await plan(connection, one)).whole & GROWN}
    await engine.dispose()
    return sorted(bad)


async def sent_for(watch: Watch, path: str, who: Any) -> dict[str, Any]:
    watch.call = path
    answer = await who.get(f"{path}&limit=10")
    assert answer.is_success, answer.text
    return dict(watch.sent)

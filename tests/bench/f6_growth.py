"""F6, F8 and F9: what becomes slower as the tables grow, from ten thousand traces to a million."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx

from bench.filling import COURSE, fill
from bench.material import Place
from bench.programs import ours
from bench.stage import Bench, Line, Plot, Scene, Series
from cortez.app import create_app
from factory import Make
from running import client_of, live
from serving import Server

FIGURES = ("F6", "F8", "F9")
SIZES = (10_000, 100_000, 1_000_000)
QUICK_SIZES = (10_000,)
DEEP, SMALL = 1_000, 10  # the page that is read, and how many rows a page has
PERIOD = {"period_start": "2026-01-01T00:00:00Z", "period_end": "2027-01-01T00:00:00Z"}

# The same figures as the report has, by hand.
REPORT = f"""
WITH scope AS NOT MATERIALIZED (
    SELECT id, student_id, start_time, status FROM sessions
    WHERE course_id = '{COURSE}' AND start_time >= '2026-01-01' AND start_time < '2027-01-01'
), work AS (
    SELECT student_id, count(*) AS sessions, count(*) FILTER (WHERE status = 'completed') AS completed,
        max(start_time) AS last
    FROM scope GROUP BY 1
), steps AS (
    SELECT s.student_id, count(*) AS steps, sum(t.ai_involvement) AS share
    FROM scope s JOIN cognitive_traces t ON t.session_id = s.id GROUP BY 1
), found AS (
    SELECT s.student_id, count(*) AS risks,
        count(*) FILTER (WHERE r.risk_level = 'critical' AND NOT r.resolved) AS critical
    FROM scope s JOIN risks r ON r.session_id = s.id WHERE r.resolution IS DISTINCT FROM 'unfounded' GROUP BY 1
), judged AS (
    SELECT s.student_id, count(*) AS evaluations, avg(e.overall_score) AS score
    FROM scope s JOIN evaluations e ON e.session_id = s.id GROUP BY 1
), kinds AS (
    SELECT r.risk_type, r.dimension, r.risk_level, count(*) AS risks
    FROM scope s JOIN risks r ON r.session_id = s.id WHERE r.resolution IS DISTINCT FROM 'unfounded' GROUP BY 1, 2, 3
), members AS (
    SELECT u.student_id FROM course_members m JOIN users u ON u.id = m.user_id
    WHERE m.course_id = '{COURSE}' AND m.role = 'student' AND u.student_id IS NOT NULL
)
SELECT coalesce(w.student_id, m.student_id), w.*, p.*, f.*, j.*, (SELECT jsonb_agg(kinds) FROM kinds)
FROM work w LEFT JOIN steps p USING (student_id) LEFT JOIN found f USING (student_id)
LEFT JOIN judged j USING (student_id) FULL JOIN members m ON m.student_id = w.student_id
ORDER BY 1
"""
EXPORT = "SELECT row_to_json(t) FROM (SELECT * FROM cognitive_traces ORDER BY created_at, id) t"


def run(bench: Bench) -> Iterator[Line]:
    first: list[tuple[float, float]] = []
    deep: list[tuple[float, float]] = []
    reports: list[tuple[float, float]] = []
    exports: list[tuple[float, float]] = []
    for size in QUICK_SIZES if bench.quick else SIZES:
        scene = bench.scene(f"growth{size}", 1)
        fill(scene.url, size)
        with ours(scene.folder, scene.url) as server:
            near, far = pages(scene.place, server.address, 30 if bench.quick else 200)
            first.append((size, near * 1000))
            deep.append((size, far * 1000))
            report = cohort(bench, scene, server)
            reports.append((size, report[0]))
            export = traces(bench, scene, server)
            exports.append((size, export[0]))
    every = [value for _, value in first + deep]
    told = "; ".join(
        f"{size:,.0f}: {near:.2f} and {far:.2f} ms" for (size, near), (_, far) in zip(first, deep, strict=True)
    )
    apart = max(every) / min(every)
    yield Line(
        "F6", f"first and 1,000th page of 10 traces, p50 by rows: {told}", f"**{apart:.2f}**", "≤ 1.3", apart <= 1.3
    )
    yield report[1]
    yield report[2]
    yield export[1]
    yield export[2]
    bench.plots.append(
        Plot(
            "growth_pages",
            "A page of 10 traces, p50",
            "traces",
            "milliseconds",
            [Series("first page", first), Series("1,000th page", deep)],
            logarithmic=True,
        )
    )
    bench.plots.append(
        Plot(
            "growth_whole",
            "What reads everything, seconds",
            "traces",
            "seconds",
            [Series("cohort report", reports), Series("export of all traces", exports)],
            logarithmic=True,
        )
    )


def pages(place: Place, address: str, times: int) -> tuple[float, float]:
    """Seconds (p50) of the first page and of the 1,000th, asked in turn by one client."""
    with httpx.Client(base_url=address, headers={"authorization": f"Bearer {place.token}"}) as client:
        path = f"/api/v1/traces?limit={SMALL}"
        near = far = path
        cursor = path
        for _ in range((DEEP - 1) * SMALL // 200 + 1):  # there by larger pages
            found = client.get(cursor.replace(f"limit={SMALL}", "limit=200")).json()
            if found["next_cursor"] is None:
                break
            far = cursor = f"{path}&cursor={found['next_cursor']}"
        for one in (near, far):
            client.get(one).raise_for_status()
        seconds: dict[str, list[float]] = {near: [], far: []}
        for _ in range(times):
            for one, taken in seconds.items():
                begun = time.perf_counter()
                client.get(one)
                taken.append(time.perf_counter() - begun)
        return statistics.median(seconds[near]), statistics.median(seconds[far])


def cohort(bench: Bench, scene: Scene, server: Server) -> tuple[float, Line, Line]:
    """Seconds of the report, and its lines."""
    token = asyncio.run(teacher(scene))
    body = {"report_type": "cohort_summary", "course_id": COURSE, **PERIOD}
    by_hand: list[float] = []
    ours_: list[float] = []
    grown: list[float] = []
    with httpx.Client(base_url=server.address, headers={"authorization": f"Bearer {token}"}, timeout=300) as client:
        for _ in range(bench.rounds + 1):
            by_hand.append(asyncio.run(statement(scene.url)))
            begun = time.perf_counter()
            client.post("/api/v1/reports", json=body).raise_for_status()
            ours_.append(time.perf_counter() - begun)
            grown.append(server.memory())
    mine, hand = statistics.median(ours_[1:]), statistics.median(by_hand[1:])
    what = f"cohort report over the largest course: {mine:.2f} s, one statement by hand {hand:.2f} s"
    flat = grown[-1] - grown[0]
    return (
        mine,
        Line("F8", what, f"**{mine / hand:.2f}**", "≤ 1.5", mine / hand <= 1.5),
        Line("F8", f"memory over {len(grown)} of them: {grown[-1]:.0f} MB", f"**{flat:+.1f} MB**", "flat", flat <= 5),
    )


async def teacher(scene: Scene) -> str:
    """A token of somebody who may have the report made."""
    async with live(create_app(scene.settings)) as app, Make(app, client_of) as make:
        return str((await make.admin()).client.headers["authorization"]).removeprefix("Bearer ")


async def statement(url: str) -> float:
    connection = await asyncpg.connect(url, server_settings={"jit": "off"})
    begun = time.perf_counter()
    await connection.fetch(REPORT)
    taken = time.perf_counter() - begun
    await connection.close()
    return taken


def traces(bench: Bench, scene: Scene, server: Server) -> tuple[float, Line, Line]:
    """Seconds of the export of all traces, and its lines."""
    rounds = 1 if bench.quick else 3
    ratios: list[float] = []
    seconds: list[float] = []
    before = server.memory()
    peak = before
    for _ in range(rounds):
        floor = asyncio.run(copied(scene.url))
        taken, rows, most = streamed(scene.place, server)
        assert rows == floor[1], (rows, floor)
        seconds.append(taken)
        ratios.append(floor[0] / taken)
        peak = max(peak, most)
    times, taken = statistics.median(ratios), statistics.median(seconds)
    what = (
        f"export of {rows:,} traces as NDJSON: {rows / taken:,.0f} rows/s, COPY TO STDOUT {rows / taken / times:,.0f}"
    )
    return (
        taken,
        Line("F9", what, f"**{times:.2f}**", "≥ 0.4", times >= 0.4),
        Line(
            "F9",
            f"the worker's memory while exporting, from {before:.0f} MB",
            f"**{peak - before:+.1f} MB**",
            "≤ 48 MB",
            peak - before <= 48,
        ),
    )


async def copied(url: str) -> tuple[float, int]:
    """Seconds and rows of PostgreSQL's own way."""
    rows = 0

    async def take(data: bytes) -> None:
        nonlocal rows
        rows += data.count(b"\n")

    connection = await asyncpg.connect(url)
    begun = time.perf_counter()
    await connection.copy_from_query(EXPORT, output=take)
    taken = time.perf_counter() - begun
    await connection.close()
    return taken, rows


def streamed(place: Place, server: Server) -> tuple[float, int, float]:
    """Seconds and rows of ours, and the most memory that the worker had meanwhile, in MB."""
    rows, most, begun = 0, 0.0, time.perf_counter()
    headers: dict[str, Any] = {"authorization": f"Bearer {place.token}", "accept-encoding": "identity"}
    with httpx.stream("GET", f"{server.address}/api/v1/exports/traces", headers=headers, timeout=600) as answer:
        answer.raise_for_status()
        for number, data in enumerate(answer.iter_raw(1 << 20)):
            rows += data.count(b"\n")
            if number % 20 == 0:
                most = max(most, server.memory())
    return time.perf_counter() - begun, rows, most

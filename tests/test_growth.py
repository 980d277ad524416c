"""What grows with what is stored: pages by weight, bounded parts, exports that are streams, turns for others."""

import asyncio
import json
import random
import tracemalloc
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import FrozenResult, Result, insert
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.analysis.handlers import MAX_INCLUDED
from cortez.clock import utc_now
from cortez.content.models import Apuntes, ArchivoAdjunto, Subject, Unidad
from cortez.core.db.repository import AT_ONCE, LOT, MAX_BYTES
from cortez.core.security.principal import SYSTEM
from cortez.exercises.models import ExerciseTest
from cortez.exports.streams import EXPORTS, PIECE, pieces
from cortez.risks.models import Risk
from cortez.sessions.models import LearningSession
from cortez.settings import Settings
from cortez.simulators.models import SimulatorEvent
from cortez.traces.models import CognitiveTrace
from cortez.traces.repository import TRACES, TraceRepository
from factory import Make, Someone
from running import SECRET
from serving import serving
from test_exports import many, stream

HEAVY = MAX_BYTES // LOT * 3 // 4  # bytes of a row, of which two lots are too much


async def pages(someone: Someone, path: str) -> list[list[dict[str, Any]]]:
    """All of a list, in pages as large as may be."""
    found, query = [], "limit=200"
    while query:
        answer = (await someone.get(f"{path}?{query}")).json()
        found.append(answer["items"])
        query = f"limit=200&cursor={answer['next_cursor']}" if answer["next_cursor"] else ""
    return found


async def events(make: Make, session: LearningSession, number: int, size: int) -> None:
    now = utc_now() - timedelta(hours=1)
    own = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
    rows = [
        {**own, "simulator_type": "client", "event_type": "met", "event_data": {"place": place, "said": "x" * size}}
        | {"created_at": now + timedelta(microseconds=place)}
        for place in range(number)
    ]
    async with make.database.unit() as unit:
        await unit.execute(insert(SimulatorEvent), rows)


@pytest.mark.requirement("P5")
async def test_a_page_of_large_rows_ends_early_and_the_next_goes_on(make: Make) -> None:
    """Both of columns and of entities; small rows fill their page."""
    admin, session, small = await make.admin(), await make.session(), await make.session()
    number = 2 * LOT + 10
    await many(make, session, number, "x" * HEAVY)
    await events(make, session, number, HEAVY)
    await many(make, small, number, "x")
    for path, name in (("traces", "content"), ("simulator-events", "event_data")):
        found = await pages(admin, f"/sessions/{session.id}/{path}")
        assert [*map(len, found)] == [2 * LOT - 1, 11], path
        items = [item for page in found for item in page]
        assert len({item["id"] for item in items}) == number
        places = [item[name]["place"] if path != "traces" else int(item[name].split()[0]) for item in items]
        assert places == list(range(number)), path
    assert [*map(len, await pages(admin, f"/sessions/{small.id}/traces"))] == [number]


async def test_a_page_that_ends_early_at_the_last_row_says_so(make: Make) -> None:
    admin, session = await make.admin(), await make.session()
    await many(make, session, 2 * LOT, "x" * HEAVY)
    assert [*map(len, await pages(admin, f"/sessions/{session.id}/traces"))] == [2 * LOT - 1, 1]


async def included(someone: Someone, session: LearningSession, parts: str) -> dict[str, Any]:
    answer = await someone.get(f"/sessions/{session.id}?include={parts}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_what_is_included_is_bounded_in_number_and_says_where_the_rest_is(make: Make) -> None:
    admin, session = await make.admin(), await make.session()
    await many(make, session, MAX_INCLUDED, "x")
    whole = await included(admin, session, "traces,evaluations")
    assert [trace["content"] for trace in whole["traces"]] == [f"{place} x" for place in range(MAX_INCLUDED)]
    assert "more" not in whole
    await make.trace(session, content="one more")
    own = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
    risk = {**own, "risk_type": "ai_dependency", "risk_level": "low", "dimension": "cognitive", "description": "x"}
    async with make.database.unit() as unit:
        await unit.execute(insert(Risk), [risk] * (MAX_INCLUDED + 1))
    cut = await included(admin, session, "traces,risks,evaluations")
    assert (cut["traces"], len(cut["risks"])) == (whole["traces"], MAX_INCLUDED)
    assert cut["more"] == {name: f"/api/v1/sessions/{session.id}/{name}" for name in ("risks", "traces")}
    rest = await pages(admin, cut["more"]["traces"].removeprefix("/api/v1"))
    assert sum(map(len, rest)) == MAX_INCLUDED + 1


async def test_what_is_included_is_bounded_in_weight(make: Make) -> None:
    admin, session = await make.admin(), await make.session()
    await many(make, session, 3 * LOT, "x" * HEAVY)
    found = await included(admin, session, "traces")
    assert len(found["traces"]) == 2 * LOT - 1
    assert found["more"].keys() == {"traces"}
    few = await make.session()
    await many(make, few, LOT + 1, "x" * 2 * HEAVY)
    found = await included(admin, few, "traces")
    assert (len(found["traces"]), found["more"].keys()) == (LOT - 1, {"traces"})


async def shuffled(make: Make, session: LearningSession, number: int) -> list[str]:
    """Steps that happened in another order than they were stored in, two at each moment; their ids as they happened."""
    dice = random.Random(1)  # noqa: S311 - an order, no secret
    now = utc_now() - timedelta(hours=2)
    await many(make, session, number, "x")
    moments = {
        trace.id: now + timedelta(seconds=dice.randrange(number // 2)) for trace in await make.all(CognitiveTrace)
    }
    async with make.database.unit() as unit:
        for id_, moment in moments.items():
            trace = await unit.get_one(CognitiveTrace, id_)
            trace.occurred_at = moment
    return [str(id_) for _, id_ in sorted((moment, str(id_)) for id_, moment in moments.items())]


async def test_steps_come_in_the_order_they_happened_over_many_lots(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, session = await make.admin(), await make.session()
    ids = await shuffled(make, session, 3 * LOT)
    for module in ("session_export", "streams"):
        monkeypatch.setattr(f"cortez.exports.{module}.PLACES", LOT + 20)
    assert [trace["id"] for trace in (await included(admin, session, "traces"))["traces"]] == ids
    exported = (await admin.get(f"/exports/sessions/{session.id}")).json()
    assert [trace["id"] for trace in exported["traces"]] == ids


async def test_a_session_is_exported_while_it_is_made_and_holds_no_connection(make: Make, app: Litestar) -> None:
    admin, session = await make.admin(), await make.session()
    await many(make, session, 40 * LOT, "x" * 3_000)
    await events(make, session, 40 * LOT, 3_000)
    tracemalloc.start()
    sent = await stream(app, admin, path=f"/exports/sessions/{session.id}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (sent.status, set(sent.connections)) == (200, {0})
    assert sent.bytes > 12_000_000
    assert peak < sent.bytes / 4


async def test_an_export_that_began_shows_nothing_that_may_no_longer_be_seen(make: Make, app: Litestar) -> None:
    """Each lot is read under the rights of that moment."""
    course = await make.course()
    teacher, session = await make.teacher(course=course), await make.session(course_id=course)
    await many(make, session, 2 * LOT, "x" * PIECE)
    await events(make, session, LOT, 60_000)
    admin = await make.admin()

    async def remove() -> None:
        assert (await admin.delete(f"/courses/{course}/members/{teacher.id}")).status_code == 204

    sent = await stream(app, teacher, path=f"/exports/sessions/{session.id}", meanwhile=remove)
    assert PIECE < sent.bytes < (LOT + 1) * (PIECE + 2_000)
    assert not sent.is_whole


class Ready:
    """A session whose rows have come already: nothing of it waits."""

    def __init__(self, rows: FrozenResult[Any]) -> None:
        self.rows = rows

    async def execute(self, statement: object) -> Result[Any]:
        return self.rows()


async def test_others_get_their_turn_while_many_rows_are_made(make: Make) -> None:
    session = await make.session()
    await many(make, session, 6 * AT_ONCE, "x")
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with make.database.reading() as reader:
        traces = TraceRepository(reader, SYSTEM)
        asked = traces.select(TRACES.c.id)
        traces.session = cast("AsyncSession", Ready((await reader.execute(asked)).freeze()))
        counting = asyncio.create_task(count())
        assert len(await traces.many(asked)) == 6 * AT_ONCE
        counting.cancel()
    assert turns >= 6


def test_an_export_is_cut_into_pieces() -> None:
    parts = [b"x" * (PIECE // 3)] * 10
    found = [*pieces(parts)]
    assert b"".join(found) == b"".join(parts)
    assert max(map(len, found)) <= PIECE + len(parts[0])
    assert len(found) == 3


async def test_how_files_grow_is_counted_over_many_lots(make: Make) -> None:
    admin, session = await make.admin(), await make.session()
    async with make.together():
        for place in range(LOT + 9):
            files = [{"file_path": f"{name}.py"} for name in (place // 2, "same", "same")]
            await make.git_trace(session, files_changed=files, timestamp=session.start_time + timedelta(seconds=place))
    found = (await admin.get(f"/sessions/{session.id}/git-traces/evolution")).json()
    assert [commit["files"] for commit in found["commits"]] == [2] * (LOT + 9)
    assert [commit["cumulative_files"] for commit in found["commits"]] == [2 + place // 2 for place in range(LOT + 9)]
    assert found["files"] == 1 + (LOT + 9) // 2


async def test_what_is_shown_whole_takes_only_so_many_parts(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, exercise = await make.admin(), await make.exercise()
    unit = Unidad(materia_code="S", numero=1, titulo="A unit")
    await make.add(Subject(code="S", name="A subject", language="python"), unit)
    monkeypatch.setattr("cortez.exercises.repository.MAX_HINTS", 2)
    monkeypatch.setattr("cortez.exercises.repository.MAX_TESTS", 2)
    monkeypatch.setattr("cortez.content.repository.MAX_NOTES", 2)
    test = {"input": "1", "expected": "1"}
    for path, body in {
        f"/exercises/{exercise.id}/hints": {"title": "Look", "content": "Look again."},
        f"/exercises/{exercise.id}/tests": test,
        f"/unidades/{unit.id}/apuntes": {"titulo": "A note", "contenido_markdown": "x"},
    }.items():
        answers = [await admin.post(path, json=body) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 409], answers[0].text
        assert answers[2].json()["code"] == "TOO_MANY_PARTS"
    first, *_ = await make.all(Apuntes)
    assert (await admin.delete(f"/apuntes/{first.id}")).status_code == 204
    assert (
        await admin.post(f"/unidades/{unit.id}/apuntes", json={"titulo": "x", "contenido_markdown": "x"})
    ).is_success
    assert (await admin.post(f"/apuntes/{first.id}/restore")).json()["code"] == "TOO_MANY_PARTS"
    assert len(await make.all(ExerciseTest)) == 2


async def test_a_unit_takes_only_so_many_files(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, unit = await make.admin(), Unidad(materia_code="S", numero=1, titulo="A unit")
    await make.add(Subject(code="S", name="A subject", language="python"), unit)
    for module in ("attachments", "file_handlers"):
        monkeypatch.setattr(f"cortez.content.{module}.MAX_FILES", 2)
    path = f"/unidades/{unit.id}/archivos"
    answers = [await admin.post(path, files={"file": (f"{place}.txt", b"x")}) for place in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    first, *_ = await make.all(ArchivoAdjunto)
    assert (await admin.delete(f"/archivos/{first.id}")).status_code == 204
    assert (await admin.post(path, files={"file": ("x.txt", b"x")})).status_code == 201
    assert (await admin.post(f"/archivos/{first.id}/restore")).json()["code"] == "TOO_MANY_PARTS"


async def test_a_report_on_too_many_students_is_refused(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    course = await make.course()
    teacher = await make.teacher(course=course)
    students = [await make.student(course=course) for _ in range(3)]
    period = {"period_start": "2026-01-01T00:00:00Z", "period_end": "2027-01-01T00:00:00Z"}
    body: dict[str, Any] = {"report_type": "cohort_summary", "course_id": course, **period}
    monkeypatch.setattr("cortez.reports.repository.MAX_STUDENTS", 2)
    refused = await teacher.post("/reports", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "REPORT_TOO_LARGE")
    some = [student.student_id for student in students[:2]]
    made = await teacher.post("/reports", json=body | {"student_ids": some})
    assert [line["student_id"] for line in json.loads(made.content)["student_summaries"]] == some


async def test_of_archives_one_principal_has_one_on_its_way(make: Make, settings: Settings, tmp_path: Path) -> None:
    student = await make.student()
    session = await make.session(student)
    noise = [{"a": Random(place).randbytes(PIECE // 2).hex()} for place in range(4 * LOT)]  # noqa: S311 - no secret
    for part in noise:
        await make.trace(session, content="x", context=part)
    path, admin = f"/students/{student.student_id}/data", await make.admin()
    environment = {"DATABASE_URL": settings.database_url, "CORTEZ_SECRET_KEY": SECRET, "CORTEZ_WORKERS": "1"}
    with serving(tmp_path, environment) as server:
        mine, others = (
            httpx.AsyncClient(base_url=f"{server.address}/api/v1", headers=someone.client.headers, timeout=60)
            for someone in (student, admin)
        )
        async with mine, others:
            async with mine.stream("GET", path) as slow:
                assert slow.status_code == 200
                refused = await mine.get(path)
                assert (refused.status_code, refused.json()["code"]) == (503, "POOL_BUSY")
                assert (await mine.get(f"/exports/sessions/{session.id}")).status_code == 200
                async with others.stream("GET", path) as another:
                    assert another.status_code == 200
            await asyncio.sleep(0.5)
            assert (await mine.get(path)).status_code == 200


async def test_so_many_exports_are_on_their_way_and_one_that_is_abandoned_makes_room(
    make: Make, settings: Settings, tmp_path: Path
) -> None:
    admin, other, session = await make.admin(), await make.admin(), await make.session()
    await many(make, session, 2 * LOT, "x" * PIECE)
    path = f"/exports/sessions/{session.id}"
    environment = {"DATABASE_URL": settings.database_url, "CORTEZ_SECRET_KEY": SECRET, "CORTEZ_WORKERS": "1"}
    with serving(tmp_path, environment) as server:
        clients = [
            httpx.AsyncClient(base_url=f"{server.address}/api/v1", headers=someone.client.headers)
            for someone in (admin, other)
        ]
        mine, another = clients
        async with mine, another:
            for _ in range(2):
                async with AsyncExitStack() as held:
                    slow = [await held.enter_async_context(mine.stream("GET", path)) for _ in range(EXPORTS.share)]
                    assert {answer.status_code for answer in slow} == {200}
                    refused = await mine.get(path)
                    assert (refused.status_code, refused.json()["code"]) == (503, "POOL_BUSY")
                    assert (await mine.head(f"/sessions/{session.id}")).status_code == 200
                    assert (await another.get(path)).status_code == 200
                await asyncio.sleep(0.5)

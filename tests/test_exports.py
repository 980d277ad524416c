"""Exports: traces as a stream that holds little, a session with all that hangs on it, both for those who may see it."""

import asyncio
import csv
import io
import json
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from litestar import Litestar
from litestar.routes import HTTPRoute
from sqlalchemy import event, insert

from cortez.app import BrokenOff
from cortez.clock import utc_now
from cortez.commands.cli import cli
from cortez.core.db.engine import Database
from cortez.core.db.repository import LOT
from cortez.core.security.principal import SYSTEM
from cortez.core.web.route_options import options_of
from cortez.exercises.models import ExerciseAttempt
from cortez.exports.streams import PIECE, trace_lots
from cortez.git.models import GitTrace
from cortez.oversight.models import TeacherIntervention
from cortez.sequences.models import TraceSequence
from cortez.sessions.models import LearningSession
from cortez.simulators.models import IncidentSimulation, InterviewSession, SimulatorEvent
from cortez.traces.models import CognitiveTrace
from cortez.traces.schemas import TraceFilter
from factory import Make, Someone

TRACES = "/exports/traces"
PARTS = """traces trace_sequences risks evaluations git_traces interviews incidents simulator_events attempts
interventions""".split()


async def lines(someone: Someone, query: str = "") -> list[dict[str, Any]]:
    answer = await someone.get(f"{TRACES}{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


async def contents(someone: Someone, query: str = "") -> list[str]:
    return [line["content"] for line in await lines(someone, query)]


async def many(make: Make, session: LearningSession, number: int, content: str) -> None:
    """Traces in bulk, stored one microsecond apart."""
    now = utc_now() - timedelta(hours=1)
    own = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
    step = {**own, "interaction_type": "student_prompt", "ingest_digest": b""}
    rows = [
        {**step, "content": f"{place} {content}", "created_at": now + timedelta(microseconds=place)}
        for place in range(number)
    ]
    async with make.database.unit() as unit:
        await unit.execute(insert(CognitiveTrace), rows)


class Sent:
    """What the application itself sends, message by message, and what it holds meanwhile."""

    def __init__(self, database: Database, meanwhile: Callable[[], Awaitable[None]] | None) -> None:
        self.database = database
        self.meanwhile = meanwhile
        self.status = 0
        self.is_whole = True
        self.lines: list[int] = []
        self.bytes = 0
        self.connections: list[int] = []
        self.done = asyncio.Event()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.connections.append(self.database.engine.pool.checkedout())  # type: ignore[attr-defined]
        if self.meanwhile and self.bytes > PIECE:
            await self.meanwhile()
            self.meanwhile = None
        self.lines.append(message["body"].count(b"\n"))
        self.bytes += len(message["body"])
        if not message.get("more_body"):
            self.done.set()


async def stream(
    app: Litestar,
    someone: Someone,
    query: str = "",
    path: str = TRACES,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> Sent:
    """Through the ASGI interface: an HTTP client would gather the answer first.

    `meanwhile` is done once it has begun. `is_whole` is False where the answer breaks off.
    """
    sent = Sent(app.state.database, meanwhile)
    asked: list[Any] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if asked:
            return asked.pop()
        await sent.done.wait()
        return {"type": "http.disconnect"}

    path = f"/api/v1{path}"
    headers = [(b"authorization", someone.client.headers["authorization"].encode()), (b"host", b"test")]
    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "state": {},
    }
    try:
        await app(scope, receive, sent.send)
    except BrokenOff:
        sent.is_whole = False
    return sent


async def test_the_export_is_the_list(make: Make) -> None:
    """The same rows in the same order under each filter, however the list is paged."""
    admin, course = await make.admin(), await make.course("c")
    here, there = await make.session(course_id=course), await make.session()
    now = utc_now()
    for number in range(6):
        session = (here, there)[number % 2]
        kind = ("student_prompt", "ai_response", "code_commit")[number % 3]
        level = ("n1_superficial", "n4_cognitivo")[number % 2]
        moment = None if number == 5 else now - timedelta(hours=number)
        state = ("atascado", None)[number // 3]
        values = {"interaction_type": kind, "trace_level": level, "occurred_at": moment, "cognitive_state": state}
        await make.trace(session, content=str(number), **values)
    past = (now - timedelta(hours=2)).isoformat().replace("+", "%2B")
    for query in (
        "",
        f"student_id={here.student_id}",
        f"activity_id={there.activity_id}",
        "course_id=c",
        "course_id=none",
        "trace_level=N4",
        "interaction_type=QUESTION",
        "cognitive_state=STUCK",
        f"occurred_after={past}",
        f"occurred_before={past}",
        f"course_id=c&occurred_after={past}&trace_level=n1_superficial",
    ):
        listed = (await admin.get(f"/traces?{query}")).json()["items"]
        assert await lines(admin, f"?{query}") == listed, query


def test_the_export_has_the_filters_of_the_list(app: Litestar) -> None:
    taken = {
        route.path: set(options_of(route.route_handler_map["GET"][0]).query)
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path in ("/api/v1/traces", "/api/v1/exports/traces")
    }
    page = {"limit", "cursor", "count", "order"}
    assert taken["/api/v1/exports/traces"] - {"format"} == taken["/api/v1/traces"] - page


async def test_each_exports_what_they_may_see(make: Make, client: Any) -> None:
    mine, other = await make.course(), await make.course()
    student, teacher = await make.student(course=mine), await make.teacher(course=mine)
    await make.trace(await make.session(student, course_id=mine), content="own")
    await make.trace(await make.session(course_id=mine), content="neighbour's")
    await make.trace(await make.session(course_id=other), content="elsewhere")
    inside = ["own", "neighbour's"]
    assert await contents(student) == ["own"]
    for someone in (teacher, await make.tutor(course=mine), await make.key("read", course_ids=[mine])):
        assert await contents(someone) == inside
        assert await contents(someone, f"?course_id={other}") == []
    for someone in (await make.admin(), await make.key("traces")):
        assert await contents(someone) == [*inside, "elsewhere"]
    assert (await (await make.key("grading")).get(TRACES)).status_code == 403
    assert (await client.get(TRACES)).status_code == 401


@pytest.mark.parametrize(
    "query",
    ["format=xml", "format=", "trace_level=N9", "occurred_after=2026-01-01T00:00:00", "student_id=a%20b", "limit=5"],
)
async def test_a_wrong_filter_is_refused_before_the_stream_begins(make: Make, query: str) -> None:
    answer = await (await make.admin()).get(f"{TRACES}?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_in_csv_no_cell_is_a_formula(make: Make) -> None:
    admin, session = await make.admin(), await make.session()
    texts = ["=1+1", "+cmd|'/C calc'!A0", "-2", "@SUM(A1)", "\t=1", "\r=1", 'he said "no",\nthen left', "plain"]
    for text in texts:
        await make.trace(session, content=text, cognitive_intent=text[:10], agent_id="=a()", context={"=k": "=v"})
    answer = await admin.get(f"{TRACES}?format=CSV")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="traces.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    split = ["'\t'=1", "'\r'=1"]  # a program that takes the line end for one sees two cells
    assert [row["content"] for row in rows] == [f"'{text}" for text in texts[:4]] + split + texts[6:]
    listed = (await admin.get("/traces")).json()["items"]
    assert [row["id"] for row in rows] == [item["id"] for item in listed]
    assert rows[0].keys() == listed[0].keys()
    assert rows[0]["created_at"] == listed[0]["created_at"]
    assert json.loads(rows[0]["context"]) == {"=k": "=v"}
    for row in rows:
        assert not any(cell.startswith(tuple("=+-@\t\r")) for cell in row.values())


async def test_no_traces_are_an_empty_export(make: Make) -> None:
    admin = await make.admin()
    assert await lines(admin) == []
    assert (await admin.get(f"{TRACES}?format=csv")).text.startswith('"id","created_at","updated_at","session_id",')


async def test_a_stream_is_sent_lot_by_lot_and_holds_no_connection(make: Make, app: Litestar) -> None:
    admin, session = await make.admin(), await make.session()
    number = 7 * LOT + 7
    await many(make, session, number, "x")
    sent = await stream(app, admin)
    assert (sent.status, sent.lines) == (200, [LOT, 2 * LOT, 4 * LOT, 7, 0])
    assert set(sent.connections) == {0}
    assert await contents(admin) == [f"{place} x" for place in range(number)]


async def test_large_traces_are_sent_fewer_at_a_time(make: Make, app: Litestar) -> None:
    session = await make.session()
    await many(make, session, 7 * LOT, "x")
    await many(make, session, 2 * LOT, "x" * (PIECE // LOT))
    lots = trace_lots(app.state.database, SYSTEM, TraceFilter())
    assert [len(lot) async for lot in lots] == [LOT, 2 * LOT, 4 * LOT, 2 * LOT]
    await many(make, session, 2 * LOT, "x" * (PIECE // LOT))
    lots = trace_lots(app.state.database, SYSTEM, TraceFilter())
    assert [len(lot) async for lot in lots] == [LOT, 2 * LOT, 4 * LOT, 4 * LOT]
    await many(make, session, 6 * LOT, "x")
    lots = trace_lots(app.state.database, SYSTEM, TraceFilter())
    assert [len(lot) async for lot in lots] == [LOT, 2 * LOT, 4 * LOT, 8 * LOT, LOT, LOT]


async def test_a_longer_stream_takes_no_more_memory(make: Make, app: Litestar) -> None:
    admin, short, long = await make.admin(), await make.session(), await make.session()
    await many(make, short, 20 * LOT, "x" * 3_000)
    await many(make, long, 80 * LOT, "x" * 3_000)
    peaks = []
    for session in (short, short, long):  # the first of them warms up
        tracemalloc.start()
        sent = await stream(app, admin, f"student_id={session.student_id}&format=csv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert sent.bytes > 12_000_000
    assert peaks[2] < 1.3 * peaks[1]


async def full(make: Make, student: Someone, **values: Any) -> LearningSession:
    """A session with one of everything."""
    session = await make.session(student, **values)
    hung = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
    await make.trace(session, content="second")
    await make.trace(session, content="first", occurred_at=utc_now() - timedelta(hours=1))
    await make.risk(session)
    await make.evaluation(session)
    said = {"commit_message": "m", "author_name": "n", "author_email": "e", "branch_name": "main"}
    exercise = await make.exercise()
    await make.add(
        TraceSequence(**hung),
        GitTrace(**hung, **said, event_type="commit", commit_hash="a" * 40, timestamp=utc_now()),
        InterviewSession(
            **hung, interview_type="DESIGN", questions_asked=[{"question": "Why?", "expected_key_points": ["point"]}]
        ),
        IncidentSimulation(**hung, incident_type="DATABASE", incident_description="slow"),
        SimulatorEvent(**hung, simulator_type="client", event_type="met"),
        ExerciseAttempt(
            exercise_id=exercise.id, student_id=session.student_id, session_id=session.id, submitted_code="x"
        ),
        TeacherIntervention(student_id=session.student_id, session_id=session.id, notes="between teachers"),
    )
    return session


async def test_a_session_comes_with_all_that_hangs_on_it(make: Make) -> None:
    course = await make.course()
    teacher, student = await make.teacher(course=course), await make.student(course=course)
    session = await full(make, student, course_id=course)
    await full(make, student, course_id=course)
    for someone in (teacher, await make.tutor(course=course), await make.admin()):
        answer = await someone.get(f"/exports/sessions/{session.id}")
        found = answer.json()
        assert {name: len(found[name]) for name in PARTS} == dict.fromkeys(PARTS, 1) | {"traces": 2}
        assert [trace["content"] for trace in found["traces"]] == ["first", "second"]
        assert {one["session_id"] for name in PARTS for one in found[name]} == {str(session.id)}
        assert found["session"] == (await someone.get(f"/sessions/{session.id}")).json()
        assert (found["risks"][0]["dimension"], found["evaluations"][0]["overall_score"]) == ("cognitive", 7.5)
        assert found["interviews"][0]["questions_asked"][0]["expected_key_points"] == ["point"]
        assert "ingest_digest" not in answer.text


async def test_a_student_s_export_is_without_what_students_do_not_see(make: Make) -> None:
    course = await make.course()
    student = await make.student(course=course)
    session = await full(make, student, course_id=course)
    answer = await student.get(f"/exports/sessions/{session.id}")
    assert set(PARTS) - answer.json().keys() == {"interventions"}
    assert "between teachers" not in answer.text
    assert "expected_key_points" not in answer.text
    key = (await (await make.key("read")).get(f"/exports/sessions/{session.id}")).json()
    assert "interventions" not in key
    assert key["interviews"][0]["questions_asked"][0]["expected_key_points"] == ["point"]


async def test_somebody_who_teaches_elsewhere_is_a_student_in_their_own_session(make: Make) -> None:
    elsewhere = await make.teacher(course=await make.course(), student_id="both")
    session = await full(make, elsewhere)
    answer = await elsewhere.get(f"/exports/sessions/{session.id}")
    assert answer.status_code == 200
    assert "between teachers" not in answer.text
    assert "expected_key_points" not in answer.text


async def test_a_session_that_may_not_be_seen_is_not_there(make: Make, client: Any) -> None:
    course, other = await make.course(), await make.course()
    session = await make.session(course_id=course)
    path = f"/exports/sessions/{session.id}"
    hidden_from = [
        await make.student(course=course),
        await make.teacher(course=other),
        await make.tutor(course=other),
        await make.key("read", course_ids=[other]),
    ]
    for someone in hidden_from:
        answer = await someone.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "SESSION_NOT_FOUND")
    assert (await (await make.admin()).get(f"/exports/sessions/{uuid4()}")).status_code == 404
    assert (await (await make.admin()).get("/exports/sessions/nothing")).status_code == 404
    assert (await (await make.key("sessions")).get(path)).status_code == 403
    assert (await client.get(path)).status_code == 401


async def statements(make: Make, someone: Someone, session: LearningSession) -> int:
    seen: list[str] = []

    def count(connection: object, cursor: object, statement: str, *rest: object) -> None:
        seen.append(statement)

    event.listen(make.database.engine.sync_engine, "after_cursor_execute", count)
    assert (await someone.get(f"/exports/sessions/{session.id}")).status_code == 200
    event.remove(make.database.engine.sync_engine, "after_cursor_execute", count)
    return len([statement for statement in seen if "SELECT" in statement])


@pytest.mark.requirement("P3")
async def test_a_session_takes_one_statement_more_for_each_lot_of_traces(make: Make) -> None:
    admin = await make.admin()
    small, large = await full(make, await make.student()), await full(make, await make.student())
    await many(make, large, LOT - 2, "x")
    for _ in range(5):
        await make.risk(large)
    few = await statements(make, admin, small)
    assert await statements(make, admin, large) == few <= 23
    await many(make, large, 2 * LOT, "x")
    assert await statements(make, admin, large) == few + 2


async def run(make: Make, *arguments: str) -> Result:
    settings = make.database.settings
    environment = {"DATABASE_URL": settings.database_url, "CORTEZ_SECRET_KEY": settings.secret_key}
    return await asyncio.to_thread(CliRunner().invoke, cli, ["export", *arguments], env=environment)


async def test_the_command_writes_what_the_service_sends(make: Make, tmp_path: Path) -> None:
    admin, session = await make.admin(), await full(make, await make.student())
    await make.trace(await make.session(), content="another's")
    for query, options in {
        "": [],
        f"?student_id={session.student_id}": ["--student-id", session.student_id],
        "?trace_level=N1": ["--trace-level", "N1"],
        "?format=csv": ["--format", "csv"],
    }.items():
        done = await run(make, "traces", *options)
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout_bytes == (await admin.get(f"{TRACES}{query}")).content
    file = tmp_path / "session.json"
    assert (await run(make, "session", str(session.id), "--output", str(file))).stdout == ""
    assert json.loads(file.read_text()) == (await admin.get(f"/exports/sessions/{session.id}")).json()
    assert file.stat().st_mode & 0o077 == 0


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_command_that_fails_leaves_the_file_as_it_was(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    file.write_text("before")
    missing = str(uuid4())
    done = await run(make, "session", missing, "--output", str(file))
    assert (done.exit_code, done.stderr) == (1, f"Error: There is no session {missing}.\n")
    assert names_in(tmp_path) == ["out.json"]
    assert file.read_text() == "before"
    for wrong, option in (
        (["traces", "--occurred-after", "yesterday"], "--occurred-after"),
        (["traces", "--trace-level", "N9"], "--trace-level"),
        (["research", "--study", "s", "--k", "1"], "--k"),
        (["research"], "--study"),
    ):
        refused = await run(make, *wrong)
        assert refused.exit_code == 2
        assert option in refused.stderr

"""Bad input: whatever is sent, the answer is a clear 4xx and nothing is half stored."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Annotated, Any, get_origin

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from sqlalchemy import func, select

from cortez import tables
from cortez.content.models import Apuntes, ArchivoAdjunto, Subject, Unidad
from cortez.database import Database
from cortez.db import utc_now
from cortez.demo.material import POLICIES
from cortez.exercises.models import ExerciseAttempt, ExerciseHint, ExerciseTest
from cortez.lti.models import LtiDeployment, LtiSession
from cortez.oversight.models import CourseReport, RemediationPlan, RiskAlert, StudentProfile, TeacherIntervention
from cortez.simulators.models import IncidentSimulation, InterviewSession
from factory import Make

UUID_TEXT = "00000000-0000-7000-8000-000000000000"

BAD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    -(10**400),
    "",
    " ",
    "a\0b",
    "\ufffd\u202e",
    "x" * 120_000,
    "'; DROP TABLE users; --",
    "%_\\",
    "NaN",
    "2026-02-30T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-01-01T00:00:00",
    UUID_TEXT,
    [],
    [None],
    [[[]]],
    ["a\0b"],
    ["x"] * 2_000,
    {},
    {"a\0": 1},
    {"a": "b\0"},
    {"k": "v" * 100_000},
    {"k": 10**40},
]
DEEP = '{"a":' * 60 + "1" + "}" * 60
VERY_DEEP = "[" * 20_000 + "]" * 20_000

# What makes each body otherwise right.
RIGHT: dict[str, dict[str, Any]] = {
    "RegisterIn": {"email": "a@b.co", "username": "somebody", "password": "long enough"},
    "LoginIn": {"login": "somebody", "password": "long enough"},
    "RefreshIn": {"refresh_token": "x"},
    "PasswordIn": {"current_password": "x", "new_password": "long enough"},
    "ResetIn": {"token": "x", "password": "long enough"},
    "UserIn": {"email": "c@d.co", "username": "another", "roles": ["student"]},
    "RolesIn": {"roles": ["student"]},
    "ApiKeyIn": {"name": "key"},
    "CourseIn": {"course_id": "c-9", "title": "Course"},
    "MemberIn": {"role": "student"},
    "ActivityIn": {"activity_id": "a-9", "title": "Title", "instructions": "Do", "policies": POLICIES},
    "SessionIn": {"activity_id": "there", "student_id": "s-9"},
    "PlanIn": {"student_id": "s-1", "plan_type": "tutoring", "description": "x"},
    "CompletionIn": {"outcome_evaluation": "x"},
    "AlertIn": {
        "alert_type": "pattern_anomaly",
        "severity": "low",
        "scope": "institution",
        "title": "x",
        "description": "x",
    },
    "AlertResolveIn": {"resolution_notes": "x"},
    "DismissIn": {"resolution_notes": "x"},
    "AssignIn": {"user_id": UUID_TEXT},
    "InterventionIn": {"student_id": "s-1"},
    "RiskIn": {"risk_type": "plagiarism", "risk_level": "low", "description": "x"},
    "ResolveIn": {"resolution": "unfounded", "resolution_notes": "x"},
    "EvaluationIn": {"overall_score": 5},
    "ReportIn": {
        "report_type": "cohort_summary",
        "course_id": "there",
        "period_start": "2026-03-01T00:00:00Z",
        "period_end": "2026-04-01T00:00:00Z",
    },
    "ExportIn": {"format": "csv"},
    "SubjectIn": {"code": "S-9", "name": "Subject", "language": "python"},
    "UnidadIn": {"numero": 9, "titulo": "Unit"},
    "ApuntesIn": {"titulo": "Note", "contenido_markdown": ""},
    "InterviewIn": {"interview_type": "DESIGN"},
    "QuestionIn": {"question": "Why?"},
    "ResponseIn": {"response": "Because."},
    "InterviewEndIn": {"evaluation_score": 0.5},
    "IncidentIn": {"incident_type": "DATABASE", "incident_description": "It is slow."},
    "DiagnosisStepIn": {"action": "Looked."},
    "IncidentEndIn": {"solution_proposed": "x", "root_cause_identified": "x"},
    "EventIn": {"event_type": "test_executed", "simulator_type": "client"},
    "DeploymentIn": {
        **dict.fromkeys(("platform_name", "client_id", "deployment_id"), "x"),
        **dict.fromkeys(("issuer", "auth_login_url", "auth_token_url", "public_keyset_url"), "https://x"),
    },
    "LaunchIn": {"deployment_id": UUID_TEXT, "lti_user_id": "x", "resource_link_id": "x"},
    "LinkIn": {"session_id": UUID_TEXT},
    "MoodleLinkIn": {"moodle_course_id": "x", "moodle_resource_name": "x"},
    "ExerciseIn": {
        "subject_code": "S-1",
        "title": "x",
        "difficulty": "Easy",
        "time_min": 5,
        "language": "python",
        "mission_markdown": "x",
    },
    "HintIn": {"content": "x"},
    "TestIn": {"input": "x", "expected": "x"},
    "RubricIn": {
        "criteria": [
            {
                "criterion_name": "x",
                "weight": 1,
                "levels": [{"level_name": "Bueno", "description": "x", "min_score": 0, "max_score": 10, "points": 100}],
            }
        ]
    },
    "AttemptIn": {"submitted_code": "x"},
    "GradeIn": {"status": "FAIL"},
    "ResearchIn": {"study": "x"},
    "TraceIn": {"interaction_type": "ai_response", "content": "x"},
    "GitTraceIn": {
        "commit_hash": "a" * 40,
        "commit_message": "x",
        "author_name": "x",
        "author_email": "x",
        "timestamp": utc_now().isoformat(),
    },
}


def routes(app: Litestar) -> Iterator[tuple[str, str, Any]]:
    """Every route that takes a typed body: verb, path, type."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler, _ in route.route_handler_map.values():
                data = handler.parsed_fn_signature.parameters.get("data")
                for verb in handler.http_methods:
                    if data and route.path.startswith("/api/v1/"):
                        yield str(verb), route.path.removeprefix("/api/v1"), data.annotation


def bodies(type_: Any) -> Iterator[str]:
    right = RIGHT.get(getattr(type_, "__name__", ""), {})
    if get_origin(type_) in (list, Annotated):
        yield from (json.dumps(value) for value in (*BAD, *([value] for value in BAD)))
    for field in getattr(type_, "__struct_fields__", ()):
        for value in BAD:
            yield json.dumps({**right, field: value})
        yield json.dumps({**right, field: "DEEP"}).replace('"DEEP"', DEEP)
        yield json.dumps({**right, field: "\ud800"})
    yield from ("", "{", "[]", "null", '"x"', "\xff", '{"a":1,"a":2}', VERY_DEEP, json.dumps({**right, "unknown": 1}))


@pytest.fixture
async def address(make: Make) -> dict[str, str]:
    """Real ids for the places of a path, so that the body is what decides."""
    course = await make.course("there")
    session = await make.session(activity_id=(await make.activity(activity_id="there", course_id=course)).activity_id)
    trace = await make.trace(session)
    risk, evaluation = await make.risk(session), await make.evaluation(session)
    commit, sequence = await make.git_trace(session), await make.sequence(session)
    user, key = await make.student(), await make.key()
    now = utc_now()
    plan = RemediationPlan(
        student_id="s-1", plan_type="tutoring", description="x", start_date=now, target_completion_date=now
    )
    alert = RiskAlert(
        alert_type="pattern_anomaly",
        severity="low",
        scope="institution",
        title="x",
        description="x",
        detection_rule="x",
    )
    intervention = TeacherIntervention(student_id="s-1", teacher_id=user.id)
    unit = Unidad(materia_code="S-1", numero=1, titulo="Unit")
    await make.add(Subject(code="S-1", name="Subject", language="python"), unit)
    note = Apuntes(unidad_id=unit.id, titulo="Note", contenido_markdown="")
    described = dict.fromkeys(("nombre_almacenado", "tipo_archivo", "mime_type", "ruta_relativa"), "x")
    file = ArchivoAdjunto(unidad_id=unit.id, nombre_original="a.txt", tamano_bytes=1, checksum_sha256="x", **described)
    await make.add(note, file)
    exercise = await make.exercise(subject_code="S-1")
    hint = ExerciseHint(exercise_id=exercise.id, hint_number=1, content="x")
    test = ExerciseTest(exercise_id=exercise.id, test_number=1, input="x", expected="x")
    attempt = ExerciseAttempt(exercise_id=exercise.id, student_id="s-1", submitted_code="x", attempt_number=1)
    await make.add(hint, test, attempt)
    report = CourseReport(
        course_id=course,
        report_type="cohort_summary",
        period_start=now,
        period_end=now + timedelta(days=1),
        summary_stats={},
        competency_distribution={},
        risk_distribution={},
        exported_at=now,
    )
    await make.add(report)
    hung = {"session_id": session.id, "student_id": session.student_id}
    interview = InterviewSession(**hung, interview_type="DESIGN")
    incident = IncidentSimulation(**hung, incident_type="DATABASE", incident_description="x")
    deployment = LtiDeployment(**RIGHT["DeploymentIn"])
    await make.add(interview, incident, deployment)
    launch = LtiSession(deployment_id=deployment.id, lti_user_id="x", resource_link_id="x")
    await make.add(launch)
    await make.add(plan, alert, intervention, StudentProfile(student_id=session.student_id))
    return {
        "{course_id:str}": course,
        "{activity_id:str}": "there",
        "{session_id:uuid}": str(session.id),
        "{trace_id:uuid}": str(trace.id),
        "{risk_id:uuid}": str(risk.id),
        "{evaluation_id:uuid}": str(evaluation.id),
        "{git_trace_id:uuid}": str(commit.id),
        "{sequence_id:uuid}": str(sequence.id),
        "{student_id:str}": session.student_id,
        "{user_id:uuid}": str(user.id),
        "{key_id:uuid}": str(key.id),
        "{plan_id:uuid}": str(plan.id),
        "{deployment_id:uuid}": str(deployment.id),
        "{launch_id:uuid}": str(launch.id),
        "{interview_id:uuid}": str(interview.id),
        "{incident_id:uuid}": str(incident.id),
        "{type_:str}": "client",
        "{code:str}": "S-1",
        "{unidad_id:uuid}": str(unit.id),
        "{note_id:uuid}": str(note.id),
        "{file_id:uuid}": str(file.id),
        "{exercise_id:uuid}": str(exercise.id),
        "{hint_id:uuid}": str(hint.id),
        "{test_id:uuid}": str(test.id),
        "{attempt_id:uuid}": str(attempt.id),
        "{alert_id:uuid}": str(alert.id),
        "{intervention_id:uuid}": str(intervention.id),
        "{report_id:uuid}": str(report.id),
    }


def at(path: str, address: dict[str, str]) -> str:
    for place, value in address.items():
        path = path.replace(place, value)
    return path


async def test_no_body_gives_a_server_error(app: Litestar, make: Make, address: dict[str, str]) -> None:
    admin = await make.admin()
    tried = 0
    headers = {"content-type": "application/json"}
    for verb, path, type_ in routes(app):
        for body in bodies(type_):
            content = body.encode("utf-8", "surrogatepass") if "\xff" not in body else b"\xff"
            answer = await admin.client.request(verb, at(path, address), content=content, headers=headers)
            assert answer.status_code < 500, (verb, path, body[:200], answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["code"]
            tried += 1
    assert tried > 1_500


NASTY = [
    "",
    "a%00b",
    "%ff",
    "%F0%9F%92%A9",
    "' OR 1=1",
    "-1",
    "0",
    "99999999999999999999999",
    "x" * 6_000,
    UUID_TEXT,
    "..",
    "null",
]


async def test_no_parameter_gives_a_server_error(app: Litestar, make: Make, address: dict[str, str]) -> None:
    admin = await make.admin()
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or "GET" not in route.route_handler_map or "/api/" not in route.path:
            continue
        path = at(route.path.removeprefix("/api/v1"), address)
        for name in route.route_handler_map["GET"][0].opt.get("query", ()):
            for value in NASTY:
                answer = await admin.get(f"{path}?{name}={value}")
                assert answer.status_code < 500, (path, name, value, answer.text)
        places = [place for place in address if place in route.path]
        for value in NASTY if places else ():
            strange = at(route.path.removeprefix("/api/v1"), dict.fromkeys(places, value))
            answer = await admin.get(strange)
            assert answer.status_code in {200, 404, 405}, (strange, answer.text)


async def rows(database: Database) -> int:
    async with database.reading() as session:
        counts = [select(func.count()).select_from(table) for table in tables.metadata.tables.values()]
        return sum([await session.scalar(count) or 0 for count in counts])


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"content-type": "text/plain"}, b"{}", 415),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=b", 415),
        ({}, b"{}", 415),
        ({"content-type": "application/json"}, b"{", 400),
        ({"content-type": "application/json"}, b"\xff\xfe", 400),
        ({"content-type": "application/json"}, b'{"title": "' + b"x" * 1_100_000 + b'"}', 413),
        ({"content-type": "application/json"}, b'{"course_id": "c", "title": "a\\u0000b"}', 422),
        ({"content-type": "application/json", "if-match": '"1"'}, b'{"course_id": "c", "title": "t"}', 422),
    ],
)
async def test_a_refused_body_stores_nothing(make: Make, headers: dict[str, str], content: bytes, status: int) -> None:
    admin = await make.admin()
    before = await rows(make.database)
    answer = await admin.post("/courses", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert await rows(make.database) == before


async def test_escaped_backslashes_before_u0000_are_no_nul(make: Make) -> None:
    admin = await make.admin()
    answer = await admin.post(
        "/courses",
        content=b'{"course_id": "c", "title": "print(\\\\u0000)"}',
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["title"] == "print(\\u0000)"


async def test_nothing_is_an_empty_object(make: Make) -> None:
    student = await make.student()
    missing = await student.post("/sessions")
    assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (422, "/activity_id")
    assert (await student.post("/auth/logout")).json() == {"signed_out": 1}


async def test_a_body_where_none_is_taken_is_refused(make: Make) -> None:
    admin = await make.admin()
    session = await make.session()
    assert (await admin.post(f"/sessions/{session.id}/pause", json={"force": True})).status_code == 422
    assert (await admin.post(f"/sessions/{session.id}/pause", json={})).status_code == 200


async def test_an_unknown_parameter_is_refused(make: Make) -> None:
    admin = await make.admin()
    answer = await admin.get("/sessions?studentid=x")
    assert (answer.status_code, answer.json()["code"]) == (422, "UNKNOWN_PARAMETER")


async def test_a_slow_body_holds_no_connection(app: Litestar, make: Make) -> None:
    admin = await make.admin()
    held: list[int] = []

    async def slow() -> AsyncIterator[bytes]:
        for part in (b'{"course_id": "slow",', b' "title": "Slow"}'):
            await asyncio.sleep(0.05)
            held.append(make.database.engine.pool.checkedout())
            yield part

    async def parallel() -> httpx.Response:
        return await admin.post("/courses", content=slow(), headers={"content-type": "application/json"})

    answers = await asyncio.gather(*[parallel() for _ in range(3)])
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert held[:3] == [0, 0, 0]

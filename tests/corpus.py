"""Bad input for every field and parameter of every route, made from the application's own types and route table."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import quote

from litestar import Litestar
from msgspec import Struct

from cortez.clock import utc_now
from cortez.content.models import Apuntes, ArchivoAdjunto, Subject, Unidad
from cortez.core.openapi import document as operations
from cortez.core.web.route_options import options_of
from cortez.demo.material import POLICIES
from cortez.exercises.models import ExerciseAttempt, ExerciseHint, ExerciseTest
from cortez.lti.models import LtiDeployment, LtiSession
from cortez.oversight.models import RemediationPlan, RiskAlert, TeacherIntervention
from cortez.profiles.models import StudentProfile
from cortez.reports.models import CourseReport
from cortez.simulators.models import IncidentSimulation, InterviewSession
from factory import Make
from routes import calls

UUID_TEXT = "00000000-0000-7000-8000-000000000000"
HERE = "@here@"

# As JSON has them: each stands where a right value would.
VALUES = [
    *("null true 0 -0 -1 1.5 1e400 -1e400 1e-400 NaN 9007199254740993 2147483648 99999999999999999999999999".split()),
    *('"" " " "\\u0000" "a\\u0000b" "\\ud800" "\\ufeffx" "\\u202ex" "\\u0663" "NaN" "null" "-1" "1e9"'.split()),
    '"' + "x" * 300 + '"',
    '"' + "x" * 120_000 + '"',
    '"' + "ñ" * 150 + '"',
    '"\'; DROP TABLE users; --"',
    '"%_\\\\"',
    '"../../etc/passwd"',
    '"<script>"',
    '"2026-02-30T00:00:00Z"',
    '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59-14:00"',
    '"2026-01-01T00:00:00"',
    '"2026-01-01T24:00:00Z"',
    f'"{UUID_TEXT}"',
    "[]",
    "[null]",
    "[[[]]]",
    '["a\\u0000b"]',
    "[" + ",".join(['"x"'] * 2_000) + "]",
    "[1e400]",
    "{}",
    '{"a\\u0000": 1}',
    '{"a": "b\\u0000"}',
    '{"k": "' + "v" * 100_000 + '"}',
    '{"k": 99999999999999999999999999}',
    '{"a": 1, "a": 2}',
    '{"a":' * 60 + "1" + "}" * 60,
    "[" * 20_000 + "]" * 20_000,
]
WHOLE = ["", " ", "{", "[]", "null", '"x"', "\xff", "\ufeff{}", '{"a":1,"a":2}', "[" * 20_000, "{} {}", "1"]
TEXTS = [
    "",
    *"""'' %00 a%00b %ff %C0%80 %ED%A0%80 %F0%9F%92%A9 %EF%BB%BFx %D9%A3 %20 %2e%2e%2f -1 0 -0 1.5 1e9 1e400 NaN true
    null None [] {} 2147483648 9223372036854775808 99999999999999999999999 0x10 1_000 +1 * %25 _ \\ ; ' " <x> OR%201=1
    2026-02-30T00:00:00Z 2026-01-01T00:00:00 0001-01-01T00:00:00%2B14:00 2026-01-01T00:00:00Z""".split(),
    quote("x" * 101),
    "x" * 6_000,
    "x" * 60_000,
    UUID_TEXT,
    "..",
    "a,b",
    "%0d%0aX-Evil:1",
]
HEADERS = {
    "If-Match": ["", "x", '"', '""', "*", 'W/"x"', '"a", "b"', "x" * 7_000, "é"],
    "If-None-Match": ["", "x", "*", '"a", "b"', "x" * 7_000, "é"],
    "Idempotency-Key": ["", " ", "x", "é", "x" * 201, "a b", "a\tb", "a,b"],
    "X-Request-ID": ["", "a b", "x" * 200, "é", "<script>", "%0d%0a"],
    "Content-Type": ["", "text/plain", "application/json; charset=latin-1", "application/xml", "x", "é", "*/*"],
    "Range": ["", "bytes=", "bytes=-1", "bytes=9-1", "bytes=0-0,2-3", "bytes=99999999999999999999-", "items=0-1"],
    "Accept": ["", "text/html", "*/*;q=x", "é"],
    "Content-Length": [],
}
# Each of these ends the sign-in that it is sent with, or removes what the others need.
ENDING = {"/auth/logout", "/auth/password"}
SPARED = {"DELETE /students/{student_id}/data"}


class Asked(NamedTuple):
    """One request. `path` has its places filled in; `where` says what is tried."""

    verb: str
    path: str
    where: str
    content: bytes | None = None
    headers: dict[str, str] = {}


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
    "PlanIn": {"student_id": "s-1", "course_id": "there", "plan_type": "tutoring", "description": "x"},
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
    "SessionTraceIn": {"interaction_type": "ai_response", "content": "x", "session_id": UUID_TEXT},
    "EnrolIn": {"email": "e@f.co"},
    "GitTraceIn": {
        "commit_hash": "a" * 40,
        "commit_message": "x",
        "author_name": "x",
        "author_email": "x",
        "timestamp": utc_now().isoformat(),
    },
}


def at(path: str, address: dict[str, str]) -> str:
    for place, value in address.items():
        path = path.replace(place, value)
    return path


def corpus(app: Litestar, address: dict[str, str]) -> Iterator[Asked]:
    """Every value in every place; what a request otherwise needs is right."""
    filled = {place.partition(":")[0] + "}": value for place, value in address.items()}
    for _, verb, path, handler in calls(app):
        if f"{verb} {path}" in SPARED:
            continue
        here = at(path, filled)
        media, body = right_body(handler)
        sent = {"content-type": media} if media else {}
        if verb != "DELETE":
            for content, where in bodies(handler):
                yield Asked(verb, here, f"{path} {where}", content, sent)
            for name, values in HEADERS.items():
                for value in values:
                    yield Asked(verb, here, f"{path} {name}", body, {**sent, name: value})
        for name in options_of(handler).query:
            for value in TEXTS if verb == "GET" else TEXTS[::6]:
                yield Asked(verb, f"{here}?{name}={value}", f"{path} ?{name}", body, sent)
        yield Asked(verb, f"{here}?unknown=1", f"{path} ?", body, sent)
        for place in (part for part in path.split("/") if part.startswith("{")):
            others = at(path.replace(place, HERE), filled)
            for value in TEXTS:
                yield Asked(verb, others.replace(HERE, value), f"{path} {place}", body, sent)


def right_body(handler: Any) -> tuple[str, bytes | None]:
    """A body that is right, where the call takes one, and its media type."""
    for media, type_ in operations.bodies(handler).items():
        if media == operations.JSON:
            return media, json.dumps(right_of(type_)).encode()
        return media, b"x"
    return "", None


def right_of(type_: Any) -> Any:
    inner = item_of(type_)
    return [right_of(inner)] if inner else RIGHT.get(getattr(type_, "__name__", ""), {})


def item_of(type_: Any) -> Any:
    """Of what a type of lists is a list."""
    for kind in (type_, *get_args(type_)):
        if get_origin(kind) is list:
            return get_args(kind)[0]
    return None


def bodies(handler: Any) -> Iterator[tuple[bytes, str]]:
    for media, type_ in operations.bodies(handler).items():
        if media != operations.JSON:
            continue
        for text in WHOLE:
            yield text.encode("latin-1" if text == "\xff" else "utf-8"), "body"
        for text, where in variants(type_, right_of(type_)):
            yield text.encode("utf-8", "surrogatepass"), where
        yield json.dumps({**RIGHT.get(getattr(type_, "__name__", ""), {}), "unknown": 1}).encode(), "unknown field"


def variants(type_: Any, right: Any) -> Iterator[tuple[str, str]]:
    """The right value with one bad value in it, for every field, also of what lies within."""
    if inner := item_of(type_):
        for text, where in variants(inner, right_of(inner)):
            yield f"[{text}]", f"[] {where}"
        yield from ((f"[{value}]", "[]") for value in VALUES)
    if not (isinstance(type_, type) and issubclass(type_, Struct)):
        return
    for field, hint in get_type_hints(type_).items():
        if field not in type_.__struct_fields__:
            continue
        around = json.dumps({**right, field: HERE})
        for value in VALUES:
            yield around.replace(f'"{HERE}"', value), field
        for kind in (hint, *get_args(hint)):
            nested = item_of(kind) or kind
            if isinstance(nested, type) and issubclass(nested, Struct):
                for text, where in variants(nested, example(right.get(field), nested)):
                    text = f"[{text}]" if item_of(kind) else text
                    yield around.replace(f'"{HERE}"', text), f"{field}.{where}"


def example(given: Any, type_: Any) -> Any:
    """What of the right body lies there, or what is right for the type elsewhere."""
    found = given[0] if isinstance(given, list) and given else given
    return found if isinstance(found, dict) else RIGHT.get(type_.__name__, {})


async def places(make: Make) -> dict[str, str]:
    """Real ids for the places of a path, so that what is sent is what decides."""
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

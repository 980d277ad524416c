"""The access log: who read what about whom; and that it holds up no answer."""

from typing import Any, get_type_hints

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from msgspec.structs import replace
from sqlalchemy import delete

from cortez.audit.access_log import Journal
from cortez.audit.models import AccessEntry
from cortez.clock import utc_now, written
from cortez.core.db.engine import Database
from cortez.core.web.problems import Problem
from cortez.core.web.route_options import options_of
from cortez.ops.background_jobs import Upkeep
from factory import Group, Make


@pytest.fixture
async def group(make: Make) -> Group:
    return await make.group()


@pytest.fixture
def journal(app: Litestar) -> Journal:
    found: Journal = app.state.upkeep.journal
    found.reads.clear()
    return found


async def noted(make: Make, journal: Journal) -> list[tuple[Any, ...]]:
    await journal.flush()
    found = await make.all(AccessEntry)
    return sorted((one.actor_kind, one.actor_id, one.student_id, one.route, one.reads) for one in found)


async def test_a_teacher_s_reading_of_a_student_is_noted_with_how_often(
    make: Make, group: Group, journal: Journal
) -> None:
    await make.trace(group.session)
    for _ in range(2):
        answer = await group.teacher.get(f"{group.path}/traces")
    student = group.student.student_id
    assert await noted(make, journal) == [
        ("person", group.teacher.id, student, "GET /api/v1/sessions/{session_id}/traces", 2)
    ]
    [entry] = await make.all(AccessEntry)
    assert entry.request_id == answer.headers["x-request-id"]
    assert entry.created_at < entry.last_at


@pytest.mark.parametrize(
    "path",
    (
        "/sessions {session} {session}/cognitive-path {session}/risks /traces /exports/traces /exports{session} /risks "
        "/students /students/{student}/profile /students/{student}/history /students/compare?activity_id=a "
        "/evaluations /trace-sequences/{sequence}"
    ).split(),
)
async def test_every_way_to_a_student_s_data_is_noted(make: Make, group: Group, journal: Journal, path: str) -> None:
    await make.trace(group.session)
    await make.risk(group.session)
    await make.evaluation(group.session)
    sequence = await make.sequence(group.session)
    student = group.student.student_id
    session = group.path.removeprefix("/sessions/")
    place = path.format(session=f"/sessions/{session}", student=student, sequence=sequence.id)
    assert (await group.student.post(f"{group.path}/complete")).status_code == 200  # the profile is there
    journal.forget()
    answer = await group.teacher.get(place)
    assert answer.status_code == 200, answer.text
    assert [(one[1], one[2]) for one in await noted(make, journal)] == [(group.teacher.id, student)]


ALERT = {"alert_type": "academic_integrity", "severity": "low", "scope": "student", "title": "x", "description": "x"}
PERIOD = {"period_start": "2020-01-01T00:00:00Z", "period_end": "2100-01-01T00:00:00Z"}


async def of_teacher(make: Make, group: Group) -> dict[str, str]:
    """Where what a teacher may write about the student is, by what the paths below call it."""
    for _ in range(5):
        await make.trace(group.session)
    student, risk = group.student.student_id, await make.risk(group.session)
    found = {"session": group.path, "risk": str(risk.id), "student": student}
    bodies = {
        "alert": ("/alerts", ALERT | {"student_id": student, "activity_id": "a"}),
        "report": ("/reports", PERIOD | {"report_type": "cohort_summary", "course_id": "c"}),
        "talk": ("/interventions", {"student_id": student, "intervention_type": "follow_up"}),
    }
    for name, (path, body) in bodies.items():
        made = await group.teacher.post(path, json=body)
        assert made.status_code == 201, made.text
        found[name] = made.json()["id"]
    return found


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/reports", PERIOD | {"report_type": "cohort_summary", "course_id": "c"}),
        ("/reports/{report}/export", {"format": "csv"}),
        ("{session}/risks/analyze", {}),
        ("/alerts/{alert}/acknowledge", {}),
        ("/interventions", {"student_id": "{student}", "alert_id": "{alert}"}),
        ("{session}/evaluations/generate", {}),
        ("/risks/{risk}/resolve", {"resolution": "confirmed", "resolution_notes": "x"}),
    ],
)
async def test_what_the_answer_to_a_write_shows_is_noted(
    make: Make, group: Group, journal: Journal, path: str, body: dict[str, str]
) -> None:
    places = await of_teacher(make, group)
    journal.forget()
    filled = {name: value.format(**places) for name, value in body.items()}
    answer = await group.teacher.post(path.format(**places), json=filled)
    assert answer.status_code in (200, 201), answer.text
    assert [(one[1], one[2]) for one in await noted(make, journal)] == [(group.teacher.id, group.student.student_id)]


async def test_reports_name_whom_they_list(make: Make, group: Group, journal: Journal) -> None:
    places = await of_teacher(make, group)
    report = f"/reports/{places['report']}"
    assert (await group.teacher.post(f"{report}/export", json={"format": "csv"})).status_code == 200
    for path in (report, f"{report}/download"):
        journal.forget()
        assert (await group.tutor.get(path)).status_code == 200
        assert {one[2] for one in await noted(make, journal) if one[1] == group.tutor.id} == {group.student.student_id}
        async with make.database.unit() as session:
            await session.execute(delete(AccessEntry))


async def test_a_list_of_reports_names_who_is_at_risk_in_them(make: Make, group: Group, journal: Journal) -> None:
    await make.risk(group.session, risk_level="critical")
    await of_teacher(make, group)
    journal.forget()
    [line] = (await group.tutor.get("/reports")).json()["items"]
    assert line["at_risk_students"] == [group.student.student_id]
    assert [(one[1], one[2]) for one in await noted(make, journal)] == [(group.tutor.id, group.student.student_id)]


async def test_a_change_of_nothing_that_answers_with_the_row_is_a_reading(
    make: Make, group: Group, journal: Journal
) -> None:
    admin, student = await make.admin(), group.student.student_id
    assert (await group.student.post(f"{group.path}/complete")).status_code == 200  # the profile is there
    trace = await make.trace(group.session)
    user = f"/users/{group.student.id}"
    paths = [f"/traces/{trace.id}", group.path, user, f"/students/{student}/profile"]
    for path in paths:
        assert (await admin.patch(path, json={})).status_code == 200, path
    assert (await admin.post(f"{user}/verify")).status_code == 200
    routes = {one[3].partition("/api/v1")[2] for one in await noted(make, journal) if one[2] == student}
    assert routes == {
        "/traces/{trace_id}",
        "/sessions/{session_id}",
        "/users/{user_id}",
        "/students/{student_id}/profile",
        "/users/{user_id}/verify",
    }


async def test_an_answer_that_is_replayed_is_read_again(make: Make, group: Group, journal: Journal) -> None:
    body, key = PERIOD | {"report_type": "cohort_summary", "course_id": "c"}, {"Idempotency-Key": "once"}
    for _ in range(2):
        assert (await group.teacher.post("/reports", json=body, headers=key)).status_code == 201
    assert [one[2:] for one in await noted(make, journal)] == [(group.student.student_id, "POST /api/v1/reports", 2)]


async def test_what_one_sent_and_gets_back_is_no_reading(make: Make, group: Group, journal: Journal) -> None:
    """Else every step that an agent delivers would be an entry. What was there already is one."""
    agent = await make.key("traces", "git", "simulators", "sessions")
    step = {"interaction_type": "student_prompt", "content": "x"}
    commit = {"event_type": "commit", "commit_hash": "a" * 40, "commit_message": "x", "branch_name": "main"}
    author = {"author_name": "x", "author_email": "x@example.edu", "timestamp": written(utc_now())}
    event = {"event_type": "sprint_started", "simulator_type": "scrum_master"}
    sent: list[tuple[str, Any, int]] = [
        (f"{group.path}/traces", step, 201),
        (f"{group.path}/traces/batch", [step], 200),
        ("/traces/batch", [step | {"session_id": str(group.session.id)}], 200),
        (f"{group.path}/simulator-events", event, 201),
        (f"{group.path}/simulator-events/batch", [event], 200),
        (f"{group.path}/git-traces/batch", [commit | author], 200),
    ]
    for path, body, status in sent:
        answer = await agent.post(path, json=body)
        assert (answer.status_code, answer.json().get("rejected", 0)) == (status, 0), answer.text
    assert await noted(make, journal) == []
    again = await agent.post(f"{group.path}/git-traces", json=commit | author)
    assert again.status_code == 200
    assert [one[2] for one in await noted(make, journal)] == [group.student.student_id]


async def test_starting_a_session_shows_the_account_of_its_student(make: Make, group: Group, journal: Journal) -> None:
    agent = await make.key("sessions")
    start = {"student_id": group.student.student_id, "activity_id": "a"}
    assert (await agent.post("/sessions", json=start)).json()["user_id"] == str(group.student.id)
    assert [one[2] for one in await noted(make, journal)] == [group.student.student_id]


async def test_a_student_id_that_somebody_wrote_into_a_document_is_no_reading(
    make: Make, group: Group, journal: Journal
) -> None:
    criteria = [{"student_id": group.student.student_id}, {"student_id": ["no", "text"]}]
    await make.activity(activity_id="planted", course_id="c", evaluation_criteria=criteria)
    assert (await group.teacher.get("/activities/planted")).status_code == 200
    assert await noted(make, journal) == []


# Whose answers are about no student; any other route is noted, by what it shows or by its path.
ABOUT_NO_STUDENT = {
    "TokensOut": "one's own sign-in",
    "SignedOut": "one's own sign-ins",
    "ResetOut": "a token",
    "ApiKeyOut": "keys",
    "NewApiKeyOut": "keys",
    "CourseOut": "courses",
    "InvitationOut": "courses, to oneself",
    "SubjectTeacherOut": "teachers",
    "EnrolResult": "what became of the lines of a class list",
    "SubjectOut": "material",
    "UnidadOut": "material",
    "UnidadView": "material",
    "ApuntesOut": "material",
    "ArchivoOut": "material",
    "ActivityOut": "activities",
    "ExerciseOut": "exercises",
    "ExerciseView": "exercises",
    "LanguageOut": "exercises",
    "RubricOut": "exercises",
    "HintOut": "exercises",
    "RevealOut": "a hint, to the student",
    "TestOut": "exercises",
    "SimulatorRole": "roles of simulators",
    "ScanOut": "numbers",
    "BatchResult": "what became of the items",
    "DeploymentOut": "platforms",
    "ResearchOut": "pseudonyms of an anonymous dataset",
    "Verification": "the log as a whole",
    "Stream": "its handler notes what passes",
    "bytes": "a file, of which its handler says what it was made from",
    "NoneType": "nothing",
}


def test_every_answer_names_its_student_or_is_known_to_be_about_none(app: Litestar) -> None:
    unknown = set()
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for verb, (handler, _) in route.route_handler_map.items():
            if verb == "OPTIONS" or options_of(handler).outside or handler.status_code == 204:
                continue
            if not {"student_id", "session_id"} & {one.name for one in route.path_parameters.values()}:
                unknown |= {kind.__name__ for kind in answered(handler) if not names_a_student(kind)}
    assert unknown - ABOUT_NO_STUDENT.keys() == set()


def answered(handler: Any) -> list[Any]:
    """The types that a handler answers with, out of their wrappers."""
    given, found = [handler.parsed_fn_signature.return_type.annotation], []
    while given:
        one = given.pop()
        inner = [arg for arg in getattr(one, "__args__", ()) if isinstance(arg, type) or hasattr(arg, "__args__")]
        given += inner
        found += [one] if isinstance(one, type) and not inner and one is not Problem else []
    return found


def names_a_student(kind: Any) -> bool:
    """Whether it has a field for it, itself or in a structure of its fields."""
    fields = get_type_hints(kind) if hasattr(kind, "__struct_fields__") else {}
    known = {"student_id", "session_id"} & fields.keys() or hasattr(kind, "names_students")
    return bool(known) or any(names_a_student(arg) for hint in fields.values() for arg in getattr(hint, "__args__", ()))


async def test_one_s_own_data_and_what_is_refused_are_no_entry(make: Make, group: Group, journal: Journal) -> None:
    await make.trace(group.session)
    for path in (group.path, f"{group.path}/traces", f"{group.path}/cognitive-path", "/traces"):
        assert (await group.student.get(path)).status_code == 200
    assert (await group.stranger.get(group.path)).status_code == 404
    assert (await group.stranger.get(f"{group.path}/cognitive-path")).status_code == 404
    assert await noted(make, journal) == []


async def test_of_whom_nothing_is_held_nothing_is_noted(make: Make, group: Group, journal: Journal) -> None:
    """What was read just before an erasure must not bring the student_id back."""
    admin = await make.admin()
    assert (await group.teacher.get(group.path)).status_code == 200
    assert (await admin.delete(group.path)).status_code == 204
    assert (await admin.delete(f"/users/{group.student.id}")).status_code == 204
    assert await noted(make, journal) == []


async def test_what_cannot_be_written_now_is_written_later(make: Make, group: Group, journal: Journal) -> None:
    assert (await group.teacher.get(group.path)).status_code == 200
    healthy, journal.database = journal.database, Database(nowhere(make.database))
    await Upkeep(make.database, journal).attempt(seal=False)
    await journal.database.close()
    journal.database = healthy
    assert len(await noted(make, journal)) == 1


def nowhere(database: Database) -> Any:
    """Settings of a database that is not there."""
    return replace(database.settings, database_url="postgresql://nobody@127.0.0.1:1/none")


async def test_what_is_noted_is_written_when_the_service_stops(make: Make, group: Group, journal: Journal) -> None:
    upkeep = Upkeep(make.database, journal)
    async with upkeep.going():
        assert (await group.teacher.get(group.path)).status_code == 200
        assert await make.all(AccessEntry) == []
    assert len(await make.all(AccessEntry)) == 1


async def test_a_key_s_last_use_is_kept(make: Make, group: Group, journal: Journal) -> None:
    """Whatever it was used for: here to write, and to be refused."""
    admin, other = await make.admin(), await make.key("read")
    found = {"risk_type": "ai_dependency", "risk_level": "low", "description": "x"}
    assert (await group.key.post(f"{group.path}/risks", json=found)).status_code == 201
    assert (await group.key.get("/users")).status_code == 403
    await journal.flush()
    keys = {one["id"]: one["last_used_at"] for one in (await admin.get("/api-keys")).json()["items"]}
    assert keys[str(group.key.id)]
    assert keys[str(other.id)] is None

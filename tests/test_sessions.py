"""Sessions: started by students and machines, through their life cycle, to their end."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from litestar import Litestar

from cortez.accounts.models import CourseMember
from cortez.accounts.repository import UserRepository
from cortez.app import create_app
from cortez.clock import utc_now
from cortez.core.db.engine import Database
from cortez.core.db.unit_of_work import unit_of
from cortez.core.security.principal import SYSTEM
from cortez.sessions.models import LearningSession, SessionStatus
from cortez.traces.models import CognitiveTrace
from factory import Make
from forgeries import secret_of
from running import client_of, live

ACTIONS = ("pause", "resume", "complete", "abort")
LEGAL = {
    ("active", "pause"): "paused",
    ("active", "complete"): "completed",
    ("active", "abort"): "aborted",
    ("paused", "resume"): "active",
    ("paused", "complete"): "completed",
    ("paused", "abort"): "aborted",
}


async def test_a_student_starts_a_session_of_their_own(make: Make) -> None:
    course = await make.course()
    student = await make.student(course=course)
    activity = await make.activity(course_id=course)
    objective = {"title": "Loops", "expected_competencies": ["iteration"], "difficulty_level": "INICIAL"}
    made = await student.post(
        "/sessions", json={"activity_id": activity.activity_id, "learning_objective": objective, "mode": "PRACTICE"}
    )
    body = made.json()
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/api/v1/sessions/{body['id']}"
    assert (body["student_id"], body["user_id"]) == (student.student_id, str(student.id))
    assert (body["course_id"], body["status"], body["mode"]) == (course, "active", "practice")
    assert body["learning_objective"]["title"] == "Loops"
    assert (body["trace_count"], body["end_time"]) == (0, None)


async def test_nobody_starts_a_session_for_another_student(make: Make) -> None:
    student, other, teacher = await make.student(), await make.student(), await make.teacher()
    wanted = {"activity_id": (await make.activity()).activity_id, "student_id": other.student_id}
    assert (await student.post("/sessions", json=wanted)).status_code == 404
    assert (await teacher.post("/sessions", json=wanted)).status_code == 403
    assert await make.all(LearningSession) == []


async def test_a_machine_starts_one_for_the_student_it_names(make: Make) -> None:
    student, key = await make.student(), await make.key()
    wanted = {"activity_id": (await make.activity()).activity_id}
    known = (await key.post("/sessions", json=wanted | {"student_id": student.student_id})).json()
    unknown = (await key.post("/sessions", json=wanted | {"student_id": "nobody-yet"})).json()
    assert (known["user_id"], unknown["user_id"]) == (str(student.id), None)
    nobody = await key.post("/sessions", json=wanted)
    assert (nobody.status_code, nobody.json()["errors"][0]["pointer"]) == (422, "/student_id")
    assert (await (await make.key("read")).post("/sessions", json=wanted)).status_code == 403


@pytest.mark.parametrize("status", ["draft", "archived"])
async def test_a_session_needs_an_active_activity(make: Make, status: str) -> None:
    activity = await make.activity(status=status)
    key, student = await make.key(), await make.student()
    wanted = {"activity_id": activity.activity_id, "student_id": student.student_id}
    refused = await key.post("/sessions", json=wanted)
    assert (refused.status_code, refused.json()["code"]) == (409, "ACTIVITY_NOT_ACTIVE")
    assert (await student.post("/sessions", json=wanted)).status_code == 404
    assert (await key.post("/sessions", json=wanted | {"activity_id": "none"})).status_code == 404


async def test_the_course_is_the_activity_s_or_one_of_the_student_s(make: Make) -> None:
    mine, other = await make.course("mine"), await make.course("other")
    student = await make.student(course=mine)
    await make.activity(activity_id="free")
    await make.activity(activity_id="bound", course_id=other)

    async def start(activity: str, course: str | None) -> Any:
        body = {"activity_id": activity} | ({"course_id": course} if course else {})
        return (await student.post("/sessions", json=body)).json()

    assert (await start("free", None))["course_id"] is None
    assert (await start("free", mine))["course_id"] == mine
    for wrong in (await start("free", other), await start("bound", mine), await start("free", "none")):
        assert (wrong["code"], wrong["errors"][0]["pointer"]) == ("COURSE_NOT_YOURS", "/course_id")
    stranger = await start("bound", None)
    assert (stranger["code"], stranger["errors"][0]["pointer"]) == ("COURSE_NOT_YOURS", "/activity_id")
    await make.add(CourseMember(course_id=other, user_id=student.id, role="tutor"))
    assert (await start("bound", None))["course_id"] == other
    assert len(await make.all(LearningSession)) == 3


async def test_a_machine_names_members_of_the_course_alone(make: Make) -> None:
    """One who has an account elsewhere, and one who has none, look the same."""
    course, admin = await make.course(), await make.admin()
    member, other = await make.student(course=course), await make.student(course=await make.course())
    activity = (await make.activity(course_id=course)).activity_id
    for someone in (admin, await make.key(), await make.key("sessions", course_ids=[course])):
        started = await someone.post("/sessions", json={"activity_id": activity, "student_id": member.student_id})
        assert started.status_code == 201
        assert "warnings" not in started.json()
        refused = [
            await someone.post("/sessions", json={"activity_id": activity, "student_id": student_id})
            for student_id in (other.student_id, "nowhere")
        ]
        assert [one.status_code for one in refused] == [422, 422]
        problems = [one.json() | {"request_id": ""} for one in refused]
        assert problems[0] == problems[1]
        assert problems[0]["code"] == "STUDENT_NOT_IN_COURSE"
        assert problems[0]["errors"][0]["pointer"] == "/student_id"
    free = (await make.activity()).activity_id
    for course_id in (course, "none"):
        wanted = {"activity_id": free, "student_id": "nowhere", "course_id": course_id}
        assert (await admin.post("/sessions", json=wanted)).json()["code"] == "STUDENT_NOT_IN_COURSE"
    assert {session.student_id for session in await make.all(LearningSession)} == {member.student_id}


async def test_a_session_starts_under_no_student_id_that_is_being_changed(make: Make, database: Database) -> None:
    """The second of the two waits, and is refused."""
    admin, key = await make.admin(), await make.key()
    student = await make.student(course=await make.course("c"))
    body = {"activity_id": (await make.activity(course_id="c")).activity_id, "student_id": student.student_id}
    async with database.session(writes=True) as unit:
        users = UserRepository(unit, SYSTEM)
        await users.update(await users.get(student.id, lock=True), {"student_id": "new"})
        starting = asyncio.create_task(key.post("/sessions", json=body))
        await asyncio.sleep(0.3)
        assert not starting.done()
        await unit_of(unit).commit()
    assert (await starting).json()["errors"][0]["pointer"] == "/student_id"
    assert (await key.post("/sessions", json=body | {"student_id": "new"})).status_code == 201
    changed = await admin.patch(f"/users/{student.id}", json={"student_id": "newer"})
    assert changed.json()["code"] == "STUDENT_ID_IN_USE"


@pytest.mark.parametrize(
    ("policy", "answers"),
    [
        (None, {"free": "warned", "empty": "warned", "full": "refused"}),
        ("allow", dict.fromkeys(("free", "empty", "full"), "taken")),
        ("warn", dict.fromkeys(("free", "empty", "full"), "warned")),
        ("refuse", dict.fromkeys(("free", "empty", "full"), "refused")),
    ],
)
async def test_a_student_id_without_an_account_is_as_the_operator_says(
    app: Litestar, make: Make, policy: str | None, answers: dict[str, str]
) -> None:
    key, found = await make.key(), {}
    await make.activity(activity_id="free")
    await make.activity(activity_id="empty", course_id=await make.course("empty"))
    await make.activity(activity_id="full", course_id=await make.course("full"))
    await make.student(course="full")
    await make.teacher(course="empty")
    other = create_app(msgspec.structs.replace(app.state.settings, unknown_students=policy))
    async with live(other), client_of(other, secret_of(key)) as client:
        for activity in answers:
            answer = await client.post("/sessions", json={"activity_id": activity, "student_id": "unknown"})
            if answer.status_code == 201:
                warnings = answer.json().get("warnings", [])
                assert {one["pointer"] for one in warnings} <= {"/student_id"}
                found[activity] = "warned" if warnings else "taken"
            else:
                assert (answer.status_code, answer.json()["code"]) == (422, "STUDENT_NOT_IN_COURSE")
                found[activity] = "refused"
    assert found == answers


async def test_no_session_begins_for_one_who_was_erased_or_deleted(make: Make) -> None:
    """Unless an account has the student_id now."""
    admin, key = await make.admin(), await make.key()
    gone, erased = await make.student(student_id="gone"), await make.student(student_id="al-1")
    await make.session(erased)
    activity = (await make.activity()).activity_id
    assert (await admin.delete(f"/users/{gone.id}")).status_code == 204
    assert (await admin.delete(f"/students/{erased.student_id}/data")).status_code == 200
    (left,) = await make.all(LearningSession)
    for student_id in ("gone", "al-1", left.student_id):
        answer = await key.post("/sessions", json={"activity_id": activity, "student_id": student_id})
        assert (answer.status_code, answer.json()["code"]) == (409, "STUDENT_ERASED"), student_id
    there = (await make.activity(course_id=await make.course("empty"))).activity_id
    stranger = (await make.student()).student_id
    refused = [
        await key.post("/sessions", json={"activity_id": there, "student_id": student_id})
        for student_id in ("gone", "al-1", stranger)
    ]
    assert {answer.json()["code"] for answer in refused} == {"STUDENT_NOT_IN_COURSE"}  # nothing tells them apart
    assert len({str(answer.json()["errors"]) for answer in refused}) == 1
    body = {"email": "a@b.co", "username": "again", "student_id": "gone", "reuse_student_id": True}
    assert (await admin.post("/users", json=body)).status_code == 201
    assert (await key.post("/sessions", json={"activity_id": activity, "student_id": "gone"})).status_code == 201


async def test_a_simulator_session_names_its_simulator(make: Make) -> None:
    student = await make.student()
    wanted = {"activity_id": (await make.activity()).activity_id, "mode": "simulator"}
    assert (await student.post("/sessions", json=wanted)).status_code == 422
    made = (await student.post("/sessions", json=wanted | {"simulator_type": "Tech_Lead"})).json()
    assert made["simulator_type"] == "tech_lead"
    cleared = await student.patch(f"/sessions/{made['id']}", json={"simulator_type": None})
    assert cleared.status_code == 422


@pytest.mark.parametrize("status", list(SessionStatus))
@pytest.mark.parametrize("action", ACTIONS)
async def test_the_life_cycle_of_a_session(make: Make, status: SessionStatus, action: str) -> None:
    student = await make.student()
    ended = None if status in ("active", "paused") else utc_now()
    session = await make.session(student, status=status.value, end_time=ended)
    answer = await student.post(f"/sessions/{session.id}/{action}")
    expected = LEGAL.get((status.value, action))
    if expected is None:
        assert (answer.status_code, answer.json()["code"]) == (409, "ILLEGAL_TRANSITION")
        return
    assert (answer.status_code, answer.json()["status"]) == (200, expected)
    assert (answer.json()["end_time"] is not None) == (expected in ("completed", "aborted"))


async def test_of_parallel_completions_one_holds(make: Make) -> None:
    student = await make.student()
    session = await make.session(student)
    await asyncio.gather(*[student.get("/sessions") for _ in range(6)])  # so that each has a connection at hand
    answers = await asyncio.gather(*[student.post(f"/sessions/{session.id}/complete") for _ in range(6)])
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]


async def test_of_parallel_changes_under_one_etag_one_holds(make: Make) -> None:
    student = await make.student()
    path = f"/sessions/{(await make.session(student)).id}"
    reads = await asyncio.gather(*[student.get(path) for _ in range(6)])  # so that each has a connection at hand
    read = {"If-Match": reads[0].headers["etag"]}
    changes = [{"learning_objective": {"title": f"Goal {number}"}} for number in range(6)]
    answers = await asyncio.gather(*[student.patch(path, json=change, headers=read) for change in changes])
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412, 412]


async def test_what_a_student_and_what_a_machine_may_change(make: Make) -> None:
    student, key, teacher = await make.student(), await make.key(), await make.teacher()
    session = await make.session(student)
    path = f"/sessions/{session.id}"
    assert (await student.patch(path, json={"mode": "practice"})).json()["mode"] == "practice"
    for field in ({"cognitive_status": {"autonomy_level": 0.5}}, {"session_metrics": {"total_interactions": 1}}):
        assert (await student.patch(path, json=field)).status_code == 403
        changed = await key.patch(path, json=field)
        assert changed.status_code == 200, changed.text
        name = next(iter(field))
        assert field[name].items() <= changed.json()[name].items()
    assert (await teacher.patch(path, json={"mode": "tutor"})).status_code == 403
    for unknown in ({"status": "completed"}, {"student_id": "me"}, {"trace_count": 5}):
        assert (await key.patch(path, json=unknown)).status_code == 422


async def test_only_an_admin_deletes_a_session_and_its_traces_go_with_it(make: Make) -> None:
    student, key, admin = await make.student(), await make.key(), await make.admin()
    session = await make.session(student)
    await make.trace(session)
    path = f"/sessions/{session.id}"
    assert {(await someone.delete(path)).status_code for someone in (student, key)} == {403}
    assert (await admin.delete(path)).status_code == 204
    assert (await make.all(LearningSession), await make.all(CognitiveTrace)) == ([], [])
    assert (await admin.delete(path)).status_code == 404


async def test_filters_of_the_list(make: Make) -> None:
    admin, student, other = await make.admin(), await make.student(), await make.student()
    now = utc_now()
    await make.course("c")
    old = await make.session(student, start_time=now - timedelta(days=2), status="completed", course_id="c")
    new = await make.session(other, start_time=now, mode="practice")
    middle = (now - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    for query, expected in {
        "": [new, old],
        "order=created_at": [old, new],
        f"student_id={student.student_id}": [old],
        f"activity_id={new.activity_id}": [new],
        "course_id=c": [old],
        "mode=PRACTICE": [new],
        "status=Completed": [old],
        f"started_after={middle}": [new],
        f"started_before={middle}": [old],
        f"started_before={middle}&mode=practice": [],
    }.items():
        answer = (await admin.get(f"/sessions?count=true&{query}")).json()
        assert [item["id"] for item in answer["items"]] == [str(session.id) for session in expected], query
        assert answer["total"] == len(expected)
    for wrong in ("started_after=yesterday", "started_after=2026-01-01T00:00:00", "status=none", "student=x"):
        assert (await admin.get(f"/sessions?{wrong}")).status_code == 422

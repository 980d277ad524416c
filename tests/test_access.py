"""Who may see what: two courses side by side, and nothing crosses over."""

from typing import Any

import pytest

from cortez.accounts.models import CourseMember
from cortez.sessions.models import LearningSession
from factory import Make, Someone


class Side:
    """A course with its people, an activity of its teacher, and a student's session with one trace."""

    teacher: Someone
    tutor: Someone
    student: Someone
    key: Someone
    session: LearningSession
    trace_id: str

    def __init__(self, course: str) -> None:
        self.course = course


async def side(make: Make, course: str) -> Side:
    made = Side(await make.course(course))
    made.teacher, made.tutor = await make.teacher(course=course), await make.tutor(course=course)
    made.student, made.key = await make.student(course=course), await make.key(course_ids=[course])
    activity = await make.activity(activity_id=f"in-{course}", course_id=course, teacher_id=made.teacher.id)
    made.session = await make.session(made.student, activity_id=activity.activity_id, course_id=course)
    made.trace_id = str((await make.trace(made.session, content=f"asked in {course}")).id)
    return made


@pytest.fixture
async def left(make: Make) -> Side:
    return await side(make, "left")


@pytest.fixture
async def right(make: Make) -> Side:
    return await side(make, "right")


def insiders(one: Side) -> list[Someone]:
    return [one.teacher, one.tutor, one.student, one.key]


async def found(someone: Someone, path: str) -> tuple[int, list[Any]]:
    """What a list says, and that its total agrees."""
    answer = (await someone.get(f"{path}{'&' if '?' in path else '?'}count=true")).json()
    assert answer["total"] == len(answer["items"])
    return answer["total"], answer["items"]


async def test_lists_and_counts_hold_only_one_s_own_side(left: Side, right: Side) -> None:
    for someone in insiders(left):
        total, sessions = await found(someone, "/sessions")
        assert (total, sessions[0]["id"]) == (1, str(left.session.id))
        total, traces = await found(someone, "/traces")
        assert (total, traces[0]["content"]) == (1, "asked in left")


async def test_filters_do_not_reach_across(left: Side, right: Side) -> None:
    for someone in insiders(left):
        for name in (f"student_id={right.student.student_id}", "activity_id=in-right", "course_id=right"):
            assert (await found(someone, f"/sessions?{name}"))[0] == 0
            assert (await found(someone, f"/traces?{name}"))[0] == 0


async def test_the_other_side_does_not_exist(left: Side, right: Side) -> None:
    session = f"/sessions/{right.session.id}"
    for someone in insiders(left):
        for path in (
            session,
            f"{session}?include=traces",
            f"{session}/traces",
            f"{session}/cognitive-path",
            f"/traces/{right.trace_id}",
        ):
            assert (await someone.get(path)).status_code == 404, path


async def test_one_s_own_side_is_open_to_all_of_it(left: Side) -> None:
    session = f"/sessions/{left.session.id}"
    for someone in insiders(left):
        for path in (session, f"{session}/traces", f"{session}/cognitive-path", f"/traces/{left.trace_id}"):
            assert (await someone.get(path)).status_code == 200, path


async def test_writing_does_not_reach_across(left: Side, right: Side) -> None:
    session = f"/sessions/{right.session.id}"
    step = {"interaction_type": "student_prompt", "content": "x"}
    for someone in (left.student, left.key):
        for answer in (
            await someone.post(f"{session}/traces", json=step),
            await someone.post(f"{session}/traces/batch", json=[step]),
            await someone.post(f"{session}/complete"),
            await someone.patch(session, json={"mode": "practice"}),
        ):
            assert answer.status_code == 404
        batch = await someone.post("/traces/batch", json=[step | {"session_id": str(right.session.id)}])
        assert batch.json()["items"][0]["code"] == "SESSION_NOT_FOUND"
    feedback = step | {"interaction_type": "teacher_feedback"}
    for someone in (left.teacher, left.tutor):
        assert (await someone.post(f"{session}/traces", json=feedback)).status_code == 404
    assert (await left.key.patch(f"/traces/{right.trace_id}", json={})).status_code == 404
    assert (await left.teacher.patch("/courses/right", json={})).status_code == 404


async def test_a_student_of_the_same_course_sees_nothing_of_another(make: Make, left: Side) -> None:
    neighbour = await make.student(course="left")
    assert (await found(neighbour, "/sessions"))[0] == 0
    assert (await neighbour.get(f"/sessions/{left.session.id}")).status_code == 404
    assert (await neighbour.get(f"/traces/{left.trace_id}")).status_code == 404
    assert (await neighbour.get("/courses/left/members")).status_code == 403


async def test_a_teacher_sees_the_sessions_of_their_own_activities_anywhere(make: Make) -> None:
    teacher, other = await make.teacher(), await make.teacher()
    activity = await make.activity(teacher_id=teacher.id)
    session = await make.session(activity_id=activity.activity_id)
    assert (await teacher.get(f"/sessions/{session.id}")).status_code == 200
    assert (await other.get(f"/sessions/{session.id}")).status_code == 404


async def test_being_a_student_of_a_course_teaches_nothing_in_it(make: Make, left: Side) -> None:
    """A teacher elsewhere, a student here: the role in the course counts."""
    guest = await make.teacher()
    await make.add(CourseMember(course_id="left", user_id=guest.id, role="student"))
    assert (await guest.get("/courses/left")).status_code == 200
    assert (await guest.get(f"/sessions/{left.session.id}")).status_code == 404
    assert (await guest.get("/courses/left/members")).status_code == 404


async def test_courses_are_seen_by_their_members(make: Make, left: Side, right: Side) -> None:
    for someone in (left.teacher, left.tutor, left.student):
        assert [course["course_id"] for course in (await found(someone, "/courses"))[1]] == ["left"]
        assert (await someone.get("/courses/right")).status_code == 404
    reader = await make.key("read", course_ids=["left"])
    assert [course["course_id"] for course in (await found(reader, "/courses"))[1]] == ["left"]


async def test_an_admin_and_an_unlimited_key_see_both(make: Make, left: Side, right: Side) -> None:
    for someone in (await make.admin(), await make.key()):
        assert (await found(someone, "/sessions"))[0] == 2
        assert (await found(someone, "/traces"))[0] == 2


async def test_accounts_and_keys_are_an_admin_s(make: Make, left: Side) -> None:
    for someone in insiders(left):
        for path in ("/users", f"/users/{left.student.id}", "/api-keys"):
            assert (await someone.get(path)).status_code == 403
    admin = await make.admin()
    assert (await found(admin, "/users"))[0] == 4


async def test_without_a_sign_in_there_is_nothing(client: Any, left: Side) -> None:
    for path in ("/sessions", "/traces", "/activities", "/courses", "/users", f"/sessions/{left.session.id}"):
        assert (await client.get(path)).status_code == 401

"""Attempts: numbered without a gap, graded once by a runner, seen by those who may."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from cortez.accounts.models import CourseMember, Role
from cortez.content.models import Subject
from cortez.exercises.models import ExerciseAttempt, HintReveal
from factory import Make, Someone
from test_rubrics import RUBRIC

CODE = {"submitted_code": "print(1)"}


async def attempt(student: Someone, exercise_id: Any, **values: Any) -> dict[str, Any]:
    made = await student.post(f"/exercises/{exercise_id}/attempts", json=CODE | values)
    assert made.status_code == 201, made.text
    return dict(made.json())


async def ids(someone: Someone, query: str = "") -> set[str]:
    answer = await someone.get(f"/attempts?count=true&{query}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["items"])
    return {item["id"] for item in answer.json()["items"]}


async def test_an_attempt_waits_for_a_runner(make: Make) -> None:
    student, grader, exercise = await make.student(), await make.key("grading"), await make.exercise()
    made = await attempt(student, exercise.id)
    assert (made["status"], made["score"], made["attempt_number"]) == ("PENDING", None, 1)
    assert await ids(grader, "status=pending") == {made["id"]}
    found = {"status": "PASS", "tests_passed": 2, "tests_total": 3, "stdout": "1\n", "execution_time_ms": 12}
    graded = await grader.patch(f"/attempts/{made['id']}", json=found)
    assert graded.status_code == 200, graded.text
    assert (graded.json()["score"], graded.json()["stdout"]) == (6.67, "1\n")
    assert await ids(grader, "status=pending") == set()
    assert (await student.get(f"/attempts/{made['id']}")).json() == graded.json()


@pytest.mark.requirement("P4")
async def test_twenty_parallel_attempts_are_numbered_1_to_20(make: Make) -> None:
    student, exercise = await make.student(), await make.exercise()
    await asyncio.gather(*[student.get("/attempts") for _ in range(20)])
    made = await asyncio.gather(*[attempt(student, exercise.id) for _ in range(20)])
    assert sorted(one["attempt_number"] for one in made) == list(range(1, 21))
    assert (await attempt(await make.student(), exercise.id))["attempt_number"] == 1


async def test_hints_cost_points_from_the_next_attempt_on(make: Make) -> None:
    student, grader, exercise = await make.student(), await make.key("grading"), await make.exercise()
    teacher = await make.subject_teacher(exercise.subject_code)
    for text in ("a", "b"):
        await teacher.post(f"/exercises/{exercise.id}/hints", json={"content": text})
    before = await attempt(student, exercise.id)
    first = (await student.post(f"/exercises/{exercise.id}/hints/reveal")).json()
    await student.post(f"/exercises/{exercise.id}/hints/reveal")
    await teacher.delete(f"/hints/{first['hint']['id']}")
    after = await attempt(student, exercise.id)
    assert (before["hints_used"], before["penalty_applied"]) == (0, 0)
    assert (after["hints_used"], after["penalty_applied"]) == (2, 15)
    assert (await attempt(await make.student(), exercise.id))["hints_used"] == 0
    scores = []
    for one in (before, after):
        passed = {"status": "PASS", "tests_passed": 4, "tests_total": 4}
        scores.append((await grader.patch(f"/attempts/{one['id']}", json=passed)).json()["score"])
    assert scores == [10.0, 8.5]
    assert [one.penalty for one in sorted(await make.all(HintReveal), key=lambda one: one.penalty)] == [5, 10]


async def test_a_rubric_decides_the_points_where_it_is_scored(make: Make) -> None:
    student, grader, exercise = await make.student(), await make.key("grading"), await make.exercise()
    teacher = await make.subject_teacher(exercise.subject_code)
    await teacher.put(f"/exercises/{exercise.id}/rubric", json=RUBRIC)
    await teacher.post(f"/exercises/{exercise.id}/hints", json={"content": "a"})
    await student.post(f"/exercises/{exercise.id}/hints/reveal")
    made = await attempt(student, exercise.id)
    scores = [
        {"criterion_name": "Works", "score": 9, "feedback": "All there."},
        {"criterion_name": "Reads well", "score": 8.999},
        {"criterion_name": "Robust", "score": 5},
    ]
    found = {"status": "FAIL", "tests_passed": 1, "tests_total": 9, "rubric_evaluation": {"criteria": scores}}
    graded = (await grader.patch(f"/attempts/{made['id']}", json=found)).json()
    evaluation = graded["rubric_evaluation"]
    assert [one["points"] for one in evaluation.pop("criteria")] == [40, 30, 10]
    assert evaluation == {"total_score_rubric": 80.0, "penalty_from_hints": 5, "final_score": 75.0}
    assert graded["score"] == 7.5


async def test_an_attempt_is_graded_once_unless_it_is_regraded(make: Make) -> None:
    student, grader, exercise = await make.student(), await make.key("grading"), await make.exercise()
    path = f"/attempts/{(await attempt(student, exercise.id))['id']}"
    failed = {"status": "ERROR", "stderr": "boom"}
    assert (await grader.patch(path, json=failed)).json()["score"] == 0.0
    passed = {"status": "PASS", "tests_passed": 1, "tests_total": 1}
    again = await grader.patch(path, json=passed)
    assert (again.status_code, again.json()["code"]) == (409, "ATTEMPT_GRADED")
    regraded = await grader.patch(f"{path}?regrade=true", json=passed)
    assert (regraded.json()["score"], regraded.json()["status"]) == (10.0, "PASS")


async def test_parallel_gradings_grade_once(make: Make) -> None:
    student, grader, exercise = await make.student(), await make.key("grading"), await make.exercise()
    path = f"/attempts/{(await attempt(student, exercise.id))['id']}"
    await asyncio.gather(*[grader.get(path) for _ in range(5)])
    answers = await asyncio.gather(*[grader.patch(path, json={"status": "FAIL"}) for _ in range(5)])
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"status": "PENDING"},
        {"status": "GREAT"},
        {"status": "FAIL", "tests_passed": 2, "tests_total": 1},
        {"status": "FAIL", "tests_passed": -1},
        {"status": "PASS"},
        {"status": "FAIL", "score": 10},
        {"status": "FAIL", "rubric_evaluation": {"criteria": [{"criterion_name": "Works", "score": 5}]}},
    ],
)
async def test_a_wrong_result_grades_nothing(make: Make, wrong: dict[str, Any]) -> None:
    student, grader, exercise = await make.student(), await make.key("grading"), await make.exercise()
    path = f"/attempts/{(await attempt(student, exercise.id))['id']}"
    assert (await grader.patch(path, json=wrong)).status_code == 422
    assert (await grader.get(path)).json()["status"] == "PENDING"


async def test_an_attempt_belongs_to_ones_own_open_session(make: Make) -> None:
    student, exercise = await make.student(), await make.exercise()
    path = f"/exercises/{exercise.id}/attempts"
    foreign, closed = await make.session(), await make.session(student, status="completed")
    assert (await student.post(path, json=CODE | {"session_id": str(foreign.id)})).status_code == 404
    ended = await student.post(path, json=CODE | {"session_id": str(closed.id)})
    assert (ended.status_code, ended.json()["code"]) == (409, "SESSION_CLOSED")
    course = await make.course()
    assistant = await make.user(Role.TEACHER, Role.STUDENT, course=course, student_id="assistant")
    taught = await make.session(student, course_id=course)
    assert (await assistant.get(f"/sessions/{taught.id}")).status_code == 200
    assert (await assistant.post(path, json=CODE | {"session_id": str(taught.id)})).status_code == 403
    mine = await make.session(student)
    assert (await attempt(student, exercise.id, session_id=str(mine.id)))["session_id"] == str(mine.id)
    assert len(await make.all(ExerciseAttempt)) == 1


async def test_attempts_are_seen_by_the_student_and_by_those_who_teach_them(make: Make) -> None:
    course = await make.course()
    student, other = await make.student(course=course), await make.student()
    teacher, stranger = await make.teacher(course=course), await make.teacher()
    exercise = await make.exercise()
    inside = await make.session(student, course_id=course)
    elsewhere = await make.session(student)
    seen = await attempt(student, exercise.id, session_id=str(inside.id))
    hidden = await attempt(student, exercise.id, session_id=str(elsewhere.id))
    loose = await attempt(student, exercise.id)
    named = await attempt(student, exercise.id, course_id=course)
    assert (seen["course_id"], loose["course_id"], named["course_id"]) == (None, None, course)
    everything = {seen["id"], hidden["id"], loose["id"], named["id"]}
    assert await ids(student) == everything
    assert await ids(teacher) == {seen["id"], named["id"]}
    assert (await ids(other), await ids(stranger)) == (set(), set())
    assert await ids(await make.key("grading")) == everything
    assert await ids(await make.key("grading", course_ids=[course])) == {seen["id"], named["id"]}
    assert await ids(await make.admin(), f"student_id={student.student_id}") == everything
    own = await make.course()
    newcomer = await make.teacher(course=own)
    await make.add(CourseMember(course_id=own, user_id=student.id, role="student"))
    assert await ids(newcomer) == set()
    for someone in (other, stranger, await make.key("grading", course_ids=[])):
        assert (await someone.get(f"/attempts/{seen['id']}")).status_code == 404
    limited = await make.key("grading", course_ids=[course])
    assert (await limited.patch(f"/attempts/{hidden['id']}", json={"status": "FAIL"})).status_code == 404


async def test_an_attempt_outside_of_a_session_names_a_course_of_ones_own(make: Make) -> None:
    mine, other = await make.course(), await make.course()
    student, exercise = await make.student(course=mine), await make.exercise()
    session = await make.session(student, course_id=mine)
    assert (await attempt(student, exercise.id, course_id=mine, session_id=str(session.id)))["course_id"] is None
    path = f"/exercises/{exercise.id}/attempts"
    for wrong in ({"course_id": other}, {"course_id": "nowhere"}, {"course_id": other, "session_id": str(session.id)}):
        refused = await student.post(path, json=CODE | wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "COURSE_NOT_YOURS"), wrong
        assert refused.json()["errors"][0]["pointer"] == "/course_id"


async def test_attempts_are_found_by_each_filter(make: Make) -> None:
    ana, ben, grader = await make.student(), await make.student(), await make.key("grading")
    first, second = await make.exercise(), await make.exercise()
    session = await make.session(ana)
    one = await attempt(ana, first.id, session_id=str(session.id))
    two = await attempt(ben, second.id)
    await grader.patch(f"/attempts/{two['id']}", json={"status": "TIMEOUT"})
    assert await ids(grader, f"student_id={ana.student_id}") == {one["id"]}
    assert await ids(grader, f"exercise_id={second.id}") == {two["id"]}
    assert await ids(grader, f"session_id={session.id}") == {one["id"]}
    assert await ids(grader, "status=timeout") == {two["id"]}
    assert (await grader.get("/attempts?status=GREAT")).status_code == 422
    assert (await grader.get("/attempts?exercise_id=1")).status_code == 422


async def test_who_may_submit_and_who_may_grade(make: Make) -> None:
    student, exercise = await make.student(), await make.exercise()
    made = await attempt(student, exercise.id)
    refused = [student, await make.tutor(), await make.teacher(), await make.key("traces")]
    for someone in refused:
        assert (await someone.patch(f"/attempts/{made['id']}", json={"status": "FAIL"})).status_code == 403
    for someone in (await make.teacher(), await make.key("grading"), await make.admin()):
        assert (await someone.post(f"/exercises/{exercise.id}/attempts", json=CODE)).status_code == 403
    grader = await make.key("grading")
    assert (await grader.patch(f"/attempts/{uuid4()}", json={"status": "FAIL"})).status_code == 404
    for wrong in ({}, {"submitted_code": ""}, {"submitted_code": "x", "score": 10}, {"submitted_code": "x" * 100_001}):
        assert (await student.post(f"/exercises/{exercise.id}/attempts", json=wrong)).status_code == 422


async def test_attempts_stay_when_their_exercise_is_deleted_and_keep_its_subject(make: Make) -> None:
    admin, student = await make.admin(), await make.student()
    grader, exercise = await make.key("grading"), await make.exercise()
    teacher = await make.subject_teacher(exercise.subject_code)
    made = await attempt(student, exercise.id)
    assert (await teacher.delete(f"/exercises/{exercise.id}")).status_code == 204
    assert await ids(student) == {made["id"]}
    assert (await grader.patch(f"/attempts/{made['id']}", json={"status": "FAIL"})).status_code == 200
    assert (await admin.delete(f"/subjects/{exercise.subject_code}")).status_code == 409
    assert len(await make.all(Subject)) == 1

"""Exercises, hints, tests and rubrics are changed by those who look after their subject, and by admins."""

import asyncio
from typing import Any

import pytest

from cortez.accounts.models import Role
from cortez.content.models import Subject, SubjectTeacher
from cortez.exercises.models import Exercise, ExerciseHint, ExerciseTest
from factory import Make, Someone
from test_exercises import LOOPS
from test_rubrics import RUBRIC

PYTHON = {"code": "PYTHON", "name": "Python", "language": "python"}


class Subjects:
    """A subject that one teacher made, with an exercise, and a teacher of other things."""

    owner: Someone
    other: Someone
    exercise: str
    hint: str
    test: str


@pytest.fixture
async def python(make: Make) -> Subjects:
    made = Subjects()
    made.owner, made.other = await make.teacher(), await make.teacher()
    assert (await made.owner.post("/subjects", json=PYTHON)).status_code == 201
    made.exercise = f"/exercises/{(await made.owner.post('/exercises', json=LOOPS)).json()['id']}"
    hint = await made.owner.post(f"{made.exercise}/hints", json={"content": "Look."})
    test = await made.owner.post(f"{made.exercise}/tests", json={"input": "1", "expected": "1", "is_hidden": True})
    made.hint, made.test = f"/hints/{hint.json()['id']}", f"/tests/{test.json()['id']}"
    return made


def changes(python: Subjects) -> list[tuple[str, str, Any, int]]:
    """Everything that changes what grades students, in an order in which each may be done."""
    return [
        ("POST", "/exercises", LOOPS, 201),
        ("PATCH", python.exercise, {"title": "Sums"}, 200),
        ("PUT", f"{python.exercise}/rubric", RUBRIC, 200),
        ("POST", f"{python.exercise}/hints", {"content": "Another."}, 201),
        ("POST", f"{python.exercise}/tests", {"input": "2", "expected": "2"}, 201),
        ("PATCH", python.hint, {"content": "No."}, 200),
        ("PATCH", python.test, {"expected": "0"}, 200),
        ("DELETE", python.hint, None, 204),
        ("DELETE", python.test, None, 204),
        ("DELETE", python.exercise, None, 204),
        ("POST", f"{python.exercise}/restore", None, 200),
        ("PATCH", "/subjects/PYTHON", {"is_active": False}, 200),
        ("PATCH", "/subjects/PYTHON", {"is_active": True}, 200),
    ]


async def send(someone: Someone, verb: str, path: str, body: Any) -> Any:
    return await someone.client.request(verb, path, **({} if body is None else {"json": body}))


async def test_who_looks_after_no_subject_changes_none_of_its_exercises(make: Make, python: Subjects) -> None:
    """M9: any teacher changed a hidden test of another's exercise, and deleted the exercise."""
    before = [await make.all(model) for model in (Exercise, ExerciseHint, ExerciseTest, Subject)]
    deleted = await make.exercise(subject_code="PYTHON", deleted_at=before[0][0].created_at)
    for verb, path, body, _ in changes(python):
        if path.endswith("/restore"):
            path = f"/exercises/{deleted.id}/restore"
        elif body == {"is_active": True}:
            continue  # as it is
        refused = await send(python.other, verb, path, body)
        assert (refused.status_code, refused.json()["code"]) == (403, "NOT_SUBJECT_TEACHER"), (verb, path)
    after = [await make.all(model) for model in (Exercise, ExerciseHint, ExerciseTest, Subject)]
    after[0] = [one for one in after[0] if one.id != deleted.id]
    assert [[row.to_dict() for row in rows] for rows in after] == [[row.to_dict() for row in rows] for rows in before]
    read = await python.other.get(f"{python.exercise}/tests")
    assert [one["expected"] for one in read.json()["items"]] == ["1"]
    assert (await python.other.patch("/subjects/PYTHON", json={"name": "Python 3"})).status_code == 200


@pytest.mark.parametrize("who", ["owner", "colleague", "admin"])
async def test_its_teachers_and_admins_change_them(make: Make, python: Subjects, who: str) -> None:
    someone = {"owner": python.owner, "colleague": python.other, "admin": await make.admin()}[who]
    if who == "colleague":
        added = await python.owner.put(f"/subjects/PYTHON/teachers/{someone.id}")
        assert (added.status_code, added.json()["user_id"]) == (200, str(someone.id))
    for verb, path, body, status in changes(python):
        answer = await send(someone, verb, path, body)
        assert answer.status_code == status, (verb, path, answer.text)


async def teachers(someone: Someone) -> list[str]:
    listed = (await someone.get("/subjects/PYTHON/teachers?count=true")).json()
    assert listed["total"] == len(listed["items"])
    return [one["user_id"] for one in listed["items"]]


async def test_its_teachers_say_who_looks_after_a_subject(make: Make, python: Subjects) -> None:
    path, admin, tutor = "/subjects/PYTHON/teachers", await make.admin(), await make.tutor()
    owner, other = str(python.owner.id), str(python.other.id)
    assert await teachers(tutor) == [owner]
    for verb, of in (("PUT", other), ("DELETE", owner)):
        refused = await send(python.other, verb, f"{path}/{of}", None)
        assert (refused.status_code, refused.json()["code"]) == (403, "NOT_SUBJECT_TEACHER")
    first, again = [await python.owner.put(f"{path}/{other}") for _ in "ab"]
    assert (first.status_code, again.status_code, first.json()) == (200, 200, again.json())
    assert await teachers(python.other) == [owner, other]
    assert (await python.other.delete(f"{path}/{owner}")).status_code == 204
    assert await teachers(python.owner) == [other]
    assert (await python.owner.patch(python.exercise, json={"title": "x"})).status_code == 403
    gone = await admin.delete(f"{path}/{owner}")
    assert (gone.status_code, gone.json()["code"]) == (404, "SUBJECT_TEACHER_NOT_FOUND")
    assert (await admin.delete(f"{path}/{other}")).status_code == 204
    assert (await python.other.patch(python.exercise, json={"title": "x"})).status_code == 403
    assert (await admin.patch(python.exercise, json={"title": "x"})).status_code == 200
    assert (await admin.put(f"{path}/{owner}")).status_code == 200
    assert (await python.owner.patch(python.exercise, json={"title": "y"})).status_code == 200


async def test_only_a_teacher_by_account_looks_after_a_subject(make: Make, python: Subjects) -> None:
    """Who is none looks as who is not there at all."""
    people = [await make.student(), await make.tutor(), await make.admin(), await make.teacher(is_active=False)]
    missing = "00000000-0000-7000-8000-000000000000"
    answers = [await python.owner.put(f"/subjects/PYTHON/teachers/{id_}") for id_ in (missing, *(p.id for p in people))]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "USER_NOT_FOUND")}
    assert (await python.owner.put(f"/subjects/COBOL/teachers/{python.other.id}")).status_code == 404
    assert len(await make.all(SubjectTeacher)) == 1
    both = await make.user(Role.TEACHER, Role.STUDENT)
    assert (await python.owner.put(f"/subjects/PYTHON/teachers/{both.id}")).status_code == 200


async def test_an_admin_who_makes_a_subject_is_not_its_teacher(make: Make) -> None:
    admin = await make.admin()
    assert (await admin.post("/subjects", json=PYTHON)).status_code == 201
    assert await make.all(SubjectTeacher) == []
    assert (await admin.post("/exercises", json=LOOPS)).status_code == 201
    assert (await (await make.teacher()).post("/exercises", json=LOOPS)).status_code == 403


async def test_two_at_once_add_a_teacher_once(make: Make, python: Subjects) -> None:
    path = f"/subjects/PYTHON/teachers/{python.other.id}"
    answers = await asyncio.gather(*[python.owner.put(path) for _ in range(5)])
    assert {answer.status_code for answer in answers} == {200}
    assert len(await make.all(SubjectTeacher)) == 2


async def test_a_teacher_whose_account_is_deleted_looks_after_nothing(make: Make, python: Subjects) -> None:
    admin = await make.admin()
    assert (await admin.delete(f"/users/{python.owner.id}")).status_code == 204
    assert await make.all(SubjectTeacher) == []
    assert len(await make.all(Exercise)) == 1

"""Exercises: found, changed, deleted and restored; their hints, tests and rubric; what a student sees of them."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from cortez.exercises.models import Exercise, HintReveal
from factory import Make, Someone

LOOPS = {
    "subject_code": "PYTHON",
    "title": "Loops",
    "difficulty": "easy",
    "time_min": 20,
    "language": "python",
    "mission_markdown": "# Sum a list",
    "solution_code": "sum(numbers)",
    "tags": ["loops", "lists"],
    "unit": 2,
}


@pytest.fixture
async def teacher(make: Make) -> Someone:
    made = await make.teacher()
    subject = {"code": "PYTHON", "name": "Python", "language": "python"}
    assert (await made.post("/subjects", json=subject)).status_code == 201
    return made


async def exercise(teacher: Someone, **values: Any) -> str:
    made = await teacher.post("/exercises", json=LOOPS | values)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def hint(teacher: Someone, exercise_id: str, content: str, **values: Any) -> dict[str, Any]:
    made = await teacher.post(f"/exercises/{exercise_id}/hints", json={"content": content, **values})
    assert made.status_code == 201, made.text
    return dict(made.json())


async def titles(someone: Someone, query: str = "") -> list[str]:
    answer = await someone.get(f"/exercises?count=true&{query}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["items"])
    return [item["title"] for item in answer.json()["items"]]


async def test_an_exercise_is_made_read_and_changed_as_a_new_version(make: Make, teacher: Someone) -> None:
    made = await teacher.post("/exercises", json=LOOPS)
    body = made.json()
    assert (made.status_code, body["difficulty"], body["version"], body["solution_code"]) == (
        201,
        "Easy",
        1,
        "sum(numbers)",
    )
    assert made.headers["location"].endswith(f"/exercises/{body['id']}")
    read = await teacher.get(f"/exercises/{body['id']}")
    assert (read.json()["hints"], read.json()["rubric"]["criteria"]) == ([], [])
    changed = await teacher.patch(
        f"/exercises/{body['id']}", json={"title": "Sums"}, headers={"if-match": read.headers["etag"]}
    )
    assert (changed.json()["title"], changed.json()["version"]) == ("Sums", 2)
    stale = await teacher.patch(
        f"/exercises/{body['id']}", json={"title": "Old"}, headers={"if-match": read.headers["etag"]}
    )
    assert (stale.status_code, stale.json()["code"]) == (412, "PRECONDITION_FAILED")
    assert (await teacher.patch(f"/exercises/{body['id']}", json={})).json()["version"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"difficulty": "Brutal"},
        {"time_min": 0},
        {"unit": 0},
        {"max_score": 0},
        {"title": ""},
        {"language": "Not One"},
        {"tags": [""]},
        {"solution": "x"},
    ],
)
async def test_a_wrong_exercise_is_refused(make: Make, teacher: Someone, wrong: dict[str, Any]) -> None:
    assert (await teacher.post("/exercises", json=LOOPS | wrong)).status_code == 422
    assert await make.all(Exercise) == []


async def test_an_exercise_needs_a_subject_in_use(make: Make, teacher: Someone) -> None:
    absent = await teacher.post("/exercises", json=LOOPS | {"subject_code": "COBOL"})
    assert absent.status_code in {404, 422}
    await teacher.patch("/subjects/PYTHON", json={"is_active": False})
    retired = await teacher.post("/exercises", json=LOOPS)
    assert (retired.status_code, retired.json()["code"]) == (409, "SUBJECT_RETIRED")


async def test_exercises_are_found_by_each_filter(make: Make, teacher: Someone) -> None:
    await exercise(teacher)
    await exercise(teacher, title="Trees", language="java", difficulty="Hard", unit=5, tags=["trees"])
    await exercise(teacher, title="100% done", description="under_scores")
    student = await make.student()
    assert sorted(await titles(student)) == ["100% done", "Loops", "Trees"]
    assert await titles(student, "language=java") == ["Trees"]
    assert await titles(student, "difficulty=hard") == ["Trees"]
    assert await titles(student, "unit=5") == ["Trees"]
    assert await titles(student, "tag=trees") == ["Trees"]
    assert await titles(student, "tag=tree") == []
    assert await titles(student, "subject_code=JAVA") == []
    assert await titles(student, "q=LOOP") == ["Loops"]
    assert await titles(student, "q=%25") == ["100% done"]
    assert await titles(student, "q=r_s") == ["100% done"]
    for wrong in ("difficulty=brutal", "unit=x", "unit=0", "sort=title"):
        assert (await student.get(f"/exercises?{wrong}")).status_code == 422


async def test_the_overview_counts_languages(make: Make, teacher: Someone) -> None:
    await exercise(teacher)
    await exercise(teacher, difficulty="Hard")
    await exercise(teacher, language="java")
    await exercise(teacher, language="rust", is_active=False)
    java = {"language": "java", "exercises": 1, "by_difficulty": {"Easy": 1}}
    python = {"language": "python", "exercises": 2, "by_difficulty": {"Easy": 1, "Hard": 1}}
    student = await make.student()
    assert (await student.get("/exercises/languages")).json() == [java, python]
    assert len((await teacher.get("/exercises/languages")).json()) == 3


async def test_a_student_sees_no_solution_no_hidden_test_and_no_hint_before_it_is_revealed(
    make: Make, teacher: Someone
) -> None:
    id_ = await exercise(teacher)
    first = await hint(teacher, id_, "Look at `sum`.")
    for hidden in (False, True):
        test = {"input": "[1]", "expected": "1", "is_hidden": hidden}
        assert (await teacher.post(f"/exercises/{id_}/tests", json=test)).json()["is_hidden"] is hidden
    student, other, grader = await make.student(), await make.student(), await make.key("grading")
    seen = (await student.get(f"/exercises/{id_}")).json()
    assert ("solution_code" in seen, seen["hints"], len(seen["tests"])) == (False, [], 1)
    assert "solution_code" not in (await student.get("/exercises")).json()["items"][0]
    assert len((await student.get(f"/exercises/{id_}/tests")).json()["items"]) == 1
    assert (await student.get(f"/exercises/{id_}/hints")).json()["items"] == []
    whole = (await grader.get(f"/exercises/{id_}")).json()
    assert (whole["solution_code"], len(whole["tests"])) == ("sum(numbers)", 2)
    await student.post(f"/exercises/{id_}/hints/reveal")
    assert [one["id"] for one in (await student.get(f"/exercises/{id_}")).json()["hints"]] == [first["id"]]
    assert len((await student.get(f"/exercises/{id_}/hints")).json()["items"]) == 1
    assert (await other.get(f"/exercises/{id_}")).json()["hints"] == []


async def test_hints_come_in_order_and_cost_5_10_15_20(make: Make, teacher: Someone) -> None:
    id_, student = await exercise(teacher), await make.student()
    for number in range(1, 6):
        await hint(teacher, id_, f"Hint {number}")
    revealed = [(await student.post(f"/exercises/{id_}/hints/reveal", json={})).json() for _ in range(5)]
    assert [one["hint"]["content"] for one in revealed] == [f"Hint {number}" for number in range(1, 6)]
    assert [one["penalty"] for one in revealed] == [5, 10, 15, 20, 20]
    assert [one["remaining"] for one in revealed] == [4, 3, 2, 1, 0]
    none_left = await student.post(f"/exercises/{id_}/hints/reveal")
    assert (none_left.status_code, none_left.json()["code"]) == (409, "HINTS_EXHAUSTED")
    assert len(await make.all(HintReveal)) == 5


async def test_parallel_reveals_give_different_hints(make: Make, teacher: Someone) -> None:
    id_, student = await exercise(teacher), await make.student()
    for number in range(1, 5):
        await hint(teacher, id_, f"Hint {number}")
    await asyncio.gather(*[student.get(f"/exercises/{id_}") for _ in range(6)])
    answers = await asyncio.gather(*[student.post(f"/exercises/{id_}/hints/reveal") for _ in range(6)])
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [409] * 2
    given = sorted(answer.json()["hint"]["hint_number"] for answer in answers if answer.status_code == 200)
    assert given == [1, 2, 3, 4]


async def test_a_hint_is_revealed_in_ones_own_open_session_only(make: Make, teacher: Someone) -> None:
    id_, student = await exercise(teacher), await make.student()
    await hint(teacher, id_, "Hint")
    reveal = f"/exercises/{id_}/hints/reveal"
    foreign, closed = await make.session(), await make.session(student, status="completed")
    assert (await student.post(reveal, json={"session_id": str(foreign.id)})).status_code == 404
    ended = await student.post(reveal, json={"session_id": str(closed.id)})
    assert (ended.status_code, ended.json()["code"]) == (409, "SESSION_CLOSED")
    assert await make.all(HintReveal) == []
    mine = await make.session(student)
    assert (await student.post(reveal, json={"session_id": str(mine.id)})).status_code == 200
    assert [one.session_id for one in await make.all(HintReveal)] == [mine.id]


async def test_a_hint_is_numbered_priced_changed_and_deleted(make: Make, teacher: Someone) -> None:
    id_ = await exercise(teacher)
    assert (await hint(teacher, id_, "a", hint_number=3))["penalty_points"] == 15
    assert (await hint(teacher, id_, "b", penalty_points=0))["hint_number"] == 4
    taken = await teacher.post(f"/exercises/{id_}/hints", json={"content": "c", "hint_number": 3})
    assert (taken.status_code, taken.json()["code"]) == (409, "HINT_NUMBER_IN_USE")
    kept = await hint(teacher, id_, "d")
    changed = await teacher.patch(f"/hints/{kept['id']}", json={"content": "e", "penalty_points": 7})
    assert (changed.json()["content"], changed.json()["penalty_points"]) == ("e", 7)
    assert (await teacher.delete(f"/hints/{kept['id']}")).status_code == 204
    assert (await teacher.delete(f"/hints/{kept['id']}")).status_code == 404
    assert [one["hint_number"] for one in (await teacher.get(f"/exercises/{id_}/hints")).json()["items"]] == [3, 4]


async def test_a_test_is_numbered_changed_and_deleted(make: Make, teacher: Someone) -> None:
    id_ = await exercise(teacher)
    body = {"input": "1", "expected": "2"}
    made = [(await teacher.post(f"/exercises/{id_}/tests", json=body)).json() for _ in range(2)]
    assert [one["test_number"] for one in made] == [1, 2]
    taken = await teacher.post(f"/exercises/{id_}/tests", json=body | {"test_number": 2})
    assert (taken.status_code, taken.json()["code"]) == (409, "TEST_NUMBER_IN_USE")
    changed = await teacher.patch(f"/tests/{made[0]['id']}", json={"expected": "3", "is_hidden": True})
    assert (changed.json()["expected"], changed.json()["is_hidden"]) == ("3", True)
    assert (await teacher.post(f"/exercises/{id_}/tests", json=body | {"timeout_seconds": 0})).status_code == 422
    assert (await teacher.delete(f"/tests/{made[0]['id']}")).status_code == 204
    assert (await teacher.patch(f"/tests/{made[0]['id']}", json={})).status_code == 404


@pytest.mark.requirement("M7")
async def test_what_is_deleted_is_gone_with_all_its_parts_until_it_is_restored(make: Make, teacher: Someone) -> None:
    id_, student = await exercise(teacher), await make.student()
    part = await hint(teacher, id_, "Hint")
    test = (await teacher.post(f"/exercises/{id_}/tests", json={"input": "", "expected": ""})).json()
    assert (await teacher.delete(f"/exercises/{id_}")).status_code == 204
    for path in ("", "/hints", "/tests", "/rubric"):
        assert (await teacher.get(f"/exercises/{id_}{path}")).status_code == 404, path
    assert (await teacher.patch(f"/hints/{part['id']}", json={})).status_code == 404
    assert (await teacher.patch(f"/tests/{test['id']}", json={})).status_code == 404
    assert (await student.post(f"/exercises/{id_}/hints/reveal")).status_code == 404
    assert (await student.post(f"/exercises/{id_}/attempts", json={"submitted_code": "x"})).status_code == 404
    assert (await titles(teacher), (await teacher.get("/exercises/languages")).json()) == ([], [])
    assert await titles(teacher, "deleted=true") == ["Loops"]
    assert (await student.get("/exercises?deleted=true")).status_code == 403
    assert (await student.post(f"/exercises/{id_}/restore")).status_code == 403
    restored = await teacher.post(f"/exercises/{id_}/restore")
    assert (restored.status_code, restored.json()["deleted_at"]) == (200, None)
    assert (await teacher.post(f"/exercises/{id_}/restore")).status_code == 404
    whole = (await teacher.get(f"/exercises/{id_}")).json()
    assert (len(whole["hints"]), len(whole["tests"])) == (1, 1)


async def test_students_and_keys_see_what_is_active_in_a_subject_in_use(make: Make, teacher: Someone) -> None:
    id_ = await exercise(teacher)
    readers = (await make.student(), await make.key("read"))
    await teacher.patch(f"/exercises/{id_}", json={"is_active": False})
    for someone in readers:
        assert (await someone.get(f"/exercises/{id_}")).status_code == 404
        assert await titles(someone) == []
    await teacher.patch(f"/exercises/{id_}", json={"is_active": True})
    assert all([await titles(someone) == ["Loops"] for someone in readers])
    await teacher.patch("/subjects/PYTHON", json={"is_active": False})
    assert all([await titles(someone) == [] for someone in readers])
    assert await titles(teacher) == ["Loops"]


async def test_only_teachers_write_exercises_and_their_parts(make: Make, teacher: Someone) -> None:
    id_ = await exercise(teacher)
    part = await hint(teacher, id_, "Hint")
    test = (await teacher.post(f"/exercises/{id_}/tests", json={"input": "", "expected": ""})).json()
    for someone in (await make.student(), await make.tutor(), await make.key("grading")):
        for verb, path in (
            ("POST", "/exercises"),
            ("PATCH", f"/exercises/{id_}"),
            ("DELETE", f"/exercises/{id_}"),
            ("POST", f"/exercises/{id_}/hints"),
            ("POST", f"/exercises/{id_}/tests"),
            ("PUT", f"/exercises/{id_}/rubric"),
            ("PATCH", f"/hints/{part['id']}"),
            ("DELETE", f"/hints/{part['id']}"),
            ("PATCH", f"/tests/{test['id']}"),
            ("DELETE", f"/tests/{test['id']}"),
        ):
            body: dict[str, str] | None = None if verb == "DELETE" else {}
            answer = await someone.client.request(verb, path, json=body)
            assert answer.status_code == 403, (path, answer.text)
    assert (await teacher.post(f"/exercises/{id_}/hints/reveal")).status_code == 403
    assert (await (await make.admin()).post(f"/exercises/{id_}/hints/reveal")).status_code == 403
    assert (await (await make.key("traces")).get("/exercises")).status_code == 403


async def test_what_is_not_there_is_not_found(make: Make, teacher: Someone) -> None:
    student, nowhere = await make.student(), uuid4()
    for path in (f"/exercises/{nowhere}", f"/exercises/{nowhere}/hints", f"/exercises/{nowhere}/rubric"):
        assert (await teacher.get(path)).status_code == 404
    assert (await teacher.get("/exercises/no-id")).status_code == 404
    assert (await teacher.post(f"/exercises/{nowhere}/hints", json={"content": "x"})).status_code == 404
    assert (await teacher.delete(f"/exercises/{nowhere}")).status_code == 404
    assert (await student.post(f"/exercises/{nowhere}/hints/reveal")).status_code == 404

"""Activities: teachers write and publish them, students see what is active."""

from typing import Any

import pytest

from factory import Make

LOOPS = {"activity_id": "loops", "title": "Loops", "instructions": "Write one."}


async def ids(person: Any, query: str = "") -> list[str]:
    answer = await person.get(f"/activities?count=true&{query}")
    assert answer.status_code == 200, answer.text
    found = [item["activity_id"] for item in answer.json()["items"]]
    assert answer.json()["total"] == len(found)
    return found


async def test_a_new_activity_is_a_draft_of_its_teacher(make: Make) -> None:
    teacher = await make.teacher()
    made = await teacher.post("/activities", json=LOOPS)
    assert (made.status_code, made.headers["location"]) == (201, "/api/v1/activities/loops")
    assert made.headers["etag"] == (await teacher.get("/activities/loops")).headers["etag"]
    body = made.json()
    assert (body["status"], body["teacher_id"], body["policies"]) == ("draft", str(teacher.id), {})
    again = await teacher.post("/activities", json=LOOPS)
    assert (again.status_code, again.json()["code"]) == (409, "ACTIVITY_ALREADY_EXISTS")


async def test_policies_are_checked_and_come_back_as_sent(make: Make) -> None:
    teacher = await make.teacher()
    policies = {"max_help_level": "MEDIO", "risk_thresholds": {"ai_dependency": 0.5}}
    made = await teacher.post("/activities", json=LOOPS | {"policies": policies})
    assert made.json()["policies"] == {"max_help_level": "medio", "risk_thresholds": {"ai_dependency": 0.5}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"policies": {"unknown": 1}},
        {"policies": {"max_help_level": "much"}},
        {"policies": {"risk_thresholds": {"ai_dependency": 1.1}}},
        {"activity_id": "no spaces"},
        {"title": "ab"},
        {"estimated_duration_minutes": 0},
        {"difficulty": "hard"},
        {"status": "active"},
    ],
    ids=str,
)
async def test_a_wrong_value_stores_nothing(make: Make, wrong: dict[str, Any]) -> None:
    teacher = await make.teacher()
    answer = await teacher.post("/activities", json=LOOPS | wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert await ids(teacher) == []


async def test_the_course_must_be_one_that_the_teacher_teaches(make: Make) -> None:
    course = await make.course()
    stranger, admin = await make.teacher(), await make.admin()
    insider = await make.teacher(course=course)
    for wrong in (course, "nowhere"):
        answer = await stranger.post("/activities", json=LOOPS | {"course_id": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "COURSE_NOT_FOUND")
    assert (await insider.post("/activities", json=LOOPS | {"course_id": course})).status_code == 201
    assert (await admin.post("/activities", json=LOOPS | {"activity_id": "b", "course_id": course})).status_code == 201


async def test_only_its_teacher_changes_an_activity(make: Make) -> None:
    owner, colleague, student = await make.teacher(), await make.teacher(), await make.student()
    admin, key = await make.admin(), await make.key()
    activity = await make.activity(teacher_id=owner.id)
    path = f"/activities/{activity.activity_id}"
    for person in (colleague, student, key):
        for answer in (
            await person.patch(path, json={"title": "Mine now"}),
            await person.post(f"{path}/archive"),
            await person.post(f"{path}/publish"),
            await person.delete(path),
        ):
            assert answer.status_code == 403
    assert (await owner.patch(path, json={"title": "Better"})).json()["title"] == "Better"
    assert (await admin.patch(path, json={"title": "Best one"})).json()["title"] == "Best one"


async def test_an_admin_writes_for_a_teacher_and_a_teacher_for_nobody_else(make: Make) -> None:
    teacher, other, admin = await make.teacher(), await make.teacher(), await make.admin()
    theirs = LOOPS | {"teacher_id": str(teacher.id)}
    assert (await other.post("/activities", json=theirs)).status_code == 403
    assert (await admin.post("/activities", json=theirs)).json()["teacher_id"] == str(teacher.id)


async def test_an_admin_gives_an_activity_to_a_teacher_of_its_course(make: Make) -> None:
    course, admin = await make.course(), await make.admin()
    owner, colleague = await make.teacher(course=course), await make.teacher(course=course)
    stranger, student, tutor = await make.teacher(), await make.student(), await make.tutor(course=course)
    left = await make.teacher(course=course, is_active=False)
    inside = (await make.activity(teacher_id=owner.id, course_id=course)).activity_id
    outside = (await make.activity(teacher_id=owner.id)).activity_id
    given = {"teacher_id": str(colleague.id)}
    assert (await owner.patch(f"/activities/{inside}", json=given)).status_code == 403
    for activity, wrong in ((inside, stranger), (inside, tutor), (inside, left), (outside, student), (outside, left)):
        answer = await admin.patch(f"/activities/{activity}", json={"teacher_id": str(wrong.id)})
        assert (answer.status_code, answer.json()["code"]) == (422, "TEACHER_NOT_ALLOWED")
        body = LOOPS | {"teacher_id": str(wrong.id)} | ({"course_id": course} if activity == inside else {})
        assert (await admin.post("/activities", json=body)).json()["code"] == "TEACHER_NOT_ALLOWED"
    assert (await admin.patch(f"/activities/{inside}", json=given)).json()["teacher_id"] == str(colleague.id)
    assert (await admin.patch(f"/activities/{outside}", json={"teacher_id": str(stranger.id)})).status_code == 200
    assert (await owner.patch(f"/activities/{inside}", json={"title": "Mine"})).status_code == 403
    assert (await colleague.patch(f"/activities/{inside}", json={"title": "Mine"})).status_code == 200


async def test_students_see_what_is_active_and_nothing_else(make: Make) -> None:
    teacher, student, key = await make.teacher(), await make.student(), await make.key("read")
    for status in ("draft", "active", "archived"):
        await make.activity(activity_id=status, status=status, teacher_id=teacher.id)
    assert await ids(student) == ["active"]
    assert await ids(student, "status=draft") == []
    assert (await student.get("/activities/draft")).status_code == 404
    assert (await student.get("/activities/archived")).status_code == 404
    assert await ids(await make.teacher()) == ["active"]
    assert set(await ids(teacher)) == set(await ids(key)) == {"draft", "active", "archived"}


async def test_the_transitions_of_an_activity(make: Make) -> None:
    teacher = await make.teacher()
    await teacher.post("/activities", json=LOOPS)
    published = (await teacher.post("/activities/loops/publish")).json()
    assert (published["status"], published["published_at"] is None) == ("active", False)
    again = await teacher.post("/activities/loops/publish")
    assert (again.status_code, again.json()["code"]) == (409, "ILLEGAL_TRANSITION")
    assert (await teacher.post("/activities/loops/archive")).json()["status"] == "archived"
    assert (await teacher.post("/activities/loops/archive")).status_code == 409
    assert (await teacher.post("/activities/loops/publish")).json()["status"] == "active"
    assert (await teacher.delete("/activities/loops")).status_code == 204
    assert (await teacher.get("/activities/loops")).json()["status"] == "archived"
    assert (await teacher.delete("/activities/loops")).status_code == 204


async def test_the_course_changes_only_while_it_is_a_draft(make: Make) -> None:
    course = await make.course()
    teacher = await make.teacher(course=course)
    await teacher.post("/activities", json=LOOPS)
    moved = await teacher.patch("/activities/loops", json={"course_id": course})
    assert moved.json()["course_id"] == course
    await teacher.post("/activities/loops/publish")
    assert (await teacher.patch("/activities/loops", json={"course_id": None})).status_code == 422


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=ACTIVE", {"a"}),
        ("subject=Algebra", {"a"}),
        ("difficulty=inicial", {"b"}),
        ("tag=loops", {"a"}),
        ("tag=loo", set()),
        ("course_id=c", {"b"}),
        ("course_id=c&status=active", set()),
    ],
)
async def test_filters_of_the_list(make: Make, query: str, expected: set[str]) -> None:
    await make.course("c")
    admin, teacher = await make.admin(), await make.teacher()
    await make.activity(activity_id="a", subject="Algebra", tags=["loops"], teacher_id=teacher.id)
    await make.activity(activity_id="b", status="draft", difficulty="INICIAL", course_id="c")
    assert set(await ids(admin, query)) == expected
    assert await ids(admin, f"teacher_id={teacher.id}") == ["a"]
    assert await ids(admin) == ["b", "a"]
    assert await ids(admin, "order=created_at") == ["a", "b"]


async def test_an_activity_that_is_not_there(make: Make) -> None:
    teacher = await make.teacher()
    answer = await teacher.get("/activities/none")
    assert (answer.status_code, answer.json()["code"]) == (404, "ACTIVITY_NOT_FOUND")
    for answer in (await teacher.patch("/activities/none", json={}), await teacher.post("/activities/none/publish")):
        assert answer.status_code == 404


async def test_an_activity_is_linked_to_moodle_by_its_teacher(make: Make) -> None:
    teacher, student, other = await make.teacher(), await make.student(), await make.teacher()
    activity = await make.activity(teacher_id=teacher.id)
    path = f"/activities/{activity.activity_id}/moodle-link"
    link = {"moodle_course_id": "42", "moodle_resource_name": "Loops", "moodle_course_label": "B"}
    linked = (await teacher.put(path, json=link)).json()
    assert link.items() <= linked.items()
    old = {"If-Match": (await teacher.get(f"/activities/{activity.activity_id}")).headers["etag"]}
    replaced = await teacher.put(path, json={"moodle_course_id": "43", "moodle_resource_name": "L"}, headers=old)
    assert (replaced.json()["moodle_course_id"], replaced.json()["moodle_course_label"]) == ("43", None)
    assert (await teacher.put(path, json=link, headers=old)).status_code == 412
    for someone in (student, other):
        assert (await someone.put(path, json=link)).status_code == 403
        assert (await someone.delete(path)).status_code == 403
    assert (await teacher.put(path, json={"moodle_course_id": "42"})).status_code == 422
    assert (await teacher.put("/activities/none/moodle-link", json=link)).status_code == 404
    assert (await teacher.delete(path)).status_code == 204
    read = (await teacher.get(f"/activities/{activity.activity_id}")).json()
    assert (read["moodle_course_id"], read["moodle_resource_name"]) == (None, None)

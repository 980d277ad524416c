"""Class lists: one request, one result for every line, absent accounts made."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event

from cortez.accounts.models import CourseMember, User
from factory import Make, Someone

CSV = {"content-type": "text/csv"}
PATH = "/courses/c/members/batch"


@pytest.fixture
async def teacher(make: Make) -> Someone:
    return await make.teacher(course=await make.course("c"))


def statuses(answer: dict[str, Any]) -> list[str]:
    return [item["status"] for item in answer["items"]]


async def test_a_class_list_makes_accounts_and_members_once(make: Make, teacher: Someone) -> None:
    lines = [{"email": "Ana@Example.edu", "name": "Ana"}, {"email": "eva@example.edu", "student_id": "al-7"}]
    first = (await teacher.post(PATH, json=lines)).json()
    assert statuses(first) == ["created", "created"]
    again = (await teacher.post(PATH, json=lines)).json()
    assert (again["unchanged"], statuses(again)) == (2, ["unchanged", "unchanged"])
    made = {user.email: user for user in await make.all(User)}
    ana, eva = made["ana@example.edu"], made["eva@example.edu"]
    assert (ana.full_name, ana.username, ana.roles, ana.student_id) == ("Ana", "ana", ["student"], str(ana.id))
    assert eva.student_id == "al-7"
    listed = (await teacher.get("/courses/c/members?role=student")).json()["items"]
    assert {member["user_id"] for member in listed} == {str(ana.id), str(eva.id)}


async def test_somebody_with_an_account_is_added_and_changes_role(make: Make, teacher: Someone) -> None:
    await make.student(student_id="al-1")
    line = {"email": "STUDENT2@example.edu", "student_id": "al-1"}
    assert statuses((await teacher.post(PATH, json=[line, line])).json()) == ["added", "unchanged"]
    assert statuses((await teacher.post(PATH, json=[line | {"role": "tutor"}])).json()) == ["changed"]


async def test_one_bad_line_rejects_no_other(make: Make, teacher: Someone) -> None:
    await make.student(student_id="al-1")
    lines: list[Any] = [
        {"email": "not a mail"},
        {"email": "boss@example.edu", "role": "teacher"},
        {"email": "other@example.edu", "student_id": "al-1"},
        {"email": "student2@example.edu", "student_id": "al-2"},
        {"email": "a\0@example.edu"},
        7,
        {"email": "good@example.edu"},
    ]
    answer = (await teacher.post(PATH, json=lines)).json()
    assert [item.get("code") for item in answer["items"]] == [
        "VALIDATION_ERROR",
        "FORBIDDEN",
        "STUDENT_ID_IN_USE",
        "STUDENT_ID_MISMATCH",
        "VALIDATION_ERROR",
        "VALIDATION_ERROR",
        None,
    ]
    assert (answer["created"], answer["rejected"]) == (1, 6)
    assert len(await make.all(CourseMember)) == 2


async def test_an_admin_makes_staff(make: Make, teacher: Someone) -> None:
    admin = await make.admin()
    assert statuses((await admin.post(PATH, json=[{"email": "t@example.edu", "role": "TUTOR"}])).json()) == ["created"]
    user = next(user for user in await make.all(User) if user.email == "t@example.edu")
    assert (user.roles, user.student_id) == (["tutor"], None)


async def test_the_same_name_before_the_at_gives_two_usernames(make: Make, teacher: Someone) -> None:
    lines = [{"email": "ana@one.edu"}, {"email": "ana@two.edu"}]
    assert (await teacher.post(PATH, json=lines)).json()["created"] == 2


@pytest.mark.parametrize("comma", [",", ";"])
async def test_a_table_from_a_spreadsheet_is_read(make: Make, teacher: Someone, comma: str) -> None:
    rows = [["Email", "name", "student_id", "role"], ["ana@example.edu", "Ana Pérez", "", ""], ["eva@example.edu", ""]]
    table = "\ufeff" + "\r\n".join(comma.join(row) for row in rows)
    answer = (await teacher.post(PATH, content=table.encode(), headers=CSV)).json()
    assert statuses(answer) == ["created", "rejected"]
    assert "Ana Pérez" in {user.full_name for user in await make.all(User)}


@pytest.mark.parametrize("table", [b"", b"name\nAna", b"email,email\na@b.co,a@b.co", b"email\n\xff", b'email\n"a@b.co'])
async def test_a_table_that_is_none_is_refused(teacher: Someone, table: bytes) -> None:
    answer = await teacher.post(PATH, content=table, headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (422, "CSV_INVALID")


async def test_who_does_not_teach_the_course_enrols_nobody(make: Make, teacher: Someone) -> None:
    student, stranger, tutor = await make.student(), await make.teacher(), await make.tutor(course="c")
    guest = await make.teacher()
    await make.add(CourseMember(course_id="c", user_id=guest.id, role="student"))
    line = [{"email": "x@example.edu"}]
    assert (await guest.post(PATH, json=line)).status_code == 403
    assert (await stranger.post(PATH, json=line)).status_code == 404
    assert (await student.post(PATH, json=line)).status_code == 403
    assert (await tutor.post(PATH, json=line)).status_code == 403
    assert (await teacher.post(PATH, json=line * 1_001)).status_code == 422


async def test_parallel_lists_make_each_account_once(make: Make, teacher: Someone) -> None:
    lines = [{"email": f"s{number}@example.edu"} for number in range(30)]
    answers = await asyncio.gather(*[teacher.post(PATH, json=lines) for _ in range(4)])
    assert sorted(answer.json()["created"] for answer in answers) == [0, 0, 0, 30]
    assert len(await make.all(CourseMember)) == 31


async def test_a_long_list_takes_as_many_reads_as_a_short_one(make: Make, teacher: Someone) -> None:
    reads: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            reads.append(statement)

    event.listen(make.database.engine.sync_engine, "before_cursor_execute", note)
    counts = []
    for size in (1, 100):
        reads.clear()
        await teacher.post(PATH, json=[{"email": f"{size}-{number}@example.edu"} for number in range(size)])
        counts.append(len(reads))
    event.remove(make.database.engine.sync_engine, "before_cursor_execute", note)
    assert counts[0] == counts[1]


async def test_two_courses_take_in_the_same_new_people_at_once(make: Make) -> None:
    admin, courses = await make.admin(), [await make.course() for _ in range(4)]
    people = [{"email": f"new{number}@example.edu"} for number in range(8)]
    lists = [admin.post(f"/courses/{course}/members/batch", json=people) for course in courses]
    answers = await asyncio.gather(*lists)
    assert [answer.status_code for answer in answers] == [200] * 4
    assert sorted(answer.json()["created"] for answer in answers) == [0, 0, 0, 8]

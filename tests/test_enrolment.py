"""Class lists: one request, one result for every line, absent accounts made."""

import asyncio
from typing import Any

import pytest
from litestar import Litestar
from sqlalchemy import event

from cortez.accounts.models import CourseInvitation, CourseMember, Role, User
from cortez.sessions.models import LearningSession
from factory import Make, Someone
from forgeries import secret_of
from running import limited

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
    assert statuses(first) == ["added", "added"]
    again = (await teacher.post(PATH, json=lines)).json()
    assert (again["unchanged"], statuses(again)) == (2, ["unchanged", "unchanged"])
    made = {user.email: user for user in await make.all(User)}
    ana, eva = made["ana@example.edu"], made["eva@example.edu"]
    assert (ana.full_name, ana.username, ana.roles, ana.student_id) == ("Ana", "ana", ["student"], str(ana.id))
    assert eva.student_id == "al-7"
    listed = (await teacher.get("/courses/c/members?role=student")).json()["items"]
    assert {member["user_id"]: member["student_id"] for member in listed} == {
        str(ana.id): str(ana.id),
        str(eva.id): "al-7",
    }


async def test_somebody_with_an_account_is_added_and_changes_role(make: Make, teacher: Someone) -> None:
    await make.student(student_id="al-1")
    line = {"email": "STUDENT2@example.edu", "student_id": "al-1"}
    assert statuses((await teacher.post(PATH, json=[line, line])).json()) == ["added", "unchanged"]
    assert statuses((await teacher.post(PATH, json=[line | {"role": "tutor"}])).json()) == ["changed"]


async def test_one_bad_line_rejects_no_other(make: Make, teacher: Someone) -> None:
    lines: list[Any] = [
        {"email": "not a mail"},
        {"email": "boss@example.edu", "role": "teacher"},
        {"email": "a\0@example.edu"},
        7,
        {"email": "good@example.edu"},
    ]
    answer = (await teacher.post(PATH, json=lines)).json()
    codes = ["VALIDATION_ERROR", "FORBIDDEN", "VALIDATION_ERROR", "VALIDATION_ERROR", None]
    assert [item.get("code") for item in answer["items"]] == codes
    assert (answer["added"], answer["rejected"]) == (1, 4)
    assert len(await make.all(CourseMember)) == 2


async def test_an_admin_is_told_all_of_a_line(make: Make, teacher: Someone) -> None:
    admin, known = await make.admin(), await make.student(student_id="al-1")
    lines: list[Any] = [
        {"email": "other@example.edu", "student_id": "al-1"},
        {"email": "student3@example.edu", "student_id": "al-2"},
        {"email": "student3@example.edu"},
        {"email": "new@example.edu", "student_id": "al-9"},
    ]
    answer = (await admin.post(PATH, json=lines)).json()
    assert [item.get("code") for item in answer["items"]] == ["STUDENT_ID_IN_USE", "STUDENT_ID_MISMATCH", None, None]
    assert statuses(answer)[2:] == ["added", "created"]
    assert answer["items"][2]["user_id"] == str(known.id)
    assert (answer["created"], answer["added"], answer["rejected"]) == (1, 1, 2)


async def test_an_admin_s_list_verifies_the_accounts_that_it_makes(make: Make, teacher: Someone) -> None:
    admin, known = await make.admin(), await make.student()
    emails = ["made@example.edu", f"{known.student_id}@example.edu"]
    await admin.post(PATH, json=[{"email": email} for email in emails])
    await teacher.post(PATH, json=[{"email": "by-teacher@example.edu"}])
    verified = {one.email: one.is_verified for one in await make.all(User)}
    assert [verified[email] for email in (*emails, "by-teacher@example.edu")] == [True, False, False]


@pytest.mark.requirement("A1")
async def test_a_teacher_is_told_the_same_whether_or_not_there_was_an_account(make: Make, teacher: Someone) -> None:
    admin = await make.admin()
    await make.student(student_id="al-1")
    await make.tutor()
    known = [
        {"email": "student3@example.edu"},
        {"email": "tutor4@example.edu"},
        {"email": "admin2@example.edu"},
    ]
    there = (await teacher.post(PATH, json=[line | {"student_id": "al-1"} for line in known])).json()
    made = (await teacher.post(PATH, json=[{"email": f"{n}@new.edu", "student_id": f"n-{n}"} for n in range(3)])).json()
    assert there == made
    assert made["items"] == [{"index": index, "status": "added"} for index in range(3)]
    staff = [[{"email": email, "role": "tutor"}] for email in ("tutor5@example.edu", "absent@example.edu")]
    await make.tutor()
    refused = [(await teacher.post(PATH, json=lines)).json() for lines in staff]
    assert refused[0] == refused[1]
    assert refused[0]["items"][0]["code"] == "FORBIDDEN"
    assert (await admin.get("/users?q=absent")).json()["items"] == []


async def student_id_of(make: Make, email: str) -> str | None:
    found: str | None = next(user.student_id for user in await make.all(User) if user.email == email)
    return found


async def test_a_teacher_gives_no_student_id_that_was_taken_before(make: Make, teacher: Someone) -> None:
    """Of an account, of rows that an agent wrote, of a deleted account: it is passed over, and nothing says so."""
    admin = await make.admin()
    await make.student(student_id="taken")
    machine = Someone(teacher.id, "written", teacher.client)
    await make.add(LearningSession(student_id=machine.student_id, activity_id=(await make.activity()).activity_id))
    gone = await make.student(student_id="former")
    assert (await admin.delete(f"/users/{gone.id}")).status_code == 204
    wanted = ("taken", "written", "former", "free", "free")
    lines = [{"email": f"{n}@new.edu", "student_id": student_id} for n, student_id in enumerate(wanted)]
    answer = (await teacher.post(PATH, json=lines)).json()
    assert statuses(answer) == ["added"] * 5
    given = [await student_id_of(make, line["email"]) for line in lines]
    ids = {user.email: str(user.id) for user in await make.all(User)}
    assert given == [*(ids[f"{n}@new.edu"] for n in range(3)), "free", ids["4@new.edu"]]
    for path in ("/students/written/profile", "/students/former/profile", "/sessions?student_id=written"):
        answer = await teacher.get(path)
        assert answer.status_code == 404 or answer.json()["items"] == []


async def test_an_admin_gives_a_student_id_that_rows_carry_but_not_a_former_one(make: Make, teacher: Someone) -> None:
    admin = await make.admin()
    await make.add(LearningSession(student_id="written", activity_id=(await make.activity()).activity_id))
    gone = await make.student(student_id="former")
    await admin.delete(f"/users/{gone.id}")
    lines = [{"email": f"{name}@new.edu", "student_id": name} for name in ("written", "former")]
    answer = (await admin.post(PATH, json=lines)).json()
    assert [item.get("code", item["status"]) for item in answer["items"]] == ["created", "STUDENT_ID_IN_USE"]
    assert await student_id_of(make, "written@new.edu") == "written"
    body = {"email": "former@new.edu", "username": "former", "student_id": "former"}
    assert (await admin.post("/users", json=body)).json()["code"] == "STUDENT_ID_IN_USE"
    assert (await admin.post("/users", json=body | {"reuse_student_id": True})).json()["student_id"] == "former"


async def test_a_teacher_adds_so_many_people_a_day(app: Litestar, make: Make, teacher: Someone) -> None:
    admin = await make.admin()
    await make.student()
    async with limited(app, secret_of(teacher), enrolments_per_day=3) as client:
        lines = [{"email": "student3@example.edu"}, {"email": "a@b.co"}, {"email": "a@b.co"}, {"email": "b@b.co"}]
        first = (await client.post(PATH, json=[*lines, {"email": "c@b.co"}])).json()
        assert statuses(first) == ["added", "added", "unchanged", "added", "rejected"]
        assert first["items"][4]["code"] == "ENROLMENT_LIMIT"
        await make.add(CourseMember(course_id=await make.course("d"), user_id=teacher.id, role="teacher"))
        other = (await client.post("/courses/d/members/batch", json=[{"email": "a@b.co"}])).json()
        assert other["items"][0]["code"] == "ENROLMENT_LIMIT"
    async with limited(app, secret_of(admin), enrolments_per_day=3) as client:
        many = [{"email": f"{n}@many.edu"} for n in range(5)]
        assert (await client.post(PATH, json=many)).json()["created"] == 5
    assert "c@b.co" not in {user.email for user in await make.all(User)}


async def test_an_admin_makes_staff(make: Make, teacher: Someone) -> None:
    admin = await make.admin()
    line = {"email": "t@example.edu", "role": "TUTOR"}
    assert statuses((await admin.post(PATH, json=[line])).json()) == ["created"]
    user = next(user for user in await make.all(User) if user.email == "t@example.edu")
    assert (user.roles, user.student_id) == (["tutor"], None)


async def test_the_same_name_before_the_at_gives_two_usernames(make: Make, teacher: Someone) -> None:
    lines = [{"email": "ana@one.edu"}, {"email": "ana@two.edu"}]
    assert (await teacher.post(PATH, json=lines)).json()["added"] == 2


@pytest.mark.parametrize("comma", [",", ";"])
async def test_a_table_from_a_spreadsheet_is_read(make: Make, teacher: Someone, comma: str) -> None:
    rows = [["Email", "name", "student_id", "role"], ["ana@example.edu", "Ana Pérez", "", ""], ["eva@example.edu", ""]]
    table = "\ufeff" + "\r\n".join(comma.join(row) for row in rows)
    answer = (await teacher.post(PATH, content=table.encode(), headers=CSV)).json()
    assert statuses(answer) == ["added", "rejected"]
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
    assert sorted(answer.json()["added"] for answer in answers) == [0, 0, 0, 30]
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


async def test_where_members_are_asked_first_none_joins_unasked(app: Litestar, make: Make, teacher: Someone) -> None:
    known = await make.student(student_id="al-1")
    lines = [{"email": "student2@example.edu"}, {"email": "new@example.edu"}]
    async with limited(app, secret_of(teacher), enrolment="invite") as client:
        assert statuses((await client.post(PATH, json=lines)).json()) == ["invited", "invited"]
        again = (await client.post(PATH, json=lines)).json()
        assert (statuses(again), again["invited"], again["unchanged"]) == (["unchanged", "unchanged"], 0, 2)
    assert len(await make.all(CourseMember)) == 1
    assert (await teacher.get("/students/al-1/profile")).status_code == 404
    (mine,) = (await known.get("/auth/me/invitations?count=true")).json()["items"]
    assert (mine["course_id"], mine["course_title"], mine["role"]) == ("c", "A course", "student")
    assert (await known.get("/courses/c")).status_code == 404
    path = f"/auth/me/invitations/{mine['id']}"
    for other in (teacher, await make.student(), await make.admin()):
        assert (await other.get("/auth/me/invitations")).json()["items"] == []
        assert (await other.post(f"{path}/accept")).status_code == 404
        assert (await other.post(f"{path}/decline")).status_code == 404
    joined = await known.post(f"{path}/accept")
    assert (joined.status_code, joined.json()["role"], joined.json()["student_id"]) == (200, "student", "al-1")
    assert (await known.get("/courses/c")).status_code == 200
    assert (await known.post(f"{path}/accept")).status_code == 404
    assert (await known.get("/auth/me/invitations")).json()["items"] == []


async def test_an_invitation_is_declined_withdrawn_or_overtaken(app: Litestar, make: Make, teacher: Someone) -> None:
    admin = await make.admin()
    people = [await make.student() for _ in range(3)]
    paths = [f"/courses/c/members/{one.id}" for one in people]
    async with limited(app, secret_of(teacher), enrolment="invite") as client:
        for path in paths:
            asked = await client.put(path, json={"role": "tutor"})
            assert (asked.status_code, asked.json()["joined_at"], asked.json()["role"]) == (202, None, "tutor")
        assert (await client.put(paths[0], json={"role": "student"})).json()["role"] == "student"
        assert (await client.delete(paths[0])).status_code == 204
        assert (await client.delete(paths[0])).status_code == 404
        assert (await client.put(f"/courses/c/members/{teacher.id}", json={"role": "teacher"})).status_code == 200
    assert (await people[0].get("/auth/me/invitations")).json()["items"] == []
    (asked,) = (await people[1].get("/auth/me/invitations")).json()["items"]
    declined = await people[1].post(f"/auth/me/invitations/{asked['id']}/decline")
    assert (declined.status_code, declined.json()) == (200, asked)
    assert (await people[1].get("/auth/me/invitations")).json()["items"] == []
    async with limited(app, secret_of(admin), enrolment="invite") as client:
        assert (await client.put(paths[2], json={"role": "student"})).status_code == 200
        assert (await client.post(PATH, json=[{"email": "eva@example.edu"}])).json()["created"] == 1
    assert await make.all(CourseInvitation) == []


@pytest.mark.parametrize("ending", ["membership", "role", "account", "teaching"])
async def test_an_invitation_stands_as_long_as_its_maker_leads(
    app: Litestar, make: Make, teacher: Someone, ending: str
) -> None:
    """A teacher who was removed came back by an invitation that they had sent to a second account of theirs."""
    admin, second, path = await make.admin(), await make.user(Role.TEACHER), f"/courses/c/members/{teacher.id}"
    async with limited(app, secret_of(teacher), enrolment="invite") as client:
        wanted = {"role": "teacher"}
        assert (await client.put(f"/courses/c/members/{second.id}", json=wanted)).status_code == 202
    (asked,) = (await second.get("/auth/me/invitations")).json()["items"]
    if ending == "membership":
        ended = await admin.delete(path)
    elif ending == "role":
        ended = await admin.put(path, json={"role": "tutor"})
    elif ending == "account":
        ended = await admin.post(f"/users/{teacher.id}/deactivate")
    else:
        ended = await admin.put(f"/users/{teacher.id}/roles", json={"roles": ["student"]})
    assert ended.is_success
    assert (await second.get("/auth/me/invitations")).json()["items"] == []
    assert (await second.post(f"/auth/me/invitations/{asked['id']}/accept")).status_code == 404
    colleague = await make.teacher(course="c")
    async with limited(app, secret_of(colleague), enrolment="invite") as client:
        again = await client.put(f"/courses/c/members/{second.id}", json={"role": "student"})
        assert again.status_code == 202
    (asked,) = (await second.get("/auth/me/invitations")).json()["items"]
    assert asked["role"] == "student"
    assert (await second.post(f"/auth/me/invitations/{asked['id']}/accept")).status_code == 200


async def test_a_list_renews_an_invitation_that_stood_no_more(app: Litestar, make: Make, teacher: Someone) -> None:
    admin, someone, line = await make.admin(), await make.student(), [{"email": "student3@example.edu"}]
    async with limited(app, secret_of(teacher), enrolment="invite") as client:
        assert statuses((await client.post(PATH, json=line)).json()) == ["invited"]
    assert len((await someone.get("/auth/me/invitations")).json()["items"]) == 1
    assert (await admin.delete(f"/courses/c/members/{teacher.id}")).status_code == 204
    assert (await someone.get("/auth/me/invitations")).json()["items"] == []
    async with limited(app, secret_of(await make.teacher(course="c")), enrolment="invite") as client:
        assert statuses((await client.post(PATH, json=line)).json()) == ["unchanged"]
    assert len((await someone.get("/auth/me/invitations")).json()["items"]) == 1


async def test_a_list_that_adds_at_once_ends_the_invitations(app: Litestar, make: Make, teacher: Someone) -> None:
    someone, line = await make.student(), [{"email": "student2@example.edu"}]
    async with limited(app, secret_of(teacher), enrolment="invite") as client:
        assert statuses((await client.post(PATH, json=line)).json()) == ["invited"]
    assert statuses((await teacher.post(PATH, json=line)).json()) == ["added"]
    assert await make.all(CourseInvitation) == []
    assert (await someone.get("/auth/me/invitations")).json()["items"] == []


async def test_an_institution_may_keep_the_making_of_courses(app: Litestar, make: Make, teacher: Someone) -> None:
    body, admin = {"course_id": "PROG1-2027", "title": "Course"}, await make.admin()
    async with limited(app, secret_of(teacher), course_creation="admins") as client:
        refused = await client.post("/courses", json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "COURSE_CREATION_CLOSED")
    async with limited(app, secret_of(admin), course_creation="admins") as client:
        assert (await client.post("/courses", json=body)).status_code == 201

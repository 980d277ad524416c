"""The conventions of the repositories, held against their code and against both databases."""

import ast
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

import cortez
from cortez.accounts.models import Course, Role, User
from cortez.accounts.repository import CourseRepository, UserRepository
from cortez.core.db import repository
from cortez.core.db.engine import Database
from cortez.core.db.repository import Repository
from cortez.core.security.principal import SYSTEM
from cortez.errors import NotFound
from cortez.sessions.repository import SessionRepository
from cortez.traces.models import CognitiveState, InteractionType
from cortez.traces.repository import TraceRepository
from factory import Make

SOURCE = Path(cortez.__file__).parent
REPOSITORIES = sorted([*SOURCE.glob("*/*repository.py"), SOURCE / "core" / "db" / "repository.py"])


@pytest.mark.requirement("P2")
@pytest.mark.requirement("MED-TX-001")
@pytest.mark.requirement("HIGH-REPO-001")
@pytest.mark.parametrize("file", REPOSITORIES, ids=lambda file: f"{file.parent.name}")
def test_repositories_neither_commit_nor_roll_back_nor_swallow(file: Path) -> None:
    tree = ast.parse(file.read_text())
    calls = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert calls.isdisjoint({"commit", "rollback", "begin"})
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Try)]


@pytest.mark.requirement("HIGH-REPO-001")
async def test_an_error_leaves_the_repository_as_it_is(make: Make) -> None:
    await make.course("c")

    async def add_again() -> None:
        async with make.database.unit() as session:
            await CourseRepository(session, SYSTEM).add(Course(course_id="c", title="Again"))

    with pytest.raises(IntegrityError):
        await add_again()


@pytest.mark.requirement("L4")
def test_the_base_says_its_conventions() -> None:
    said = repository.Repository.__doc__ or ""
    assert all(f"({rule})" in said for rule in ("P2", "P3", "P4", "P5", "P6", "P7"))


@pytest.mark.requirement("P6")
@pytest.mark.requirement("MED-REPO-002")
async def test_absence_is_an_error_for_get_none_for_find_and_an_entry_in_a_batch(make: Make) -> None:
    there, absent = await make.session(), uuid4()
    async with make.database.reading() as session:
        sessions = SessionRepository(session, SYSTEM)
        assert await sessions.find(absent) is None
        with pytest.raises(NotFound, match="session"):
            await sessions.get(absent)
        found = await sessions.get_by_ids([there.id, absent])
    assert list(found) == [there.id, absent]
    assert found[absent] is None


async def statements(database: Database, parents: int, make: Make) -> int:
    sessions = [await make.session() for _ in range(parents)]
    for session in sessions:
        await make.trace(session)
    ids = [session.id for session in sessions]
    seen: list[str] = []

    def count(connection: object, cursor: object, statement: str, *rest: object) -> None:
        seen.append(statement)

    async with database.reading() as reader:
        event.listen(database.engine.sync_engine, "after_cursor_execute", count)
        found = await TraceRepository(reader, SYSTEM).get_by_session_ids([*ids, uuid4()])
        event.remove(database.engine.sync_engine, "after_cursor_execute", count)
    assert [len(traces) for traces in found.values()] == [1] * parents + [0]
    return len([statement for statement in seen if "SELECT" in statement])


@pytest.mark.requirement("P3")
async def test_a_batch_takes_one_query_for_one_parent_and_for_many(make: Make) -> None:
    assert await statements(make.database, 1, make) == await statements(make.database, 30, make) == 1


@pytest.mark.requirement("P5")
async def test_a_list_is_filtered_ordered_paged_and_counted_by_the_database(make: Make) -> None:
    student = await make.student()
    activity = await make.activity()
    made = [await make.session(student, activity_id=activity.activity_id) for _ in range(5)]
    await make.session()
    seen: list[str] = []
    path = f"/sessions?student_id={student.student_id}&limit=2&count=true&order=created_at"
    while path:
        answer = await student.get(path)
        body = answer.json()
        assert body["total"] == 5
        assert body["total_is_capped"] is False
        seen += [item["id"] for item in body["items"]]
        path = f"/sessions?count=true&limit=2&cursor={body['next_cursor']}" if body["next_cursor"] else ""
    assert seen == [str(session.id) for session in made]


@pytest.mark.requirement("P5")
async def test_a_link_header_leads_to_the_next_page(make: Make) -> None:
    admin = await make.admin()
    for _ in range(3):
        await make.course()
    first = await admin.get("/courses?limit=2")
    target = first.headers["link"].partition(">")[0].removeprefix("</api/v1")
    second = await admin.get(target)
    assert len(first.json()["items"]) == 2
    assert len(second.json()["items"]) == 1
    assert second.json()["next_cursor"] is None
    assert "link" not in second.headers


@pytest.mark.requirement("P5")
async def test_a_cursor_is_refused_when_changed_or_used_with_other_filters_or_elsewhere(make: Make) -> None:
    admin = await make.admin()
    for _ in range(3):
        await make.session()
    cursor = (await admin.get("/sessions?limit=1&status=active")).json()["next_cursor"]
    assert (await admin.get(f"/sessions?cursor={cursor}")).status_code == 200
    assert (await admin.get(f"/sessions?status=active&cursor={cursor}")).status_code == 200
    mismatch = await admin.get(f"/sessions?status=paused&cursor={cursor}")
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "CURSOR_MISMATCH")
    for forged in (cursor[:-2] + "AA", "nonsense", "é", "A" * 5000):
        assert (await admin.get("/sessions", params={"cursor": forged})).json()["code"] == "CURSOR_INVALID", forged
    assert (await admin.get(f"/activities?cursor={cursor}")).json()["code"] == "CURSOR_INVALID"


@pytest.mark.requirement("P7")
def test_enumerations_are_found_in_any_case_and_by_alias() -> None:
    assert CognitiveState("ESTANCAMIENTO") is CognitiveState.ATASCADO
    assert CognitiveState("Exploracion") is CognitiveState.EXPLORACION
    assert InteractionType("QUESTION") is InteractionType.STUDENT_PROMPT
    with pytest.raises(ValueError, match="nonsense"):
        CognitiveState("nonsense")


@pytest.mark.requirement("P7")
async def test_a_wrong_value_is_answered_with_the_right_ones(make: Make) -> None:
    admin = await make.admin()
    wrong = {"activity_id": "a", "title": "Title", "instructions": "x", "difficulty": "impossible"}
    answer = await admin.post("/activities", json=wrong)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/difficulty"
    assert "INICIAL, INTERMEDIO, AVANZADO" in answer.json()["errors"][0]["detail"]


async def test_users_are_found_by_role_on_both_databases(make: Make) -> None:
    admin = await make.admin()
    await make.student()
    await make.teacher()
    async with make.database.reading() as session:
        found = await session.scalars(UserRepository(session, SYSTEM).filtered(Role.TEACHER, None, None, None))
        assert [user.roles for user in found] == [["teacher"]]
        assert len(list(await session.scalars(select(User)))) == 3
    assert [user["roles"] for user in (await admin.get("/users?role=TEACHER")).json()["items"]] == [["teacher"]]


def test_a_repository_that_does_not_say_what_is_visible_cannot_be_made(database: Database) -> None:
    class Careless(Repository[Course]):
        model = Course
        noun = "course"

    with pytest.raises(TypeError):
        Careless(database.reading().session, SYSTEM)  # type: ignore[abstract]

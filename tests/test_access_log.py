"""The access log: who read what about whom; and that it holds up no answer."""

from typing import Any

import pytest
from litestar import Litestar
from msgspec.structs import replace

from cortez.database import Database
from cortez.records.access import Journal
from cortez.records.audit_models import AccessEntry
from cortez.records.upkeep import Upkeep
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
    journal.reads.clear()
    answer = await group.teacher.get(place)
    assert answer.status_code == 200, answer.text
    assert [(one[1], one[2]) for one in await noted(make, journal)] == [(group.teacher.id, student)]


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

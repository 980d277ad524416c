"""Every column is classified; and what is held of a student is in their archive, and in nobody else's hands."""

import io
import json
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy.pool import QueuePool

import privacy_page
from cortez.core.db.base import Base
from cortez.core.db.classification import STAMPS
from cortez.core.db.repository import LOT
from cortez.privacy.archive import archive
from cortez.privacy.subjects import about_students, find
from cortez.simulators.models import InterviewSession
from factory import Group, Make, Someone
from planted import WORDS, plant

MODELS = sorted((mapper.class_ for mapper in Base.registry.mappers), key=lambda model: str(model.__name__))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_column_is_classified_once(model: Any) -> None:
    """A new column fails here until its model says whose it is, and what erasure does to it."""
    named = Counter(model.privacy.columns())
    assert set(named) == set(model.__table__.columns.keys()) - STAMPS
    assert set(named.values()) <= {1}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_table_that_has_a_student_id_is_about_students(model: Any) -> None:
    privacy = model.privacy
    if "student_id" in model.__table__.columns:
        assert privacy.by
        assert "student_id" in f"{privacy.pseudonymise} {privacy.removed}".split()
    stays = f"{privacy.keep}{privacy.empty}{privacy.pseudonymise}"
    goes = f"{privacy.pseudonymise}{privacy.empty}{privacy.removed}"
    assert not (privacy.by is None and goes)
    assert not (privacy.removed and stays), "a row is removed as a whole"


def test_free_text_about_a_student_is_never_kept() -> None:
    """What may be kept of a student's row: keys, enumerations, figures, times - no long text and no document."""
    kept = {
        f"{model.__tablename__}.{name}"
        for model in about_students()
        for name in model.privacy.keep.split()
        if str(model.__table__.c[name].type) in {"TEXT", "JSON", "JSONB"}
    }
    ids = {"risks.trace_ids", "git_traces.related_cognitive_traces"}
    assert kept == ids | {"git_traces.detected_patterns"}


async def archived(someone: Someone, student_id: str) -> ZipFile:
    answer = await someone.get(f"/students/{student_id}/data")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    return ZipFile(io.BytesIO(answer.content))


@pytest.fixture
async def group(make: Make) -> Group:
    return await make.group()


async def test_the_archive_holds_all_that_is_held(make: Make, group: Group) -> None:
    await plant(make, group)
    file = await archived(group.student, group.student.student_id)
    whole = b"".join(file.read(name) for name in file.namelist()).decode()
    assert {word for word in WORDS if word not in whole} == set()
    assert "hashed_password" not in file.read("data/users.json").decode()
    manifest = json.loads(file.read("manifest.json"))
    assert manifest["rows"]["cognitive_traces"] == len(json.loads(file.read("data/cognitive_traces.json")))
    assert set(manifest["rows"]) >= {model.__tablename__ for model in about_students()} - {"subject_keys"}


async def test_the_archive_holds_nothing_of_others(make: Make, group: Group) -> None:
    other = await make.student(full_name="Somebody Else")
    session = await make.session(other, activity_id="a")
    await make.trace(session, content="not yours")
    file = await archived(group.student, group.student.student_id)
    whole = b"".join(file.read(name) for name in file.namelist()).decode()
    assert "not yours" not in whole
    assert other.student_id not in whole


async def test_the_archive_says_who_has_read(make: Make, group: Group) -> None:
    assert (await group.teacher.get(group.path)).status_code == 200
    await make.app.state.upkeep.journal.flush()
    [entry] = json.loads((await archived(group.student, group.student.student_id)).read("data/access_log.json"))
    assert (entry["actor_id"], entry["reads"]) == (str(group.teacher.id), 1)


async def test_the_archive_says_what_was_changed_in_digests(make: Make, group: Group) -> None:
    await make.risk(group.session, description="a finding in words")
    file = await archived(group.student, group.student.student_id)
    entries = json.loads(file.read("data/audit_log.json"))
    assert {one["table_name"] for one in entries} >= {"users", "risks"}
    assert b"a finding in words" not in file.read("data/audit_log.json")


async def test_the_archive_is_made_while_it_is_sent(make: Make, group: Group) -> None:
    """Made whole before it was sent, the largest record could never be handed out, and lay on disk where it was cut."""
    session = await make.session(group.student)
    key = await make.key("traces")
    noise = random.Random(7)  # noqa: S311 - that does not compress
    for _ in range(3):
        steps = [{"interaction_type": "ai_response", "content": noise.randbytes(20_000).hex()} for _ in range(LOT - 1)]
        assert (await key.post(f"/sessions/{session.id}/traces/batch", json=steps)).json()["created"] == len(steps)
    async with make.database.reading() as reading:
        person = await find(reading, group.student.student_id)
    pieces, whole, pool = 0, b"", make.database.engine.pool
    with tracing() as peak:
        async for piece in archive(make.database, person):
            pieces, whole = pieces + 1, whole + piece
            assert isinstance(pool, QueuePool)
            assert pool.checkedout() == 0  # however slowly it is read
    assert pieces > 20
    assert peak() < len(whole) + 15_000_000, "more than a few rows at a time"
    file = ZipFile(io.BytesIO(whole))
    assert file.testzip() is None
    assert len(json.loads(file.read("data/cognitive_traces.json"))) == 3 * (LOT - 1)
    assert json.loads(file.read("manifest.json"))["rows"]["cognitive_traces"] == 3 * (LOT - 1)


@contextmanager
def tracing() -> Iterator[Callable[[], int]]:
    """What gives the most bytes that were held since."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_only_the_student_and_an_admin_get_the_archive(make: Make, group: Group) -> None:
    path = f"/students/{group.student.student_id}/data"
    neighbour = await make.student(course="c")
    assert (await neighbour.get(path)).status_code == 404
    for someone in (group.teacher, group.tutor, group.stranger, group.key):
        assert (await someone.get(path)).status_code == 403
    admin = await make.admin()
    assert (await admin.get(path)).status_code == 200
    assert (await admin.get("/students/nobody/data")).status_code == 404


async def test_the_archive_holds_no_answers_to_an_interview_that_is_going_on(make: Make, group: Group) -> None:
    asked = [{"id": 1, "question": "Why a graph?", "expected_key_points": ["cycles"]}, "adopted as a text"]
    of = {"session_id": group.session.id, "student_id": group.student.student_id, "questions_asked": asked}
    await make.add(InterviewSession(**of, interview_type="DESIGN"))
    await make.add(InterviewSession(**of, interview_type="ALGORITHMIC", duration_minutes=20))
    for someone in (group.student, await make.admin()):  # who may hand it to the student
        file = await archived(someone, group.student.student_id)
        going, over = json.loads(file.read("data/interview_sessions.json"))
        assert going["questions_asked"] == [{"id": 1, "question": "Why a graph?"}, "adopted as a text"]
        assert over["questions_asked"] == asked


async def test_the_archive_of_many_rows_is_whole(make: Make, group: Group) -> None:
    """More rows than are read at a time."""
    step = {"interaction_type": "student_prompt", "content": "Why?"}
    for _ in range(2):
        stored = await group.student.post(f"{group.path}/traces/batch", json=[step] * 400)
        assert stored.json()["created"] == 400
    file = await archived(group.student, group.student.student_id)
    assert len({one["id"] for one in json.loads(file.read("data/cognitive_traces.json"))}) == 800


def test_the_page_says_what_the_models_say() -> None:
    text = privacy_page.PAGE.read_text("utf-8")
    assert text == privacy_page.page(text), "run: python tests/privacy_page.py"

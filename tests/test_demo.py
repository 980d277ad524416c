"""The demo course: plausible, seeded, loaded once."""

from collections import Counter
from datetime import UTC, datetime

from sqlalchemy import func, select, text

from cortez.core.db.engine import Database
from cortez.core.security.passwords import Passwords
from cortez.demo import model
from cortez.demo.load import load
from cortez.demo.people import PASSWORD, TEACHER
from cortez.git.models import GitTrace
from cortez.sessions.models import LearningSession
from cortez.traces.models import CognitiveState, CognitiveTrace
from factory import Make
from test_schema import AUDITED

WORKING = 6  # students of the class, one of each archetype
START = datetime(2026, 8, 31, tzinfo=UTC)


def test_the_same_seed_gives_the_same_class() -> None:
    first, again = next(model.sessions(START)), next(model.sessions(START))
    assert first == again
    assert next(model.sessions(START, seed=1)).traces != first.traces


def test_the_class_is_as_it_is_described() -> None:
    made = list(model.sessions(START))
    traces = [trace for session in made for trace in session.traces]
    assert len({session.student.student_id for session in made}) == 30
    assert len(made) == 300
    assert 15_000 < len(traces) < 30_000
    assert {trace["cognitive_state"] for trace in traces} == set(CognitiveState)
    assert Counter(session.status for session in made)["active"] == 3
    delegating = [
        trace["ai_involvement"] for s in made if s.student.archetype.name == "delegator" for trace in s.traces
    ]
    steady = [trace["ai_involvement"] for s in made if s.student.archetype.name == "steady" for trace in s.traces]
    assert sum(delegating) / len(delegating) > sum(steady) / len(steady) + 0.1


async def test_loading_twice_adds_nothing_and_its_people_can_sign_in(database: Database, make: Make) -> None:
    passwords = Passwords(database.settings)
    first = await load(database, passwords, lambda done, total: None, WORKING)
    assert first[0] == 10 * WORKING
    assert await load(database, passwords, lambda done, total: None, WORKING) == (0, 0)
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(CognitiveTrace)) == first[1]
        assert await session.scalar(select(func.sum(LearningSession.trace_count))) == first[1]
        late = [await session.scalar(select(func.count()).where(one.late)) for one in (CognitiveTrace, GitTrace)]
        assert late == [0, 0]
        empty = [name for name in AUDITED if not await session.scalar(select(func.count()).select_from(text(name)))]
    assert empty == []
    admin = await make.admin()
    signed_in = await admin.post("/auth/login", json={"login": TEACHER, "password": PASSWORD})
    token = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    seen = await admin.get("/sessions?course_id=PROG2-2026&count=true", headers=token)
    assert seen.json()["total"] == 10 * WORKING
    path = await admin.get(f"/sessions/{seen.json()['items'][0]['id']}/cognitive-path", headers=token)
    assert path.json()["phases"]
    assert path.json()["dependency"][0].keys() == {"occurred_at", "ai_involvement", "moving_average"}

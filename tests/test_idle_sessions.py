"""Sessions in which nothing happens are ended by a command; those in which something does are not."""

import asyncio
from datetime import timedelta

from sqlalchemy import update

from cortez.clock import utc_now
from cortez.core.security.principal import SYSTEM
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import SessionRepository
from factory import Make


async def age(make: Make, session: LearningSession, **ages: timedelta) -> None:
    """Let the session have started, and last changed, so long ago."""
    now = utc_now()
    values = {name: now - old for name, old in ages.items()}
    async with make.database.unit() as unit:
        await unit.execute(update(LearningSession).where(LearningSession.id == session.id).values(**values))


async def abandon(make: Make, limit: int = 200) -> int:
    async with make.database.unit() as unit:
        return await SessionRepository(unit, SYSTEM).abandon_idle(utc_now() - timedelta(hours=24), limit)


async def test_only_what_has_been_quiet_is_abandoned(make: Make) -> None:
    old = timedelta(days=2)
    quiet, paused = await make.session(), await make.session(status="paused")
    fresh, busy = await make.session(), await make.session()
    done = await make.session(status="completed", end_time=utc_now())
    await make.trace(quiet, created_at=utc_now() - timedelta(hours=30))
    await make.trace(busy)
    for session in (quiet, paused, busy, done):
        await age(make, session, start_time=old, updated_at=old)
    assert await abandon(make) == 2
    states = {session.id: session for session in await make.all(LearningSession)}
    assert [states[one.id].status for one in (quiet, paused, fresh, busy, done)] == [
        "abandoned",
        "abandoned",
        "active",
        "active",
        "completed",
    ]
    ended = states[quiet.id].end_time
    assert timedelta(hours=29) < utc_now() - ended < timedelta(hours=31)
    assert timedelta(hours=47) < utc_now() - states[paused.id].end_time < timedelta(hours=49)
    assert await abandon(make) == 0


async def test_it_works_in_lots_and_beside_itself(make: Make) -> None:
    for _ in range(7):
        await age(make, await make.session(), updated_at=timedelta(days=2))
    assert await abandon(make, limit=3) == 3
    assert sum(await asyncio.gather(abandon(make), abandon(make))) == 4


async def test_a_student_s_profile_follows(make: Make) -> None:
    student, admin = await make.student(), await make.admin()
    await age(make, await make.session(student), updated_at=timedelta(days=2))
    await abandon(make)
    found = (await admin.get(f"/students/{student.student_id}/profile")).json()
    assert found["total_sessions"] == 1

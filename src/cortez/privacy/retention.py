"""What is old loses what is personal in it: student by student, each a unit of work, so that it can be cut short."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.models import RefreshToken
from cortez.clock import utc_now
from cortez.core.db.base import Base
from cortez.core.db.classification import ERASED
from cortez.core.db.engine import Database
from cortez.core.web.idempotency import IdempotencyRecord
from cortez.core.web.rate_limit_store import SECOND, LoginAttempt, RateLimit
from cortez.privacy.erasure import erase, touched
from cortez.privacy.subjects import Person, attribute, before_sessions
from cortez.sessions.models import LearningSession
from cortez.sessions.rules import FINAL

KEPT_ANSWERS = timedelta(hours=24)  # of idempotency keys


@asynccontextmanager
async def unit(database: Database, *, apply: bool) -> AsyncIterator[AsyncSession]:
    """A unit of work; without `apply` everything in it happens, is counted, and is rolled back."""
    if apply:
        async with database.unit() as session:
            yield session
        return
    async with database.session(writes=True) as session:  # which closes without a commit
        yield session


class Totals:
    """Rows removed and rows emptied, by table."""

    def __init__(self) -> None:
        self.removed: Counter[str] = Counter()
        self.emptied: Counter[str] = Counter()

    def lines(self) -> list[str]:
        names = sorted({*self.removed, *self.emptied})
        return [f"{name:24}{self.removed[name]:10}{self.emptied[name]:10}" for name in names]


async def students_before(database: Database, before: datetime) -> list[str]:
    """Whose sessions ended before that, those already forgotten left out."""
    old = (LearningSession.status.in_(FINAL), LearningSession.end_time < before)
    named = ~LearningSession.student_id.startswith(ERASED, autoescape=True)
    async with database.reading() as session:
        found = select(LearningSession.student_id).where(*old, named).distinct().order_by(LearningSession.student_id)
        return list(await session.scalars(found))


async def retain(database: Database, before: datetime, *, apply: bool, totals: Totals) -> AsyncGenerator[str]:
    """Empty what is older, or only count it; each student's key when it is done with. Twice changes nothing."""
    for student_id in await students_before(database, before):
        async with unit(database, apply=apply) as session:
            counts = await erase(session, Person(student_id, before=before))
        for name, count in counts.items():
            totals.removed[name] += count.removed
            totals.emptied[name] += count.emptied
        yield student_id
    async with unit(database, apply=apply) as session:
        for model, condition in outdated(utc_now(), before):
            totals.removed[model.__tablename__] += touched(await session.execute(delete(model).where(condition)))


def outdated(now: datetime, before: datetime) -> list[tuple[type[Base], ColumnElement[bool]]]:
    """What no session came of, so that it leads to no student; and what is of no use any more, whatever its age."""
    nobody = [
        (model, and_(attribute(model, "session_id").is_(None), model.created_at < before))
        for model in before_sessions()
    ]
    return [*nobody, *spent(now)]


def spent(now: datetime) -> list[tuple[type[Base], ColumnElement[bool]]]:
    """What has served its time: answers to idempotency keys, tokens, meters."""
    return [
        (IdempotencyRecord, IdempotencyRecord.created_at < now - KEPT_ANSWERS),
        (RefreshToken, RefreshToken.expires_at < now),
        *((meter, meter.spent_until < int(now.timestamp()) * SECOND) for meter in (LoginAttempt, RateLimit)),
    ]


async def sweep(database: Database) -> None:
    """Remove what has served its time."""
    async with database.unit() as session:
        for model, condition in spent(utc_now()):
            await session.execute(delete(model).where(condition))

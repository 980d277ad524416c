"""Allowances that all workers share: a row each in the database, and one statement that takes from it.

A row keeps one moment, at which everything that was taken will have come back (the generic cell rate algorithm). So
nothing counts, nothing is swept while it works, and two workers that take at once cannot both have the last one.
"""

import math
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, Index, LargeBinary, bindparam, case, delete, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from cortez.core.db.base import Base
from cortez.core.db.classification import Privacy
from cortez.core.db.compiled_queries import Kept
from cortez.core.db.unit_of_work import unit_of
from cortez.core.db.upsert import insert_into

SECOND = 1_000_000  # moments are kept in microseconds


class Meter(Base):
    """What was taken under one key; the key is a digest. A row whose moment has passed means as much as no row."""

    __abstract__ = True
    privacy = Privacy(keep="key spent_until")

    key: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    spent_until: Mapped[int] = mapped_column(BigInteger)  # microseconds since 1970


class LoginAttempt(Meter):
    """Guesses at a login, failures of a network, and where an account has signed in of late."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("idx_login_attempts_spent", "spent_until"),)


class RateLimit(Meter):
    """Requests of one principal, or of a network that has not signed in."""

    __tablename__ = "rate_limits"
    __table_args__ = (Index("idx_rate_limits_spent", "spent_until"),)


SPENT: dict[type[Meter], Kept] = {
    model: Kept(select(model.__table__.c.spent_until).where(model.__table__.c.key == bindparam("key")))
    for model in (LoginAttempt, RateLimit)
}


class Allowance(Struct, frozen=True):
    """`burst` at once, each back after `seconds`, one after another: in any t seconds at most burst + t / seconds."""

    burst: int
    seconds: float

    @property
    def each(self) -> int:
        return round(self.seconds * SECOND)


class Meters:
    """The rows of one table; `now` is in seconds since 1970."""

    def __init__(self, session: AsyncSession, model: type[Meter]) -> None:
        self.session = session
        self.model = model

    async def take(self, key: bytes, allowance: Allowance, now: float, count: int = 1) -> float:
        """0 where `count` could be taken; else nothing was, and it may be tried again after so many seconds."""
        moment, cost = round(now * SECOND), allowance.each * count
        latest = moment + allowance.each * allowance.burst - cost  # what is spent may reach so far already
        spent = case((self.model.spent_until > moment, self.model.spent_until), else_=literal(moment, BigInteger()))
        statement = insert_into(self.session, self.model).values(key=key, spent_until=moment + cost)
        statement = statement.on_conflict_do_update(
            index_elements=["key"], set_={"spent_until": spent + cost}, where=spent <= latest
        )
        taken = await self.session.execute(statement.returning(self.model.__table__.c.id))
        if taken.one_or_none():
            return 0
        return max(1, await self._spent_until(key) - latest) / SECOND

    async def take_some(self, key: bytes, allowance: Allowance, now: float, count: int) -> int:
        """How many of `count` were taken: all of them, or as many as there were."""
        count = min(count, allowance.burst)
        while count and await self.take(key, allowance, now, count):
            count = min(count - 1, await self.left(key, allowance, now))
        return count

    async def mark(self, key: bytes, until: datetime) -> None:
        """Let the row stand until then, whatever was taken."""
        moment = round(until.timestamp() * SECOND)
        statement = insert_into(self.session, self.model).values(key=key, spent_until=moment)
        statement = statement.on_conflict_do_update(index_elements=["key"], set_={"spent_until": moment})
        await self.session.execute(statement)

    async def stands(self, key: bytes, now: float) -> bool:
        """Whether there is a row that still means something."""
        return await self._spent_until(key) > now * SECOND

    async def left(self, key: bytes, allowance: Allowance, now: float) -> int:
        moment = round(now * SECOND)
        spent = max(await self._spent_until(key), moment)
        return max(0, moment + allowance.each * allowance.burst - spent) // allowance.each

    async def _spent_until(self, key: bytes) -> int:
        """In microseconds since 1970; 0 where there is no row."""
        found = await unit_of(self.session).fetch(SPENT[self.model], {"key": key})
        return found[0].spent_until if found else 0

    async def give_back(self, key: bytes, allowance: Allowance) -> None:
        """One that was taken, as if it never had been."""
        returned = {"spent_until": self.model.spent_until - allowance.each, "updated_at": self.model.updated_at}
        await self.session.execute(update(self.model).where(self.model.key == key).values(returned))


async def prune(session: AsyncSession, before: datetime) -> int:
    """Remove the rows that have meant nothing since `before`; how many there were."""
    moment, removed = math.floor(before.timestamp() * SECOND), 0
    for model in (LoginAttempt, RateLimit):
        done: Any = await session.execute(delete(model).where(model.spent_until < moment))
        removed += done.rowcount
    return removed

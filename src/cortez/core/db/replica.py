"""A streaming replica: it answers reads that it has come far enough for, and where it does not, nobody notices.

Whoever asks is looked up on the primary, which also says how far it has written. A read goes to the replica once that
has replayed as far, so that a client never misses what it, or anybody, was told before.
"""

import asyncio
import time
from typing import NamedTuple

from asyncpg import InterfaceError, PostgresError
from sqlalchemy import Text, case, column, event, func, select
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from cortez.core.db.errors import sqlstate
from cortez.core.db.unit_of_work import UnitOfWork, unit_of

PATIENCE = 0.05  # seconds that a read waits for the replica to come far enough
ANSWER = 1.0  # seconds in which the replica must take a connection, and say how far it is
LAGGING, LOST = 1.0, 5.0  # seconds for which it is left alone then
POSITION, TIMELINE, MADE = "position", "timeline", "made"
BROKEN = (DBAPIError, PostgresError, InterfaceError, ConnectionError, TimeoutError)
AWAY = ("08", "57")  # SQLSTATEs begin so where a server goes
TIMED_OUT = "57014"

# What is acknowledged is flushed, unless that was switched off. Beyond it lies what no replica can have yet, and what
# may wait there for seconds: a read writes too, without flushing it.
WRITTEN = case(
    (func.current_setting("synchronous_commit") == "off", func.pg_current_wal_insert_lsn()),
    else_=func.pg_current_wal_flush_lsn(),
)
# NULL on a primary that is none (any more), which knows neither.
HERE = case(
    (func.pg_is_in_recovery(), None), else_=func.concat(func.left(func.pg_walfile_name(WRITTEN), 8), " ", WRITTEN)
).label(POSITION)
STANDING = str(
    select(func.pg_is_in_recovery(), func.pg_last_wal_replay_lsn().cast(Text)).compile(dialect=dialect())  # type: ignore[no-untyped-call]
)
SYSTEM = func.pg_control_system().table_valued(column("system_identifier"))
WHERE = select(SYSTEM.c.system_identifier, func.current_database())
HISTORY = select(func.pg_control_checkpoint().table_valued(column("timeline_id")).c.timeline_id)


class Position(NamedTuple):
    """A place in what a cluster has written: which of its histories, and how many bytes since it began."""

    timeline: int
    written: int

    @classmethod
    def of(cls, told: str) -> "Position":
        timeline, place = told.split(" ")
        return cls(int(timeline, 16), bytes_of(place))


def bytes_of(place: str) -> int:
    high, low = place.split("/")
    return (int(high, 16) << 32) + int(low, 16)


class Unfit(Exception):
    """It answers, and must not be read; the message says why."""


class Behind(Unfit):
    """It may be read later."""


class Replica:
    """Where it is lost, lags or is none, it is left alone for some seconds; then one read tries it again."""

    def __init__(self, engine: AsyncEngine, primary: AsyncEngine, patience: float = PATIENCE) -> None:
        self.engine = engine
        self.primary = primary
        self.patience = patience
        self.trouble = ""
        self.alone_until = self.troubled_at = self.lost_at = 0.0

        @event.listens_for(engine.sync_engine, "checkout")
        def refuse(connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
            if record.info.setdefault(MADE, time.monotonic()) < self.lost_at:
                raise InvalidatePoolError

    async def take_over(self, session: AsyncSession) -> bool:
        """Whether what the session reads from now on comes from here. It must know how far the primary has written."""
        told, now = session.info.get(POSITION), time.monotonic()
        if told is None or now < self.alone_until:
            return False
        if self.trouble:
            self.alone_until = now + LOST  # for the others: they wait for what becomes of this one
        unit = unit_of(session)
        await unit.move_to(self.engine)
        try:
            await self.come_to(Position.of(told), session)
            if self.troubled_at <= now:  # not what another read has met meanwhile
                self.trouble, self.alone_until = "", 0.0
            return True
        except (Unfit, PoolTimeout) as error:
            self.leave_alone(LAGGING, str(error))
        except Exception as error:  # whatever it is, the primary answers, and readiness says what it was
            self.lose(error)
        await unit.move_to(self.primary)
        return False

    async def come_to(self, position: Position, session: AsyncSession) -> None:
        """Returns once it has replayed as far. Raises Unfit."""
        info = (await session.connection()).info
        timeline = info.get(TIMELINE)
        if timeline is None:
            timeline = info[TIMELINE] = await self.identify(session)
        if timeline != position.timeline:
            del info[TIMELINE]
            raise Unfit(f"it is on timeline {timeline}, and the primary on {position.timeline}")
        until, pause = time.monotonic() + self.patience, 0.001
        while (missing := position.written - await replayed(unit_of(session))) > 0:
            if time.monotonic() + pause > until:
                raise Behind(f"it lags behind by {missing:,} bytes")
            await asyncio.sleep(pause)
            pause *= 2

    async def identify(self, session: AsyncSession) -> int:
        """Its timeline, for as long as the connection holds. Raises Unfit where it is no copy of the primary."""
        async with self.primary.connect() as other:
            if (await other.execute(WHERE)).one() != (await session.execute(WHERE)).one():
                raise Unfit("it is of another cluster, or another database")
        timeline: int = (await session.execute(HISTORY)).scalar_one()
        return timeline

    def must_give_way(self, error: BaseException | None) -> bool:
        """Whether a read that ended so is to be repeated at the primary: replaying may have been in its way.

        One that took too long has had its time.
        """
        if not isinstance(error, BROKEN) or sqlstate(error) == TIMED_OUT:
            return False
        if not isinstance(error, DBAPIError) or error.connection_invalidated or sqlstate(error)[:2] in AWAY:
            self.lose(error)
        return True

    def lose(self, error: BaseException) -> None:
        """Connections from before are not used again."""
        self.lost_at = time.monotonic()
        self.leave_alone(LOST, f"it cannot be reached ({type(error).__name__})")

    def leave_alone(self, seconds: float, trouble: str) -> None:
        self.troubled_at, self.trouble = time.monotonic(), trouble
        self.alone_until = self.troubled_at + seconds


async def replayed(unit: UnitOfWork) -> int:
    """How far it has come, asked past SQLAlchemy, since every read asks. Raises Unfit where it follows no primary."""
    try:
        following, place = await unit.driver.fetchrow(STANDING, timeout=ANSWER)
    except BaseException:
        unit.driver.terminate()  # a server that is silent cannot be asked to cancel it
        unit.is_broken = True
        raise
    if not following:
        raise Unfit("it follows no primary any more")
    return bytes_of(place) if place else 0

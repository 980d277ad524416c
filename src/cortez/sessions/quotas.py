"""How many steps, and how many bytes of them, a session and a student may hold.

What a session holds is counted on its row. A student's sum is read at most once a minute by each process and counted on
from there; where a quota might be exceeded it is read again. What is stored at the same time, or in that minute by
other processes, is seen late: a little more may get through, and nothing is refused that has room.
"""

import time
from collections.abc import Collection

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.latest import Latest
from cortez.errors import TooManyRequests
from cortez.sessions.models import LearningSession
from cortez.settings import Settings

FRESH = 60.0  # seconds
MOST_KNOWN = 10_000  # students
WAIT = 3_600  # seconds; waiting alone does not help, but an operator may give more, or old records may go


class Held(Struct):
    """What is held, and the most that may be; 0 sets no limit."""

    who: str
    code: str
    steps: int
    size: int  # bytes
    most_steps: int
    most_bytes: int
    read_at: float = 0.0

    def refusal(self, size: int) -> TooManyRequests | None:
        """Why no further step of this size has room, if so."""
        if 0 < self.most_steps <= self.steps:
            return TooManyRequests(
                self.code, f"A {self.who} may hold {self.most_steps:,} steps, and this one does.", WAIT
            )
        if 0 < self.most_bytes < self.size + size:
            message = f"The steps of a {self.who} may take {self.most_bytes:,} bytes; this one would go beyond."
            return TooManyRequests(self.code, message, WAIT)
        return None

    def add(self, size: int) -> None:
        self.steps += 1
        self.size += size

    def takes(self, steps: int, size: int) -> bool:
        """Whether all of it has room."""
        return not 0 < self.most_steps < self.steps + steps and not 0 < self.most_bytes < self.size + size


class Quotas:
    """The quotas of a deployment, and what this process knows of the students that it met of late."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.known: Latest[str, Held] = Latest(MOST_KNOWN)

    def of_session(self, steps: int, size: int) -> Held:
        limits = (self.settings.session_steps, self.settings.session_bytes)
        return Held("session", "SESSION_QUOTA_REACHED", steps, size, *limits)

    async def of_students(
        self, unit: AsyncSession, student_ids: Collection[str], steps: int, size: int
    ) -> dict[str, Held]:
        """What each holds, to be counted on by a unit of work that stores up to so many steps and bytes.

        By one query for those that are not known of late, and for those whose quota that might exceed.
        """
        since = time.monotonic() - FRESH
        known = {one: self.known[one] for one in student_ids if one in self.known}
        fresh = {one for one, held in known.items() if held.read_at > since and held.takes(steps, size)}
        stale = [one for one in student_ids if one not in fresh]
        if stale:
            known |= await self._read(unit, stale)
        for one, held in known.items():
            self.known[one] = held
        return {one: replace(held) for one, held in known.items()}

    def count(self, student_id: str, size: int) -> None:
        """One more step of a student, also where its unit of work is rolled back later: the next reading mends that."""
        if held := self.known.get(student_id):
            held.add(size)

    async def _read(self, unit: AsyncSession, student_ids: Collection[str]) -> dict[str, Held]:
        limits = (self.settings.student_steps, self.settings.student_bytes)
        sums = (func.sum(LearningSession.trace_count), func.sum(LearningSession.trace_bytes))
        mine = select(LearningSession.student_id, *sums).where(LearningSession.student_id.in_(student_ids))
        rows = await unit.execute(mine.group_by(LearningSession.student_id)) if any(limits) else ()
        held = {row[0]: (int(row[1]), int(row[2])) for row in rows}
        return {
            one: Held("student", "STUDENT_QUOTA_REACHED", *held.get(one, (0, 0)), *limits, time.monotonic())
            for one in student_ids
        }

"""How many steps, and how many bytes of them, a session and a student may hold.

What a session holds is counted on its row. A student's sum is read at most once a minute by each process and counted on
from there, so that several processes together let a little more through.
"""

import time
from collections import OrderedDict
from collections.abc import Collection

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

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
            said = f"The steps of a {self.who} may take {self.most_bytes:,} bytes; this one would go beyond."
            return TooManyRequests(self.code, said, WAIT)
        return None

    def add(self, size: int) -> None:
        self.steps += 1
        self.size += size


class Quotas:
    """The quotas of a deployment, and what this process knows of the students that it met of late."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.known: OrderedDict[str, Held] = OrderedDict()

    def of_session(self, steps: int, size: int) -> Held:
        limits = (self.settings.session_steps, self.settings.session_bytes)
        return Held("session", "SESSION_QUOTA_REACHED", steps, size, *limits)

    async def of_students(self, unit: AsyncSession, student_ids: Collection[str]) -> dict[str, Held]:
        """What each holds, by one query for those that are not known of late."""
        now = time.monotonic()
        stale = [one for one in student_ids if one not in self.known or self.known[one].read_at < now - FRESH]
        if stale:
            for one, held in (await self._read(unit, stale)).items():
                self.known[one] = held
        found = {one: self.known[one] for one in student_ids}
        for one in found:
            self.known.move_to_end(one)
        while len(self.known) > MOST_KNOWN:
            self.known.popitem(last=False)
        return found

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

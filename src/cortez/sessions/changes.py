"""What a unit of work adds to the figures of a student, so that these cost the same however much there is.

Who changes what counts notes by how much. Before the unit commits, it is added to what is kept, under the lock of the
student's profile. Only where something is taken away as a whole are the figures worked out from all that is stored.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, Float, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.changes import student_changed
from cortez.core.db.base import Base
from cortez.core.db.expressions import whole
from cortez.sessions.models import LearningSession

if TYPE_CHECKING:
    from cortez.evaluations.models import Evaluation

FigurePlace = tuple[str, str | None, str | None]  # student, course, activity without a course
Counts = Counter[tuple[str, ...]]  # by the name of a figure, or the way to a number in its document

MILLION = 1_000_000


class Placed(Protocol):
    """What says where a session counts."""

    student_id: str
    course_id: str | None
    activity_id: str


class Change(Struct, frozen=True):
    """Numbers to add in one place, less than zero where something is taken back; shares and scores in millionths."""

    place: FigurePlace
    counts: Counts
    evaluation: "Evaluation | None" = None  # a new one
    last: datetime | None = None  # when a session ended


def place_of(session: Placed) -> FigurePlace:
    return session.student_id, session.course_id, None if session.course_id else session.activity_id


def millionths(value: float) -> int:
    """The number in whole millionths, which add up to the same in any order."""
    return int(value * MILLION + 0.5)


def in_millionths(column: ColumnElement[float]) -> ColumnElement[int]:
    """The same in SQL."""
    return whole(column * MILLION + 0.5)


def sum_of(column: ColumnElement[float]) -> ColumnElement[float]:
    """The sum, from whole millionths: SUM of floats has other last digits where rows come in another order."""
    return cast(func.sum(in_millionths(column)), Float()) / float(MILLION)


def mean_of(column: ColumnElement[float]) -> ColumnElement[float]:
    """The mean of what is not NULL, from whole millionths, rounded once; NULL where there is nothing."""
    return cast(func.sum(in_millionths(column)), Float()) / (func.count(column) * MILLION)


def figures_changed(
    unit: AsyncSession,
    session: Placed,
    counts: Counts,
    *,
    evaluation: "Evaluation | None" = None,
    last: datetime | None = None,
) -> None:
    """Note what the unit adds to the figures of the session's student; `session` needs its place only."""
    student_changed(unit, session.student_id, by=[Change(place_of(session), counts, evaluation, last)])


def difference(after: Counts, before: Counts) -> Counts:
    """What was added from `before` to `after`, also where that is less than zero."""
    changed = Counter(after)
    changed.subtract(before)
    return changed


def counts_of_steps(steps: Iterable[tuple[str | None, int, int]]) -> Counts:
    """Of steps by cognitive state, how many there are and the sum of the AI's shares in millionths."""
    counts: Counts = Counter()
    for state, number, share in steps:
        counts["steps",] += number
        counts["ai_share",] += share
        if state:
            counts["states", str(state)] += number
    return counts


async def sessions_ended(unit: AsyncSession, sessions: Sequence[LearningSession]) -> None:
    """Sessions and their steps count from their end on. The sessions are locked, so that no step comes in between."""
    traces = Base.metadata.tables["cognitive_traces"].c  # they build on this
    columns = (func.count(), func.sum(in_millionths(traces.ai_involvement)))
    mine = select(traces.session_id, traces.cognitive_state, *columns)
    mine = mine.where(traces.session_id.in_([one.id for one in sessions]))
    steps: dict[UUID, list[tuple[str | None, int, int]]] = {}
    for session_id, *step in await unit.execute(mine.group_by(traces.session_id, traces.cognitive_state)):
        steps.setdefault(session_id, []).append((step[0], step[1], int(step[2])))  # a sum is Decimal on PostgreSQL
    for session in sessions:
        counts = counts_of_steps(steps.get(session.id, ()))
        counts["sessions",] += 1
        figures_changed(unit, session, counts, last=session.end_time)

"""How a student works over the weeks: the process score, and which way the AI's share goes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from statistics import mean
from typing import Literal, Protocol
from uuid import UUID

from msgspec import Struct

from cortez.analysis.student_schemas import RiskStatistics
from cortez.risks.models import Resolution, RiskDimension, RiskLevel
from cortez.traces.models import CognitiveState

MARGIN = 0.05
Trend = Literal["improving", "declining", "stable", "insufficient_data"]


class Week(Struct, frozen=True):
    """An ISO week (2026-W10, in UTC) with at least one step; involvement 0 to 1, score 0 to 100."""

    week: str
    sessions: int
    ai_involvement: float
    process_score: float


class Trends(Struct, frozen=True):
    """`trend` compares the mean weekly share of the AI in the first half of the weeks with the second.

    improving: it fell by more than 0.05; declining: it rose by more than 0.05; else stable. Of an odd number of weeks
    the middle one belongs to the second half; with fewer than two it is insufficient_data.
    """

    student_id: str
    weeks: list[Week]
    trend: Trend


class Day(Protocol):
    """Steps of one day, session and state: a row that `SessionViews.days` reads."""

    day: str
    session_id: UUID
    cognitive_state: str | None
    traces: int
    involvement: float


class RiskCount(Protocol):
    """Risks that are alike: a row that `SessionViews.risk_counts` reads."""

    risk_type: str
    dimension: str
    risk_level: str
    resolved: bool
    resolution: str | None
    number: int


class Attending(Protocol):
    """A student's sessions on one activity: a row that `SessionViews.students_of` reads."""

    student_id: str
    sessions: int
    completed: int
    first_started: datetime
    last_started: datetime


class Work:
    """What was done in one week."""

    def __init__(self) -> None:
        self.traces = 0
        self.involvement = 0.0
        self.sessions: set[UUID] = set()
        self.states: Counter[str] = Counter()

    def add(self, row: Day) -> None:
        self.traces += row.traces
        self.involvement += row.involvement
        self.sessions.add(row.session_id)
        if row.cognitive_state:
            self.states[row.cognitive_state] += row.traces

    @property
    def ai_involvement(self) -> float:
        return self.involvement / self.traces


def process_score(ai_involvement: float, states: Mapping[str, int], risks_per_session: float) -> float:
    """0 to 100: 40 % autonomy, 20 % diversity, 20 % persistence, 20 % absence of risks.

    autonomy: 1 less the mean share of the AI; diversity: distinct states ÷ all nine; persistence: 1 less twice the
    share of atascado among the steps that name a state (1 where none does); absence: 1 less a third of the risks per
    session. Each lies between 0 and 1. It says how somebody worked, and is no grade.
    """
    named = sum(states.values())
    stuck = states.get(CognitiveState.ATASCADO, 0) / named if named else 0.0
    parts = (1 - ai_involvement, len(states) / len(CognitiveState), 1 - 2 * stuck, 1 - risks_per_session / 3)
    autonomy, diversity, persistence, absence = (min(1.0, max(0.0, part)) for part in parts)
    return round(100 * (0.4 * autonomy + 0.2 * diversity + 0.2 * persistence + 0.2 * absence), 1)


def week_of(day: date) -> str:
    """The ISO week that a day (in UTC) lies in: 2026-W10."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


def weeks_of(days: Iterable[Day], risks: Mapping[UUID, int]) -> list[Week]:
    """From a student's days, and the number of risks of each session.

    A session counts in every week in which it has a step, and so do its risks.
    """
    weeks: dict[str, Work] = defaultdict(Work)
    for row in days:
        weeks[week_of(date.fromisoformat(row.day))].add(row)
    return [
        Week(
            name,
            len(work.sessions),
            round(work.ai_involvement, 4),
            process_score(
                work.ai_involvement,
                work.states,
                sum(risks.get(session_id, 0) for session_id in work.sessions) / len(work.sessions),
            ),
        )
        for name, work in sorted(weeks.items())
    ]


def trend_of(weeks: Sequence[Week]) -> Trend:
    if len(weeks) < 2:
        return "insufficient_data"
    half = len(weeks) // 2
    before, after = (mean(week.ai_involvement for week in part) for part in (weeks[:half], weeks[half:]))
    change = round(after - before, 6)
    if abs(change) <= MARGIN:
        return "stable"
    return "improving" if change < 0 else "declining"


def statistics_of(student_id: str, rows: Iterable[RiskCount]) -> RiskStatistics:
    """What became of a student's risks."""
    types, dimensions, levels, ends = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    unresolved = 0
    for row in rows:
        types[row.risk_type] += row.number
        dimensions[row.dimension] += row.number
        levels[row.risk_level] += row.number
        if row.resolved:
            ends[row.resolution or ""] += row.number
        else:
            unresolved += row.number
    return RiskStatistics(
        student_id=student_id,
        total=types.total(),
        unresolved=unresolved,
        confirmed=ends[Resolution.CONFIRMED],
        unfounded=ends[Resolution.UNFOUNDED],
        by_dimension={dimension.value: dimensions[dimension] for dimension in RiskDimension},
        by_level={level.value: levels[level] for level in RiskLevel},
        by_type=dict(types.most_common()),
    )

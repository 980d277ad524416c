"""Views over sessions and over a student's sessions."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from msgspec import Struct

from cortez.evaluations.models import CompetencyLevel
from cortez.sessions.models import SessionMode, SessionStatus


class Deliveries(Struct, frozen=True):
    """`files`: different paths in the commits."""

    attempts: int
    files: int


class Technique(Struct, frozen=True):
    """`commits` without branches and tags; `tests` run by attempts, and how many of them passed."""

    commits: int
    tests: int
    tests_passed: int


class Dialogue(Struct, frozen=True):
    """`ai_share`: mean involvement of the AI over all steps, 0 to 1; null without a step."""

    prompts: int
    responses: int
    ai_share: float | None


class Reasoning(Struct, frozen=True):
    """Steps by state and (the 50 most frequent) by intent.

    `justified_share`: of the student's own steps those with a justification of 20 characters or more; null without one.
    """

    states: dict[str, int]
    intents: dict[str, int]
    justified_share: float | None


class Late(Struct, frozen=True):
    """What was delivered after a session's end, and is counted with the rest."""

    steps: int
    commits: int


class Traceability(Struct, frozen=True):
    """The four levels: what was delivered, how it was made, what was said, how it was reasoned."""

    n1: Deliveries
    n2: Technique
    n3: Dialogue
    n4: Reasoning
    late: Late


class RiskStatistics(Struct, frozen=True):
    """Findings in the student's sessions, every dimension and level named.

    `confirmed` and `unfounded`: what a person made of those that are resolved. `by_type` leaves out what never came up.
    """

    student_id: str
    total: int
    unresolved: int
    confirmed: int
    unfounded: int
    by_dimension: dict[str, int]
    by_level: dict[str, int]
    by_type: dict[str, int]


class PastSession(Struct, frozen=True):
    """A session in a student's history.

    `risks` leaves out those found unfounded; score and level are of the latest evaluation; `late` counts those of the
    `traces` that were delivered after the session's end.
    """

    id: UUID
    activity_id: str
    course_id: str | None
    mode: SessionMode
    status: SessionStatus
    start_time: datetime
    end_time: datetime | None
    created_at: datetime
    traces: int
    late: int
    ai_involvement: float | None
    commits: int
    attempts: int
    risks: int
    unresolved_risks: int
    last_score: float | None
    last_level: CompetencyLevel | None

    @classmethod
    def of(cls, row: Any) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class Compared(Struct, frozen=True):
    """One student on one activity: sums and means over the sessions that may be seen."""

    student_id: str
    sessions: int
    completed: int
    first_started: datetime
    last_started: datetime
    traces: int
    ai_involvement: float | None
    states: dict[str, int]
    justified_share: float | None
    risks: int
    commits: int
    attempts: int
    evaluations: int
    average_score: float | None
    process_score: float | None


class Comparison(Struct, frozen=True):
    """In the order of their ids, not of any merit; `truncated` where there are more than 1,000 students."""

    activity_id: str
    students: list[Compared]
    truncated: bool

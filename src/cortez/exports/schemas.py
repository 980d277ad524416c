"""What is asked of an export, and what comes out."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from cortez.core.web.schemas import BusinessKey, Input, Instant, Title
from cortez.enums import Choice
from cortez.evaluations.models import CompetencyLevel
from cortez.exercises.schemas import AttemptOut
from cortez.oversight.schemas import InterventionOut
from cortez.sessions.schemas import SessionOut
from cortez.simulators.schemas import EventOut, IncidentOut, InterviewOut
from cortez.traces.schemas import TraceOut

Least = Annotated[int, Meta(ge=2, le=50, description="How many students a group has at least.")]
Week = Annotated[str, Meta(description="The ISO week (UTC) in which the session started.")]
Document = dict[str, Any]


class ExportFormat(Choice):
    NDJSON = "ndjson"
    CSV = "csv"


class SessionExport(Struct, kw_only=True):
    """A session and all that hangs on it: traces in the order they happened, everything else as it was stored.

    Interventions are there for those who teach. A student does not see which points an answer should name, as long as
    the interview is going.
    """

    session: SessionOut
    traces: list[TraceOut]
    trace_sequences: list[Document]
    risks: list[Document]
    evaluations: list[Document]
    git_traces: list[Document]
    interviews: list[InterviewOut]
    incidents: list[IncidentOut]
    simulator_events: list[EventOut]
    attempts: list[AttemptOut]
    interventions: list[InterventionOut] | UnsetType = UNSET


class ResearchIn(Input):
    """Which sessions, for which study.

    The period is taken in whole ISO weeks (UTC): from the one that `period_start` lies in to the one in which
    `period_end` is reached, so that no choice of it cuts through a group.
    """

    study: Title
    k: Least = 5
    course_id: BusinessKey | None = None
    activity_id: BusinessKey | None = None
    period_start: Instant | None = None
    period_end: Instant | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.period_start and self.period_end and self.period_start >= self.period_end:
            raise ValueError("`period_end` must be later than `period_start`")


class ResearchRow(Struct, frozen=True, kw_only=True):
    """A session. The pseudonym means one student within one group (the five fields after it), and nothing elsewhere.

    Shares, means of shares and the figures from `understanding_level` to `process_efficiency` are 0 to 1 (a mean over
    the traces that say it; `alternatives_explored` is a number of them), scores 0 to 10; null where nothing says it.
    Risks that a person judged unfounded are not counted.
    """

    pseudonym: str
    course_id: str | None
    commission: str | None
    activity_id: str
    week: Week
    competency_level: CompetencyLevel | None
    trace_count: int
    duration_minutes: int | None
    ai_share: float | None
    student_prompts: int
    ai_responses: int
    understanding_level: float | None
    alternatives_explored: float | None
    metacognitive_awareness: float | None
    prompt_quality: float | None
    academic_integrity: float | None
    process_efficiency: float | None
    risks_cognitive: int
    risks_ethical: int
    risks_epistemic: int
    risks_technical: int
    risks_governance: int
    evaluation_score: float | None
    commits: int
    attempts: int
    best_attempt_score: float | None


class Counts(Struct, frozen=True):
    groups: int
    students: int
    rows: int


class ResearchOut(Struct, frozen=True):
    """The dataset. `suppressed` counts what was left out: students are those of whom no row is left."""

    study: str
    k: int
    released: Counts
    suppressed: Counts
    items: list[ResearchRow]

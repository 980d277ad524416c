"""Interviews, incidents and events, in and out."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from msgspec import Meta

from cortez.core.db.types import Document, Items
from cortez.core.web.schemas import Input, Instant, Name, Prose, Resource, Share
from cortez.sessions.models import SimulatorType
from cortez.simulators.models import (
    EventSeverity,
    IncidentSeverity,
    IncidentSimulation,
    IncidentType,
    InterviewDifficulty,
    InterviewSession,
    InterviewType,
    SimulatorEvent,
)

MAX_STEPS = 200  # questions, answers or diagnosis steps of one simulation

Said = Annotated[str, Meta(min_length=1, max_length=5_000)]
Points = Annotated[list[Name], Meta(max_length=50)]
Logs = Annotated[str, Meta(max_length=50_000)]
Minutes = Annotated[int, Meta(ge=0, le=100_000)]
EventType = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[a-z0-9_.:-]+\Z")]


class InterviewIn(Input):
    interview_type: InterviewType
    difficulty_level: InterviewDifficulty = InterviewDifficulty.MEDIUM


class QuestionIn(Input):
    """`expected_key_points` are shown to the student only when the interview is over."""

    question: Said
    type: InterviewType | None = None
    expected_key_points: Points = []


class AnswerEvaluation(Input, omit_defaults=True):
    """Scores are 0 to 1."""

    clarity_score: Share | None = None
    technical_accuracy: Share | None = None
    thinking_aloud: Share | None = None
    key_points_covered: Points = []


class ResponseIn(Input):
    """To the question that is open. Only a machine may evaluate it."""

    response: Said
    evaluation: AnswerEvaluation | None = None


class Breakdown(Input, omit_defaults=True):
    """Scores are 0 to 1."""

    clarity: Share | None = None
    technical_accuracy: Share | None = None
    communication: Share | None = None
    problem_solving: Share | None = None


class InterviewEndIn(Input):
    evaluation_score: Share
    evaluation_breakdown: Breakdown | None = None
    feedback: Prose | None = None


class InterviewOut(Resource):
    """`duration_minutes` is there once the interview is over; the score is 0 to 1."""

    session_id: UUID
    student_id: str
    activity_id: str | None
    interview_type: InterviewType
    difficulty_level: InterviewDifficulty
    questions_asked: Items
    responses: Items
    evaluation_score: float | None
    evaluation_breakdown: Document
    feedback: str | None
    duration_minutes: int | None

    @classmethod
    def of(cls, interview: InterviewSession) -> Self:
        return cls(**{name: getattr(interview, name) for name in InterviewOut.__struct_fields__})

    @classmethod
    def for_student(cls, interview: InterviewSession) -> Self:
        """Without the points that an answer should name, as long as answers are still to come."""
        shown = cls.of(interview)
        if interview.duration_minutes is None:
            shown.questions_asked = without_key_points(interview.questions_asked)
        return shown


def without_key_points(questions: list[Any]) -> list[Any]:
    """The questions of an interview without what an answer should name; adopted ones may be anything."""

    def without(asked: Any) -> Any:
        if not isinstance(asked, dict):
            return asked
        return {name: value for name, value in asked.items() if name != "expected_key_points"}

    return [without(asked) for asked in questions]


class IncidentIn(Input):
    incident_type: IncidentType
    incident_description: Said
    severity: IncidentSeverity = IncidentSeverity.HIGH
    simulated_logs: Logs | None = None
    simulated_metrics: Document = {}


class DiagnosisStepIn(Input):
    """What was done, and what it showed."""

    action: Said
    finding: Prose | None = None


class IncidentEvaluation(Input, omit_defaults=True):
    """Scores are 0 to 1."""

    diagnosis_systematic: Share | None = None
    prioritization: Share | None = None
    documentation: Share | None = None
    communication: Share | None = None


class IncidentEndIn(Input):
    solution_proposed: Said
    root_cause_identified: Said
    post_mortem: Prose | None = None
    evaluation: IncidentEvaluation | None = None
    time_to_diagnose_minutes: Minutes | None = None


class IncidentOut(Resource):
    """`time_to_resolve_minutes` is there once the incident is over."""

    session_id: UUID
    student_id: str
    activity_id: str | None
    incident_type: IncidentType
    severity: IncidentSeverity
    incident_description: str
    simulated_logs: str | None
    simulated_metrics: Document
    diagnosis_process: Items
    solution_proposed: str | None
    root_cause_identified: str | None
    time_to_diagnose_minutes: int | None
    time_to_resolve_minutes: int | None
    post_mortem: str | None
    evaluation: Document

    @classmethod
    def of(cls, incident: IncidentSimulation) -> Self:
        return cls(**{name: getattr(incident, name) for name in IncidentOut.__struct_fields__})


class EventIn(Input):
    """`simulator_type` is the session's unless given; `timestamp` is when it happened, now unless given."""

    event_type: EventType
    id: UUID | None = None
    simulator_type: SimulatorType | None = None
    event_data: Document = {}
    timestamp: Instant | None = None
    description: Prose | None = None
    severity: EventSeverity | None = None


class EventOut(Resource):
    session_id: UUID
    student_id: str
    activity_id: str | None
    simulator_type: SimulatorType
    event_type: str
    event_data: Document
    timestamp: datetime
    description: str | None
    severity: EventSeverity | None

    @classmethod
    def of(cls, event: SimulatorEvent) -> Self:
        return cls(**{name: getattr(event, name) for name in EventOut.__struct_fields__})

"""Professional simulators: interviews, incidents, and the events of any of them."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.clock import utc_now
from cortez.core.db.base import Base, Duplicate, in_range, one_of
from cortez.core.db.classification import Privacy
from cortez.core.db.types import Document, Items
from cortez.enums import Choice
from cortez.sessions.models import SimulatorType

if TYPE_CHECKING:
    from cortez.sessions.models import LearningSession


class InterviewType(Choice):
    CONCEPTUAL = "CONCEPTUAL"
    ALGORITHMIC = "ALGORITHMIC"
    DESIGN = "DESIGN"
    BEHAVIORAL = "BEHAVIORAL"


class InterviewDifficulty(Choice):
    EASY = "EASY"
    MEDIUM = "MEDIUM"
    HARD = "HARD"


class IncidentType(Choice):
    API_ERROR = "API_ERROR"
    PERFORMANCE = "PERFORMANCE"
    SECURITY = "SECURITY"
    DATABASE = "DATABASE"
    DEPLOYMENT = "DEPLOYMENT"


class IncidentSeverity(Choice):
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class EventSeverity(Choice):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class InterviewSession(Base):
    """A simulated technical interview; `evaluation_score` is 0 to 1."""

    __tablename__ = "interview_sessions"
    __table_args__ = (
        one_of("ck_interview_type_valid", "interview_type", InterviewType),
        one_of("ck_interview_difficulty_valid", "difficulty_level", InterviewDifficulty),
        in_range("ck_interview_score_range", "evaluation_score", 0, 1),
        CheckConstraint("duration_minutes >= 0", name="ck_interview_duration_valid"),
        Index("idx_interview_session", "session_id"),
    )
    privacy = Privacy(
        "student_id",
        keep="session_id activity_id interview_type difficulty_level evaluation_score duration_minutes",
        pseudonymise="student_id",
        empty="questions_asked responses evaluation_breakdown feedback",
    )

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    student_id: Mapped[str] = mapped_column(String(100))
    activity_id: Mapped[str | None] = mapped_column(String(100))
    interview_type: Mapped[str] = mapped_column(String(50))
    difficulty_level: Mapped[str] = mapped_column(String(20), default=InterviewDifficulty.MEDIUM.value)
    questions_asked: Mapped[Items] = mapped_column(default=list)
    responses: Mapped[Items] = mapped_column(default=list)
    evaluation_score: Mapped[float | None]
    evaluation_breakdown: Mapped[Document] = mapped_column(default=dict)
    feedback: Mapped[str | None] = mapped_column(Text)
    duration_minutes: Mapped[int | None]

    session: Mapped["LearningSession"] = relationship(back_populates="interview_sessions", lazy="raise")


class IncidentSimulation(Base):
    """A simulated production incident and how the student dealt with it."""

    __tablename__ = "incident_simulations"
    __table_args__ = (
        one_of("ck_incident_type_valid", "incident_type", IncidentType),
        one_of("ck_incident_severity_valid", "severity", IncidentSeverity),
        CheckConstraint("time_to_diagnose_minutes >= 0", name="ck_incident_time_to_diagnose_valid"),
        CheckConstraint("time_to_resolve_minutes >= 0", name="ck_incident_time_to_resolve_valid"),
        Index("idx_incident_session", "session_id"),
    )
    privacy = Privacy(
        "student_id",
        keep="session_id activity_id incident_type severity time_to_diagnose_minutes time_to_resolve_minutes",
        pseudonymise="student_id",
        empty="""incident_description simulated_logs simulated_metrics diagnosis_process solution_proposed
        root_cause_identified post_mortem evaluation""",
    )

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    student_id: Mapped[str] = mapped_column(String(100))
    activity_id: Mapped[str | None] = mapped_column(String(100))
    incident_type: Mapped[str] = mapped_column(String(50))
    severity: Mapped[str] = mapped_column(String(20), default=IncidentSeverity.HIGH.value)
    incident_description: Mapped[str] = mapped_column(Text)
    simulated_logs: Mapped[str | None] = mapped_column(Text)
    simulated_metrics: Mapped[Document] = mapped_column(default=dict)
    diagnosis_process: Mapped[Items] = mapped_column(default=list)
    solution_proposed: Mapped[str | None] = mapped_column(Text)
    root_cause_identified: Mapped[str | None] = mapped_column(Text)
    time_to_diagnose_minutes: Mapped[int | None]
    time_to_resolve_minutes: Mapped[int | None]
    post_mortem: Mapped[str | None] = mapped_column(Text)
    evaluation: Mapped[Document] = mapped_column(default=dict)

    session: Mapped["LearningSession"] = relationship(back_populates="incident_simulations", lazy="raise")


class SimulatorEvent(Base):
    """Something that happened while a student used a simulator."""

    __tablename__ = "simulator_events"
    duplicates: ClassVar = {
        "id": Duplicate("EVENT_CONFLICT", "An event with this id exists already."),
    }
    __table_args__ = (
        one_of("ck_simulator_event_type_valid", "simulator_type", SimulatorType),
        one_of("ck_simulator_event_severity_valid", "severity", EventSeverity),
        Index("idx_event_session", "session_id", "timestamp"),
    )
    privacy = Privacy(
        "student_id",
        keep="session_id activity_id simulator_type event_type timestamp severity",
        pseudonymise="student_id",
        empty="event_data description",
    )

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    student_id: Mapped[str] = mapped_column(String(100))
    activity_id: Mapped[str | None] = mapped_column(String(100))
    simulator_type: Mapped[str] = mapped_column(String(50))
    event_type: Mapped[str] = mapped_column(String(100))
    event_data: Mapped[Document] = mapped_column(default=dict)
    timestamp: Mapped[datetime] = mapped_column(default=utc_now)
    description: Mapped[str | None] = mapped_column(Text)
    severity: Mapped[str | None] = mapped_column(String(20))

    session: Mapped["LearningSession"] = relationship(back_populates="simulator_events", lazy="raise")

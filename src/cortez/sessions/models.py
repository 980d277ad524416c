"""Learning sessions, the hub that everything else hangs on."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, Relationship, mapped_column, relationship

from cortez.clock import utc_now
from cortez.core.db.base import Base, one_of
from cortez.core.db.classification import Audit, Privacy
from cortez.core.db.types import Document
from cortez.enums import Choice

if TYPE_CHECKING:
    from cortez.accounts.models import User
    from cortez.activities.models import Activity
    from cortez.evaluations.models import Evaluation
    from cortez.exercises.models import ExerciseAttempt
    from cortez.git.models import GitTrace
    from cortez.lti.models import LtiSession
    from cortez.oversight.models import TeacherIntervention
    from cortez.risks.models import Risk
    from cortez.sequences.models import TraceSequence
    from cortez.simulators.models import IncidentSimulation, InterviewSession, SimulatorEvent
    from cortez.traces.models import CognitiveTrace


class SessionMode(Choice):
    TUTOR = "tutor"
    SIMULATOR = "simulator"
    EVALUATOR = "evaluator"
    RISK_ANALYST = "risk_analyst"
    GOVERNANCE = "governance"
    PRACTICE = "practice"


class SessionStatus(Choice):
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    ABORTED = "aborted"
    ABANDONED = "abandoned"


class SimulatorType(Choice):
    PRODUCT_OWNER = "product_owner"
    SCRUM_MASTER = "scrum_master"
    TECH_INTERVIEWER = "tech_interviewer"
    INCIDENT_RESPONDER = "incident_responder"
    CLIENT = "client"
    DEVSECOPS = "devsecops"
    SENIOR_DEV = "senior_dev"
    QA_ENGINEER = "qa_engineer"
    SECURITY_AUDITOR = "security_auditor"
    TECH_LEAD = "tech_lead"
    DEMANDING_CLIENT = "demanding_client"


def _owned() -> Relationship[list]:  # type: ignore[type-arg]  # each attribute's annotation says of what
    return relationship(back_populates="session", cascade="all, delete-orphan", passive_deletes=True, lazy="raise")


class LearningSession(Base):
    """One student at work on one activity.

    `trace_count` and `trace_bytes`, how many steps there are and how much they take, are kept by triggers and read-only
    here. The bytes count from revision 0019 on.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        one_of("ck_session_mode_valid", "mode", SessionMode),
        one_of("ck_session_status_valid", "status", SessionStatus),
        one_of("ck_session_simulator_type_valid", "simulator_type", SimulatorType),
        CheckConstraint("trace_count >= 0", name="ck_session_trace_count_valid"),
        Index("idx_session_listed", "created_at", "id", "start_time"),  # `started_before` passes newer ones by
        Index("idx_session_start", "start_time"),
        Index("idx_session_student_activity", "student_id", "activity_id"),
        Index("idx_session_activity", "activity_id", "created_at", "id"),
        Index("idx_session_course", "course_id", "created_at", "id"),
        Index("idx_session_user", "user_id"),
        {"postgresql_with": {"fillfactor": "85"}},  # room for the counter's updates to stay on the page
    )
    privacy = Privacy(
        "student_id",
        keep="activity_id course_id mode simulator_type start_time end_time status trace_count trace_bytes",
        pseudonymise="student_id user_id",
        empty="learning_objective cognitive_status session_metrics",
    )
    audit = Audit(
        "student_id",
        people="student_id user_id",
        plain="activity_id course_id mode simulator_type start_time end_time status",
        masked="learning_objective cognitive_status session_metrics",
        by_people="learning_objective cognitive_status session_metrics",
        unseen="trace_count trace_bytes",
    )

    student_id: Mapped[str] = mapped_column(String(100))
    activity_id: Mapped[str] = mapped_column(String(100), ForeignKey("activities.activity_id", ondelete="RESTRICT"))
    course_id: Mapped[str | None] = mapped_column(String(100))
    mode: Mapped[str] = mapped_column(String(50), default=SessionMode.TUTOR.value)
    simulator_type: Mapped[str | None] = mapped_column(String(50))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    start_time: Mapped[datetime] = mapped_column(default=utc_now)
    end_time: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(20), default=SessionStatus.ACTIVE.value)
    learning_objective: Mapped[Document] = mapped_column(default=dict)
    cognitive_status: Mapped[Document] = mapped_column(default=dict)
    session_metrics: Mapped[Document] = mapped_column(default=dict)
    trace_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    trace_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))

    user: Mapped["User | None"] = relationship(back_populates="sessions", lazy="raise")
    activity: Mapped["Activity"] = relationship(back_populates="sessions", lazy="raise")
    traces: Mapped[list["CognitiveTrace"]] = _owned()
    trace_sequences: Mapped[list["TraceSequence"]] = _owned()
    risks: Mapped[list["Risk"]] = _owned()
    evaluations: Mapped[list["Evaluation"]] = _owned()
    git_traces: Mapped[list["GitTrace"]] = _owned()
    interview_sessions: Mapped[list["InterviewSession"]] = _owned()
    incident_simulations: Mapped[list["IncidentSimulation"]] = _owned()
    simulator_events: Mapped[list["SimulatorEvent"]] = _owned()
    lti_sessions: Mapped[list["LtiSession"]] = _owned()
    exercise_attempts: Mapped[list["ExerciseAttempt"]] = _owned()
    teacher_interventions: Mapped[list["TeacherIntervention"]] = relationship(
        back_populates="session", passive_deletes=True, lazy="raise"
    )

"""What teachers do about what they see: plans, alerts, interventions."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.clock import utc_now
from cortez.core.db.base import Base, one_of
from cortez.core.db.classification import Audit, Privacy
from cortez.core.db.types import Document, Items
from cortez.enums import Choice

if TYPE_CHECKING:
    from cortez.accounts.models import User
    from cortez.sessions.models import LearningSession


class PlanType(Choice):
    TUTORING = "tutoring"
    PRACTICE_EXERCISES = "practice_exercises"
    CONCEPTUAL_REVIEW = "conceptual_review"
    POLICY_CLARIFICATION = "policy_clarification"


class PlanStatus(Choice):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class AlertType(Choice):
    CRITICAL_RISK_SURGE = "critical_risk_surge"
    AI_DEPENDENCY_SPIKE = "ai_dependency_spike"
    ACADEMIC_INTEGRITY = "academic_integrity"
    PATTERN_ANOMALY = "pattern_anomaly"
    SESSION_INACTIVITY = "session_inactivity"
    LOW_COMPETENCY = "low_competency"


class AlertSeverity(Choice):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class AlertScope(Choice):
    STUDENT = "student"
    ACTIVITY = "activity"
    COURSE = "course"
    INSTITUTION = "institution"


class AlertStatus(Choice):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    INVESTIGATING = "investigating"
    RESOLVED = "resolved"
    FALSE_POSITIVE = "false_positive"


class InterventionType(Choice):
    ALERT_ACKNOWLEDGMENT = "alert_acknowledgment"
    DIRECT_MESSAGE = "direct_message"
    GRADE_ADJUSTMENT = "grade_adjustment"
    REMEDIATION_PLAN = "remediation_plan"
    MEETING_SCHEDULED = "meeting_scheduled"
    RESOURCE_SHARED = "resource_shared"
    FOLLOW_UP = "follow_up"


class InterventionStatus(Choice):
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    ESCALATED = "escalated"
    CLOSED = "closed"


MANUAL = "a person"  # the detection rule of an alert that nobody's rule raised
LIVING_ALERT = f"status IN ('open', 'acknowledged', 'investigating') AND detection_rule <> '{MANUAL}'"


class RemediationPlan(Base):
    """A plan that a teacher opens for a student who needs support."""

    __tablename__ = "remediation_plans"
    __table_args__ = (
        one_of("ck_plan_type_valid", "plan_type", PlanType),
        one_of("ck_remediation_status_valid", "status", PlanStatus),
        Index("idx_plan_created", "created_at", "id"),
        Index("idx_plan_teacher", "teacher_id"),
        Index("idx_plan_student", "student_id"),
        Index("idx_plan_course", "course_id", "created_at", "id"),
    )
    privacy = Privacy(
        "student_id",
        keep="""activity_id course_id teacher_id plan_type start_date target_completion_date actual_completion_date
        status""",
        pseudonymise="student_id",
        empty="""trigger_risks description objectives recommended_actions progress_notes completion_evidence
        outcome_evaluation success_metrics""",
    )
    audit = Audit(
        "student_id",
        people="student_id teacher_id",
        plain="activity_id course_id plan_type start_date target_completion_date actual_completion_date status",
        masked=(
            "trigger_risks description objectives recommended_actions progress_notes completion_evidence "
            "outcome_evaluation success_metrics"
        ),
    )

    student_id: Mapped[str] = mapped_column(String(100))
    activity_id: Mapped[str | None] = mapped_column(String(100))
    course_id: Mapped[str | None] = mapped_column(String(100))
    teacher_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    trigger_risks: Mapped[Items] = mapped_column(default=list)
    plan_type: Mapped[str] = mapped_column(String(50))
    description: Mapped[str] = mapped_column(Text)
    objectives: Mapped[Items] = mapped_column(default=list)
    recommended_actions: Mapped[Items] = mapped_column(default=list)
    start_date: Mapped[datetime]
    target_completion_date: Mapped[datetime]
    actual_completion_date: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(20), default=PlanStatus.PENDING.value)
    progress_notes: Mapped[str | None] = mapped_column(Text)
    completion_evidence: Mapped[Items] = mapped_column(default=list)
    outcome_evaluation: Mapped[str | None] = mapped_column(Text)
    success_metrics: Mapped[Document | None]

    teacher: Mapped["User | None"] = relationship(back_populates="remediation_plans_created", lazy="raise")
    risk_alerts: Mapped[list["RiskAlert"]] = relationship(
        back_populates="remediation_plan", passive_deletes=True, lazy="raise"
    )


class RiskAlert(Base):
    """An alert that a rule raised, and what became of it."""

    __tablename__ = "risk_alerts"
    __table_args__ = (
        one_of("ck_alert_type_valid", "alert_type", AlertType),
        one_of("ck_alert_severity_valid", "severity", AlertSeverity),
        one_of("ck_alert_scope_valid", "scope", AlertScope),
        one_of("ck_alert_status_valid", "status", AlertStatus),
        Index("idx_alert_created", "created_at", "id"),
        Index("idx_alert_assigned", "assigned_to"),
        Index("idx_alert_acknowledged_by", "acknowledged_by"),
        Index("idx_alert_plan", "remediation_plan_id"),
        Index("idx_alert_course", "course_id", "created_at", "id"),
        Index("idx_alert_student", "student_id"),
        Index(
            "uq_alert_living",
            "detection_rule",
            "course_id",
            "student_id",
            unique=True,
            postgresql_where=text(LIVING_ALERT),
            sqlite_where=text(LIVING_ALERT),
        ),
    )
    privacy = Privacy(
        "student_id",
        keep="""alert_type severity scope activity_id course_id detected_at detection_rule threshold_value actual_value
        assigned_to assigned_at status acknowledged_at acknowledged_by resolved_at remediation_plan_id""",
        pseudonymise="student_id",
        empty="title description evidence resolution_notes",
    )

    alert_type: Mapped[str] = mapped_column(String(50))
    severity: Mapped[str] = mapped_column(String(20))
    scope: Mapped[str] = mapped_column(String(20))
    student_id: Mapped[str | None] = mapped_column(String(100))
    activity_id: Mapped[str | None] = mapped_column(String(100))
    course_id: Mapped[str | None] = mapped_column(String(100))
    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    evidence: Mapped[Items] = mapped_column(default=list)
    detected_at: Mapped[datetime] = mapped_column(default=utc_now)
    detection_rule: Mapped[str] = mapped_column(String(100))
    threshold_value: Mapped[float | None]
    actual_value: Mapped[float | None]
    assigned_to: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    assigned_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(20), default=AlertStatus.OPEN.value)
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    resolution_notes: Mapped[str | None] = mapped_column(Text)
    resolved_at: Mapped[datetime | None]
    remediation_plan_id: Mapped[UUID | None] = mapped_column(ForeignKey("remediation_plans.id", ondelete="SET NULL"))

    remediation_plan: Mapped["RemediationPlan | None"] = relationship(back_populates="risk_alerts", lazy="raise")
    assigned_to_user: Mapped["User | None"] = relationship(
        back_populates="assigned_alerts", foreign_keys=[assigned_to], lazy="raise"
    )
    acknowledged_by_user: Mapped["User | None"] = relationship(
        back_populates="acknowledged_alerts", foreign_keys=[acknowledged_by], lazy="raise"
    )


class TeacherIntervention(Base):
    """What a teacher did about an alert or a student. `alert_id` is a soft reference: some alerts have no row."""

    __tablename__ = "teacher_interventions"
    __table_args__ = (
        one_of("ck_intervention_type_valid", "intervention_type", InterventionType),
        one_of("ck_intervention_status_valid", "status", InterventionStatus),
        Index("idx_intervention_created", "created_at", "id"),
        Index("idx_intervention_teacher", "teacher_id"),
        Index("idx_intervention_session", "session_id"),
        Index("idx_intervention_student", "student_id"),
    )
    privacy = Privacy(
        "student_id",
        keep="teacher_id session_id alert_id intervention_type status resolved_at",
        pseudonymise="student_id",
        empty="notes action_taken resolution_notes alert_context",
    )
    audit = Audit(
        "student_id",
        people="student_id teacher_id",
        plain="session_id intervention_type status resolved_at",
        masked="alert_id notes action_taken resolution_notes alert_context",
    )

    teacher_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    student_id: Mapped[str] = mapped_column(String(100))
    session_id: Mapped[UUID | None] = mapped_column(ForeignKey("sessions.id", ondelete="SET NULL"))
    alert_id: Mapped[str | None] = mapped_column(String(100))
    intervention_type: Mapped[str] = mapped_column(String(50), default=InterventionType.ALERT_ACKNOWLEDGMENT.value)
    notes: Mapped[str | None] = mapped_column(Text)
    action_taken: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(30), default=InterventionStatus.ACKNOWLEDGED.value)
    resolution_notes: Mapped[str | None] = mapped_column(Text)
    resolved_at: Mapped[datetime | None]
    alert_context: Mapped[Document | None]

    teacher: Mapped["User | None"] = relationship(back_populates="teacher_interventions", lazy="raise")
    session: Mapped["LearningSession | None"] = relationship(back_populates="teacher_interventions", lazy="raise")

"""What teachers and institutions make of it: reports, plans, alerts, interventions, profiles."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.choices import Choice, aliases
from cortez.db import Base, Document, Items, in_range, one_of, utc_now
from cortez.evaluations.models import CompetencyLevel
from cortez.privacy import Privacy

if TYPE_CHECKING:
    from cortez.accounts.models import User
    from cortez.sessions.models import LearningSession


class ReportType(Choice):
    COHORT_SUMMARY = "cohort_summary"
    RISK_DASHBOARD = "risk_dashboard"
    COMPETENCY_DISTRIBUTION = "competency_distribution"


@aliases(excel="xlsx")
class ReportFormat(Choice):
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


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


class CourseReport(Base):
    """A stored report on a course over a period."""

    __tablename__ = "course_reports"
    __table_args__ = (
        one_of("ck_report_type_valid", "report_type", ReportType),
        one_of("ck_report_format_valid", "format", ReportFormat),
        CheckConstraint("period_start < period_end", name="ck_report_period_valid"),
        Index("idx_report_teacher", "teacher_id"),
        Index("idx_report_course", "course_id", "created_at", "id"),
    )
    privacy = Privacy(
        keep="""course_id teacher_id report_type period_start period_end summary_stats competency_distribution
        risk_distribution top_risks institutional_recommendations format file_path exported_at""",
        mentions="student_summaries at_risk_students",
    )

    course_id: Mapped[str] = mapped_column(String(100))
    teacher_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    report_type: Mapped[str] = mapped_column(String(50))
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]
    summary_stats: Mapped[Document]
    competency_distribution: Mapped[Document]
    risk_distribution: Mapped[Document]
    top_risks: Mapped[Items] = mapped_column(default=list)
    student_summaries: Mapped[Items] = mapped_column(default=list)
    institutional_recommendations: Mapped[Items] = mapped_column(default=list)
    at_risk_students: Mapped[Items] = mapped_column(default=list)
    format: Mapped[str] = mapped_column(String(20), default=ReportFormat.JSON.value)
    file_path: Mapped[str | None] = mapped_column(String(500))
    exported_at: Mapped[datetime | None]

    teacher: Mapped["User | None"] = relationship(back_populates="course_reports", lazy="raise")


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


class StudentFigures(Base):
    """Sums over the ended sessions of a student in one course, or in one activity without a course.

    Figures for a reader are merged from the rows of the courses and activities that the reader may see. `ai_share` is
    the sum of the AI's shares in `steps` steps (each 0 to 1), `score` the sum of `evaluations` scores (each 0 to 10).
    `states` counts steps by cognitive state, `risk_counts` holds open and confirmed findings by dimension. `latest`
    and `evolution` describe the newest evaluations.
    """

    __tablename__ = "student_figures"
    __table_args__ = (
        CheckConstraint("(course_id IS NULL) <> (activity_id IS NULL)", name="ck_figures_has_exactly_one_place"),
        CheckConstraint("sessions >= 0 AND steps >= 0 AND evaluations >= 0", name="ck_figures_counts_valid"),
        CheckConstraint("risks >= 0 AND critical_risks >= 0", name="ck_figures_risks_valid"),
        Index("idx_figures_student", "student_id"),
        Index(
            "uq_figures_course",
            "course_id",
            "student_id",
            unique=True,
            postgresql_where=text("course_id IS NOT NULL"),
            sqlite_where=text("course_id IS NOT NULL"),
        ),
        Index(
            "uq_figures_activity",
            "activity_id",
            "student_id",
            unique=True,
            postgresql_where=text("activity_id IS NOT NULL"),
            sqlite_where=text("activity_id IS NOT NULL"),
        ),
    )
    privacy = Privacy(
        "student_id",
        removed="""student_id course_id activity_id sessions steps ai_share states risks critical_risks risk_counts
        evaluations score evolution latest last_activity_date""",
    )

    student_id: Mapped[str] = mapped_column(String(100))
    course_id: Mapped[str | None] = mapped_column(String(100))
    activity_id: Mapped[str | None] = mapped_column(String(100))
    sessions: Mapped[int] = mapped_column(default=0)
    steps: Mapped[int] = mapped_column(default=0)
    ai_share: Mapped[float] = mapped_column(default=0.0)
    states: Mapped[Document] = mapped_column(default=dict)
    risks: Mapped[int] = mapped_column(default=0)
    critical_risks: Mapped[int] = mapped_column(default=0)
    risk_counts: Mapped[Document] = mapped_column(default=dict)
    evaluations: Mapped[int] = mapped_column(default=0)
    score: Mapped[float] = mapped_column(default=0.0)
    evolution: Mapped[Items] = mapped_column(default=list)
    latest: Mapped[Document] = mapped_column(default=dict)
    last_activity_date: Mapped[datetime | None]


class StudentProfile(Base):
    """What is known of a student over all sessions; dependency is 0 to 1, the competency score 0 to 10.

    Only the student and admins read these figures; those of other readers are merged from `student_figures`.
    """

    __tablename__ = "student_profiles"
    __table_args__ = (
        in_range("ck_profile_ai_dep_range", "average_ai_dependency", 0, 1),
        in_range("ck_profile_competency_score_range", "average_competency_score", 0, 10),
        one_of("ck_profile_competency_level_valid", "average_competency_level", CompetencyLevel),
        CheckConstraint("total_sessions >= 0 AND total_interactions >= 0", name="ck_profile_totals_valid"),
        CheckConstraint("total_risks >= 0 AND critical_risks >= 0", name="ck_profile_risks_valid"),
        Index("idx_profile_user", "user_id"),
        Index("idx_profile_created", "created_at", "id"),
    )
    privacy = Privacy(
        "student_id",
        removed="""student_id user_id name email total_sessions total_interactions average_ai_dependency
        average_competency_level average_competency_score total_risks critical_risks risk_trends competency_evolution
        last_activity_date preferred_language cognitive_preferences learning_patterns competency_levels strengths
        areas_for_improvement""",
    )

    student_id: Mapped[str] = mapped_column(String(100), unique=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    name: Mapped[str | None] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(200))
    total_sessions: Mapped[int] = mapped_column(default=0)
    total_interactions: Mapped[int] = mapped_column(default=0)
    average_ai_dependency: Mapped[float] = mapped_column(default=0.0)
    average_competency_level: Mapped[str | None] = mapped_column(String(50))
    average_competency_score: Mapped[float | None]
    total_risks: Mapped[int] = mapped_column(default=0)
    critical_risks: Mapped[int] = mapped_column(default=0)
    risk_trends: Mapped[Document] = mapped_column(default=dict)
    competency_evolution: Mapped[Items] = mapped_column(default=list)
    last_activity_date: Mapped[datetime | None]
    preferred_language: Mapped[str] = mapped_column(String(10), default="es")
    cognitive_preferences: Mapped[Document] = mapped_column(default=dict)
    learning_patterns: Mapped[Document] = mapped_column(default=dict)
    competency_levels: Mapped[Document] = mapped_column(default=dict)
    strengths: Mapped[Items] = mapped_column(default=list)
    areas_for_improvement: Mapped[Items] = mapped_column(default=list)

    user: Mapped["User | None"] = relationship(back_populates="student_profiles", lazy="raise")

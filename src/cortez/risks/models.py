"""Risks found in sessions: indicators for a person to judge, not verdicts."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.core.db.base import Base, Duplicate, one_of
from cortez.core.db.classification import Audit, Privacy
from cortez.core.db.types import Items
from cortez.enums import Choice

if TYPE_CHECKING:
    from cortez.sessions.models import LearningSession


class RiskType(Choice):
    COGNITIVE_DELEGATION = "cognitive_delegation"
    SUPERFICIAL_REASONING = "superficial_reasoning"
    AI_DEPENDENCY = "ai_dependency"
    LACK_JUSTIFICATION = "lack_justification"
    NO_SELF_REGULATION = "no_self_regulation"
    ACADEMIC_INTEGRITY = "academic_integrity"
    UNDISCLOSED_AI_USE = "undisclosed_ai_use"
    PLAGIARISM = "plagiarism"
    CONCEPTUAL_ERROR = "conceptual_error"
    LOGICAL_FALLACY = "logical_fallacy"
    UNCRITICAL_ACCEPTANCE = "uncritical_acceptance"
    SECURITY_VULNERABILITY = "security_vulnerability"
    POOR_CODE_QUALITY = "poor_code_quality"
    ARCHITECTURAL_FLAW = "architectural_flaw"
    POLICY_VIOLATION = "policy_violation"
    UNAUTHORIZED_USE = "unauthorized_use"
    AUTOMATION_SUSPECTED = "automation_suspected"


class RiskLevel(Choice):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class RiskDimension(Choice):
    COGNITIVE = "cognitive"
    ETHICAL = "ethical"
    EPISTEMIC = "epistemic"
    TECHNICAL = "technical"
    GOVERNANCE = "governance"


DIMENSION_OF = {
    type_: dimension
    for dimension, types in {
        RiskDimension.COGNITIVE: (
            RiskType.COGNITIVE_DELEGATION,
            RiskType.SUPERFICIAL_REASONING,
            RiskType.AI_DEPENDENCY,
            RiskType.LACK_JUSTIFICATION,
            RiskType.NO_SELF_REGULATION,
        ),
        RiskDimension.ETHICAL: (RiskType.ACADEMIC_INTEGRITY, RiskType.UNDISCLOSED_AI_USE, RiskType.PLAGIARISM),
        RiskDimension.EPISTEMIC: (
            RiskType.CONCEPTUAL_ERROR,
            RiskType.LOGICAL_FALLACY,
            RiskType.UNCRITICAL_ACCEPTANCE,
        ),
        RiskDimension.TECHNICAL: (
            RiskType.SECURITY_VULNERABILITY,
            RiskType.POOR_CODE_QUALITY,
            RiskType.ARCHITECTURAL_FLAW,
        ),
        RiskDimension.GOVERNANCE: (
            RiskType.POLICY_VIOLATION,
            RiskType.UNAUTHORIZED_USE,
            RiskType.AUTOMATION_SUSPECTED,
        ),
    }.items()
    for type_ in types
}


class Resolution(Choice):
    CONFIRMED = "confirmed"
    UNFOUNDED = "unfounded"


class Risk(Base):
    """A finding in a session. `trace_ids` are soft references; `threshold_value` and `actual_value` share a unit."""

    __tablename__ = "risks"
    duplicates: ClassVar = {
        "session_id": Duplicate("RISK_EXISTS", "This rule has found this subject in the session already."),
    }
    __table_args__ = (
        one_of("ck_risk_type_valid", "risk_type", RiskType),
        one_of("ck_risk_level_valid", "risk_level", RiskLevel),
        one_of("ck_risk_dimension_valid", "dimension", RiskDimension),
        one_of("ck_risk_resolution_valid", "resolution", Resolution),
        CheckConstraint("rule IS NULL OR subject IS NOT NULL", name="ck_risk_rule_names_subject"),
        CheckConstraint("rule_version > 0", name="ck_risk_rule_version_positive"),
        Index(
            "uq_risk_session_rule_subject",
            "session_id",
            "rule",
            "subject",
            unique=True,
            postgresql_where=text("rule IS NOT NULL"),
            sqlite_where=text("rule IS NOT NULL"),
        ),
        Index("idx_risk_session", "session_id"),
        Index("idx_risk_created", "created_at", "id"),
        Index("idx_risk_level_created", "risk_level", "created_at", "id"),
        Index("idx_risk_student_created", "student_id", "created_at", "id"),
        Index("idx_risk_activity_created", "activity_id", "created_at", "id"),
    )
    privacy = Privacy(
        "student_id",
        keep="""session_id activity_id risk_type risk_level dimension trace_ids resolved resolved_at resolution
        detected_by rule rule_version threshold_value actual_value late""",
        pseudonymise="student_id subject",
        empty="""description impact evidence root_cause impact_assessment recommendations pedagogical_intervention
        resolution_notes""",
    )
    audit = Audit(
        "student_id",
        people="student_id",
        plain=(
            "session_id activity_id risk_type risk_level dimension resolved resolved_at resolution rule "
            "rule_version threshold_value actual_value late"
        ),
        masked=(
            "description impact evidence trace_ids root_cause impact_assessment recommendations "
            "pedagogical_intervention resolution_notes detected_by subject"
        ),
    )

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    student_id: Mapped[str] = mapped_column(String(100))
    activity_id: Mapped[str] = mapped_column(String(100))
    risk_type: Mapped[str] = mapped_column(String(100))
    risk_level: Mapped[str] = mapped_column(String(20))
    dimension: Mapped[str] = mapped_column(String(50))
    description: Mapped[str] = mapped_column(Text)
    impact: Mapped[str | None] = mapped_column(Text)
    evidence: Mapped[Items] = mapped_column(default=list)
    trace_ids: Mapped[Items] = mapped_column(default=list)
    root_cause: Mapped[str | None] = mapped_column(Text)
    impact_assessment: Mapped[str | None] = mapped_column(Text)
    recommendations: Mapped[Items] = mapped_column(default=list)
    pedagogical_intervention: Mapped[str | None] = mapped_column(Text)
    resolved: Mapped[bool] = mapped_column(default=False, server_default=false())
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(String(20))
    resolution_notes: Mapped[str | None] = mapped_column(Text)
    detected_by: Mapped[str] = mapped_column(String(50), default="AR-IA")
    rule: Mapped[str | None] = mapped_column(String(100))
    rule_version: Mapped[int | None]
    subject: Mapped[str | None] = mapped_column(String(200))
    threshold_value: Mapped[float | None]
    actual_value: Mapped[float | None]
    late: Mapped[bool] = mapped_column(default=False, server_default=false())  # rests on late steps

    session: Mapped["LearningSession"] = relationship(back_populates="risks", lazy="raise")

"""Process evaluations: how a student worked, not only what came out."""

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.core.db.base import Base, in_range, one_of
from cortez.core.db.classification import Audit, Privacy
from cortez.core.db.types import Document, Items
from cortez.enums import Choice, aliases

if TYPE_CHECKING:
    from cortez.sessions.models import LearningSession


@aliases(BASICO="inicial", INTERMEDIO="en_desarrollo", AVANZADO="autonomo")
class CompetencyLevel(Choice):
    INICIAL = "inicial"
    EN_DESARROLLO = "en_desarrollo"
    AUTONOMO = "autonomo"
    EXPERTO = "experto"


class Evaluation(Base):
    """The evaluation of a session; `overall_score` is 0 to 10, `ai_dependency_score` 0 to 1.

    `evaluator` is who or what made it, where that is known.
    """

    __tablename__ = "evaluations"
    __table_args__ = (
        one_of("ck_eval_competency_level_valid", "overall_competency_level", CompetencyLevel),
        in_range("ck_eval_score_range", "overall_score", 0, 10),
        in_range("ck_eval_ai_dep_range", "ai_dependency_score", 0, 1),
        Index("idx_eval_session_created", "session_id", "created_at"),
        Index("idx_eval_created", "created_at", "id"),
        Index("idx_eval_student_created", "student_id", "created_at", "id"),
        Index("idx_eval_activity_created", "activity_id", "created_at", "id"),
    )
    privacy = Privacy(
        "student_id",
        keep="""session_id activity_id overall_competency_level overall_score ai_dependency_score evaluator
        evaluator_version late""",
        pseudonymise="student_id",
        empty="""dimensions key_strengths improvement_areas recommendations reasoning_analysis git_analysis
        ai_dependency_metrics""",
    )
    audit = Audit(
        "student_id",
        people="student_id",
        plain=(
            "session_id activity_id overall_competency_level overall_score ai_dependency_score evaluator "
            "evaluator_version late"
        ),
        masked=(
            "dimensions key_strengths improvement_areas recommendations reasoning_analysis git_analysis "
            "ai_dependency_metrics"
        ),
    )

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    student_id: Mapped[str] = mapped_column(String(100))
    activity_id: Mapped[str] = mapped_column(String(100))
    overall_competency_level: Mapped[str] = mapped_column(String(50))
    overall_score: Mapped[float]
    dimensions: Mapped[Items] = mapped_column(default=list)
    key_strengths: Mapped[Items] = mapped_column(default=list)
    improvement_areas: Mapped[Items] = mapped_column(default=list)
    recommendations: Mapped[Document] = mapped_column(default=dict)
    reasoning_analysis: Mapped[Document | None]
    git_analysis: Mapped[Document | None]
    ai_dependency_score: Mapped[float] = mapped_column(default=0.0)
    ai_dependency_metrics: Mapped[Document | None]
    evaluator: Mapped[str | None] = mapped_column(String(100))
    evaluator_version: Mapped[str | None] = mapped_column(String(50))
    late: Mapped[bool] = mapped_column(default=False, server_default=false())  # counts late steps

    session: Mapped["LearningSession"] = relationship(back_populates="evaluations", lazy="raise")

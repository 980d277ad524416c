"""What is known of a student over all sessions: figures by place, and a profile."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.core.db.base import Base, in_range, one_of
from cortez.core.db.classification import Privacy
from cortez.core.db.types import Document, Items
from cortez.evaluations.models import CompetencyLevel

if TYPE_CHECKING:
    from cortez.accounts.models import User


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

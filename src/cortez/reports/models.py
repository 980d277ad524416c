"""Reports: figures of a course over a period, computed once and kept."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.core.db.base import Base, one_of
from cortez.core.db.classification import Privacy
from cortez.core.db.types import Document, Items
from cortez.enums import Choice, aliases

if TYPE_CHECKING:
    from cortez.accounts.models import User


class ReportType(Choice):
    COHORT_SUMMARY = "cohort_summary"
    RISK_DASHBOARD = "risk_dashboard"
    COMPETENCY_DISTRIBUTION = "competency_distribution"


@aliases(excel="xlsx")
class ReportFormat(Choice):
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


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

"""Course reports in and out."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from msgspec import Meta

from cortez.core.db.types import Document, Items
from cortez.core.web.schemas import BusinessKey, Input, Instant, Resource
from cortez.reports.models import CourseReport, ReportFormat, ReportType

Students = Annotated[list[BusinessKey], Meta(min_length=1, max_length=500)]


class ReportIn(Input):
    """On sessions that start in the period, its end not included; of all students, unless some are named."""

    report_type: ReportType
    course_id: BusinessKey
    period_start: Instant
    period_end: Instant
    student_ids: Students | None = None


class ExportIn(Input):
    format: ReportFormat


class ReportLine(Resource):
    """A report in a list: all of it but what it says of each student."""

    course_id: str
    teacher_id: UUID | None
    report_type: ReportType
    period_start: datetime
    period_end: datetime
    summary_stats: Document
    competency_distribution: Document
    risk_distribution: Document
    top_risks: Items
    institutional_recommendations: Items
    at_risk_students: Items
    format: ReportFormat
    file_path: str | None
    exported_at: datetime | None

    @classmethod
    def of(cls, report: Any) -> Self:
        return cls(**{name: getattr(report, name) for name in cls.__struct_fields__})

    @property
    def names_students(self) -> set[str]:
        """Whom the report lists by nothing but their student_id."""
        return {one for one in self.at_risk_students if isinstance(one, str)}


class ReportOut(ReportLine, kw_only=True):
    """A report as it was computed. Shares are 0 to 1, scores 0 to 10; `file_path` names the download."""

    student_summaries: Items


SHOWN = [CourseReport.__table__.c[name] for name in ReportLine.__struct_fields__]

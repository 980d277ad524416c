"""A report as a file: made from the stored row whenever it is downloaded, so that it cannot be stale."""

import re
from typing import Any

import msgspec

from cortez.core.web.spreadsheets import CSV, XLSX, Sheet, csv_lines, workbook
from cortez.reports.models import CourseReport, ReportFormat
from cortez.reports.rules import Student
from cortez.reports.schemas import ReportOut

MEDIA = {ReportFormat.JSON: "application/json", ReportFormat.CSV: CSV, ReportFormat.XLSX: XLSX}

# In this order; a database does not keep the order of a document's fields.
COLUMNS = dict.fromkeys([*Student(student_id="").summary(), "risk_type", "dimension", "count"])


def file_name(report: CourseReport, format_: ReportFormat) -> str:
    """What the download is called: course, type and the first day of the period."""
    course = re.sub(r"[^A-Za-z0-9._-]", "_", report.course_id)
    return f"{course}-{report.report_type}-{report.period_start.date()}.{format_.value}"


def render(report: ReportOut) -> bytes:
    """JSON: the report. CSV: its students. XLSX: a sheet each for figures, students, findings and sentences."""
    if report.format == ReportFormat.JSON:
        return msgspec.json.format(msgspec.json.encode(report))
    students = table("Students", report.student_summaries)
    if report.format == ReportFormat.CSV:
        return csv_lines([students.columns, *students.rows])
    return workbook(
        [
            Sheet("Summary", ["figure", "value"], figures(report)),
            students,
            table("Findings", report.top_risks),
            Sheet("Recommendations", ["recommendation"], [[one] for one in report.institutional_recommendations]),
        ]
    )


def figures(report: ReportOut) -> list[list[Any]]:
    """Every single figure of the report, by name; a figure within another by both names."""
    head = {
        "course_id": report.course_id,
        "report_type": report.report_type,
        "period_start": report.period_start,
        "period_end": report.period_end,
        "created_at": report.created_at,
        **report.summary_stats,
        "competency": report.competency_distribution,
        "risks by level": report.risk_distribution,
    }
    rows: list[list[Any]] = []
    for name, value in head.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        rows += [[f"{name} {key}".strip(), figure] for key, figure in inner]
    return rows


def table(name: str, items: list[Any]) -> Sheet:
    """A column for every field that an item has, ours first; reports of the predecessor have others."""
    rows = [item if isinstance(item, dict) else {"value": item} for item in items]
    there = dict.fromkeys(key for row in rows for key in row)
    columns = [key for key in COLUMNS if key in there] + sorted(there.keys() - COLUMNS.keys())
    return Sheet(name, columns, [[line(row.get(column)) for column in columns] for row in rows])


def line(value: Any) -> Any:
    """A list of texts reads best as one."""
    is_texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return ", ".join(value) if is_texts else value

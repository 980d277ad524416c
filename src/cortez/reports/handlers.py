"""`/reports`: figures of a course over a period, computed once and kept."""

import asyncio
from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK

from cortez.accounts.repository import CourseRepository
from cortez.clock import utc_now
from cortez.core.db.pagination import Listing, Page
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import teachers, teaching
from cortez.core.web.parameters import QueryKey
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.core.web.route_options import HEAVY, route
from cortez.core.web.spreadsheets import CSV, XLSX
from cortez.errors import Conflict, Invalid
from cortez.reports.files import MEDIA, file_name, render
from cortez.reports.models import ReportFormat, ReportType
from cortez.reports.repository import ReportRepository
from cortez.reports.schemas import SHOWN, ExportIn, ReportIn, ReportLine, ReportOut

FILES = {
    "application/json": ReportOut,
    **{media: {"type": "string", "contentMediaType": media} for media in (CSV, XLSX)},
}


provide_reports = provided(ReportRepository)
Reports = NamedDependency[ReportRepository]


@post("/", guards=[teachers], opt=HEAVY)
async def create_report(data: JSONBody[ReportIn], reports: Reports) -> Answer[ReportOut]:
    """On a course that one teaches; figures count only its sessions that start in the period."""
    if data.period_start >= data.period_end:
        raise Invalid.at("/period_end", "A period ends after it starts.", "INVALID_PERIOD")
    await CourseRepository(reports.session, reports.principal).led(data.course_id)
    report = await reports.compute(data)
    return created(ReportOut.of(report), f"/reports/{report.id}")


@get("/", guards=[teaching])
async def list_reports(
    reports: Reports,
    page: NamedDependency[Page],
    course_id: QueryKey = None,
    teacher_id: FromQuery[UUID | None] = None,
    report_type: FromQuery[ReportType | None] = None,
) -> Listing[ReportLine]:
    """Newest first, without what each says of single students."""
    equal = {"course_id": course_id, "teacher_id": teacher_id, "report_type": report_type}
    table = reports.model.__table__
    wanted = (table.c[name] == value for name, value in equal.items() if value is not None)
    return await reports.page(reports.select(*SHOWN).where(*wanted), page, ReportLine.of, newest_first=True)


@get("/{report_id:uuid}", guards=[teaching])
async def read_report(report_id: FromPath[UUID], reports: Reports) -> ReportOut:
    return ReportOut.of(await reports.get(report_id))


@post("/{report_id:uuid}/export", guards=[teachers], status_code=HTTP_200_OK, opt=HEAVY)
async def export_report(
    report_id: FromPath[UUID], data: JSONBody[ExportIn], reports: Reports, match: NamedDependency[Match]
) -> ReportOut:
    """Offer it for download in this format, in place of the one before."""
    report = await reports.get(report_id, lock=True)
    await CourseRepository(reports.session, reports.principal).require_led(report.course_id)
    match.check(report.updated_at)
    name = file_name(report, data.format)
    changes = {"format": data.format.value, "file_path": name, "exported_at": utc_now()}
    return ReportOut.of(await reports.change(report, changes))


@get("/{report_id:uuid}/download", guards=[teaching], opt=route(HEAVY, answers=FILES))
async def download_report(report_id: FromPath[UUID], reports: Reports) -> Answer[bytes]:
    """The file in the format it was exported in, made from the stored report."""
    report = await reports.get(report_id)
    if report.exported_at is None:
        raise Conflict("NOT_EXPORTED", "Export the report first, in the format that you want.")
    shown = ReportOut.of(report)
    await reports.session.close()  # the connection goes back before the file is made
    content = await asyncio.to_thread(render, shown)
    headers = {"Content-Disposition": f'attachment; filename="{file_name(report, ReportFormat(report.format))}"'}
    return Answer(content, about=shown, media_type=MEDIA[shown.format], headers=headers)


router = Router(
    "/reports",
    route_handlers=[create_report, list_reports, read_report, export_report, download_report],
    dependencies={"reports": provide_reports},
    tags=["reports"],
)

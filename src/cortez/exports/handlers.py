"""`/exports`: traces as a stream, a session whole, an anonymous dataset for research."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK
from litestar.types import Scope
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.audit.access_log import Journal
from cortez.core.db.engine import Database
from cortez.core.observability.request_ids import request_id
from cortez.core.security.principal import Principal
from cortez.core.web.guards import teachers
from cortez.core.web.request_attempt import position_of
from cortez.core.web.route_options import HEAVY, route
from cortez.core.web.spreadsheets import CSV, csv_lines
from cortez.examples.values import example_of
from cortez.exports.access import readers
from cortez.exports.research import dataset
from cortez.exports.schemas import ExportFormat, ResearchIn, ResearchOut, SessionExport
from cortez.exports.session_export import session_export
from cortez.exports.streams import MEDIA, begun, encoded, trace_lots
from cortez.traces.access import readers as trace_readers
from cortez.traces.dependencies import provide_filter
from cortez.traces.schemas import TraceFilter, TraceOut

EXAMPLE = msgspec.convert(example_of(TraceOut), TraceOut)
NAMES: Sequence[str] = TraceOut.__struct_fields__
LINES = {
    MEDIA[ExportFormat.NDJSON]: {
        "type": "string",
        "description": "One TraceOut a line.",
        "examples": [msgspec.json.encode(EXAMPLE).decode() + "\n"],
    },
    CSV: {
        "type": "string",
        "description": "The fields of TraceOut under their names; an apostrophe stands before a text that a "
        "spreadsheet program would run as a formula.",
        "examples": [csv_lines([NAMES, [getattr(EXAMPLE, name) for name in NAMES]]).decode()],
    },
}


@get("/traces", guards=[trace_readers], opt=route(HEAVY, answers=LINES))
async def export_traces(
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    wanted: NamedDependency[TraceFilter],
    journal: NamedDependency[Journal],
    scope: Scope,
    format: FromQuery[ExportFormat] = ExportFormat.NDJSON,
) -> Stream:
    """All of `GET /traces` under the same filters, oldest first, as a stream; one that breaks off is not complete."""
    lots = await begun(trace_lots(database, principal, wanted, position_of(scope)))
    noted = journal.noting(lots, principal, "GET /exports/traces", request_id(scope))
    headers = {"Content-Disposition": f'attachment; filename="traces.{format}"'}
    return Stream(encoded(noted, TraceOut, format), headers=headers, media_type=MEDIA[format])


@get("/sessions/{session_id:uuid}", guards=[readers], opt=route(HEAVY, answers={"application/json": SessionExport}))
async def export_session(
    session_id: FromPath[UUID], database: NamedDependency[Database], principal: NamedDependency[Principal], scope: Scope
) -> Stream:
    """One session with its records, as far as the caller sees it, as a stream; if it is cut short, it is no JSON."""
    document = await begun(session_export(database, principal, session_id, position_of(scope)))
    return Stream(document, media_type="application/json")


@post("/research", guards=[teachers], status_code=HTTP_200_OK, opt=HEAVY)
async def export_research(
    data: JSONBody[ResearchIn],
    session: NamedDependency[AsyncSession],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> ResearchOut:
    """A k-anonymous dataset of the sessions that one teaches, one row each, for at most 20,000 sessions.

    Rows that agree in course, commission, activity, ISO week and competency level (of the session's latest evaluation)
    make a group; a group with fewer than k different students is left out whole, and counted. So whatever somebody
    knows of a student in these five respects, at least k students of the dataset answer to it. Towards k count only
    those who have at least one step in the group, who are not erased or forgotten, and who, where they have an account
    and the group a course, are student members of that course.

    The same study gives the same pseudonyms, another study others. A pseudonym holds within one group: if it led from
    group to group, knowing two groups of a student would often be enough to find them. Filters choose whole groups, so
    that comparing two datasets of the same moment tells nothing more than either.

    Not promised: that somebody who knows the very figures of a session (its minutes, its number of traces) does not
    find its row; that the members of a group differ in their figures; and that comparing datasets of different days
    does not show who came in between.
    """
    # `session` keeps the answer under its Idempotency-Key; what is read is read beside it, where it holds no lock.
    return await dataset(database, principal, data)


router = Router(
    "/exports",
    route_handlers=[export_traces, export_session, export_research],
    dependencies={"wanted": Provide(provide_filter)},
    tags=["exports"],
)

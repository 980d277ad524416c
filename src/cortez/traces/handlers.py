"""Traces: single, in batches, and their lists."""

from uuid import UUID

from litestar import Router, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK

from cortez.core.db.pagination import Listing, Page
from cortez.core.web.batches import BatchResult, batch_of, items_of
from cortez.core.web.guards import allow
from cortez.core.web.preconditions import Match
from cortez.core.web.requests import StrictRequest
from cortez.core.web.responses import STORED_ONCE, Answer, created
from cortez.traces.access import readers, writers
from cortez.traces.dependencies import Traces, provide_filter, provide_ingest, provide_traces
from cortez.traces.ingest import Ingest
from cortez.traces.models import CognitiveState, InteractionType, TraceLevel
from cortez.traces.schemas import SessionTraceIn, TraceFilter, TraceIn, TraceOut, TracePatch, column_of


@post("/sessions/{session_id:uuid}/traces", guards=[writers], opt=STORED_ONCE)
async def create_trace(
    session_id: FromPath[UUID], data: JSONBody[TraceIn], ingest: NamedDependency[Ingest], traces: Traces
) -> Answer[TraceOut]:
    """Store one step. The same id with the same content again answers 200 with the stored one.

    429 SESSION_QUOTA_REACHED or STUDENT_QUOTA_REACHED where the session or the student holds as much as they may.
    """
    if new := await ingest.one(session_id, data):
        return created(new, f"/traces/{new.id}")
    assert data.id  # noqa: S101 - only a trace that names itself is known already
    answer = created(await traces.read(data.id), f"/traces/{data.id}")
    answer.status_code = 200
    return answer


@post("/sessions/{session_id:uuid}/traces/batch", guards=[writers], status_code=HTTP_200_OK, opt=batch_of(TraceIn))
async def create_session_traces(
    session_id: FromPath[UUID],
    request: StrictRequest,
    ingest: NamedDependency[Ingest],
    atomic: FromQuery[bool] = False,
) -> BatchResult:
    """Up to 1,000 steps of one session, as a JSON array or as NDJSON; one result for each."""
    return await ingest.batch(*await items_of(request, TraceIn), session_id, atomic=atomic)


@post("/traces/batch", guards=[writers], status_code=HTTP_200_OK, opt=batch_of(SessionTraceIn))
async def create_traces(
    request: StrictRequest, ingest: NamedDependency[Ingest], atomic: FromQuery[bool] = False
) -> BatchResult:
    """Up to 1,000 steps of many sessions, each item with its session_id."""
    return await ingest.batch(*await items_of(request, SessionTraceIn), None, atomic=atomic)


@get("/sessions/{session_id:uuid}/traces", guards=[readers])
async def list_session_traces(
    session_id: FromPath[UUID],
    traces: Traces,
    page: NamedDependency[Page],
    trace_level: FromQuery[TraceLevel | None] = None,
    interaction_type: FromQuery[InteractionType | None] = None,
    cognitive_state: FromQuery[CognitiveState | None] = None,
) -> Listing[TraceOut]:
    """Oldest first."""
    wanted = {"trace_level": trace_level, "interaction_type": interaction_type, "cognitive_state": cognitive_state}
    return await traces.listed_of(session_id, page, newest_first=False, **wanted)


@get("/traces", guards=[readers])
async def list_traces(
    traces: Traces, page: NamedDependency[Page], wanted: NamedDependency[TraceFilter]
) -> Listing[TraceOut]:
    """Oldest first; `occurred_after` is included, `occurred_before` is not."""
    return await traces.listed(page, newest_first=False, **wanted.given())


@get("/traces/{trace_id:uuid}", guards=[readers])
async def read_trace(trace_id: FromPath[UUID], traces: Traces) -> TraceOut:
    return await traces.read(trace_id)


@patch("/traces/{trace_id:uuid}", guards=[allow("key:traces")])
async def change_trace(
    trace_id: FromPath[UUID], data: JSONBody[TracePatch], traces: Traces, match: NamedDependency[Match]
) -> TraceOut:
    """Add or correct the analysis of a step."""
    trace, session = await traces.to_analyse(trace_id)
    match.check(trace.updated_at)
    changes = {column_of(name): value for name, value in data.changes().items()}
    return TraceOut.of(await traces.analyse(trace, session, changes))


router = Router(
    "/",
    route_handlers=[
        create_trace,
        create_session_traces,
        create_traces,
        list_session_traces,
        list_traces,
        read_trace,
        change_trace,
    ],
    dependencies={
        "wanted": Provide(provide_filter),
        "traces": provide_traces,
        "ingest": Provide(provide_ingest),
    },
    tags=["traces"],
)

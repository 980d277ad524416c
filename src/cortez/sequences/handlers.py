"""Trace sequences: the traces of a session rolled up, as they were at one moment."""

from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from cortez.core.db.pagination import Listing, Page
from cortez.core.web.dependencies import provided
from cortez.core.web.responses import Answer, created
from cortez.core.web.route_options import HEAVY
from cortez.sequences.access import readers, rollers
from cortez.sequences.repository import TraceSequenceRepository
from cortez.sequences.schemas import TraceSequenceOut
from cortez.sessions.repository import SessionRepository

provide_sequences = provided(TraceSequenceRepository)
Sequences = NamedDependency[TraceSequenceRepository]


@post("/sessions/{session_id:uuid}/trace-sequences", guards=[rollers], opt=HEAVY)
async def roll_up_traces(session_id: FromPath[UUID], sequences: Sequences) -> Answer[TraceSequenceOut]:
    """Sum up all traces that the session has now; earlier sequences stay as they are."""
    made = await sequences.roll_up(session_id)
    return created(TraceSequenceOut.of(made), f"/trace-sequences/{made.id}")


@get("/sessions/{session_id:uuid}/trace-sequences", guards=[readers])
async def list_trace_sequences(
    session_id: FromPath[UUID], sequences: Sequences, page: NamedDependency[Page]
) -> Listing[TraceSequenceOut]:
    """Newest first."""
    await SessionRepository(sequences.session, sequences.principal).require(session_id)
    return await sequences.page(sequences.of_session(session_id), page, TraceSequenceOut.of, newest_first=True)


@get("/trace-sequences/{sequence_id:uuid}", guards=[readers])
async def read_trace_sequence(sequence_id: FromPath[UUID], sequences: Sequences) -> TraceSequenceOut:
    return TraceSequenceOut.of(await sequences.get(sequence_id))


router = Router(
    "/",
    route_handlers=[roll_up_traces, list_trace_sequences, read_trace_sequence],
    dependencies={"sequences": provide_sequences},
    tags=["trace sequences"],
)

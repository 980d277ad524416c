"""What several modules of handlers are given."""

from litestar.di import NamedDependency
from litestar.params import FromQuery
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.security.principal import Principal
from cortez.core.web.dependencies import provided
from cortez.core.web.parameters import QueryKey, QueryTime, instant
from cortez.sessions.quotas import Quotas
from cortez.sessions.repository import SessionRepository
from cortez.traces.ingest import Ingest
from cortez.traces.models import CognitiveState, InteractionType, TraceLevel
from cortez.traces.repository import TraceRepository
from cortez.traces.schemas import TraceFilter

provide_traces = provided(TraceRepository)


async def provide_ingest(
    session: NamedDependency[AsyncSession], principal: NamedDependency[Principal], quotas: NamedDependency[Quotas]
) -> Ingest:
    return Ingest(SessionRepository(session, principal), quotas)


Traces = NamedDependency[TraceRepository]


async def provide_filter(
    student_id: QueryKey = None,
    activity_id: QueryKey = None,
    course_id: QueryKey = None,
    trace_level: FromQuery[TraceLevel | None] = None,
    interaction_type: FromQuery[InteractionType | None] = None,
    cognitive_state: FromQuery[CognitiveState | None] = None,
    occurred_after: QueryTime = None,
    occurred_before: QueryTime = None,
) -> TraceFilter:
    return TraceFilter(
        student_id=student_id,
        activity_id=activity_id,
        course_id=course_id,
        trace_level=trace_level,
        interaction_type=interaction_type,
        cognitive_state=cognitive_state,
        occurred_after=instant("occurred_after", occurred_after),
        occurred_before=instant("occurred_before", occurred_before),
    )

"""Simulator events: what happened while a student used a simulator, one by one or in batches."""

from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK

from cortez.core.db.pagination import Listing, Page
from cortez.core.web.batches import BatchResult, answer_of, batch_of, items_of, refuse_rejections
from cortez.core.web.dependencies import provided
from cortez.core.web.requests import StrictRequest
from cortez.core.web.responses import STORED_ONCE, Answer, created
from cortez.errors import CortezError
from cortez.sessions.dependencies import Sessions, provide_sessions
from cortez.simulators.access import readers, takers
from cortez.simulators.models import SimulatorEvent
from cortez.simulators.repository import EventRepository
from cortez.simulators.schemas import EventIn, EventOut

provide_events = provided(EventRepository)
Events = NamedDependency[EventRepository]


@get("/sessions/{session_id:uuid}/simulator-events", guards=[readers])
async def list_events(
    session_id: FromPath[UUID], sessions: Sessions, events: Events, page: NamedDependency[Page]
) -> Listing[EventOut]:
    """In the order they were stored."""
    await sessions.require(session_id)
    return await events.page(events.select().where(SimulatorEvent.session_id == session_id), page, EventOut.of)


@post(
    "/sessions/{session_id:uuid}/simulator-events",
    guards=[takers],
    opt=STORED_ONCE,
)
async def create_event(
    session_id: FromPath[UUID], data: JSONBody[EventIn], sessions: Sessions, events: Events
) -> Answer[EventOut]:
    """The same id with the same content again answers 200 with the stored one."""
    (outcome,) = await events.store(await sessions.open(session_id), [data])
    if isinstance(outcome, CortezError):
        raise outcome
    event = (await events.get_by_ids([outcome.id]))[outcome.id] if outcome.id else None
    answer = created(EventOut.of(events.present(event, outcome.id)), f"/sessions/{session_id}/simulator-events")
    answer.status_code = 201 if outcome.status == "created" else 200
    return answer


@post(
    "/sessions/{session_id:uuid}/simulator-events/batch",
    guards=[takers],
    status_code=HTTP_200_OK,
    opt=batch_of(EventIn),
)
async def create_events(
    session_id: FromPath[UUID],
    request: StrictRequest,
    sessions: Sessions,
    events: Events,
    atomic: FromQuery[bool] = False,
) -> BatchResult:
    """Up to 1,000 events of one session, as a JSON array or as NDJSON; one result for each."""
    sent = await items_of(request, EventIn)
    outcomes = await events.store(await sessions.open(session_id), sent.items)
    if atomic:
        refuse_rejections(outcomes)
    return answer_of(outcomes)


router = Router(
    "/",
    route_handlers=[list_events, create_event, create_events],
    dependencies={"sessions": provide_sessions, "events": provide_events},
    tags=["simulators"],
)

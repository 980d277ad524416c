"""`/interventions`: what teachers and tutors did about an alert or a student."""

from collections.abc import Sequence
from uuid import UUID

from litestar import Router, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from cortez.accounts.repository import hold_account
from cortez.core.db.pagination import Listing, Page
from cortez.core.db.types import stored
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import teaching
from cortez.core.web.parameters import QueryKey, QueryText
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.errors import Invalid
from cortez.oversight.live import PREFIX, snapshot
from cortez.oversight.models import InterventionStatus, TeacherIntervention
from cortez.oversight.repository import InterventionRepository
from cortez.oversight.schemas import InterventionIn, InterventionOut, InterventionPatch
from cortez.profiles.repository import ProfileRepository
from cortez.sessions.repository import SessionRepository

provide_interventions = provided(InterventionRepository)
Interventions = NamedDependency[InterventionRepository]


@get("/", guards=[teaching])
async def list_interventions(
    interventions: Interventions,
    page: NamedDependency[Page],
    student_id: QueryKey = None,
    session_id: FromQuery[UUID | None] = None,
    alert_id: QueryText = None,
    status: FromQuery[InterventionStatus | None] = None,
) -> Listing[InterventionOut]:
    """Newest first."""
    equal = {"student_id": student_id, "session_id": session_id, "alert_id": alert_id, "status": status}
    statement = interventions.select().filter_by(**{name: value for name, value in equal.items() if value is not None})
    found = await interventions.page(statement, page, lambda one: one, newest_first=True)
    items = await shown(interventions, found.items)
    return Listing(items, found.next_cursor, found.total, found.total_is_capped)


async def shown(interventions: InterventionRepository, found: Sequence[TeacherIntervention]) -> list[InterventionOut]:
    """Each, without an alert that one may not see."""
    hidden = await interventions.hidden_contexts(found)
    answers = [InterventionOut.of(one) for one in found]
    for answer in answers:
        if answer.id in hidden:
            answer.alert_context = None
    return answers


@post("/", guards=[teaching])
async def intervene(data: JSONBody[InterventionIn], interventions: Interventions) -> Answer[InterventionOut]:
    """One's own; with an alert, the alert as it is now is kept beside it."""
    session, principal = interventions.session, interventions.principal
    await hold_account(session, data.student_id)
    await ProfileRepository(session, principal).require(data.student_id)
    values = {name: stored(getattr(data, name)) for name in data.__struct_fields__}
    if data.alert_id is not None:
        values["alert_context"] = context = await snapshot(session, principal, data.alert_id)
        values["alert_id"] = data.alert_id.lower()
        if context["student_id"] not in (None, data.student_id):
            raise Invalid.at("/alert_id", "The alert is about another student.")
        if data.alert_id.startswith(PREFIX) and data.session_id is None:
            values["session_id"] = UUID(context["session_id"])
    if values["session_id"] is not None:
        await require_session_of(data.student_id, values["session_id"], interventions)
    made = await interventions.add(TeacherIntervention(**values, teacher_id=principal.id))
    return created(InterventionOut.of(made), f"/interventions/{made.id}")


async def require_session_of(student_id: str, session_id: UUID, interventions: InterventionRepository) -> None:
    found = await SessionRepository(interventions.session, interventions.principal).get(session_id)
    if found.student_id != student_id:
        raise Invalid.at("/session_id", "The session is another student's.")


@get("/{intervention_id:uuid}", guards=[teaching])
async def read_intervention(intervention_id: FromPath[UUID], interventions: Interventions) -> InterventionOut:
    return (await shown(interventions, [await interventions.get(intervention_id)]))[0]


@patch("/{intervention_id:uuid}", guards=[teaching])
async def change_intervention(
    intervention_id: FromPath[UUID],
    data: JSONBody[InterventionPatch],
    interventions: Interventions,
    match: NamedDependency[Match],
) -> InterventionOut:
    """One's own: acknowledged, in_progress, resolved or escalated, closed."""
    intervention = await interventions.own(intervention_id)
    match.check(intervention.updated_at)
    return (await shown(interventions, [await interventions.edit(intervention, data.changes())]))[0]


router = Router(
    "/interventions",
    route_handlers=[list_interventions, intervene, read_intervention, change_intervention],
    dependencies={"interventions": provide_interventions},
    tags=["interventions"],
)

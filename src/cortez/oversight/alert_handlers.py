"""`/alerts`: stored ones with their flow, and live ones. Students see none of them."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from cortez.clock import utc_now
from cortez.core.db.pagination import Listing, Page
from cortez.core.db.types import stored
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import teachers, teaching
from cortez.core.web.parameters import QueryKey
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.errors import Forbidden, Invalid
from cortez.oversight.access import require_place, require_student
from cortez.oversight.live import live_alert, watched
from cortez.oversight.models import MANUAL, AlertScope, AlertSeverity, AlertStatus, RiskAlert
from cortez.oversight.repository import AlertRepository, PlanRepository, course_of
from cortez.oversight.scan import Scan
from cortez.oversight.schemas import AlertIn, AlertOut, AlertResolveIn, AssignIn, DismissIn, LiveAlert, ScanIn, ScanOut
from cortez.profiles.repository import ProfileRepository
from cortez.sessions.repository import SessionRepository

# What an alert of each scope must name.
NEEDED = {AlertScope.STUDENT: "student_id", AlertScope.ACTIVITY: "activity_id", AlertScope.COURSE: "course_id"}


provide_alerts = provided(AlertRepository)
Alerts = NamedDependency[AlertRepository]


@get("/", guards=[teaching])
async def list_alerts(
    alerts: Alerts,
    page: NamedDependency[Page],
    status: FromQuery[AlertStatus | None] = None,
    severity: FromQuery[AlertSeverity | None] = None,
    about: Annotated[AlertScope | None, QueryParameter(name="scope")] = None,  # `scope` is Litestar's own
    assigned_to: FromQuery[UUID | None] = None,
    student_id: QueryKey = None,
    course_id: QueryKey = None,
) -> Listing[AlertOut]:
    """Newest first."""
    equal = {
        "status": status,
        "severity": severity,
        "scope": about,
        "assigned_to": assigned_to,
        "student_id": student_id,
        "course_id": course_id,
    }
    statement = alerts.select().filter_by(**{name: value for name, value in equal.items() if value is not None})
    return await alerts.page(statement, page, AlertOut.of, newest_first=True)


@post("/", guards=[teachers])
async def raise_alert(data: JSONBody[AlertIn], alerts: Alerts) -> Answer[AlertOut]:
    """One's own observation, beside what the scan finds."""
    values = {name: stored(getattr(data, name)) for name in data.__struct_fields__}
    values["evidence"] = [str(one) for one in data.evidence]
    values["course_id"] = await place_of(data, alerts)
    alert = await alerts.add(RiskAlert(**values, detection_rule=MANUAL))
    return created(AlertOut.of(alert), f"/alerts/{alert.id}")


async def place_of(data: AlertIn, alerts: AlertRepository) -> str | None:
    """The course of the alert. What the alert names must be there, and the principal's."""
    session, principal = alerts.session, alerts.principal
    if data.scope == AlertScope.INSTITUTION and not principal.is_admin:
        raise Forbidden(None, "An alert on the whole institution is an admin's.")
    needed = NEEDED.get(data.scope)
    if needed and getattr(data, needed) is None:
        raise Invalid.at(f"/{needed}", f"An alert on a {data.scope} names its {needed}.")
    if data.scope == AlertScope.STUDENT:
        require_place(data.activity_id, data.course_id)
    course_id = await course_of(session, principal, data.activity_id, data.course_id)
    if data.student_id is not None:
        if course_id or data.activity_id:
            await require_student(session, principal, data.student_id, data.activity_id, course_id)
        else:
            await ProfileRepository(session, principal).require(data.student_id)
    return course_id


@post("/scan", guards=[teachers], status_code=HTTP_200_OK)
async def scan_alerts(data: JSONBody[ScanIn], alerts: Alerts) -> ScanOut:
    """Look at the last seven days of one's courses; what was found before is not found again."""
    return await Scan(alerts).run(data.course_id)


@get("/live", guards=[teaching])
async def list_live_alerts(
    alerts: Alerts, page: NamedDependency[Page], acknowledged: FromQuery[bool] = False
) -> Listing[LiveAlert]:
    """Sessions, active or paused, that call for a look now, newest first.

    An intervention on one hides it unless `acknowledged`.
    """
    now = utc_now()
    sessions = SessionRepository(alerts.session, alerts.principal)
    statement = watched(sessions, now, acknowledged=acknowledged)
    return await sessions.page(statement, page, lambda row: live_alert(row, now), newest_first=True)


@get("/{alert_id:uuid}", guards=[teaching])
async def read_alert(alert_id: FromPath[UUID], alerts: Alerts) -> AlertOut:
    return AlertOut.of(await alerts.get(alert_id))


async def locked(alerts: AlertRepository, alert_id: UUID, match: Match) -> RiskAlert:
    alert = await alerts.led(alert_id)
    match.check(alert.updated_at)
    return alert


@post("/{alert_id:uuid}/assign", guards=[teachers], status_code=HTTP_200_OK)
async def assign_alert(
    alert_id: FromPath[UUID], data: JSONBody[AssignIn], alerts: Alerts, match: NamedDependency[Match]
) -> AlertOut:
    """To somebody who teaches or tutors its course."""
    return AlertOut.of(await alerts.assign(await locked(alerts, alert_id, match), data.user_id))


@post("/{alert_id:uuid}/acknowledge", guards=[teachers], status_code=HTTP_200_OK)
async def acknowledge_alert(alert_id: FromPath[UUID], alerts: Alerts, match: NamedDependency[Match]) -> AlertOut:
    return AlertOut.of(await alerts.move(await locked(alerts, alert_id, match), "acknowledge"))


@post("/{alert_id:uuid}/investigate", guards=[teachers], status_code=HTTP_200_OK)
async def investigate_alert(alert_id: FromPath[UUID], alerts: Alerts, match: NamedDependency[Match]) -> AlertOut:
    return AlertOut.of(await alerts.move(await locked(alerts, alert_id, match), "investigate"))


@post("/{alert_id:uuid}/resolve", guards=[teachers], status_code=HTTP_200_OK)
async def resolve_alert(
    alert_id: FromPath[UUID], data: JSONBody[AlertResolveIn], alerts: Alerts, match: NamedDependency[Match]
) -> AlertOut:
    """With what was done, and the plan that answers it."""
    alert = await locked(alerts, alert_id, match)
    if data.remediation_plan_id is not None:
        plan = await PlanRepository(alerts.session, alerts.principal).get(data.remediation_plan_id)
        if alert.student_id not in (None, plan.student_id):
            raise Invalid.at("/remediation_plan_id", "The plan is another student's.")
    return AlertOut.of(await alerts.move(alert, "resolve", **data.changes()))


@post("/{alert_id:uuid}/false-positive", guards=[teachers], status_code=HTTP_200_OK)
async def dismiss_alert(
    alert_id: FromPath[UUID], data: JSONBody[DismissIn], alerts: Alerts, match: NamedDependency[Match]
) -> AlertOut:
    """There was nothing to it; the notes say why."""
    return AlertOut.of(await alerts.move(await locked(alerts, alert_id, match), "dismiss", **data.changes()))


router = Router(
    "/alerts",
    route_handlers=[
        list_alerts,
        raise_alert,
        scan_alerts,
        list_live_alerts,
        read_alert,
        assign_alert,
        acknowledge_alert,
        investigate_alert,
        resolve_alert,
        dismiss_alert,
    ],
    dependencies={"alerts": provide_alerts},
    tags=["alerts"],
)

"""`/remediation-plans`: support that a teacher opens for a student."""

from uuid import UUID

from litestar import Router, get, patch, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK

from cortez.clock import utc_now
from cortez.core.db.pagination import Listing, Page
from cortez.core.db.types import stored
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import teachers
from cortez.core.web.parameters import QueryKey
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.oversight.access import readers
from cortez.oversight.models import PlanStatus, RemediationPlan
from cortez.oversight.repository import SPAN, PlanRepository
from cortez.oversight.rules import UNFINISHED
from cortez.oversight.schemas import CompletionIn, PlanIn, PlanOut, PlanPatch

provide_plans = provided(PlanRepository)
Plans = NamedDependency[PlanRepository]


def shown(plans: PlanRepository, plan: RemediationPlan) -> PlanOut:
    principal = plans.principal
    mine = plan.student_id == principal.student_id and not principal.is_admin
    return PlanOut.of(plan) if principal.is_teaching and not mine else PlanOut.for_student(plan)


@get("/", guards=[readers])
async def list_plans(
    plans: Plans,
    page: NamedDependency[Page],
    student_id: QueryKey = None,
    course_id: QueryKey = None,
    teacher_id: FromQuery[UUID | None] = None,
    status: FromQuery[PlanStatus | None] = None,
    overdue: FromQuery[bool | None] = None,
) -> Listing[PlanOut]:
    """Newest first; `overdue`: past the target date and neither completed nor cancelled."""
    equal = {"student_id": student_id, "course_id": course_id, "teacher_id": teacher_id, "status": status}
    statement = plans.select().filter_by(**{name: value for name, value in equal.items() if value is not None})
    if overdue is not None:
        unfinished = RemediationPlan.status.in_([one.value for one in UNFINISHED])
        late = unfinished & (RemediationPlan.target_completion_date < utc_now())
        statement = statement.where(late if overdue else ~late)
    return await plans.page(statement, page, lambda plan: shown(plans, plan), newest_first=True)


@post("/", guards=[teachers])
async def open_plan(data: JSONBody[PlanIn], plans: Plans) -> Answer[PlanOut]:
    """For a student of a course that one teaches, or who worked in it."""
    values = {name: stored(getattr(data, name)) for name in data.__struct_fields__}
    values["trigger_risks"] = [str(one) for one in data.trigger_risks]
    values["start_date"] = start = data.start_date or utc_now()
    values["target_completion_date"] = data.target_completion_date or start + SPAN
    plan = await plans.open(RemediationPlan(**values, teacher_id=plans.principal.id))
    return created(PlanOut.of(plan), f"/remediation-plans/{plan.id}")


@get("/{plan_id:uuid}", guards=[readers])
async def read_plan(plan_id: FromPath[UUID], plans: Plans) -> PlanOut:
    return shown(plans, await plans.get(plan_id))


async def locked(plans: PlanRepository, plan_id: UUID, match: Match) -> RemediationPlan:
    plan = await plans.led(plan_id)
    match.check(plan.updated_at)
    return plan


@patch("/{plan_id:uuid}", guards=[teachers])
async def change_plan(
    plan_id: FromPath[UUID], data: JSONBody[PlanPatch], plans: Plans, match: NamedDependency[Match]
) -> PlanOut:
    """While it is neither completed nor cancelled."""
    return PlanOut.of(await plans.edit(await locked(plans, plan_id, match), data.changes()))


def _action(name: str) -> HTTPRouteHandler:
    @post(f"/{{plan_id:uuid}}/{name}", guards=[teachers], status_code=HTTP_200_OK, name=f"{name}_plan")
    async def act(plan_id: FromPath[UUID], plans: Plans, match: NamedDependency[Match]) -> PlanOut:
        return PlanOut.of(await plans.move(await locked(plans, plan_id, match), name))

    return act


@post("/{plan_id:uuid}/complete", guards=[teachers], status_code=HTTP_200_OK)
async def complete_plan(
    plan_id: FromPath[UUID], data: JSONBody[CompletionIn], plans: Plans, match: NamedDependency[Match]
) -> PlanOut:
    """With what came of it."""
    plan = await locked(plans, plan_id, match)
    return PlanOut.of(await plans.move(plan, "complete", **data.changes()))


router = Router(
    "/remediation-plans",
    route_handlers=[list_plans, open_plan, read_plan, change_plan, _action("start"), complete_plan, _action("cancel")],
    dependencies={"plans": provide_plans},
    tags=["remediation"],
)

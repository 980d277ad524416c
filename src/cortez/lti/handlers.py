"""`/lti`: the platforms that launch into Cortez, and their launches, as records."""

import hashlib
from uuid import UUID

from litestar import Router, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from cortez.accounts.repository import CourseRepository
from cortez.core.db.pagination import Listing, Page
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import admins
from cortez.core.web.parameters import QueryText
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.errors import Conflict
from cortez.lti.access import machines
from cortez.lti.models import LtiDeployment, LtiSession
from cortez.lti.repository import DeploymentRepository, LaunchRepository
from cortez.lti.schemas import DeploymentIn, DeploymentOut, DeploymentPatch, LaunchIn, LaunchOut, LinkIn

provide_deployments = provided(DeploymentRepository)
provide_launches = provided(LaunchRepository)
Deployments = NamedDependency[DeploymentRepository]
Launches = NamedDependency[LaunchRepository]


@get("/deployments", guards=[admins])
async def list_deployments(deployments: Deployments, page: NamedDependency[Page]) -> Listing[DeploymentOut]:
    return await deployments.page(deployments.select(), page, DeploymentOut.of)


@post("/deployments", guards=[admins])
async def create_deployment(data: JSONBody[DeploymentIn], deployments: Deployments) -> Answer[DeploymentOut]:
    """Issuer and deployment_id together name one platform."""
    await require_courses(deployments, data.course_ids)
    deployment = await deployments.add(LtiDeployment(**data.changes()))
    return created(DeploymentOut.of(deployment), f"/lti/deployments/{deployment.id}")


async def require_courses(deployments: DeploymentRepository, course_ids: object) -> None:
    """Raises Invalid where one of them does not exist."""
    if isinstance(course_ids, list):
        await CourseRepository(deployments.session, deployments.principal).require_all(course_ids)


@get("/deployments/{deployment_id:uuid}", guards=[admins])
async def read_deployment(deployment_id: FromPath[UUID], deployments: Deployments) -> DeploymentOut:
    return DeploymentOut.of(await deployments.get(deployment_id))


@patch("/deployments/{deployment_id:uuid}", guards=[admins])
async def change_deployment(
    deployment_id: FromPath[UUID],
    data: JSONBody[DeploymentPatch],
    deployments: Deployments,
    match: NamedDependency[Match],
) -> DeploymentOut:
    deployment = await deployments.get(deployment_id, lock=True)
    match.check(deployment.updated_at)
    await require_courses(deployments, data.course_ids)
    return DeploymentOut.of(await deployments.change(deployment, data.changes()))


@delete("/deployments/{deployment_id:uuid}", guards=[admins])
async def delete_deployment(
    deployment_id: FromPath[UUID], deployments: Deployments, match: NamedDependency[Match]
) -> None:
    """With its launches; the sessions stay."""
    deployment = await deployments.get_to_delete(deployment_id)
    match.check(deployment.updated_at)
    await deployments.delete(deployment)


@get("/sessions", guards=[machines])
async def list_launches(
    launches: Launches,
    page: NamedDependency[Page],
    deployment_id: FromQuery[UUID | None] = None,
    lti_user_id: QueryText = None,
    session_id: FromQuery[UUID | None] = None,
) -> Listing[LaunchOut]:
    """Newest first. A key that is limited to courses sees those of deployments that launch into these alone."""
    equal = {"deployment_id": deployment_id, "lti_user_id": lti_user_id, "session_id": session_id}
    statement = launches.select().filter_by(**{name: value for name, value in equal.items() if value is not None})
    return await launches.page(statement, page, LaunchOut.of, newest_first=True)


@post("/sessions", guards=[machines])
async def record_launch(data: JSONBody[LaunchIn], deployments: Deployments, launches: Launches) -> Answer[LaunchOut]:
    """A launch that the caller has verified."""
    deployment = await deployments.get(data.deployment_id)
    if not deployment.is_active:
        raise Conflict("DEPLOYMENT_INACTIVE", "The deployment is switched off.")
    if data.session_id is not None:
        await launches.require_session(data.session_id, deployment)
    values = data.changes()
    if data.launch_token is not None:
        values["launch_token"] = hashlib.sha256(data.launch_token.encode()).hexdigest()
    launch = await launches.add(LtiSession(**values))
    return created(LaunchOut.of(launch), f"/lti/sessions/{launch.id}")


@put("/sessions/{launch_id:uuid}/session", guards=[machines])
async def link_launch(
    launch_id: FromPath[UUID],
    data: JSONBody[LinkIn],
    deployments: Deployments,
    launches: Launches,
    match: NamedDependency[Match],
) -> LaunchOut:
    """Tie a launch to the session that began with it."""
    launch = await launches.get(launch_id, lock=True)
    match.check(launch.updated_at)
    await launches.require_session(data.session_id, await deployments.get(launch.deployment_id))
    return LaunchOut.of(await launches.change(launch, {"session_id": data.session_id}))


router = Router(
    "/lti",
    route_handlers=[
        list_deployments,
        create_deployment,
        read_deployment,
        change_deployment,
        delete_deployment,
        list_launches,
        record_launch,
        link_launch,
    ],
    dependencies={"deployments": provide_deployments, "launches": provide_launches},
    tags=["LTI"],
)

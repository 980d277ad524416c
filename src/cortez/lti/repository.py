"""Queries of LTI deployments and launches, for admins and for keys of the scope `lti`."""

from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, or_, select, true

from cortez.core.db.expressions import all_within
from cortez.core.db.repository import Repository
from cortez.core.security.principal import Principal
from cortez.errors import Invalid
from cortez.lti.models import LtiDeployment, LtiSession
from cortez.sessions.access import on_visible_session
from cortez.sessions.repository import SessionRepository


def visible_deployments(principal: Principal) -> ColumnElement[bool]:
    """A key that is limited to courses sees the platforms that launch into these alone."""
    if not principal.may("key:lti"):
        return false()
    limited = principal.course_ids
    return true() if limited is None else all_within(LtiDeployment.course_ids, limited)


class DeploymentRepository(Repository[LtiDeployment]):
    model = LtiDeployment
    noun = "deployment"

    def visible(self) -> ColumnElement[bool]:
        return visible_deployments(self.principal)


class LaunchRepository(Repository[LtiSession]):
    model = LtiSession
    noun = "launch"

    def visible(self) -> ColumnElement[bool]:
        """Those of visible deployments; one that is tied to a session is visible only where that is visible too."""
        deployments = visible_deployments(self.principal)
        if self.principal.course_ids is None:
            return deployments
        tied = or_(LtiSession.session_id.is_(None), on_visible_session(LtiSession.session_id, self.principal))
        return and_(LtiSession.deployment_id.in_(select(LtiDeployment.id).where(deployments)), tied)

    async def require_session(self, session_id: UUID, deployment: LtiDeployment) -> None:
        """Lock the session. Raises Invalid (SESSION_NOT_IN_COURSE) where the deployment launches into other courses."""
        session = await SessionRepository(self.session, self.principal).get(session_id, lock=True)
        if deployment.course_ids is not None and session.course_id not in deployment.course_ids:
            message = "The session is in none of the courses that the deployment launches into."
            raise Invalid.at("/session_id", message, "SESSION_NOT_IN_COURSE")

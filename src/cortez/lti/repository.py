"""Queries of LTI deployments and launches, for admins and for keys of the scope `lti`."""

from sqlalchemy import ColumnElement, false, or_, true

from cortez.lti.models import LtiDeployment, LtiSession
from cortez.repository import Repository
from cortez.sessions.repository import on_visible_session


class DeploymentRepository(Repository[LtiDeployment]):
    model = LtiDeployment
    noun = "deployment"

    def visible(self) -> ColumnElement[bool]:
        return true() if self.principal.may("key:lti") else false()


class LaunchRepository(Repository[LtiSession]):
    model = LtiSession
    noun = "launch"

    def visible(self) -> ColumnElement[bool]:
        """Those tied to a session as far as that may be seen, and those tied to none yet."""
        if not self.principal.may("key:lti"):
            return false()
        return or_(LtiSession.session_id.is_(None), on_visible_session(LtiSession.session_id, self.principal))

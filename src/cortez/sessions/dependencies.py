"""What several modules of handlers are given."""

from litestar.di import NamedDependency

from cortez.core.web.dependencies import provided
from cortez.sessions.repository import SessionRepository

provide_sessions = provided(SessionRepository)
Sessions = NamedDependency[SessionRepository]

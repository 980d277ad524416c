"""Who may see and change what."""

from cortez.core.web.guards import allow
from cortez.errors import Conflict
from cortez.sessions.access import require_worker
from cortez.sessions.repository import SessionRepository
from cortez.sessions.rules import FINAL
from cortez.simulators.models import IncidentSimulation, InterviewSession
from cortez.simulators.repository import IncidentRepository, InterviewRepository

readers = allow("student", "tutor", "teacher", "key:read", "key:simulators")
machines = allow("key:simulators")
takers = allow("student", "key:simulators")


async def require_taker(
    simulations: InterviewRepository | IncidentRepository, one: InterviewSession | IncidentSimulation
) -> None:
    """Raises Forbidden for others than the student and machines, Conflict (SESSION_CLOSED) for a student too late."""
    principal = simulations.principal
    require_worker(principal, one.student_id)
    if not principal.may("key:simulators"):
        session = await SessionRepository(simulations.session, principal).get(one.session_id)
        if session.status in FINAL:
            raise Conflict("SESSION_CLOSED", f"The session is {session.status}; its student answers no more.")

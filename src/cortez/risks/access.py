"""Who may see and change what."""

from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select

from cortez.accounts.access import led_courses
from cortez.core.db.expressions import among
from cortez.core.security.principal import Principal
from cortez.core.web.guards import allow
from cortez.errors import Forbidden
from cortez.sessions.access import in_own_activity, of_others
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import SessionRepository


async def judged(sessions: SessionRepository, session_id: UUID, *, lock: bool = True) -> LearningSession:
    """The session, for those who judge it: a machine, an admin, a teacher of its course, the owner of its activity.

    Raises Forbidden for others who may see it, such as somebody who is a student in it.
    """
    found = await sessions.get(session_id, lock=lock)
    if not (sessions.principal.is_key or sessions.principal.is_admin):
        mine = select(LearningSession.id).where(LearningSession.id == session_id, led_sessions(sessions.principal))
        if await sessions.session.scalar(mine) is None:
            raise Forbidden(None, "Only a teacher of its course, or of its activity, judges a session.")
    return found


def led_sessions(principal: Principal) -> ColumnElement[bool]:
    """The sessions of the courses that a person teaches, and those without a course of the activities they own.

    Nobody judges what they did themselves as a student.
    """
    led = among(LearningSession.course_id, led_courses(principal))
    own = in_own_activity(LearningSession.activity_id, LearningSession.course_id, principal)
    return and_(or_(led, own), of_others(principal))


readers = allow("student", "tutor", "teacher", "key:read", "key:analysis")
judges = allow("teacher", "key:analysis")

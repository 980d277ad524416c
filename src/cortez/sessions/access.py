"""Who may see and change what."""

from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    false,
    or_,
    select,
    true,
)
from sqlalchemy.orm import InstrumentedAttribute

from cortez.accounts.access import taught_courses
from cortez.activities.access import owned_activity_ids
from cortez.core.db.expressions import among, missing, within
from cortez.core.db.types import AnyColumn
from cortez.core.security.principal import Principal
from cortez.core.web.guards import allow
from cortez.errors import Forbidden
from cortez.sessions.models import LearningSession

SESSIONS = LearningSession.__table__
SessionKey = InstrumentedAttribute[UUID] | InstrumentedAttribute[UUID | None]  # a model's column that names the session


def visible_sessions(principal: Principal) -> ColumnElement[bool]:
    """Which sessions a principal may see; rows that hang on a session filter by `session_ids`."""
    if principal.is_admin:
        return true()
    if principal.is_key:
        limited = principal.course_ids
        return true() if limited is None else within(SESSIONS.c.course_id, limited)
    mine = false() if principal.student_id is None else SESSIONS.c.student_id == principal.student_id
    if not principal.is_teaching:
        return mine
    taught = among(SESSIONS.c.course_id, taught_courses(principal))
    return or_(mine, taught, in_own_activity(SESSIONS.c.activity_id, SESSIONS.c.course_id, principal))


def in_own_activity(activity_id: AnyColumn, course_id: AnyColumn, principal: Principal) -> ColumnElement[bool]:
    """Sessions outside of courses are their activity's owner's to see; inside, the course's staff see them."""
    return and_(among(activity_id, owned_activity_ids(principal)), missing(course_id))


def session_ids(principal: Principal) -> Select[UUID]:
    return select(SESSIONS.c.id).where(visible_sessions(principal))


def on_visible_session(column: AnyColumn, principal: Principal) -> ColumnElement[bool]:
    """The filter of every table whose rows hang on a session."""
    unlimited = principal.is_admin or (principal.is_key and principal.course_ids is None)
    return true() if unlimited else column.in_(session_ids(principal))


def of_others(principal: Principal) -> ColumnElement[bool]:
    """The sessions in which one is not the student oneself: what those who teach see and write, one does not there."""
    own = "" if principal.student_id is None else principal.student_id
    return true() if principal.is_admin else LearningSession.student_id != own


def require_worker(principal: Principal, student_id: str) -> None:
    """Raises Forbidden for somebody who sees the student's session but does not work in it: who teaches it."""
    if not (principal.is_key or principal.is_admin or principal.student_id == student_id):
        raise Forbidden(None, "Only the student of a session works in it.")


readers = allow("student", "tutor", "teacher", "key:read", "key:sessions")
workers = allow("student", "key:sessions")

"""Who may see and change what."""

from sqlalchemy import ColumnElement, Select, and_, or_, select, true

from cortez.accounts.access import led_courses, taught_courses
from cortez.activities.models import Activity, ActivityStatus
from cortez.core.db.expressions import within
from cortez.core.security.principal import Principal
from cortez.core.web.guards import allow


def owned_activities(principal: Principal) -> ColumnElement[bool]:
    """Those of one's own. Inside a course that counts only while one teaches the course."""
    inside = Activity.course_id.in_(led_courses(principal))
    return and_(Activity.teacher_id == principal.id, or_(Activity.course_id.is_(None), inside))


def owned_activity_ids(principal: Principal) -> Select[str]:
    """The keys of these activities."""
    return select(Activity.activity_id).where(owned_activities(principal))


def visible_activities(principal: Principal) -> ColumnElement[bool]:
    """Active ones for every person; drafts and archived ones for those who teach them."""
    if principal.is_admin:
        return true()
    if principal.is_key:
        limited = principal.course_ids
        return true() if limited is None else within(Activity.course_id, limited)
    active = Activity.status == ActivityStatus.ACTIVE
    if not principal.is_teaching:
        return active
    return or_(active, owned_activities(principal), Activity.course_id.in_(taught_courses(principal)))


readers = allow("student", "tutor", "teacher", "key:read", "key:sessions", "key:traces")

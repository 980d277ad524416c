"""Queries of activities, and which of them a principal may see."""

from sqlalchemy import ColumnElement, or_, select, true

from cortez.accounts.models import Course
from cortez.accounts.repository import led_courses, taught_courses
from cortez.activities.models import Activity, ActivityStatus
from cortez.db import utc_now, within
from cortez.errors import Conflict, Forbidden, Invalid
from cortez.repository import Repository
from cortez.security import Principal
from cortez.transitions import Transitions, after

TRANSITIONS: Transitions = {
    "publish": ({ActivityStatus.DRAFT, ActivityStatus.ARCHIVED}, ActivityStatus.ACTIVE),
    "archive": ({ActivityStatus.DRAFT, ActivityStatus.ACTIVE}, ActivityStatus.ARCHIVED),
}


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
    return or_(active, Activity.teacher_id == principal.id, Activity.course_id.in_(taught_courses(principal)))


class ActivityRepository(Repository[Activity]):
    model = Activity
    noun = "activity"

    def visible(self) -> ColumnElement[bool]:
        return visible_activities(self.principal)

    async def by_key(self, activity_id: str, *, lock: bool = False) -> Activity:
        return self.present(await self.one(Activity.activity_id == activity_id, lock=lock), activity_id)

    async def own(self, activity_id: str) -> Activity:
        """Locked, and the principal's own; an admin owns every one. Raises Forbidden."""
        activity = await self.by_key(activity_id, lock=True)
        if not self.principal.is_admin and activity.teacher_id != self.principal.id:
            raise Forbidden(None, "Only the teacher of an activity may change it.")
        return activity

    async def startable(self, activity_id: str) -> Activity:
        """Held in share mode, so that it stays active until the session is stored. Raises Conflict."""
        statement = self.select().where(Activity.activity_id == activity_id).with_for_update(read=True)
        activity = self.present(await self.session.scalar(statement), activity_id)
        if activity.status != ActivityStatus.ACTIVE:
            raise Conflict("ACTIVITY_NOT_ACTIVE", f"The activity is {activity.status}; a session needs an active one.")
        return activity

    async def check_course(self, course_id: str | None) -> None:
        """Raises Invalid where the course is not one that the principal teaches."""
        if course_id is None:
            return
        allowed = select(Course.id).where(Course.course_id == course_id)
        if not self.principal.is_admin:
            allowed = allowed.where(Course.course_id.in_(led_courses(self.principal)))
        if await self.session.scalar(allowed) is None:
            raise Invalid.at("/course_id", "There is no such course that you teach.", "COURSE_NOT_FOUND")

    async def publish(self, activity: Activity) -> Activity:
        status = after(TRANSITIONS, self.noun, activity.status, "publish")
        return await self.change(activity, {"status": status, "published_at": utc_now()})

    async def archive(self, activity: Activity) -> Activity:
        return await self.change(activity, {"status": after(TRANSITIONS, self.noun, activity.status, "archive")})

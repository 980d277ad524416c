"""Queries of activities, and which of them a principal may see."""

from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_, select, true

from cortez.accounts.models import Course, CourseMember, CourseRole, Role, User
from cortez.accounts.repository import led_courses, taught_courses
from cortez.activities.models import Activity, ActivityStatus
from cortez.db import holds, utc_now, within
from cortez.errors import Conflict, Forbidden, Invalid
from cortez.repository import Repository
from cortez.security import Principal
from cortez.transitions import Transitions, after

TRANSITIONS: Transitions = {
    "publish": ({ActivityStatus.DRAFT, ActivityStatus.ARCHIVED}, ActivityStatus.ACTIVE),
    "archive": ({ActivityStatus.DRAFT, ActivityStatus.ACTIVE}, ActivityStatus.ARCHIVED),
}


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
        mine = self.select(Activity.id).where(Activity.id == activity.id, owned_activities(self.principal))
        if not self.principal.is_admin and await self.session.scalar(mine) is None:
            raise Forbidden(None, "Only the teacher of an activity may change it, while they teach its course.")
        return activity

    async def check_teacher(self, teacher_id: UUID, course_id: str | None) -> None:
        """Raises Invalid where the activity cannot be theirs: no teacher's account, or none of the course."""
        teaches = select(User.id).where(User.id == teacher_id, User.is_active.is_(True))
        if course_id is None:
            teaches = teaches.where(holds(User.roles, Role.TEACHER.value))
        else:
            members = select(CourseMember.user_id).where(CourseMember.course_id == course_id)
            teaches = teaches.where(User.id.in_(members.where(CourseMember.role == CourseRole.TEACHER)))
        if await self.session.scalar(teaches) is None:
            said = "An activity is given to an active teacher, in a course to one of its teachers."
            raise Invalid.at("/teacher_id", said, "TEACHER_NOT_ALLOWED")

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

"""Queries of activities, and which of them a principal may see."""

from uuid import UUID

from sqlalchemy import ColumnElement, select

from cortez.accounts.access import led_courses
from cortez.accounts.models import Course, CourseMember, CourseRole, Role, User
from cortez.activities.access import owned_activities, visible_activities
from cortez.activities.models import Activity, ActivityStatus
from cortez.clock import utc_now
from cortez.core.db.expressions import holds
from cortez.core.db.repository import Repository
from cortez.core.lifecycle import Transitions, after
from cortez.errors import Conflict, Forbidden, Invalid

TRANSITIONS: Transitions = {
    "publish": ({ActivityStatus.DRAFT, ActivityStatus.ARCHIVED}, ActivityStatus.ACTIVE),
    "archive": ({ActivityStatus.DRAFT, ActivityStatus.ACTIVE}, ActivityStatus.ARCHIVED),
}


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

"""Who may see and change what."""

from typing import TypeVar

from sqlalchemy import ColumnElement, Select, and_, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.access import led_courses, taught_courses
from cortez.accounts.models import CourseMember, CourseRole, User
from cortez.accounts.repository import hold_account
from cortez.activities.access import owned_activities
from cortez.activities.models import Activity
from cortez.core.db.base import Base
from cortez.core.db.repository import Repository, refuse_erased
from cortez.core.db.types import AnyColumn
from cortez.core.security.principal import Principal
from cortez.core.web.guards import allow
from cortez.errors import Forbidden, Invalid, NotFound
from cortez.sessions.models import LearningSession

M = TypeVar("M", bound=Base)


def taught_activities(principal: Principal) -> Select[str]:
    """The keys of the activities that a person owns, or that belong to a course they teach."""
    mine = or_(owned_activities(principal), Activity.course_id.in_(taught_courses(principal)))
    return select(Activity.activity_id).where(mine)


def led_activities(principal: Principal) -> Select[str]:
    """The keys of the activities that a person owns, or that belong to a course they teach, not only tutor."""
    mine = or_(owned_activities(principal), Activity.course_id.in_(led_courses(principal)))
    return select(Activity.activity_id).where(mine)


async def require_led_activity(session: AsyncSession, principal: Principal, activity_id: str) -> None:
    """Raises NotFound where it is no activity that the principal teaches, Forbidden where they only tutor it."""
    await require_activity(session, principal, activity_id)
    mine = select(Activity.id).where(
        Activity.activity_id == activity_id, Activity.activity_id.in_(led_activities(principal))
    )
    if not principal.is_admin and await session.scalar(mine) is None:
        raise Forbidden(None, "Only a teacher of the activity's course may do this.")


async def require_activity(session: AsyncSession, principal: Principal, activity_id: str) -> None:
    """Raises NotFound where it is no activity that the principal teaches."""
    known = select(Activity.id).where(Activity.activity_id == activity_id)
    if not principal.is_admin:
        known = known.where(Activity.activity_id.in_(taught_activities(principal)))
    if await session.scalar(known) is None:
        raise NotFound("activity", activity_id)


def require_place(activity_id: str | None, course_id: str | None) -> None:
    """Raises Invalid (COURSE_REQUIRED) where neither is named."""
    if activity_id is None and course_id is None:
        raise Invalid.at("/course_id", "Name the course, or the activity, that this is about.", "COURSE_REQUIRED")


async def require_student(
    session: AsyncSession, principal: Principal, student_id: str, activity_id: str | None, course_id: str | None
) -> None:
    """Raises Invalid (STUDENT_NOT_IN_COURSE) for who is no student of the course and never worked in it.

    Without a course: for who never worked in the activity. Only an admin writes about themselves.
    Raises Conflict (STUDENT_ERASED) for the pseudonym of who was erased.
    """
    refuse_erased(student_id)
    await hold_account(session, student_id)
    mine = principal.student_id == student_id and not principal.is_admin
    if mine or not await session.scalar(select(belongs(student_id, activity_id, course_id))):
        detail = "There is no such student in this course, or with a session in this activity."
        raise Invalid.at("/student_id", detail, "STUDENT_NOT_IN_COURSE")


def belongs(student_id: str, activity_id: str | None, course_id: str | None) -> ColumnElement[bool]:
    worked = select(LearningSession.id).where(LearningSession.student_id == student_id, work_in(activity_id, course_id))
    if course_id is None:
        return worked.exists()
    members = select(CourseMember.id).join(User, User.id == CourseMember.user_id).where(User.student_id == student_id)
    there = (CourseMember.course_id == course_id, CourseMember.role == CourseRole.STUDENT)
    return or_(members.where(*there).exists(), worked.exists())


def work_in(activity_id: str | None, course_id: str | None) -> ColumnElement[bool]:
    """The sessions of a course, or those of an activity that have none."""
    if course_id is not None:
        return LearningSession.course_id == course_id
    return and_(LearningSession.course_id.is_(None), LearningSession.activity_id == activity_id)


def about_others(student_id: AnyColumn, principal: Principal) -> ColumnElement[bool]:
    """What is written about nobody, or about somebody else than the principal."""
    own = principal.student_id
    return true() if own is None else or_(student_id.is_(None), student_id != own)


async def require_held(repository: Repository[M], entity: M, mine: ColumnElement[bool]) -> None:
    """Raises Forbidden where the condition does not hold for the entity; an admin holds every one."""
    held = repository.select(repository.model.id).where(repository.model.id == entity.id, mine)
    if not repository.principal.is_admin and await repository.session.scalar(held) is None:
        raise Forbidden(None, "Only a teacher of the course may do this.")


readers = allow("student", "tutor", "teacher")

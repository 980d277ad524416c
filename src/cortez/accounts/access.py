"""Who may see and change what."""

from sqlalchemy import Select, select

from cortez.accounts.models import (
    CourseMember,
    CourseRole,
    User,
)
from cortez.core.db.expressions import within
from cortez.core.security.principal import Principal
from cortez.core.web.guards import allow


def taught_courses(principal: Principal) -> Select[str]:
    """The courses that a person teaches or tutors."""
    roles = (CourseRole.TEACHER, CourseRole.TUTOR)
    return member_courses(principal).where(within(CourseMember.role, roles))


def led_courses(principal: Principal) -> Select[str]:
    """The courses that a person teaches. In one that they only tutor they read, whatever their account may do."""
    return member_courses(principal).where(CourseMember.role == CourseRole.TEACHER)


def member_courses(principal: Principal) -> Select[str]:
    return select(CourseMember.course_id).where(CourseMember.user_id == principal.id)


def taught_students(principal: Principal) -> Select[str | None]:
    """The keys of the students in the courses that a person teaches or tutors."""
    members = select(User.student_id).join(CourseMember, CourseMember.user_id == User.id)
    there = (CourseMember.course_id.in_(taught_courses(principal)), CourseMember.role == CourseRole.STUDENT)
    return members.where(*there, User.student_id.is_not(None))


readers = allow("student", "tutor", "teacher", "key:read")

"""Whose work may be recorded: the members of a course, and, as the operator says, students without an account."""

from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.models import CourseMember, CourseRole, User
from cortez.accounts.repository import hold_account
from cortez.accounts.student_ids import former
from cortez.errors import Conflict, FieldError, Invalid
from cortez.settings import Settings

UNKNOWN = FieldError("/student_id", "No account has this student_id. Check it: the session is kept under it.")


def not_yours(pointer: str) -> Invalid:
    return Invalid.at(pointer, "This is not a course of the student in this activity.", "COURSE_NOT_YOURS")


def not_there(course_id: str | None) -> Invalid:
    """The same whether the student has an account, has none, or had one that is gone."""
    said = "No student with this student_id may work here: enrol them in the course first."
    if course_id is None:
        said = "No account has this student_id, and sessions without one are not taken here. An admin makes accounts."
    return Invalid.at("/student_id", said, "STUDENT_NOT_IN_COURSE")


async def learner(session: AsyncSession, student_id: str, course_id: str | None) -> Any:
    """The account with this student_id, held: its `id`, and whether it `attends` the course; None if there is none."""
    member = exists().where(CourseMember.user_id == User.id, CourseMember.course_id == course_id)
    return await hold_account(session, student_id, member.label("attends"))


async def admit_unknown(
    session: AsyncSession, settings: Settings, student_id: str, course_id: str | None
) -> list[FieldError]:
    """What is to be said of a student without an account.

    Raises Invalid (STUDENT_NOT_IN_COURSE) where such are refused: unless the operator says otherwise, in a course that
    has students; in a course also where the account or the record is gone. Raises Conflict (STUDENT_ERASED) outside.
    """
    if await former(session, settings.digest_keys, [student_id]):
        if course_id is not None:
            raise not_there(course_id)
        raise Conflict("STUDENT_ERASED", "The student with this student_id was deleted or erased. Ask an admin.")
    policy = settings.unknown_students
    if policy is None:
        policy = "refuse" if await has_students(session, course_id) else "warn"
    if policy == "refuse":
        raise not_there(course_id)
    return [UNKNOWN] if policy == "warn" else []


async def has_students(session: AsyncSession, course_id: str | None) -> bool:
    there = (CourseMember.course_id == course_id, CourseMember.role == CourseRole.STUDENT)
    return course_id is not None and bool(await session.scalar(select(exists().where(*there))))

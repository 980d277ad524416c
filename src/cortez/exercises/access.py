"""Who may see and change what."""

from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.repository import hold_account
from cortez.content.access import active_subjects
from cortez.core.security.principal import Principal
from cortez.core.web.guards import allow
from cortez.errors import Forbidden, NotFound
from cortez.exercises.models import Exercise


def sees_all(principal: Principal) -> bool:
    """Whether solutions, hidden tests and unrevealed hints are shown."""
    return principal.is_teaching or principal.may("key:grading")


def open_exercises(principal: Principal) -> ColumnElement[bool]:
    if sees_all(principal):
        return true()
    return and_(Exercise.is_active.is_(True), Exercise.subject_code.in_(active_subjects()))


def living_exercises(principal: Principal) -> Select[UUID]:
    return select(Exercise.id).where(Exercise.deleted_at.is_(None), open_exercises(principal))


async def learner(session: AsyncSession, principal: Principal) -> str:
    """The student_id of the caller, whose account is locked.

    Raises Forbidden: an admin without a student's account passes the guards too. Raises NotFound where the account has
    got another student_id meanwhile.
    """
    if principal.student_id is None:
        raise Forbidden(detail="Hints and attempts belong to a student; your account is none.")
    if await hold_account(session, principal.student_id) is None:
        raise NotFound("student", principal.student_id)
    return principal.student_id


readers = allow("student", "tutor", "teacher", "key:read", "key:grading")

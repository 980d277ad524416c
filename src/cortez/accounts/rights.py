"""The rights by which a principal who teaches is given an answer."""

from sqlalchemy import literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.db.base import Base
from cortez.core.security.principal import Principal


async def rights_of(principal: Principal, session: AsyncSession) -> list[str] | None:
    """The roles of the account, and `key:role` of what belongs to its owner; None for a principal who does not teach.

    That is each course, each activity of their own outside of courses, and each subject that they look after. Tables of
    domains above are found by name: this one stands below them.
    """
    if not principal.is_teaching:
        return None
    members, activities, subjects = (
        Base.metadata.tables[name].c for name in ("course_members", "activities", "subject_teachers")
    )
    user_id = principal.user_id
    mine = union_all(
        select(members.course_id, members.role).where(members.user_id == user_id),
        select(activities.activity_id, literal("owner")).where(
            activities.teacher_id == user_id, activities.course_id.is_(None)
        ),
        select(subjects.subject_code, literal("subject")).where(subjects.user_id == user_id),
    )
    return sorted([*principal.roles, *(f"{key}:{role}" for key, role in await session.execute(mine))])

"""Student profiles: identity and the figures of the whole record. Nothing else writes them, or the figures by place."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from cortez.accounts.changes import Changed, take_changed
from cortez.accounts.models import User
from cortez.clock import utc_now
from cortez.core.db.classification import ERASED
from cortez.core.db.engine import Database
from cortez.core.db.upsert import insert_into
from cortez.profiles.figures import merged, renew
from cortez.profiles.models import StudentFigures, StudentProfile
from cortez.sessions.models import LearningSession

CHUNK = 200
LONGEST = 200  # characters of a name, or an address, in a profile

Account = dict[str, UUID | str | None]  # what a profile says by it

NO_ACCOUNT: Account = {"user_id": None, "name": None, "email": None}


async def rebuild(database: Database) -> int:
    """Work out every profile from what is stored, some at a time, each lot in a unit of its own; how many there are."""
    async with database.reading() as session:
        known = select(LearningSession.student_id).union(
            select(User.student_id).where(User.student_id.is_not(None)), select(StudentProfile.student_id)
        )
        students = sorted(await session.scalars(known))
    for start in range(0, len(students), CHUNK):
        async with database.unit() as session:
            await refresh(session, dict.fromkeys(students[start : start + CHUNK]))
    return sum(not is_forgotten(student_id) for student_id in students)


async def complete(database: Database) -> bool:
    """Work out some profiles whose figures were never kept by place; whether there are any left to work out.

    Only those of a database that an older version has filled. Processes that do this at once share the work.
    """
    worked = or_(
        StudentProfile.total_sessions > 0,
        StudentProfile.total_risks > 0,
        StudentProfile.average_competency_score.is_not(None),
    )
    figures = select(StudentFigures.id).where(StudentFigures.student_id == StudentProfile.student_id)
    lacking = select(StudentProfile.student_id).where(worked, ~figures.exists())
    async with database.reading() as session:
        if await session.scalar(lacking.limit(1)) is None:
            return False
    some = lacking.order_by(StudentProfile.student_id).limit(CHUNK)
    async with database.unit() as session:
        students = list(await session.scalars(some.with_for_update(key_share=True, skip_locked=True)))
        await refresh(session, dict.fromkeys(students))
    return bool(students)


async def follow(session: AsyncSession) -> None:
    """Bring up to date what is kept about the students that this unit of work has changed."""
    if changed := take_changed(session):
        await refresh(session, changed)


async def refresh(session: AsyncSession, changed: Changed) -> None:
    """Bring the profiles of these students up to date, by a fixed number of queries.

    The profiles are locked before anything is counted: of two units that change one student the later counts what the
    earlier has committed. What is left of the erased has no profile.
    """
    await forget(session, [one for one in changed if is_forgotten(one)])
    living = {one: changes for one, changes in changed.items() if not is_forgotten(one)}
    if not living or await renamed(session, living):
        return
    profiles, people = await locked(session, living), await accounts(session, living)
    figures = {one: changes for one, changes in living.items() if changes is None or changes}
    places = await renew(session, figures) if figures else {}
    gone = []
    for student_id, profile in profiles.items():
        person, theirs = people.get(student_id), places.get(student_id)
        if person is None and theirs is not None and not theirs:
            gone.append(profile.id)
        for name, value in {**(person or NO_ACCOUNT), **({} if theirs is None else merged(theirs))}.items():
            setattr(profile, name, value)
    await session.flush()
    if gone:
        await session.execute(delete(StudentProfile).where(StudentProfile.id.in_(gone)))


async def renamed(session: AsyncSession, changed: Changed) -> bool:
    """Bring the profile up to date by one statement, where only one student's account has changed; else False.

    Renaming is unlimited, and on SQLite it blocks every other writer, so it has to be short. A profile that already
    matches is left unchanged, and keeps its ETag.
    """
    (student_id, changes), *others = changed.items()
    if others or changes is None or changes:
        return False
    account = User.student_id == StudentProfile.student_id
    person = {
        StudentProfile.user_id: User.id,
        StudentProfile.name: func.substr(User.full_name, 1, LONGEST),
        StudentProfile.email: func.substr(User.email, 1, LONGEST),
    }
    differs = or_(*(column.is_distinct_from(value) for column, value in person.items()))
    follow = (
        update(StudentProfile)
        .where(account, StudentProfile.student_id == student_id, differs)
        .values(person)
        .returning(StudentProfile.id)
        .execution_options(synchronize_session=False)
    )
    return await session.scalar(follow) is not None


def is_forgotten(name: str) -> bool:
    return name.startswith(ERASED)


async def forget(session: AsyncSession, pseudonyms: Collection[str]) -> None:
    if pseudonyms:
        for model in (StudentFigures, StudentProfile):
            await session.execute(delete(model).where(model.student_id.in_(pseudonyms)))


async def locked(session: AsyncSession, student_ids: Collection[str]) -> dict[str, StudentProfile]:
    """The profiles, those that are missing made, held in the order of their keys until the unit ends."""
    now = utc_now()
    rows = [{"id": uuid7(), "student_id": one, "created_at": now, "updated_at": now} for one in sorted(student_ids)]
    await session.execute(
        insert_into(session, StudentProfile).on_conflict_do_nothing(index_elements=["student_id"]), rows
    )
    statement = select(StudentProfile).where(StudentProfile.student_id.in_(student_ids))
    held = statement.order_by(StudentProfile.student_id).with_for_update(key_share=True)
    found = await session.scalars(held.execution_options(populate_existing=True))
    return {profile.student_id: profile for profile in found}


async def accounts(session: AsyncSession, student_ids: Collection[str]) -> dict[str, Account]:
    columns = (User.student_id, User.id, User.full_name, User.email)
    return {
        str(row.student_id): {
            "user_id": row.id,
            "name": row.full_name and row.full_name[:LONGEST],
            "email": row.email[:LONGEST],
        }
        for row in await session.execute(select(*columns).where(User.student_id.in_(student_ids)))
    }

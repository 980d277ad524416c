"""Erasure: what is personal goes, in one unit of work; what statistics need stays, under a name that means nobody."""

from datetime import datetime
from typing import TypeVarTuple
from uuid import UUID, uuid4

from msgspec import Struct
from sqlalchemy import (
    Column,
    ColumnElement,
    CursorResult,
    Result,
    String,
    Uuid,
    and_,
    case,
    cast,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.changes import student_changed
from cortez.accounts.models import User
from cortez.accounts.student_ids import digest_of, note_former
from cortez.audit.models import SubjectKey
from cortez.core.db.audit_context import keyed_digest, new_pads
from cortez.core.db.base import Base
from cortez.core.db.classification import ERASED
from cortez.core.db.types import AnyColumn, ColumnValue, default_of
from cortez.core.db.unit_of_work import unit_of
from cortez.core.typing import JsonValue
from cortez.core.web.idempotency import IdempotencyRecord
from cortez.errors import Conflict
from cortez.git.models import GitTrace
from cortez.privacy.models import Erasure
from cortez.privacy.subjects import (
    Person,
    about_students,
    attribute,
    before_sessions,
    has_mail,
    is_about,
    mentioning,
    rows_of,
    user_is,
)
from cortez.reports.models import CourseReport
from cortez.sessions.models import LearningSession, SessionStatus
from cortez.sessions.rules import FINAL
from cortez.traces.models import CognitiveTrace

# Of a student's line in a report: its figures, and these.
KEPT = {"competency_level", "last_session_at"}


class Count(Struct, frozen=True):
    """Rows of a table that were removed, and rows that stay without what was personal in them."""

    removed: int = 0
    emptied: int = 0


Counts = dict[str, Count]
Cells = TypeVarTuple("Cells")


async def erase(session: AsyncSession, person: Person) -> Counts:
    """Erase a student, or of them what is older than `person.before`. What was touched, by table.

    The account and the sessions are held first, so that nothing new comes in meanwhile; open sessions end. The keys
    of the audit log go last: what the triggers write of this very erasure is written with them.
    """
    pseudonym = await pseudonym_of(session, person.student_id)
    await hold(session, person)
    counts: Counts = {"idempotency_records": Count(removed=await forget_answers(session, person))}
    counts["git_traces"] = Count(emptied=await forget_author(session, person))
    counts["course_reports"] = Count(emptied=await rename_in_reports(session, person, pseudonym))
    for model in about_students():
        name = model.__tablename__
        before = counts.get(name, Count())
        if model.privacy.removed:
            gone = await session.execute(delete(model).where(rows_of(model, person)))
            counts[name] = Count(before.removed + touched(gone), before.emptied)
        else:
            values = emptied(model, pseudonym)
            kept = await session.execute(update(model).where(rows_of(model, person)).values(values))
            counts[name] = Count(before.removed, before.emptied + touched(kept))
    # The triggers gave the pseudonym a key when they first met it: its time would lead from the certificate there.
    await session.execute(delete(SubjectKey).where(SubjectKey.subject == pseudonym))
    student_changed(session, person.student_id)
    return {name: count for name, count in sorted(counts.items()) if count != Count()}


async def pseudonym_of(session: AsyncSession, student_id: str) -> str:
    """One for all rows of a student, however often some of them are forgotten: were it another each time, one student
    would count as several. It is made with the key that erasure destroys; from then on nobody can make it again.
    """
    pads = select(SubjectKey.pads).where(SubjectKey.subject == student_id)
    if (known := await session.scalar(pads)) is None:
        await make_key(session, student_id)
        known = await session.scalar(pads)
    return ERASED + str(keyed_digest(known or b"", "pseudonym")).removeprefix("hmac:")[:16]


async def make_key(session: AsyncSession, subject: str) -> None:
    """As the audit log does when it first mentions somebody; on PostgreSQL its owner alone may."""
    if not unit_of(session).is_embedded:
        await session.execute(select(func.cortez_make_key(subject)))
    else:
        session.add(SubjectKey(subject=subject, alias=uuid4().hex, pads=new_pads()))
        await session.flush()


def touched(result: Result[*Cells]) -> int:
    """How many rows a statement has changed."""
    assert isinstance(result, CursorResult)  # noqa: S101 - only rows that are read come as another
    return result.rowcount


async def hold(session: AsyncSession, person: Person) -> None:
    """Lock the account and the sessions in the order of their ids, and end what is still open.

    A session ends when the last thing happened in it: the moment of the erasure would lead to what is left.
    """
    if person.user_id and person.before is None:
        await session.execute(select(User.id).where(User.id == person.user_id).with_for_update())
    mine = rows_of(LearningSession, person)
    await session.execute(select(LearningSession.id).where(mine).order_by(LearningSession.id).with_for_update())
    last = select(func.max(CognitiveTrace.created_at)).where(CognitiveTrace.session_id == LearningSession.id)
    moved = LearningSession.updated_at
    ending = {
        "status": SessionStatus.ABORTED.value,
        "end_time": case((last.scalar_subquery() > moved, last.scalar_subquery()), else_=moved),
        "updated_at": moved,
    }
    await session.execute(update(LearningSession).where(mine, LearningSession.status.not_in(FINAL)).values(ending))


def emptied(model: type[Base], pseudonym: str) -> dict[str, ColumnValue | AnyColumn]:
    """What the columns of a kept row become. The moment of the erasure is in none of them: it would lead there."""
    privacy, columns = model.privacy, model.metadata.tables[model.__tablename__].c
    values: dict[str, ColumnValue | AnyColumn] = {
        name: renamed(model, columns[name], pseudonym) for name in privacy.pseudonymise.split()
    }
    values |= {name: empty_value(columns[name]) for name in privacy.empty.split()}
    return values | {"updated_at": model.updated_at}


def renamed(model: type[Base], column: Column[str], pseudonym: str) -> ColumnValue | AnyColumn:
    if column.name == "student_id":
        return pseudonym
    if isinstance(column.type, Uuid):
        return None
    own: ColumnElement[str] = func.substr(cast(model.id, String), 1, getattr(column.type, "length", None))
    return case((column.is_(None), None), else_=own)


def empty_value(column: Column[str]) -> ColumnValue:
    if column.nullable:
        return None
    value: ColumnValue = "" if column.default is None else default_of(column)
    return value


async def forget_answers(session: AsyncSession, person: Person) -> int:
    """Stored answers that name the person, whoever got them."""
    if person.before is not None:
        return 0
    body = IdempotencyRecord.body
    names = [f'"{name}"'.encode() for name in (*person.subjects, person.email) if name]
    for model in before_sessions():  # answered without a student_id, so found by the row's own id
        names += [f'"{id_}"'.encode() for id_ in await session.scalars(select(model.id).where(rows_of(model, person)))]
    if unit_of(session).is_embedded:
        found = [func.instr(body, name) > 0 for name in names]
    else:
        found = [func.strpos(func.encode(body, "hex"), name.hex()) > 0 for name in names]
    return touched(await session.execute(delete(IdempotencyRecord).where(or_(*found))))


def authored(person: Person, email: str | None) -> ColumnElement[bool]:
    """Commits with this e-mail of an author, in the history that somebody else has handed in."""
    return and_(has_mail(GitTrace.author_email, email), GitTrace.student_id != person.student_id)


async def refuse_unverified(session: AsyncSession, person: Person) -> None:
    """Raises Conflict (EMAIL_NOT_VERIFIED) where it is not known whose rows would have to be erased by the e-mail."""
    if person.is_verified or person.email is None:
        return
    named: list[tuple[type[Base], ColumnElement[bool]]] = [(GitTrace, authored(person, person.email))]
    for model in before_sessions():
        by_mail = has_mail(attribute(model, model.privacy.mail), person.email)
        named.append((model, and_(attribute(model, "session_id").is_(None), by_mail, ~user_is(model, person))))
    for model, rows in named:
        if await session.scalar(select(model.id).where(rows).limit(1)):
            message = "Launches or commits name the account's e-mail, which is not verified. Verify it, or change it."
            raise Conflict("EMAIL_NOT_VERIFIED", message)


async def forget_author(session: AsyncSession, person: Person) -> int:
    """Commits that name the person as their author, in the history that somebody else has handed in."""
    if person.before is not None or not person.verified_email:
        return 0
    theirs = authored(person, person.verified_email)
    values = {"author_name": "", "author_email": "", "updated_at": GitTrace.updated_at}
    return touched(await session.execute(update(GitTrace).where(theirs).values(values)))


async def rename_in_reports(session: AsyncSession, person: Person, pseudonym: str) -> int:
    """Their line in the lists of reports stays, under the pseudonym: its sums are part of the report's."""
    reports = list(
        await session.scalars(select(CourseReport).where(mentioning(CourseReport, person)).with_for_update())
    )
    names = CourseReport.privacy.mentions.split()
    for report in reports:
        lists = {name: [rename(item, person, pseudonym) for item in getattr(report, name)] for name in names}
        values = {**lists, "updated_at": CourseReport.updated_at}
        await session.execute(update(CourseReport).where(CourseReport.id == report.id).values(values))
    return len(reports)


def rename(item: JsonValue, person: Person, pseudonym: str) -> JsonValue:
    if not is_about(item, person):
        return item
    if not isinstance(item, dict):
        return pseudonym
    figures = {name: value for name, value in item.items() if name in KEPT or not isinstance(value, str | list | dict)}
    return figures | {"student_id": pseudonym}


async def certify(session: AsyncSession, actor_id: UUID, secret: str, student_id: str, counts: Counts) -> Erasure:
    """Store that it was done. Who knows the student_id can show that it is the one, with the service's key."""
    tables = {name: {"removed": count.removed, "emptied": count.emptied} for name, count in counts.items()}
    erasure = Erasure(actor_id=actor_id, student_digest=digest_of(secret, student_id), tables=tables)
    session.add(erasure)
    await session.flush()
    await note_former(session, secret, student_id)
    return erasure


class Certificate(Struct, frozen=True, kw_only=True):
    """What was done to the data of a student, table by table; it names nothing of what is left."""

    id: UUID
    student_id: str
    erased_at: datetime
    erased_by: UUID
    tables: Counts
    said: str = (
        "What was personal has been removed or emptied. What remains are figures and times under a pseudonym that "
        "nothing but the times in the admins' audit log links to the student, and entries of that log whose key has "
        "been destroyed."
    )

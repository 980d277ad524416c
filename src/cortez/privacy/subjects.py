"""Whose a row is: the one place that reads from a model's classification how its rows lead to a student."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from unicodedata import normalize
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, Text, and_, cast, false, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from cortez.accounts.models import Role, User
from cortez.audit.models import SubjectKey
from cortez.core.db.base import Base
from cortez.core.db.classification import ERASED
from cortez.core.db.types import AnyColumn
from cortez.core.typing import JsonValue
from cortez.errors import NotFound
from cortez.sessions.models import LearningSession
from cortez.sessions.rules import FINAL


class Person(Struct, frozen=True):
    """A student by their key, and their account where they have one. `before`: only what ended before that.

    An e-mail that is not verified may be another person's, so that no row is found by it (`verified_email`).
    """

    student_id: str
    user_id: UUID | None = None
    email: str | None = None
    is_verified: bool = False
    roles: frozenset[str] = frozenset({Role.STUDENT.value})
    before: datetime | None = None

    @property
    def subjects(self) -> list[str]:
        """Under which names the audit log knows them."""
        return [self.student_id, *([str(self.user_id)] if self.user_id else [])]

    @property
    def verified_email(self) -> str | None:
        return self.email if self.is_verified else None


def models() -> Iterator[type[Base]]:
    """Every model, children before their parents."""
    by_table = {mapper.local_table: mapper.class_ for mapper in Base.registry.mappers}
    return (by_table[table] for table in reversed(Base.metadata.sorted_tables))


def attribute(model: type[Base], name: str) -> InstrumentedAttribute[Any]:
    """A column that a model's classification names."""
    found: InstrumentedAttribute[Any] = getattr(model, name)
    return found


def about_students() -> list[type[Base]]:
    """Those whose rows belong to a student; the keys that hide them in the audit log come last."""
    return [*(model for model in models() if model.privacy.by and model is not SubjectKey), SubjectKey]


def naming() -> list[type[Base]]:
    """Those whose rows name their student; sessions first, which nearly every student has.

    What others noted of one whose account was deleted is theirs to see and to have erased all the same.
    """
    named = [model for model in about_students() if model.privacy.by == "student_id"]
    return sorted(named, key=lambda model: model is not LearningSession)


def before_sessions() -> list[type[Base]]:
    """Those whose rows may come before a session, and then name a person without a student_id."""
    return [model for model in about_students() if model.privacy.user]


async def find(session: AsyncSession, student_id: str) -> Person:
    """Raises NotFound where nothing is held of them."""
    columns = (User.id, User.email, User.is_verified, User.roles)
    if row := (await session.execute(select(*columns).where(User.student_id == student_id))).one_or_none():
        return Person(student_id, row.id, row.email, row.is_verified, frozenset(row.roles))
    if not student_id.startswith(ERASED):
        for model in naming():
            held = select(model.id).where(attribute(model, "student_id") == student_id).limit(1)
            if await session.scalar(held):
                return Person(student_id)
    raise NotFound("student", student_id)


def rows_of(model: type[Base], person: Person) -> ColumnElement[bool]:
    """The person's rows of a table about students, as its classification says."""
    assert model.privacy.by  # noqa: S101 - see `about_students`
    column = attribute(model, model.privacy.by)
    condition: ColumnElement[bool]
    match model.privacy.by:
        case "student_id":
            condition = column == person.student_id
        case "session_id":
            condition = column.in_(sessions_of(person))
            if model.privacy.user:
                condition = or_(condition, without_session(model, person))
        case "subject":
            condition = column.in_(person.subjects)
        case _:
            condition = column == person.user_id if person.user_id else false()
    return condition if person.before is None else and_(condition, old_rows(model, person))


def without_session(model: type[Base], person: Person) -> ColumnElement[bool]:
    """Rows that no session came of, by a user elsewhere who is the person: by another row of theirs, or by mail."""
    mail = has_mail(attribute(model, model.privacy.mail), person.verified_email)
    return and_(attribute(model, "session_id").is_(None), or_(user_is(model, person), mail))


def user_is(model: type[Base], person: Person) -> ColumnElement[bool]:
    other, names = aliased(model), model.privacy.user.split()
    of_theirs = attribute(other, "session_id").in_(sessions_of(person))
    known = select(*(attribute(other, name) for name in names)).where(of_theirs)
    user = tuple_(*(attribute(model, name) for name in names))
    return user.in_(known)


def has_mail(column: AnyColumn, email: str | None) -> ColumnElement[bool]:
    """Whether it is this address, in lower or upper case, and in either Unicode form.

    `lower` of SQL folds ASCII alone on SQLite, so that the forms of other letters are given.
    """
    if not email:
        return false()
    spellings = {normalize(form, cased) for form in ("NFC", "NFD") for cased in (email.lower(), email.upper())}
    known = spellings | {one.lower() for one in spellings} | {ascii_lower(one) for one in spellings}
    return func.lower(column).in_(sorted(known))


def ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def sessions_of(person: Person) -> Select[UUID]:
    mine = select(LearningSession.id).where(LearningSession.student_id == person.student_id)
    if person.before is None:
        return mine
    return mine.where(LearningSession.status.in_(FINAL), LearningSession.end_time < person.before)


def old_rows(model: type[Base], person: Person) -> ColumnElement[bool]:
    """With a session: where that ended in time. Else by when they were stored; what an account needs stays."""
    if model is LearningSession:
        return model.id.in_(sessions_of(person))
    if model.privacy.removed and not model.privacy.ages:
        return false()
    old: ColumnElement[bool] = model.created_at < person.before
    if not hasattr(model, "session_id"):
        return old
    session_id = attribute(model, "session_id")
    return or_(session_id.in_(sessions_of(person)), and_(session_id.is_(None), old))


def mentioning(model: type[Base], person: Person) -> ColumnElement[bool]:
    """Rows about many students, among whom the person may be."""
    quoted = f'"{person.student_id}"'
    lists = [attribute(model, name) for name in model.privacy.mentions.split()]
    named = [cast(one, Text).contains(quoted, autoescape=True) for one in lists]
    return or_(false(), *named) if person.before is None else and_(or_(*named), model.created_at < person.before)


def is_about(item: JsonValue, person: Person) -> bool:
    """Whether an entry of such a list is the person's."""
    return item == person.student_id or (isinstance(item, dict) and item.get("student_id") == person.student_id)

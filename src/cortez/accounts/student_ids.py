"""Student ids that are not free: rows carry them, or they belonged to an account or a record that is gone."""

import hmac
from collections.abc import Collection
from typing import Any

from sqlalchemy import select, union
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.models import FormerStudent
from cortez.core.db.base import Base
from cortez.core.db.expressions import within
from cortez.core.db.types import AnySelect
from cortez.core.db.upsert import insert_into
from cortez.core.security.tokens import key_id
from cortez.errors import Conflict

DERIVED = frozenset({"student_profiles", "student_figures"})  # an account alone has them, too
LOOKS = "access_log"  # an account about which there is nothing else was looked at, and has no records


def digest_of(secret: str, student_id: str) -> bytes:
    """As certificates of erasure name a student: with the service's key a known student_id can be looked for."""
    return hmac.digest(secret.encode(), b"erasure:" + student_id.encode(), "sha256")


async def note_former(session: AsyncSession, secret: str, student_id: str) -> None:
    """Remember that the student_id was that of a deleted account or an erased student; twice is once."""
    statement = insert_into(session, FormerStudent).values(digest=digest_of(secret, student_id), key_id=key_id(secret))
    await session.execute(statement.on_conflict_do_nothing(index_elements=["digest"]))


async def former(session: AsyncSession, secrets: Collection[str], student_ids: Collection[str]) -> set[str]:
    """Those that belonged to an account that was deleted, or to a student who was erased.

    `secrets`: every key of the service that may have made the digests.
    """
    known = {digest_of(secret, student_id): student_id for student_id in student_ids for secret in secrets}
    if not known:
        return set()
    found = await session.scalars(select(FormerStudent.digest).where(FormerStudent.digest.in_(known)))
    return {known[digest] for digest in found}


async def refuse_former(session: AsyncSession, secrets: Collection[str], student_id: str | None) -> None:
    """Raises Conflict (STUDENT_ID_IN_USE) where a deleted account or an erased student had the student_id."""
    if student_id and await former(session, secrets, [student_id]):
        raise Conflict(
            "STUDENT_ID_IN_USE",
            "An account had this student_id that was deleted or erased. "
            "If it is the same person, send reuse_student_id: true.",
        )


async def carried(session: AsyncSession, student_ids: Collection[str], *, looks: bool = True) -> set[str]:
    """Those that rows carry besides an account, in one query; with `looks`, also those that somebody has looked at."""
    if not student_ids:
        return set()
    models = [model for model in carrying() if looks or model.__tablename__ != LOOKS]
    return set(await session.scalars(union(*(naming(model, student_ids) for model in models))))


def carrying() -> list[Any]:
    """The tables with a student_id. Rows of a session say the same as the session, and need not be asked."""
    models = (mapper.class_ for mapper in Base.registry.mappers)
    named = [model for model in models if model.privacy.by == "student_id" and model.__tablename__ not in DERIVED]
    return [model for model in named if getattr(model.__table__.c.get("session_id"), "nullable", True)]


def naming(model: Any, student_ids: Collection[str]) -> AnySelect:
    column = model.__table__.c.student_id
    return select(column).where(within(column, student_ids))

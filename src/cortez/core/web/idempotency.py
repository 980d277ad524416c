"""Idempotency keys: the first committed answer is stored with its effect, and replayed."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, Index, LargeBinary, delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from cortez.core.db.base import Base
from cortez.core.db.classification import Privacy
from cortez.core.db.errors import LOCK_TIMEOUT, sqlstate
from cortez.core.db.types import Items
from cortez.core.db.unit_of_work import unit_of
from cortez.core.db.upsert import insert_into
from cortez.errors import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from litestar.response.base import ASGIResponse
    from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent

# Returned statuses that are no final answer: repeating the request may well succeed.
NOT_STORED = {401, 408, 425, 429}


class IdempotencyRecord(Base):
    """The answer to one key of one principal on one method and path. Written in the transaction of its effect."""

    __tablename__ = "idempotency_records"
    __table_args__ = (Index("idx_idempotency_created", "created_at"), Index("idx_idempotency_user", "user_id"))
    privacy = Privacy("user_id", removed="digest fingerprint user_id status headers body rights")

    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    status: Mapped[int | None]
    headers: Mapped[bytes | None] = mapped_column(LargeBinary)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    rights: Mapped[Items | None]  # those by which the answer was given; without one of them it is not given again


Replayed: TypeAlias = "tuple[HTTPResponseStartEvent, HTTPResponseBodyEvent]"

RECORDS = IdempotencyRecord.__table__


# Returns names of rights, or None for a principal whose answers depend on none.
Rights = Callable[[AsyncSession], Awaitable[list[str] | None]]


async def no_rights(session: AsyncSession) -> None:
    return None


class Claim(msgspec.Struct, frozen=True):
    """A key as sent: `digest` says whose and where, `fingerprint` what was asked.

    `rights` finds those by which the principal is given an answer; they may end before a replay.
    """

    digest: bytes
    fingerprint: bytes
    user_id: UUID | None
    rights: Rights = no_rights

    @classmethod
    def of(
        cls,
        key: str,
        principal: str,
        user_id: UUID | None,
        target: str,
        query: bytes,
        body: bytes,
        rights: Rights = no_rights,
    ) -> "Claim":
        return cls(_digest(key, principal, target), _digest(query, body), user_id, rights)


def _digest(*parts: str | bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


async def take(session: AsyncSession, claimed: Claim) -> "Replayed | None":
    """Take the key, or give back the stored answer as messages. A parallel send waits here for the first to end.

    Raises Invalid where the key was used for another body, Conflict where the first takes too long, NotFound where the
    answer was given by a right that the principal has no more.
    """
    statement = insert_into(session, IdempotencyRecord).values(
        digest=claimed.digest, fingerprint=claimed.fingerprint, user_id=claimed.user_id
    )
    unless_known = statement.on_conflict_do_nothing(index_elements=["digest"]).returning(RECORDS.c.id)
    try:
        inserted = await session.execute(unless_known)
    except DBAPIError as error:
        # On SQLite any writer may have been in the way.
        if not unit_of(session).is_embedded and sqlstate(error) == LOCK_TIMEOUT:
            raise Conflict(
                "REQUEST_IN_PROGRESS", "This request is still being worked on. Send it again later."
            ) from None
        raise
    if inserted.one_or_none():
        return None
    stored = (
        await session.execute(
            select(RECORDS.c.fingerprint, RECORDS.c.status, RECORDS.c.headers, RECORDS.c.body, RECORDS.c.rights).where(
                RECORDS.c.digest == claimed.digest
            )
        )
    ).one()
    if stored.fingerprint != claimed.fingerprint:
        raise Invalid("IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another request. Take a new one.")
    if stored.rights and set(stored.rights).difference(await claimed.rights(session) or ()):
        raise NotFound("answer", "under this Idempotency-Key for you any more")
    return replay(stored.status, stored.headers, stored.body)


def replay(status: int, headers: bytes, body: bytes) -> "Replayed":
    begin: HTTPResponseStartEvent = {
        "type": "http.response.start",
        "status": status,
        "headers": msgspec.msgpack.decode(headers, type=list[tuple[bytes, bytes]]),
    }
    return begin, {"type": "http.response.body", "body": body, "more_body": False}


async def store(session: AsyncSession, claimed: Claim, answer: "ASGIResponse") -> None:
    """Keep the answer in the open transaction; an answer that is not final frees the key."""
    mine = RECORDS.c.digest == claimed.digest
    if answer.status_code in NOT_STORED:
        await session.execute(delete(IdempotencyRecord).where(mine))
        return
    headers = msgspec.msgpack.encode(answer.encode_headers())
    values = {"status": answer.status_code, "headers": headers, "body": answer.body}
    values["rights"] = await claimed.rights(session)
    await session.execute(update(IdempotencyRecord).where(mine).values(values))

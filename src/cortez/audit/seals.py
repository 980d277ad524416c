"""Seals of the audit log, and whether everything sealed is still as it was.

Every entry gets a leaf with the salted digest of its stored form. A seal holds the root of a Merkle tree over the
leaves since the seal before (RFC 6962, section 2.1) and a digest of itself and that seal: who changes, removes or
inserts anything sealed must remake every seal after it, and a digest noted elsewhere gives that away. What an owner of
the tables can still do unseen, as long as nobody has noted the newest digest, is just that: to remake or take off the
last seals.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    Row,
    Text,
    cast,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import NullType

from cortez.audit.models import AuditEntry, AuditLeaf, AuditSeal
from cortez.audit.seal_order import Sealed
from cortez.clock import utc_now
from cortez.core.db.base import Base
from cortez.core.db.engine import Database
from cortez.core.db.types import AnyColumn, AnySelect, ColumnValue, instant_of
from cortez.core.db.unit_of_work import unit_of

LOCK = 0x7365616C  # any number, the same for every worker
LOT = 10_000  # entries under one seal
SETTLED = timedelta(days=1)  # no transaction is open for longer
MAX_FAULTS = 100  # named in an answer
# The columns of a row as the database gives them, which may have been tampered with, of any type.
Stored: TypeAlias = Sequence[Any]
Leaves = list[tuple[Stored, Stored | None]]  # of one seal, each with its entry, where that is there
SEALED = exists().where(AuditLeaf.entry_id == AuditEntry.id)


class Fault(msgspec.Struct, frozen=True):
    """What is not as it was sealed; `id` of the entry, or of the seal."""

    kind: str
    id: str
    detail: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Whether everything sealed is as it was: `entries` under `seals`. `waiting` are not sealed yet, because a
    transaction that began before them has not ended. `head` is the digest of the newest seal, worth noting elsewhere.
    """

    intact: bool
    entries: int
    waiting: int
    seals: int
    head: str | None
    faults_found: int
    faults: list[Fault]


def raw(model: type[Base]) -> Sequence[AnyColumn]:
    """The columns as the database gives them: a changed byte must not vanish in a conversion."""
    return [
        (cast(column, Text) if isinstance(column.type, JSON) else type_coerce(column, NullType())).label(column.name)
        for column in model.__table__.columns
    ]


def stored(model: type[Base], values: Mapping[str, ColumnValue], session: AsyncSession) -> Stored:
    """The values as `raw` will read them."""
    dialect = unit_of(session).engine.dialect
    forms = []
    for column in model.__table__.columns:
        process = column.type.dialect_impl(dialect).bind_processor(dialect)
        forms.append(process(values[column.name]) if process else values[column.name])
    return forms


def canonical(values: Stored) -> bytes:
    return msgspec.json.encode([str(value) if isinstance(value, UUID) else value for value in values])


def digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash of RFC 6962 over hashed leaves."""
    if not leaves:
        return digest()
    level = list(leaves)
    while len(level) > 1:
        paired = [digest(b"\x01", *level[place : place + 2]) for place in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def leaf_hash(values: Stored) -> bytes:
    return digest(b"\x00", canonical(values))


def chained(before: bytes, values: Stored) -> bytes:
    """The digest of a seal: of the seal before and of its own columns, except the digest itself."""
    return digest(before, canonical(values))


SEALED_COLUMNS = [place for place, column in enumerate(AuditSeal.__table__.columns) if column.name != "digest"]


def without_digest(values: Stored) -> Stored:
    return [values[place] for place in SEALED_COLUMNS]


async def seal_all(database: Database) -> int:
    """Seal everything that is settled, a unit of work for each seal; how many entries."""
    total = 0
    while True:
        async with database.unit() as session:
            sealed = await seal(session)
        total += sealed
        if sealed < LOT:
            return total


async def seal(session: AsyncSession) -> int:
    """One more seal over the oldest unsealed entries, at most 10,000; how many there were. One worker at a time."""
    if not unit_of(session).is_embedded:
        await session.execute(select(func.pg_advisory_xact_lock(LOCK)))
    last = await session.scalar(select(AuditSeal).order_by(AuditSeal.number.desc()).limit(1))
    entries = (await session.execute(unsealed(session, await horizon(session)))).all()
    if not entries:
        return 0
    now, id_ = utc_now(), uuid4()
    stamps = {"created_at": now, "updated_at": now}
    leaves: list[dict[str, ColumnValue]] = [
        {"id": uuid4(), **stamps, "entry_id": UUID(str(entry.id)), "seal_id": id_, "place": place}
        | {"digest": leaf_hash(entry)}
        for place, entry in enumerate(entries)
    ]
    root = root_of([leaf_hash(stored(AuditLeaf, leaf, session)) for leaf in leaves])
    number = last.number + 1 if last else 1
    values: dict[str, ColumnValue] = {
        "id": id_,
        **stamps,
        "number": number,
        "entries": len(entries),
        "root": root,
        "digest": b"",
    }
    before = last.digest if last else b""
    values["digest"] = chained(before, without_digest(stored(AuditSeal, values, session)))
    await session.execute(insert(AuditSeal), [values])
    await session.execute(insert(AuditLeaf), leaves)
    return len(entries)


async def horizon(session: AsyncSession) -> datetime | None:
    """Nothing that was stored up to then waits for a seal any more; None where nothing was sealed.

    It lies a day before the newest seal that left nothing behind, as a full one may have done.
    """
    complete = select(AuditSeal.created_at).where(AuditSeal.entries < LOT).order_by(AuditSeal.number.desc()).limit(1)
    sealed_at = await session.scalar(complete)
    return None if sealed_at is None else sealed_at - SETTLED


def unsealed(session: AsyncSession, since: datetime | None) -> AnySelect:
    """The oldest entries without a leaf whose transactions, and all before them, have ended.

    A restored database counts its transactions from a lower number: what we see beyond the newest ended elsewhere.
    """
    statement = select(*raw(AuditEntry)).where(~SEALED)
    if since:
        statement = statement.where(AuditEntry.created_at > since)
    if not unit_of(session).is_embedded:
        snapshot = func.pg_current_snapshot()
        ends = (func.pg_snapshot_xmin(snapshot), func.pg_snapshot_xmax(snapshot))
        ended, newest = (cast(cast(end, Text), BigInteger) for end in ends)
        statement = statement.where(or_(AuditEntry.xid < ended, AuditEntry.xid >= newest))
    return statement.order_by(AuditEntry.position).limit(LOT)


async def backlog(session: AsyncSession) -> int:
    """How many entries no seal covers yet."""
    return await session.scalar(select(func.count()).select_from(AuditEntry).where(~SEALED)) or 0


async def unsealed_since(session: AsyncSession) -> tuple[int, datetime | None]:
    """How many entries wait for a seal, as far back as sealing looks, and since when the oldest does."""
    statement = select(func.count(), func.min(AuditEntry.created_at)).where(~SEALED)
    if since := await horizon(session):
        statement = statement.where(AuditEntry.created_at > since)
    entries, oldest = (await session.execute(statement)).one()
    return entries, oldest


async def verify(session: AsyncSession) -> Verification:
    """Compare every sealed entry with its leaf, every seal with its leaves, and every seal with the one before.

    An entry that has no seal and can get none, or that has a place in which it cannot have come, was put there.
    """
    faults: list[Fault] = []
    found = entries = seals = 0
    before, number, sealed, since = b"", 1, Sealed(), None
    for row in (await session.execute(select(*raw(AuditSeal)).order_by(AuditSeal.number, AuditSeal.id))).all():
        leaves = await leaves_of(session, row.id)
        wrong = [*seal_faults(row, before, number, leaves), *entry_faults(leaves), *order_faults(leaves, sealed)]
        found += len(wrong)
        faults += wrong[: MAX_FAULTS - len(faults)]
        before, number, seals, entries = bytes(row.digest), number + 1, seals + 1, entries + len(leaves)
        since = settled_by(row.created_at) if row.entries < LOT else since
    wrong = [*await loose_faults(session, sealed, since), *await gap_faults(session)]
    found += len(wrong)
    faults += wrong[: MAX_FAULTS - len(faults)]
    return Verification(
        intact=not found,
        entries=entries,
        waiting=await backlog(session),
        seals=seals,
        head=before.hex() or None,
        faults_found=found,
        faults=faults,
    )


async def leaves_of(session: AsyncSession, seal_id: UUID | str) -> Leaves:
    """The leaves of a seal in their order."""
    width = len(AuditLeaf.__table__.columns)
    statement = (
        select(*raw(AuditLeaf), *raw(AuditEntry))
        .join(AuditEntry, AuditEntry.id == AuditLeaf.entry_id, isouter=True)
        .where(type_coerce(AuditLeaf.seal_id, NullType()) == seal_id)
        .order_by(AuditLeaf.place, AuditLeaf.id)
    )
    rows = (await session.execute(statement)).all()
    return [(row[:width], row[width:] if row[width] is not None else None) for row in rows]


LEAF = {column.name: place for place, column in enumerate(AuditLeaf.__table__.columns)}
ENTRY = {column.name: place for place, column in enumerate(AuditEntry.__table__.columns)}


def seal_faults(row: Row[*tuple[Any, ...]], before: bytes, number: int, leaves: Leaves) -> Iterator[Fault]:
    if row.number != number:
        yield Fault("seal", str(row.id), f"Seal {number} is missing; this one says it is {row.number}.")
    if bytes(row.root) != root_of([leaf_hash(leaf) for leaf, _ in leaves]) or row.entries != len(leaves):
        yield Fault("seal", str(row.id), f"Seal {row.number} does not cover these {len(leaves)} entries.")
    if bytes(row.digest) != chained(before, without_digest(row)):
        yield Fault("seal", str(row.id), f"Seal {row.number} does not follow from the seal before.")


def entry_faults(leaves: Leaves) -> Iterator[Fault]:
    for leaf, entry in leaves:
        if entry is None:
            yield Fault("entry", str(leaf[LEAF["entry_id"]]), "The entry is gone.")
        elif bytes(leaf[LEAF["digest"]]) != leaf_hash(entry):
            yield Fault("entry", str(leaf[LEAF["entry_id"]]), "The entry was changed.")


def order_faults(leaves: Leaves, sealed: Sealed) -> Iterator[Fault]:
    """Of the entries of one seal, which is then counted among those that are sealed."""
    there = [entry for _, entry in leaves if entry is not None and isinstance(entry[ENTRY["position"]], int)]
    for entry in there:
        if sealed.forbids(entry[ENTRY["position"]], entry[ENTRY["xid"]]):
            yield Fault("entry", str(entry[ENTRY["id"]]), "The entry stands before others that were sealed earlier.")
    for entry in there:
        sealed.add(entry[ENTRY["position"]], entry[ENTRY["xid"]])


def settled_by(sealed_at: datetime | str | None) -> datetime | None:
    """The horizon of a seal, of its time as the database gives it; None where that is no time any more."""
    try:
        moment = sealed_at if isinstance(sealed_at, datetime) else instant_of(sealed_at)
        return None if moment is None else moment - SETTLED
    except (ValueError, OverflowError):
        return None


async def loose_faults(session: AsyncSession, sealed: Sealed, since: datetime | None) -> list[Fault]:
    """Entries without a seal that are older than what still waits for one, or come before what is sealed."""
    id_ = type_coerce(AuditEntry.id, NullType()).label("id")
    old = AuditEntry.created_at <= since if since else false()
    columns = (id_, AuditEntry.position, AuditEntry.xid, old.label("old"))
    suspect = select(*columns).where(~SEALED, or_(AuditEntry.position < sealed.highest, old))
    faults = []
    for row in await session.execute(suspect.order_by(AuditEntry.position)):
        if row.old:
            faults.append(Fault("entry", str(row.id), "The entry has no seal, though all of its time are sealed."))
        elif sealed.forbids(row.position, row.xid):
            faults.append(Fault("entry", str(row.id), "The entry has no seal, though others after it are sealed."))
    return faults


async def gap_faults(session: AsyncSession) -> list[Fault]:
    """SQLite, where no position is lost: PostgreSQL's counter also counts what is rolled back."""
    if not unit_of(session).is_embedded:
        return []
    before = func.lag(AuditEntry.position, 1, 0).over(order_by=AuditEntry.position).label("before")
    places = select(type_coerce(AuditEntry.id, NullType()).label("id"), AuditEntry.position, before).subquery()
    gaps = select(places).where(places.c.position != places.c.before + 1).order_by(places.c.position)
    return [
        Fault("entry", str(row.id), f"The entry has the position {row.position}, but the one before it {row.before}.")
        for row in await session.execute(gaps)
    ]

"""Who read what about whom, and when a key was last used: noted in memory, written in batches after the answers."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from msgspec import Struct
from sqlalchemy import insert, select, update

from cortez.accounts.models import ApiKey, User
from cortez.audit.models import AccessEntry
from cortez.clock import utc_now
from cortez.core.db.engine import Database
from cortez.core.db.types import Document
from cortez.core.security.principal import Principal
from cortez.sessions.models import LearningSession


class OfStudent(Protocol):
    student_id: str


T = TypeVar("T", bound=OfStudent)


class Reader(Struct, frozen=True):
    """Who reads, and under which student_id their own data stands."""

    kind: str
    id: UUID
    student_id: str | None


class Reads(Struct):
    """How often the same was read since it was last written."""

    first: datetime
    last: datetime
    count: int
    request_id: str


class Journal:
    """Notes reads as answers go out; `flush` writes them, in a unit of work of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.reads: dict[tuple[Reader, str, str | UUID], Reads] = {}
        self.used: dict[UUID, datetime] = {}  # keys, and when they were last used

    def note(self, principal: Principal, route: str, about: Iterable[str | UUID], request_id: str) -> None:
        """That somebody was shown data of students (by student_id) or of sessions (by id)."""
        reader, now = Reader(principal.kind, principal.id, principal.student_id), utc_now()
        if principal.is_key:
            self.used[principal.id] = now
        for subject in about:
            if subject == reader.student_id:
                continue
            known = self.reads.setdefault((reader, route, subject), Reads(now, now, 0, request_id))
            known.last, known.request_id = now, request_id
            known.count += 1

    def forget(self) -> None:
        """What was noted and not yet written."""
        self.reads.clear()
        self.used.clear()

    async def noting(
        self, lots: AsyncIterator[Sequence[T]], principal: Principal, route: str, request_id: str
    ) -> AsyncGenerator[Sequence[T]]:
        """The lots of a stream; whose they are is noted as they pass."""
        async for lot in lots:
            self.note(principal, route, {row.student_id for row in lot}, request_id)
            yield lot

    async def flush(self) -> int:
        """Write what was noted; how many entries. What cannot be written now is kept for the next time."""
        noted, self.reads = self.reads, {}
        used, self.used = self.used, {}
        if not noted and not used:
            return 0
        try:
            async with self.database.unit() as session:
                for key_id, moment in sorted(used.items()):
                    values = {"last_used_at": moment, "updated_at": ApiKey.updated_at}
                    await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(values))
                subjects = {subject for _, _, subject in noted}
                sessions = [subject for subject in subjects if isinstance(subject, UUID)]
                found = select(LearningSession.id, LearningSession.student_id).where(LearningSession.id.in_(sessions))
                owners = {row.id: row.student_id for row in await session.execute(found)}
                # Erasure may have come in between: of whom nothing is held, nothing is noted.
                named = [subject for subject in subjects if isinstance(subject, str)]
                living = set(owners.values())
                for holder in (User, LearningSession):
                    held = select(holder.student_id).where(holder.student_id.in_(named)).distinct()
                    living.update(await session.scalars(held))
                rows: dict[tuple[Reader, str, str], Document] = {}
                for (reader, route, subject), reads in noted.items():
                    student = str(owners.get(subject, subject))
                    if student in living and student != reader.student_id:
                        row = rows.setdefault((reader, route, student), row_of(reader, route, student, reads))
                        row["reads"] = max(row["reads"], reads.count)  # several sessions in one answer are one read
                if rows:
                    await session.execute(insert(AccessEntry), list(rows.values()))
        except Exception:
            self.reads, self.used = noted | self.reads, used | self.used
            raise
        return len(rows)


def row_of(reader: Reader, route: str, student_id: str, reads: Reads) -> Document:
    return {
        "actor_kind": reader.kind,
        "actor_id": reader.id,
        "student_id": student_id,
        "route": route,
        "reads": reads.count,
        "created_at": reads.first,
        "last_at": reads.last,
        "request_id": reads.request_id,
    }

"""Queries of git events: always of sessions, in the order of git's own time."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, bindparam, func, insert

from cortez.core.db.compiled_queries import once
from cortez.core.db.expressions import within
from cortez.core.db.repository import LOT, Repository, refuse_erased
from cortez.core.db.types import AnySelect, Document, ListOf
from cortez.core.security.principal import Principal
from cortez.errors import Forbidden
from cortez.git.models import GitTrace
from cortez.git.rules import NEAR, Files, NearStep
from cortez.git.schemas import GitTraceOut
from cortez.sessions.access import on_visible_session
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import SessionRepository
from cortez.sessions.rules import SessionRow
from cortez.traces.models import CognitiveTrace
from cortez.traces.repository import HAPPENED, TraceRepository

GIT = GitTrace.__table__
JUDGED = tuple(LearningSession.__table__.c[name] for name in SessionRow.__annotations__)
TRACES = CognitiveTrace.__table__
SHOWN = [GIT.c[name] for name in GitTraceOut.__struct_fields__ if name in GIT.c]
MAX_EVENTS = 2_000
MAX_STEPS = 20_000


class GitTraceRepository(Repository[GitTrace]):
    model = GitTrace
    noun = "git trace"

    def visible(self) -> ColumnElement[bool]:
        return on_visible_session(GitTrace.session_id, self.principal)

    def rows(self) -> AnySelect:
        """A statement over the columns that are shown."""
        return self.select(*SHOWN)

    async def in_order(self, session_id: UUID, names: Collection[str]) -> list[Any]:
        """These columns of the first 2,000 events of the session, by git's time, then by how they were stored."""
        statement = self.select(*(GIT.c[name] for name in names)).where(GIT.c.session_id == session_id)
        return await self.many(statement.order_by(GIT.c.timestamp, GIT.c.created_at, GIT.c.id).limit(MAX_EVENTS))

    async def count_files(self, ids: Sequence[UUID]) -> list[Files]:
        """How many files each of these events touches, and how many it and all before it do.

        Lists of files can be long: they are read a lot at a time, and of each path only its hash is kept.
        """
        known: set[int] = set()
        counts = []
        for start in range(0, len(ids), LOT):
            lot = ids[start : start + LOT]
            rows = await self.many(self.select(GIT.c.id, GIT.c.files_changed).where(GIT.c.id.in_(lot)))
            paths = {row.id: {hash(file.get("file_path")) for file in row.files_changed} for row in rows}
            for touched in (paths.get(id_, set()) for id_ in lot):  # one may be gone meanwhile
                known |= touched
                counts.append(Files(len(touched), len(known)))
        return counts

    @once
    def hashed(self) -> AnySelect:
        wanted = within(GIT.c.commit_hash, bindparam("hashes", type_=ListOf(String())))
        there = GIT.c.session_id == bindparam("session_id")
        return self.select(GIT.c.commit_hash, GIT.c.id, of=there).where(wanted)

    async def by_hashes(self, session_id: UUID, hashes: Collection[str]) -> dict[str, UUID]:
        """The ids of those commits that the session has already."""
        found = await self.run(self.hashed(), session_id=session_id, hashes=[*hashes])
        return {row.commit_hash: row.id for row in found}

    async def count_by_session(self, session_id: UUID) -> int:
        statement = self.select(func.count(GIT.c.id)).where(GIT.c.session_id == session_id)
        return await self.session.scalar(statement) or 0

    async def store(self, rows: list[Document]) -> None:
        if rows:
            await self.session.execute(insert(GitTrace), rows)

    async def steps(self, session_id: UUID, first: datetime, last: datetime) -> Sequence[NearStep]:
        """The session's first 20,000 steps near enough to the given times, in the order they happened."""
        traces = TraceRepository(self.session, self.principal)
        columns = [TRACES.c[name] for name in ("id", "interaction_type", "cognitive_state", "occurred_at")]
        statement = (
            traces.select(*columns, HAPPENED.label("happened"))
            .where(TRACES.c.session_id == session_id, HAPPENED.between(first - NEAR, last + NEAR))
            .order_by(HAPPENED, TRACES.c.id)
            .limit(MAX_STEPS)
        )
        return await self.many(statement)


class GitSessionRepository(SessionRepository):
    """The session that a history belongs to."""

    async def writable(self, session_id: UUID, *, lock: bool) -> SessionRow:
        """Raises NotFound, or Forbidden where a person would write into another's session."""
        kept = self.locking(*JUDGED) if lock else self.seen(*JUDGED)
        rows: Sequence[SessionRow] = await self.run(kept, session_ids=[session_id])
        found = self.present(rows[0] if rows else None, session_id)
        if not may_write(self.principal, found.student_id):
            raise Forbidden(None, "A student adds commits to their own sessions only.")
        refuse_erased(found.student_id)
        return found


def may_write(principal: Principal, student_id: str) -> bool:
    return principal.may("key:git") or principal.student_id == student_id

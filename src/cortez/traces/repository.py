"""Queries of cognitive traces. Rows that only pass through are read as columns of the table, not as entities."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, func, select

from cortez.database import student_changed
from cortez.db import shown, within
from cortez.paging import Page
from cortez.repository import Repository, group_by
from cortez.schemas import Listing
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import SESSIONS, WANTED, SessionRepository, on_visible_session
from cortez.sessions.rules import FINAL
from cortez.statements import once
from cortez.traces.models import CognitiveTrace
from cortez.traces.schemas import TraceFilter, TraceOut

TRACES = CognitiveTrace.metadata.tables["cognitive_traces"]
SHOWN = shown(TRACES, TraceOut, metadata="trace_metadata")

# When a step happened, as views and rules order it: what the client said, else when it was stored.
HAPPENED = func.coalesce(TRACES.c.occurred_at, TRACES.c.created_at)


class TraceRepository(Repository[CognitiveTrace]):
    model = CognitiveTrace
    noun = "trace"

    def visible(self) -> ColumnElement[bool]:
        return on_visible_session(TRACES.c.session_id, self.principal)

    @once
    def matching(self, *names: str) -> Select[Any]:
        """What is shown of the traces under these filters: fields of TraceFilter, or `session_id`, as parameters."""
        return self.select(*SHOWN).where(*(self.condition(name) for name in names))

    def condition(self, name: str) -> ColumnElement[bool]:
        if name == "course_id":
            sessions = SessionRepository(self.session, self.principal).select(SESSIONS.c.id)
            return TRACES.c.session_id.in_(sessions.where(SESSIONS.c.course_id == bindparam(name)))
        if name == "occurred_after":
            return bindparam(name, type_=HAPPENED.type) <= HAPPENED
        if name == "occurred_before":
            return bindparam(name, type_=HAPPENED.type) > HAPPENED
        if name == "stored_after":
            return TRACES.c.created_at >= bindparam(name)
        return TRACES.c[name] == bindparam(name)

    async def listed(self, wanted: TraceFilter, page: Page, **more: Any) -> Listing[TraceOut]:
        values = wanted.given() | more
        return await self.page(self.matching(*values), page, lambda row: TraceOut(*row), values=values)

    @once
    def of_sessions(self) -> Select[Any]:
        wanted = within(TRACES.c.session_id, WANTED)
        return self.select(*SHOWN, of=wanted).order_by(HAPPENED, TRACES.c.id)

    async def get_by_session_ids(self, session_ids: Collection[UUID]) -> dict[UUID, list[TraceOut]]:
        """One query for all, each session's traces in the order they happened."""
        rows = await self.run(self.of_sessions(), session_ids=[*session_ids])
        return group_by([TraceOut(*row) for row in rows], lambda trace: trace.session_id, session_ids)

    async def steps(self, session_id: UUID, limit: int) -> list[Any]:
        """State, time and share of AI of each step, in the order they happened."""
        columns = (TRACES.c.cognitive_state, TRACES.c.ai_involvement, HAPPENED.label("happened"))
        statement = self.select(*columns).where(TRACES.c.session_id == session_id)
        return list(await self.session.execute(statement.order_by(HAPPENED, TRACES.c.id).limit(limit)))

    async def analyse(self, trace: CognitiveTrace, changes: dict[str, Any]) -> CognitiveTrace:
        """Change the locked trace; what is kept about the student follows where its session has ended."""
        await self.change(trace, changes)
        ended = select(LearningSession.student_id).where(LearningSession.id == trace.session_id)
        final = LearningSession.status.in_([status.value for status in FINAL])
        student_changed(self.session, await self.session.scalar(ended.where(final)))
        return trace

    async def count_by_session(self, session_id: UUID) -> int:
        statement = select(func.count()).select_from(
            self.select(TRACES.c.id).where(TRACES.c.session_id == session_id).subquery()
        )
        return await self.session.scalar(statement) or 0

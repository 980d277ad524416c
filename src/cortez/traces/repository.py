"""Queries of cognitive traces. Rows that only pass through are read as columns of the table, not as entities."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, func, select

from cortez.database import student_changed
from cortez.db import shown
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import OnSession
from cortez.sessions.rules import FINAL
from cortez.traces.models import CognitiveTrace
from cortez.traces.schemas import TraceOut

TRACES = CognitiveTrace.metadata.tables["cognitive_traces"]
SHOWN = shown(TRACES, TraceOut, metadata="trace_metadata")

# When a step happened, as views and rules order it: what the client said, else when it was stored.
HAPPENED = func.coalesce(TRACES.c.occurred_at, TRACES.c.created_at)


class TraceRepository(OnSession[CognitiveTrace, TraceOut]):
    model = CognitiveTrace
    noun = "trace"
    out = TraceOut
    columns = SHOWN
    order = (HAPPENED, TRACES.c.id)

    def condition(self, name: str) -> ColumnElement[bool]:
        if name == "occurred_after":
            return bindparam(name, type_=HAPPENED.type) <= HAPPENED
        if name == "occurred_before":
            return bindparam(name, type_=HAPPENED.type) > HAPPENED
        if name == "stored_after":
            return TRACES.c.created_at >= bindparam(name)
        return super().condition(name)

    async def steps(self, session_id: UUID, limit: int) -> list[Any]:
        """State, time, share of AI and lateness of each step, in the order they happened."""
        columns = (TRACES.c.cognitive_state, TRACES.c.ai_involvement, TRACES.c.late, HAPPENED.label("happened"))
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

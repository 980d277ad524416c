"""Queries of cognitive traces. Rows that only pass through are read as columns of the table, not as entities."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, func, select

from cortez.core.db.base import shown
from cortez.core.db.types import Document
from cortez.sessions.changes import Counts, counts_of_steps, difference, figures_changed, millionths
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import OnSession, SessionRepository
from cortez.sessions.rules import FINAL
from cortez.traces.models import CognitiveTrace
from cortez.traces.rules import TimedStep
from cortez.traces.schemas import TraceOut

TRACES = CognitiveTrace.metadata.tables["cognitive_traces"]
SHOWN = shown(TRACES, TraceOut, metadata="trace_metadata")

# When a step happened, as views and rules order it: what the client said, else when it was stored.
HAPPENED = func.coalesce(TRACES.c.occurred_at, TRACES.c.created_at)


def counts_of(trace: CognitiveTrace) -> Counts:
    return counts_of_steps([(trace.cognitive_state, 1, millionths(trace.ai_involvement))])


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

    async def steps(self, session_id: UUID, limit: int) -> Sequence[TimedStep]:
        """State, time, share of AI and lateness of each step, in the order they happened."""
        columns = (TRACES.c.cognitive_state, TRACES.c.ai_involvement, TRACES.c.late, HAPPENED.label("happened"))
        statement = self.select(*columns).where(TRACES.c.session_id == session_id)
        return await self.many(statement.order_by(HAPPENED, TRACES.c.id).limit(limit))

    async def to_analyse(self, id_: UUID) -> tuple[CognitiveTrace, LearningSession]:
        """The trace, locked after its session: as it is being changed the session neither ends nor is erased."""
        session_id = (await self.row((TRACES.c.session_id,), id_)).session_id
        session = await SessionRepository(self.session, self.principal).get(session_id, lock=True)
        return await self.get(id_, lock=True), session

    async def analyse(self, trace: CognitiveTrace, session: LearningSession, changes: Document) -> CognitiveTrace:
        """Change the locked trace; what is kept about the student follows where its session has ended."""
        before = counts_of(trace)
        await self.change(trace, changes)
        if session.status in FINAL:
            figures_changed(self.session, session, difference(counts_of(trace), before))
        return trace

    async def count_by_session(self, session_id: UUID) -> int:
        statement = select(func.count()).select_from(
            self.select(TRACES.c.id).where(TRACES.c.session_id == session_id).subquery()
        )
        return await self.session.scalar(statement) or 0

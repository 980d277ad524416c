"""Queries of cognitive traces. Rows that only pass through are read as columns of the table, not as entities."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select

from cortez.database import student_changed
from cortez.repository import Repository, group_by
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import SessionRepository, on_visible_session
from cortez.sessions.rules import FINAL
from cortez.traces.models import CognitiveTrace
from cortez.traces.schemas import TraceFilter, TraceOut, column_of

TRACES = CognitiveTrace.__table__
SHOWN = [TRACES.c[column_of(name)] for name in TraceOut.__struct_fields__]
EQUAL = ("student_id", "activity_id", "trace_level", "interaction_type", "cognitive_state")

# When a step happened, as views and rules order it: what the client said, else when it was stored.
HAPPENED = func.coalesce(TRACES.c.occurred_at, TRACES.c.created_at)


class TraceRepository(Repository[CognitiveTrace]):
    model = CognitiveTrace
    noun = "trace"

    def visible(self) -> ColumnElement[bool]:
        return on_visible_session(CognitiveTrace.session_id, self.principal)

    def rows(self) -> Select[Any]:
        """A statement over the columns that are shown."""
        return self.select(*SHOWN)

    def matching(self, wanted: TraceFilter) -> Select[Any]:
        equal = {name: getattr(wanted, name) for name in EQUAL}
        statement = self.rows().where(*(TRACES.c[name] == value for name, value in equal.items() if value is not None))
        if wanted.course_id is not None:
            sessions = SessionRepository(self.session, self.principal).select(LearningSession.id)
            inside = sessions.where(LearningSession.course_id == wanted.course_id)
            statement = statement.where(TRACES.c.session_id.in_(inside))
        if wanted.occurred_after is not None:
            statement = statement.where(wanted.occurred_after <= HAPPENED)
        if wanted.occurred_before is not None:
            statement = statement.where(wanted.occurred_before > HAPPENED)
        return statement

    async def get_by_session_ids(self, session_ids: Collection[UUID]) -> dict[UUID, list[Any]]:
        """One query for all, each session's traces in the order they happened."""
        statement = self.rows().where(TRACES.c.session_id.in_(session_ids)).order_by(HAPPENED, TRACES.c.id)
        return group_by(await self.session.execute(statement), lambda row: row.session_id, session_ids)

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

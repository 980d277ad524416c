"""Queries of trace sequences, and the roll-up that makes one."""

import asyncio
from contextlib import aclosing
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select

from cortez.core.db.bulk_read import lots
from cortez.core.db.repository import Repository
from cortez.core.db.types import AnyColumn, AnySelect, Document
from cortez.evaluations.models import Evaluation
from cortez.risks.access import judged
from cortez.risks.models import Risk
from cortez.sequences.models import TraceSequence
from cortez.sequences.rules import SUMMARIES, Judgement, Rollup, competencies
from cortez.sessions.access import SessionKey, on_visible_session
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import SessionRepository
from cortez.traces.models import CognitiveTrace
from cortez.traces.repository import HAPPENED, TRACES

READ = ("interaction_type", "cognitive_state", "decision_justification", "strategy_type", "ai_involvement")
AT_ONCE = 200
MAX_RISKS = 200


class TraceSequenceRepository(Repository[TraceSequence]):
    model = TraceSequence
    noun = "trace sequence"

    def visible(self) -> ColumnElement[bool]:
        return on_visible_session(TraceSequence.session_id, self.principal)

    def of_session(self, session_id: UUID) -> Select[TraceSequence]:
        return self.select().where(TraceSequence.session_id == session_id)

    async def roll_up(self, session_id: UUID) -> TraceSequence:
        """A new sequence of all traces that the session has now; it is locked first, so that they are the same ones.

        Traces are streamed: their documents are summed up beside the event loop and let go, a few at a time.
        """
        session = await judged(SessionRepository(self.session, self.principal), session_id)
        rollup = Rollup()
        columns = [TRACES.c[name] for name in (*READ, *SUMMARIES.values())]
        statement = self._of(CognitiveTrace.session_id, session_id, *columns).order_by(HAPPENED, TRACES.c.id)
        async with aclosing(lots(self.session, statement, AT_ONCE)) as steps:
            async for rows in steps:
                await asyncio.to_thread(rollup.add, rows)
        found = await asyncio.to_thread(competencies, rollup.steps, await self._evaluation(session_id))
        return await self.add(
            TraceSequence(
                session_id=session.id,
                student_id=session.student_id,
                activity_id=session.activity_id,
                detected_risks=await self._risks(session_id),
                competencies=found,
                **await asyncio.to_thread(rollup.columns),
            )
        )

    def _of(self, key: SessionKey, session_id: UUID, *columns: AnyColumn) -> AnySelect:
        """Rows that hang on the session by their `key`, if it is visible."""
        seen = SessionRepository(self.session, self.principal).select(LearningSession.id)
        return select(*columns).where(key.in_(seen.where(LearningSession.id == session_id)))

    async def _risks(self, session_id: UUID) -> list[Document]:
        """The newest 200, unfounded ones left out."""
        columns = (Risk.id, Risk.risk_type, Risk.risk_level, Risk.resolution)
        statement = self._of(Risk.session_id, session_id, *columns).order_by(Risk.created_at.desc(), Risk.id.desc())
        founded = statement.where(Risk.resolution.is_distinct_from("unfounded")).limit(MAX_RISKS)
        return [
            {"id": str(row.id), "risk_type": row.risk_type, "risk_level": row.risk_level}
            for row in await self.session.execute(founded)
        ]

    async def _evaluation(self, session_id: UUID) -> Judgement | None:
        columns = (Evaluation.overall_competency_level, Evaluation.overall_score)
        statement = self._of(Evaluation.session_id, session_id, *columns)
        latest = statement.order_by(Evaluation.created_at.desc(), Evaluation.id.desc()).limit(1)
        return (await self.session.execute(latest)).one_or_none()

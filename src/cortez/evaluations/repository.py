"""Queries of evaluations, and the one place where they are stored."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select

from cortez.database import student_changed
from cortez.db import shown, within
from cortez.evaluations.models import Evaluation
from cortez.evaluations.schemas import EvaluationOut
from cortez.repository import Repository, group_by
from cortez.risks.repository import belonging
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import WANTED, on_visible_session
from cortez.statements import once
from cortez.traces.repository import HAPPENED, TRACES, TraceRepository

EVALUATIONS = Evaluation.__table__
SHOWN = shown(EVALUATIONS, EvaluationOut)
MAX_STEPS = 5_000
STEP = [
    TRACES.c[name] for name in ("id", "interaction_type", "cognitive_state", "decision_justification", "ai_involvement")
]


class EvaluationRepository(Repository[Evaluation]):
    model = Evaluation
    noun = "evaluation"

    def visible(self) -> ColumnElement[bool]:
        return on_visible_session(EVALUATIONS.c.session_id, self.principal)

    @once
    def of_sessions(self) -> Select[Any]:
        wanted = within(EVALUATIONS.c.session_id, WANTED)
        return self.select(*SHOWN, of=wanted).order_by(EVALUATIONS.c.created_at, EVALUATIONS.c.id)

    async def get_by_session_ids(self, session_ids: Collection[UUID]) -> dict[UUID, list[EvaluationOut]]:
        """One query for all, each session's evaluations in the order they were stored."""
        rows = await self.run(self.of_sessions(), session_ids=[*session_ids])
        found = [EvaluationOut(*row) for row in rows]
        return group_by(found, lambda evaluation: evaluation.session_id, session_ids)

    async def latest(self, session_id: UUID) -> Evaluation:
        statement = self.select().where(Evaluation.session_id == session_id)
        newest = statement.order_by(Evaluation.created_at.desc(), Evaluation.id.desc()).limit(1)
        return self.present(await self.session.scalar(newest), f"of session {session_id}")

    async def steps(self, session_id: UUID) -> list[Any]:
        """What an evaluation looks at of the first 5,000 steps, in the order they happened."""
        mine = TraceRepository(self.session, self.principal).select(*STEP).where(TRACES.c.session_id == session_id)
        return list(await self.session.execute(mine.order_by(HAPPENED, TRACES.c.id).limit(MAX_STEPS)))

    async def store(self, session: LearningSession, values: dict[str, Any]) -> Evaluation:
        """One more evaluation of the locked session."""
        evaluation = await self.add(Evaluation(**values, **belonging(session)))
        student_changed(self.session, session.student_id)
        return evaluation

"""Queries of evaluations, and the one place where they are stored."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func

from cortez.core.db.base import shown
from cortez.core.db.types import Document
from cortez.evaluations.models import Evaluation
from cortez.evaluations.rules import JudgedStep
from cortez.evaluations.schemas import EvaluationOut
from cortez.risks.repository import belonging
from cortez.sessions.changes import Counts, figures_changed, millionths
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import OnSession
from cortez.traces.repository import HAPPENED, TRACES, TraceRepository

EVALUATIONS = Evaluation.__table__
SHOWN = shown(EVALUATIONS, EvaluationOut)
MAX_STEPS = 5_000
STEP = [
    TRACES.c[name]
    for name in ("id", "interaction_type", "cognitive_state", "decision_justification", "ai_involvement", "late")
]


class EvaluationRepository(OnSession[Evaluation, EvaluationOut]):
    model = Evaluation
    noun = "evaluation"
    out = EvaluationOut
    columns = SHOWN
    order = (EVALUATIONS.c.created_at, EVALUATIONS.c.id)

    async def latest(self, session_id: UUID) -> Evaluation:
        statement = self.select().where(Evaluation.session_id == session_id)
        newest = statement.order_by(Evaluation.created_at.desc(), Evaluation.id.desc()).limit(1)
        return self.present(await self.session.scalar(newest), f"of session {session_id}")

    async def steps(self, session_id: UUID, *, late: bool = True) -> Sequence[JudgedStep]:
        """What an evaluation looks at of the first 5,000 steps, in the order they happened; all, or those not late."""
        mine = TraceRepository(self.session, self.principal).select(*STEP).where(TRACES.c.session_id == session_id)
        wanted = mine if late else mine.where(TRACES.c.late.is_(False))
        return await self.many(wanted.order_by(HAPPENED, TRACES.c.id).limit(MAX_STEPS))

    async def count_late(self, session_id: UUID) -> int:
        """How many steps of the session were delivered after its end."""
        mine = TraceRepository(self.session, self.principal).select(func.count())
        return await self.session.scalar(mine.where(TRACES.c.session_id == session_id, TRACES.c.late.is_(True))) or 0

    async def store(self, session: LearningSession, values: Document) -> Evaluation:
        """One more evaluation of the locked session."""
        evaluation = await self.add(Evaluation(**values, **belonging(session)))
        counts: Counts = Counter({("evaluations",): 1, ("score",): millionths(evaluation.overall_score)})
        figures_changed(self.session, session, counts, evaluation=evaluation)
        return evaluation

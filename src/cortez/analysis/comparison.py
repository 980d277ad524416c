"""The students of one activity side by side."""

from collections import defaultdict
from typing import Any

from sqlalchemy import ColumnElement, and_, func

from cortez.analysis.student_repository import (
    IS_COMMIT,
    JUSTIFIED,
    MAX_STUDENTS,
    OWN,
    STANDS,
    SessionViews,
    many,
    share,
)
from cortez.analysis.student_rules import Attending, process_score
from cortez.analysis.student_schemas import Compared, Comparison
from cortez.core.db.types import AnyColumn
from cortez.evaluations.models import Evaluation
from cortez.exercises.models import ExerciseAttempt
from cortez.git.models import GitTrace
from cortez.risks.models import Risk
from cortez.sessions.access import SessionKey
from cortez.sessions.changes import mean_of
from cortez.sessions.models import LearningSession
from cortez.traces.models import CognitiveTrace
from cortez.traces.repository import TRACES


async def compare(views: SessionViews, activity_id: str) -> Comparison:
    """Seven queries, however many students there are."""
    found = await views.students_of(activity_id)
    shown = found[:MAX_STUDENTS]
    if not shown:
        return Comparison(activity_id, [], truncated=False)
    condition = and_(
        LearningSession.activity_id == activity_id,
        LearningSession.student_id.between(shown[0].student_id, shown[-1].student_id),
    )
    facts = await facts_of(views, condition)
    states: dict[str, dict[str, int]] = defaultdict(dict)
    for row in await views.per_student(
        condition, CognitiveTrace.session_id, func.count().label("number"), by=TRACES.c.cognitive_state
    ):
        if row.cognitive_state:
            states[row.student_id][row.cognitive_state] = row.number
    students = [compared(row, facts[row.student_id], states[row.student_id]) for row in shown]
    return Comparison(activity_id, students, truncated=len(found) > MAX_STUDENTS)


async def facts_of(views: SessionViews, condition: ColumnElement[bool]) -> dict[str, dict[str, Any]]:
    """Each student's figures by name; what nobody wrote is absent."""
    asked: list[tuple[SessionKey, list[AnyColumn]]] = [
        (
            CognitiveTrace.session_id,
            [
                func.count().label("traces"),
                mean_of(TRACES.c.ai_involvement).label("ai"),
                many(OWN).label("own"),
                many(JUSTIFIED).label("justified"),
            ],
        ),
        (Risk.session_id, [many(STANDS).label("risks")]),
        (GitTrace.session_id, [many(IS_COMMIT).label("commits")]),
        (ExerciseAttempt.session_id, [func.count().label("attempts")]),
        (
            Evaluation.session_id,
            [func.count().label("evaluations"), mean_of(Evaluation.overall_score.expression).label("score")],
        ),
    ]
    facts: dict[str, dict[str, Any]] = defaultdict(dict)
    for key, columns in asked:
        for row in await views.per_student(condition, key, *columns):
            facts[row.student_id] |= row._mapping
    return facts


def compared(row: Attending, facts: dict[str, Any], states: dict[str, int]) -> Compared:
    """A student without a step has no share of the AI and no process score."""
    risks, ai, score = facts.get("risks", 0), facts.get("ai"), facts.get("score")
    return Compared(
        student_id=row.student_id,
        sessions=row.sessions,
        completed=row.completed,
        first_started=row.first_started,
        last_started=row.last_started,
        traces=facts.get("traces", 0),
        ai_involvement=None if ai is None else round(ai, 4),
        states=dict(sorted(states.items())),
        justified_share=share(facts.get("justified", 0), facts.get("own", 0)),
        risks=risks,
        commits=facts.get("commits", 0),
        attempts=facts.get("attempts", 0),
        evaluations=facts.get("evaluations", 0),
        average_score=None if score is None else round(score, 4),
        process_score=None if ai is None else process_score(ai, states, risks / row.sessions),
    )

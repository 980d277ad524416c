"""Queries of what is exported, for those who may see it."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select

from cortez.accounts.models import CourseMember, CourseRole, User
from cortez.analysis.student_rules import week_of
from cortez.core.db.classification import ERASED
from cortez.core.db.repository import Place, place_of
from cortez.core.db.types import AnySelect
from cortez.evaluations.models import Evaluation
from cortez.exercises.models import ExerciseAttempt
from cortez.exports.dimensions import MEASURED, means
from cortez.exports.rules import Group, Selection, end_of_week, monday_of
from cortez.exports.schemas import ResearchIn
from cortez.git.models import GitEventType, GitTrace
from cortez.profiles.figures import SUPPORTED
from cortez.risks.models import Risk, RiskDimension
from cortez.sessions.access import on_visible_session
from cortez.sessions.changes import mean_of
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import SessionRepository
from cortez.traces.models import InteractionType
from cortez.traces.repository import TRACES, TraceRepository
from cortez.traces.schemas import TraceFilter, TraceOut

SESSIONS = LearningSession.__table__
NO_COMMITS = (GitEventType.BRANCH_CREATE, GitEventType.BRANCH_DELETE, GitEventType.TAG)

Figures = dict[UUID, dict[str, Any]]


class TraceExports(TraceRepository):
    async def lot(self, wanted: TraceFilter, after: Place | None, size: int) -> list[TraceOut]:
        """The next traces in the order they were stored."""
        values = wanted.given()
        rows = self.in_order(self.matching(*values), descending=False, continued=after is not None)
        return await self.run(rows, TraceOut, **values, **place_of(after, size))


class ResearchRepository(SessionRepository):
    def asked(self, wanted: ResearchIn, *columns: Any) -> AnySelect:
        """Columns of the sessions that are asked for."""
        statement = self.select(*columns)
        if wanted.course_id is not None:
            statement = statement.where(SESSIONS.c.course_id == wanted.course_id)
        if wanted.activity_id is not None:
            statement = statement.where(SESSIONS.c.activity_id == wanted.activity_id)
        if wanted.period_start is not None:
            statement = statement.where(SESSIONS.c.start_time >= monday_of(wanted.period_start))
        if wanted.period_end is not None:
            statement = statement.where(SESSIONS.c.start_time < end_of_week(wanted.period_end))
        return statement

    async def activities(self, wanted: ResearchIn) -> Sequence[str]:
        """Those that the sessions asked for are about."""
        key = SESSIONS.c.activity_id
        return list(await self.session.scalars(self.asked(wanted, key).distinct().order_by(key)))

    async def selections(self, wanted: ResearchIn, limit: int | None = None) -> list[Selection]:
        """One statement, and so one moment: what is counted is what is released."""
        names = ("id", "student_id", "course_id", "activity_id", "start_time", "end_time", "trace_count")
        columns = (*(SESSIONS.c[name] for name in names), User.commission, belongs(), *latest_evaluation())
        joined = self.asked(wanted, *columns).select_from(LearningSession)
        statement = joined.outerjoin(User, User.student_id == LearningSession.student_id).limit(limit)
        return await asyncio.to_thread(selections_of, await self.many(statement))

    async def figures(self, ids: Collection[UUID]) -> Figures:
        """What hangs on these sessions in numbers, by one statement for each kind."""
        found: Figures = {id_: {} for id_ in ids}
        for row in await self.session.execute(self._of(TRACES.c.session_id, ids, *STEPS)):
            found[row.session_id] |= steps_of(row)
        risks = self._of(Risk.session_id, ids, Risk.dimension, func.count().label("number"))
        for row in await self.session.execute(risks.where(SUPPORTED).group_by(Risk.dimension)):
            found[row.session_id][f"risks_{row.dimension}"] = row.number
        commits = self._of(GitTrace.session_id, ids, func.count().label("number"))
        for row in await self.session.execute(commits.where(GitTrace.event_type.not_in(NO_COMMITS))):
            found[row.session_id]["commits"] = row.number
        tries = (func.count().label("number"), func.max(ExerciseAttempt.score).label("best"))
        for row in await self.session.execute(self._of(ExerciseAttempt.session_id, ids, *tries)):
            found[row.session_id] |= {"attempts": row.number, "best_attempt_score": row.best}
        return found

    def _of(self, session_id: Any, ids: Collection[UUID], *columns: Any) -> AnySelect:
        """Columns of rows that hang on these sessions, by session."""
        there = and_(on_visible_session(session_id, self.principal), session_id.in_(ids))
        return select(session_id.label("session_id"), *columns).where(there).group_by(session_id)


def many(kind: InteractionType) -> ColumnElement[int]:
    return func.sum(case((TRACES.c.interaction_type == kind, 1), else_=0))


STEPS = (
    mean_of(TRACES.c.ai_involvement).label("ai_share"),
    many(InteractionType.STUDENT_PROMPT).label("student_prompts"),
    many(InteractionType.AI_RESPONSE).label("ai_responses"),
    *means(),
)
# The figures of a session on which nothing hangs.
NOTHING: dict[str, Any] = {
    **dict.fromkeys(("ai_share", *MEASURED, "best_attempt_score")),
    **dict.fromkeys(("student_prompts", "ai_responses", "commits", "attempts"), 0),
    **dict.fromkeys((f"risks_{dimension}" for dimension in RiskDimension), 0),
}


def latest_evaluation() -> list[Any]:
    """Level and score of a session's latest evaluation."""
    found = select(Evaluation.id).where(Evaluation.session_id == LearningSession.id).correlate(LearningSession)
    latest = found.order_by(Evaluation.created_at.desc(), Evaluation.id.desc()).limit(1)
    columns = {"competency_level": Evaluation.overall_competency_level, "score": Evaluation.overall_score}
    return [latest.with_only_columns(column).scalar_subquery().label(name) for name, column in columns.items()]


def belongs() -> ColumnElement[bool]:
    """Whether the student is one of the session's course; true where it has none, or the student no account."""
    there = (CourseMember.course_id == LearningSession.course_id, CourseMember.user_id == User.id)
    member = exists().where(*there, CourseMember.role == CourseRole.STUDENT).correlate(LearningSession, User)
    return or_(LearningSession.course_id.is_(None), User.id.is_(None), member).label("belongs")


def selections_of(rows: Sequence[Any]) -> list[Selection]:
    return [selection_of(row) for row in rows]


def selection_of(row: Any) -> Selection:
    group = Group(
        row.course_id, row.commission or None, row.activity_id, week_of(row.start_time.date()), row.competency_level
    )
    minutes = None if row.end_time is None else max(0, int((row.end_time - row.start_time) / timedelta(minutes=1)))
    figures = {
        "trace_count": row.trace_count,
        "duration_minutes": minutes,
        "evaluation_score": rounded(row.score),
    }
    counts = bool(row.belongs) and row.trace_count > 0 and not row.student_id.startswith(ERASED)
    return Selection(row.id, row.student_id, group, figures, counts)


def steps_of(row: Any) -> dict[str, Any]:
    shares = {name: rounded(getattr(row, name)) for name in ("ai_share", *MEASURED)}
    return {**shares, "student_prompts": row.student_prompts, "ai_responses": row.ai_responses}


def rounded(value: Any) -> float | None:
    """To two decimals: a figure with more of them is nearly a name."""
    return None if value is None else round(float(value), 2)

"""Aggregates over what hangs on sessions: of one, of a student, of an activity. In a fixed number of queries."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, case, distinct, func, literal_column, or_, select, true

from cortez.accounts.access import taught_courses
from cortez.accounts.models import CourseMember, CourseRole, User
from cortez.analysis.student_rules import Attending, Day, RiskCount
from cortez.analysis.student_schemas import Deliveries, Dialogue, Late, Reasoning, Technique, Traceability
from cortez.core.db.expressions import members, utc_day
from cortez.core.db.types import AnyColumn, AnySelect
from cortez.errors import NotFound
from cortez.evaluations.models import Evaluation
from cortez.exercises.models import ExerciseAttempt
from cortez.git.models import GitEventType, GitTrace
from cortez.risks.models import Risk
from cortez.sessions.access import SessionKey
from cortez.sessions.changes import mean_of, sum_of
from cortez.sessions.models import LearningSession, SessionStatus
from cortez.sessions.repository import SessionRepository
from cortez.traces.models import STUDENT_TYPES, InteractionType
from cortez.traces.repository import HAPPENED, TRACES
from cortez.traces.rules import MIN_JUSTIFICATION

MAX_INTENTS = 50
MAX_DAYS = 20_000
MAX_STUDENTS = 1_000

NO_COMMITS = (GitEventType.BRANCH_CREATE, GitEventType.BRANCH_DELETE, GitEventType.TAG)
IS_COMMIT = GitTrace.event_type.not_in(NO_COMMITS)
STANDS = Risk.resolution.is_distinct_from("unfounded")

OWN = TRACES.c.interaction_type.in_(sorted(STUDENT_TYPES))
JUSTIFIED = and_(OWN, func.length(func.trim(TRACES.c.decision_justification)) >= MIN_JUSTIFICATION)


def many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows hold it."""
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


class SessionViews(SessionRepository):
    """Every statement is over sessions that the principal may see."""

    def within(self, condition: ColumnElement[bool]) -> Select[UUID]:
        """The ids of those sessions."""
        return self.select(LearningSession.id).where(condition)

    async def require_student(self, student_id: str) -> ColumnElement[bool]:
        """The condition for the student's sessions. Raises NotFound where neither they nor the person may be seen."""
        theirs = LearningSession.student_id == student_id
        seen = self.within(theirs).exists()
        if self.principal.student_id != student_id:
            person = select(User.id).where(User.student_id == student_id, self._known())
            if not await self.session.scalar(select(or_(seen, person.exists()))):
                raise NotFound("student", student_id)
        return theirs

    def _known(self) -> ColumnElement[bool]:
        """Whom the principal knows without a session: members of the courses they teach; an admin everybody."""
        if self.principal.is_admin:
            return User.student_id.is_not(None)
        taught = taught_courses(self.principal)
        attending = select(CourseMember.user_id).where(
            CourseMember.role == CourseRole.STUDENT, CourseMember.course_id.in_(taught)
        )
        return User.id.in_(attending)

    async def traceability(self, condition: ColumnElement[bool]) -> Traceability:
        ids = self.within(condition)
        steps = (await self.session.execute(self._steps(ids))).one()
        attempts = (await self.session.execute(self._attempts(ids))).one()
        commits = (await self.session.execute(self._commits(ids))).one()
        return Traceability(
            n1=Deliveries(attempts.number, await self._files(ids)),
            n2=Technique(commits.number, attempts.tests, attempts.passed),
            n3=Dialogue(steps.prompts, steps.responses, None if steps.ai is None else round(steps.ai, 4)),
            n4=Reasoning(
                await self._counted(ids, TRACES.c.cognitive_state),
                await self._counted(ids, TRACES.c.cognitive_intent),
                share(steps.justified, steps.own),
            ),
            late=Late(steps.late, commits.late),
        )

    def _steps(self, ids: Select[UUID]) -> AnySelect:
        return select(
            many(TRACES.c.interaction_type == InteractionType.STUDENT_PROMPT).label("prompts"),
            many(TRACES.c.interaction_type == InteractionType.AI_RESPONSE).label("responses"),
            mean_of(TRACES.c.ai_involvement).label("ai"),
            many(OWN).label("own"),
            many(JUSTIFIED).label("justified"),
            many(TRACES.c.late.is_(True)).label("late"),
        ).where(TRACES.c.session_id.in_(ids))

    def _commits(self, ids: Select[UUID]) -> AnySelect:
        columns: list[ColumnElement[int]] = [func.count().label("number"), many(GitTrace.late.is_(True)).label("late")]
        return select(*columns).where(GitTrace.session_id.in_(ids), IS_COMMIT)

    def _attempts(self, ids: Select[UUID]) -> AnySelect:
        columns: list[ColumnElement[int]] = [func.count().label("number")]
        columns += [
            func.coalesce(func.sum(column), 0).label(name)
            for name, column in (("tests", ExerciseAttempt.tests_total), ("passed", ExerciseAttempt.tests_passed))
        ]
        return select(*columns).where(ExerciseAttempt.session_id.in_(ids))

    async def _files(self, ids: Select[UUID]) -> int:
        """How many different paths the commits touch."""
        changed = members(GitTrace.files_changed).table_valued("value", name="changed")
        path: ColumnElement[str] = literal_column("changed.value ->> 'file_path'")
        statement = select(func.count(distinct(path))).select_from(GitTrace).join(changed, true())
        return await self.session.scalar(statement.where(GitTrace.session_id.in_(ids))) or 0

    async def _counted(self, ids: Select[UUID], column: ColumnElement[str]) -> dict[str, int]:
        number = func.count().label("number")
        statement = select(column, number).where(TRACES.c.session_id.in_(ids), column.is_not(None)).group_by(column)
        rows = await self.session.execute(statement.order_by(number.desc(), column).limit(MAX_INTENTS))
        return {row[0]: row.number for row in rows}

    def history(self, condition: ColumnElement[bool]) -> AnySelect:
        """Sessions with their counts, as columns."""
        session_id = LearningSession.id
        names = ("id", "activity_id", "course_id", "mode", "status", "start_time", "end_time", "created_at")
        risks = select(func.count()).where(Risk.session_id == session_id, STANDS)
        latest = (
            select(Evaluation.overall_score)
            .where(Evaluation.session_id == session_id)
            .order_by(Evaluation.created_at.desc(), Evaluation.id.desc())
            .limit(1)
        )
        commits = select(func.count()).where(GitTrace.session_id == session_id, IS_COMMIT)
        attempts = select(func.count()).where(ExerciseAttempt.session_id == session_id)
        late = select(func.count()).where(TRACES.c.session_id == session_id, TRACES.c.late.is_(True))
        ai = select(mean_of(TRACES.c.ai_involvement)).where(TRACES.c.session_id == session_id)
        return self.select(
            *(getattr(LearningSession, name) for name in names),
            LearningSession.trace_count.label("traces"),
            late.scalar_subquery().label("late"),
            ai.scalar_subquery().label("ai_involvement"),
            commits.scalar_subquery().label("commits"),
            attempts.scalar_subquery().label("attempts"),
            risks.scalar_subquery().label("risks"),
            risks.where(Risk.resolved.is_(False)).scalar_subquery().label("unresolved_risks"),
            latest.scalar_subquery().label("last_score"),
            latest.with_only_columns(Evaluation.overall_competency_level).scalar_subquery().label("last_level"),
        ).where(condition)

    async def days(self, condition: ColumnElement[bool]) -> Sequence[Day]:
        """Steps by day, session and state; of a student with more than 20,000 such groups the latest."""
        day = utc_day(HAPPENED).label("day")
        keys = (day, TRACES.c.session_id, TRACES.c.cognitive_state)
        involvement = sum_of(TRACES.c.ai_involvement).label("involvement")
        statement = select(*keys, func.count().label("traces"), involvement)
        grouped = statement.where(TRACES.c.session_id.in_(self.within(condition))).group_by(*keys)
        latest = grouped.order_by(day.desc(), TRACES.c.session_id, TRACES.c.cognitive_state).limit(MAX_DAYS)
        return await self.many(latest)

    async def risks(self, condition: ColumnElement[bool]) -> dict[UUID, int]:
        """How many risks stand in each session that has any."""
        statement = select(Risk.session_id, func.count().label("number"))
        grouped = statement.where(Risk.session_id.in_(self.within(condition)), STANDS).group_by(Risk.session_id)
        return {row.session_id: row.number for row in await self.many(grouped)}

    async def risk_counts(self, condition: ColumnElement[bool]) -> Sequence[RiskCount]:
        """Risks of those sessions by type, dimension, level and what became of them."""
        keys = (Risk.risk_type, Risk.dimension, Risk.risk_level, Risk.resolved, Risk.resolution)
        statement = select(*keys, func.count().label("number")).where(Risk.session_id.in_(self.within(condition)))
        return list(await self.session.execute(statement.group_by(*keys)))

    async def students_of(self, activity_id: str) -> Sequence[Attending]:
        """The first 1,001 students with sessions on the activity, by id."""
        student_id = LearningSession.student_id
        statement = self.select(
            student_id,
            func.count().label("sessions"),
            many(LearningSession.status == SessionStatus.COMPLETED).label("completed"),
            func.min(LearningSession.start_time).label("first_started"),
            func.max(LearningSession.start_time).label("last_started"),
        ).where(LearningSession.activity_id == activity_id)
        ordered = statement.group_by(student_id).order_by(student_id).limit(MAX_STUDENTS + 1)
        return list(await self.session.execute(ordered))

    async def per_student(
        self,
        condition: ColumnElement[bool],
        key: SessionKey,
        *columns: AnyColumn,
        by: AnyColumn | None = None,
    ) -> list[Row[*tuple[Any, ...]]]:
        """Returns figures of sessions' parts for each student (and value of `by`); their session is named by `key`."""
        keys = [LearningSession.student_id, *([by] if by is not None else [])]
        statement = self.select(*keys, *columns).join(key.class_, key == LearningSession.id)
        return list(await self.session.execute(statement.where(condition).group_by(*keys)))

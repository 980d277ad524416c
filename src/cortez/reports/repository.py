"""Queries of course reports, and the few statements that a report is computed by, whatever the size of the class."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import CTE, ColumnElement, case, false, func, select, true, union

from cortez.accounts.access import taught_courses
from cortez.accounts.models import CourseMember, CourseRole, User
from cortez.accounts.repository import MemberRepository
from cortez.analysis.student_rules import week_of
from cortez.core.db.expressions import monday_of
from cortez.core.db.repository import Repository
from cortez.core.db.types import AnySelect, stored
from cortez.errors import FieldError, Invalid
from cortez.evaluations.models import CompetencyLevel, Evaluation
from cortez.evaluations.rules import level_of
from cortez.profiles.figures import SUPPORTED
from cortez.reports.models import CourseReport, ReportType
from cortez.reports.rules import (
    Findings,
    Student,
    Week,
    by_dimension,
    by_level,
    competency_distribution,
    recommendations,
    share_of,
    top_risks,
    totals,
    trend,
)
from cortez.reports.schemas import ReportIn
from cortez.risks.models import Risk, RiskLevel
from cortez.sessions.changes import mean_of, sum_of
from cortez.sessions.models import LearningSession, SessionStatus
from cortez.sessions.repository import SessionRepository
from cortez.traces.models import CognitiveTrace

SESSIONS = LearningSession.__table__
TRACES = CognitiveTrace.__table__
MAX_STUDENTS = 5_000


class ReportRepository(Repository[CourseReport]):
    model = CourseReport
    noun = "report"

    def visible(self) -> ColumnElement[bool]:
        """The reports of the courses that one teaches."""
        if self.principal.is_admin:
            return true()
        if self.principal.is_key or not self.principal.is_teaching:
            return false()
        return CourseReport.course_id.in_(taught_courses(self.principal))

    async def compute(self, data: ReportIn) -> CourseReport:
        """A new report on sessions of the course that started in the period, its end not included."""
        await self.require_students(data.course_id, data.student_ids)
        scope = self.scope(data)
        students = await self.students(scope, data)
        findings = await self.findings(scope)
        stats = totals(students, findings)
        if data.report_type == ReportType.RISK_DASHBOARD:
            weeks = await self.weeks(scope)
            stats |= {"risks_by_dimension": by_dimension(findings), "weekly": stored(weeks), "trend": trend(weeks)}
        if data.report_type == ReportType.COMPETENCY_DISTRIBUTION:
            stats["by_activity"] = await self.activities(scope)
        top = top_risks(findings, data.report_type)
        return await self.add(
            CourseReport(
                course_id=data.course_id,
                teacher_id=self.principal.id,
                report_type=data.report_type.value,
                period_start=data.period_start,
                period_end=data.period_end,
                summary_stats={"selection": data.student_ids is not None, **stats},
                competency_distribution=competency_distribution(students),
                risk_distribution=by_level(findings),
                top_risks=top,
                student_summaries=[student.summary() for student in students],
                institutional_recommendations=recommendations(students, stats["mean_ai_share"], top),
                at_risk_students=[student.student_id for student in students if student.reasons()],
            )
        )

    def members(self, course_id: str) -> AnySelect:
        """The keys of the students who are members of the course."""
        members = MemberRepository(self.session, self.principal).select(User.student_id)
        there = (CourseMember.course_id == course_id, CourseMember.role == CourseRole.STUDENT)
        joined = members.select_from(CourseMember).join(User, User.id == CourseMember.user_id)
        return joined.where(*there, User.student_id.is_not(None))

    async def require_students(self, course_id: str, student_ids: Sequence[str] | None) -> None:
        """Raises Invalid where one of them neither belongs to the course nor ever worked in it."""
        if student_ids is None:
            return
        sessions = SessionRepository(self.session, self.principal).select(SESSIONS.c.student_id)
        worked = sessions.where(SESSIONS.c.course_id == course_id, SESSIONS.c.student_id.in_(student_ids))
        known = union(worked, self.members(course_id).where(User.student_id.in_(student_ids)))
        found = set(await self.session.scalars(known))
        missing = [
            FieldError(f"/student_ids/{index}", f"There is no student {student_id} in this course.")
            for index, student_id in enumerate(student_ids)
            if student_id not in found
        ]
        if missing:
            raise Invalid("STUDENT_NOT_IN_COURSE", missing[0].detail, missing)

    def scope(self, data: ReportIn) -> CTE:
        """The sessions that a report is about."""
        columns = [SESSIONS.c[name] for name in ("id", "student_id", "activity_id", "start_time", "status")]
        statement = SessionRepository(self.session, self.principal).select(*columns)
        statement = statement.where(
            SESSIONS.c.course_id == data.course_id,
            SESSIONS.c.start_time >= data.period_start,
            SESSIONS.c.start_time < data.period_end,
        )
        if data.student_ids is not None:
            statement = statement.where(SESSIONS.c.student_id.in_(data.student_ids))
        # Left to itself, PostgreSQL would write out what several parts read, and then not scan the traces in parallel.
        return statement.cte("scope").prefix_with("NOT MATERIALIZED", dialect="postgresql")

    async def students(self, scope: CTE, data: ReportIn) -> list[Student]:
        """Those who were asked for, else the members and those who worked in the period; a row of one statement each.

        Raises Invalid (REPORT_TOO_LARGE) where they are more than 5,000.
        """
        parts = [work(scope), steps(scope, scope.c.student_id), risks(scope), evaluations(scope)]
        subqueries = [part.subquery() for part in parts]
        first = subqueries[0]
        joined: Any = first
        for other in subqueries[1:]:
            joined = joined.outerjoin(other, other.c.key == first.c.key)
        columns = [column for part in subqueries for column in part.c if column is first.c.key or column.name != "key"]
        rows = await self.many(select(*columns).select_from(joined).limit(MAX_STUDENTS + 1))
        found = {row.key: student_of(row) for row in rows}
        members = self.members(data.course_id).limit(MAX_STUDENTS + 1)
        wanted = {*(data.student_ids or (*found, *(await self.session.scalars(members))))}
        if len(wanted) > MAX_STUDENTS:
            detail = f"A report is on {MAX_STUDENTS:,} students at most. Name some of them, or a shorter period."
            raise Invalid.at("/student_ids", detail, "REPORT_TOO_LARGE")
        return [found.get(one) or Student(student_id=one) for one in sorted(wanted)]

    async def findings(self, scope: CTE) -> list[Findings]:
        kind = (Risk.risk_type, Risk.dimension, Risk.risk_level)
        statement = select(*kind, func.count()).join(scope, scope.c.id == Risk.session_id).where(SUPPORTED)
        return [Findings(*row) for row in await self.session.execute(statement.group_by(*kind))]

    async def weeks(self, scope: CTE) -> list[Week]:
        """Only those weeks in which a session started."""
        found = select(Risk.session_id, func.count().label("risks")).join(scope, scope.c.id == Risk.session_id)
        counted = found.where(SUPPORTED).group_by(Risk.session_id).subquery()
        worked = steps(scope, scope.c.id).subquery()
        monday = monday_of(scope.c.start_time).label("monday")
        sums = [func.sum(counted.c.risks), func.sum(worked.c.steps), sum_of(worked.c.share)]
        statement = (
            select(monday, func.count(), *sums)
            .select_from(scope)
            .outerjoin(counted, counted.c.session_id == scope.c.id)
            .outerjoin(worked, worked.c.key == scope.c.id)
        )
        return [
            Week(
                week=week_of(date.fromisoformat(day)),
                sessions=count,
                risks=int(risks or 0),
                mean_ai_share=share_of(share or 0.0, int(steps or 0)),
            )
            for day, count, risks, steps, share in await self.session.execute(
                statement.group_by(monday).order_by(monday)
            )
        ]

    async def activities(self, scope: CTE) -> list[dict[str, Any]]:
        """Of each activity with evaluations: how many, their mean score, and how many on each level."""

        def on(level: CompetencyLevel) -> Any:
            return func.sum(case((Evaluation.overall_competency_level == level, 1), else_=0)).label(level.value)

        columns = (scope.c.activity_id, func.count().label("evaluations"), mean_of(Evaluation.overall_score.expression))
        statement = select(*columns, *map(on, CompetencyLevel)).join(scope, scope.c.id == Evaluation.session_id)
        grouped = statement.group_by(scope.c.activity_id).order_by(scope.c.activity_id)
        return [
            {
                "activity_id": activity_id,
                "evaluations": count,
                "mean_score": round(mean, 4),
                "levels": dict(zip((level.value for level in CompetencyLevel), levels, strict=True)),
            }
            for activity_id, count, mean, *levels in await self.session.execute(grouped)
        ]


def work(scope: CTE) -> AnySelect:
    """Sessions by student."""
    completed = func.sum(case((scope.c.status == SessionStatus.COMPLETED, 1), else_=0))
    columns = (func.count().label("sessions"), completed.label("completed"), func.max(scope.c.start_time).label("last"))
    return select(scope.c.student_id.label("key"), *columns).group_by(scope.c.student_id)


def steps(scope: CTE, key: ColumnElement[Any]) -> AnySelect:
    """Steps and the sum of the AI's shares in them, by student or by session."""
    columns = (func.count().label("steps"), sum_of(TRACES.c.ai_involvement).label("share"))
    return select(key.label("key"), *columns).join(TRACES, TRACES.c.session_id == scope.c.id).group_by(key)


def risks(scope: CTE) -> AnySelect:
    """Findings by student, those judged unfounded left out."""
    critical = (Risk.risk_level == RiskLevel.CRITICAL) & Risk.resolved.is_(False)
    columns = (func.count().label("risks"), func.sum(case((critical, 1), else_=0)).label("critical"))
    joined = select(scope.c.student_id.label("key"), *columns).join(Risk, Risk.session_id == scope.c.id)
    return joined.where(SUPPORTED).group_by(scope.c.student_id)


def evaluations(scope: CTE) -> AnySelect:
    columns = (func.count().label("evaluations"), mean_of(Evaluation.overall_score.expression).label("score"))
    joined = select(scope.c.student_id.label("key"), *columns).join(Evaluation, Evaluation.session_id == scope.c.id)
    return joined.group_by(scope.c.student_id)


def student_of(row: Any) -> Student:
    score = None if row.score is None else round(row.score, 4)
    return Student(
        student_id=row.key,
        sessions=row.sessions,
        completed_sessions=row.completed,
        traces=row.steps or 0,
        share=row.share or 0.0,
        risks=row.risks or 0,
        open_critical_risks=row.critical or 0,
        evaluations=row.evaluations or 0,
        mean_score=score,
        competency_level=None if score is None else level_of(score).value,
        last_session_at=row.last,
    )

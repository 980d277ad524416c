"""The rules of an alert scan: what each looks at, its threshold, and what it says.

An alert is an indicator that asks a person to look; its text says what was seen and what else explains it. Every rule
is one statement over whole courses that gives, for each student and course, the value seen and the ids it rests on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, String, and_, cast, exists, func, null, select

from cortez.accounts.models import CourseMember, CourseRole, User
from cortez.core.db.types import AnyColumn, AnySelect
from cortez.evaluations.models import Evaluation
from cortez.oversight.models import AlertSeverity, AlertType
from cortez.risks.models import Resolution, Risk, RiskDimension, RiskLevel
from cortez.sessions.access import SessionKey
from cortez.sessions.changes import mean_of
from cortez.sessions.models import LearningSession
from cortez.traces.models import CognitiveTrace

LOOK_BACK = timedelta(days=7)
EVIDENCE = 20  # ids in one alert
MIN_STEPS = 10  # traces below which a mean says nothing

# Rows of a rule: course_id, student_id, value, evidence (one id a row, at most EVIDENCE for each student).
Query = Callable[[datetime, ColumnElement[bool]], AnySelect]


@dataclass(frozen=True)
class Rule:
    """`seen` takes the value; `otherwise` says what else explains it."""

    name: str
    type: AlertType
    severity: AlertSeverity
    threshold: float
    title: str
    seen: str
    otherwise: str
    query: Query


def of_course(key: SessionKey, columns: Sequence[AnyColumn], courses: ColumnElement[bool]) -> AnySelect:
    """Columns of rows that hang by their `key` on sessions of these courses."""
    statement = select(LearningSession.course_id, LearningSession.student_id, *columns)
    return statement.join(key.class_, key == LearningSession.id).where(courses)


def offenders(grouped: AnySelect, rows: AnySelect) -> AnySelect:
    """Each group with its value, joined to the newest ids behind it (`rows`: course_id, student_id, evidence, at)."""
    values, behind = grouped.subquery(), rows.subquery()
    place = func.row_number().over(
        partition_by=(behind.c.course_id, behind.c.student_id), order_by=(behind.c.at.desc(), behind.c.evidence)
    )
    ranked = select(behind.c.course_id, behind.c.student_id, behind.c.evidence, place.label("place")).subquery()
    same = and_(ranked.c.course_id == values.c.course_id, ranked.c.student_id == values.c.student_id)
    statement = select(values.c.course_id, values.c.student_id, values.c.value, ranked.c.evidence)
    return statement.join(ranked, same).where(ranked.c.place <= EVIDENCE)


GROUP = (LearningSession.course_id, LearningSession.student_id)


def dependency(since: datetime, courses: ColumnElement[bool]) -> AnySelect:
    recent = func.coalesce(CognitiveTrace.occurred_at, CognitiveTrace.created_at) >= since
    share = mean_of(CognitiveTrace.ai_involvement.expression)
    grouped = of_course(CognitiveTrace.session_id, [share.label("value")], courses).where(recent).group_by(*GROUP)
    columns: list[AnyColumn] = [*GROUP, LearningSession.id.label("evidence"), LearningSession.created_at.label("at")]
    behind = select(*columns).where(courses)
    worked = exists().where(CognitiveTrace.session_id == LearningSession.id, recent)
    return offenders(grouped.having(func.count() >= MIN_STEPS, share > DEPENDENCY), behind.where(worked))


def findings(condition: ColumnElement[bool], least: int) -> Query:
    """At least so many recent findings of a kind, none of them judged unfounded."""

    def query(since: datetime, courses: ColumnElement[bool]) -> AnySelect:
        supported = func.coalesce(Risk.resolution, "") != Resolution.UNFOUNDED.value
        wanted = (condition, supported, Risk.created_at >= since)
        grouped = of_course(Risk.session_id, [func.count().label("value")], courses).where(*wanted).group_by(*GROUP)
        evidence = (Risk.id.label("evidence"), Risk.created_at.label("at"))
        behind = of_course(Risk.session_id, evidence, courses).where(*wanted)
        return offenders(grouped.having(func.count() >= least), behind)

    return query


def inactivity(since: datetime, courses: ColumnElement[bool]) -> AnySelect:
    """Students who joined before the look-back and began no session of the course in it. No ids stand behind it."""
    began = exists().where(
        LearningSession.course_id == CourseMember.course_id,
        LearningSession.student_id == User.student_id,
        LearningSession.start_time >= since,
    )
    nothing = [cast(null(), String).label(name) for name in ("value", "evidence")]
    columns: list[AnyColumn] = [CourseMember.course_id, User.student_id, *nothing]
    statement = select(*columns).join(User, User.id == CourseMember.user_id)
    idle = (CourseMember.role == CourseRole.STUDENT, CourseMember.joined_at < since, User.is_active.is_(True), ~began)
    return statement.where(*idle, User.student_id.is_not(None), courses)


def low_score(since: datetime, courses: ColumnElement[bool]) -> AnySelect:
    """The latest evaluation of the look-back, below the threshold."""
    place = func.row_number().over(partition_by=GROUP, order_by=(Evaluation.created_at.desc(), Evaluation.id.desc()))
    columns: list[AnyColumn] = [
        Evaluation.overall_score.label("value"),
        Evaluation.id.label("evidence"),
        place.label("place"),
    ]
    ranked = of_course(Evaluation.session_id, columns, courses).where(Evaluation.created_at >= since).subquery()
    shown = select(ranked.c.course_id, ranked.c.student_id, ranked.c.value, ranked.c.evidence)
    return shown.where(ranked.c.place == 1, ranked.c.value < LOW_SCORE)


DEPENDENCY, LOW_SCORE = 0.7, 3.0

RULES = (
    Rule(
        "ai_dependency_7d",
        AlertType.AI_DEPENDENCY_SPIKE,
        AlertSeverity.HIGH,
        DEPENDENCY,
        "The AI does much of the work",
        "In the last seven days the mean share of the AI in this student's steps was {value:.2f}.",
        "New material, an activity that asks for the tutor, or few own steps recorded can explain it.",
        dependency,
    ),
    Rule(
        "critical_risks_7d",
        AlertType.CRITICAL_RISK_SURGE,
        AlertSeverity.CRITICAL,
        2,
        "Several critical findings",
        "In the last seven days {value:.0f} critical findings were recorded.",
        "Findings come from rules and agents that nobody has confirmed yet; one event can cause several.",
        findings(Risk.risk_level == RiskLevel.CRITICAL, 2),
    ),
    Rule(
        "ethical_risks_7d",
        AlertType.ACADEMIC_INTEGRITY,
        AlertSeverity.HIGH,
        1,
        "A finding on academic integrity",
        "In the last seven days {value:.0f} findings of the ethical dimension were recorded.",
        "Code that was written elsewhere before, or together, looks the same; talk before you judge.",
        findings(Risk.dimension == RiskDimension.ETHICAL, 1),
    ),
    Rule(
        "no_session_7d",
        AlertType.SESSION_INACTIVITY,
        AlertSeverity.MEDIUM,
        7,
        "No session for a week",
        "This student has begun no session of the course for seven days.",
        "Illness, a break in the course, or work without the tutor can explain it.",
        inactivity,
    ),
    Rule(
        "low_score_7d",
        AlertType.LOW_COMPETENCY,
        AlertSeverity.MEDIUM,
        LOW_SCORE,
        "A low process evaluation",
        "The latest evaluation of the last seven days is {value:.1f} of 10.",
        "An evaluation looks at one session only, and at what was recorded of it.",
        low_score,
    ),
)

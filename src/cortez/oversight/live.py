"""Live alerts: computed on request from the sessions that are open, and stored nowhere."""

from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, ScalarSelect, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.clock import utc_now
from cortez.core.db.types import AnySelect, Document
from cortez.core.security.principal import Principal
from cortez.errors import NotFound
from cortez.oversight.models import AlertSeverity, TeacherIntervention
from cortez.oversight.repository import AlertRepository
from cortez.oversight.schemas import AlertOut, LiveAlert
from cortez.risks.models import Risk, RiskLevel
from cortez.sessions.access import of_others
from cortez.sessions.changes import mean_of
from cortez.sessions.models import LearningSession, SessionStatus
from cortez.sessions.repository import SessionRepository
from cortez.traces.models import CognitiveTrace

PREFIX = "alert_"
SHARE = 0.85  # mean share of the AI
LONG = timedelta(hours=2)
GOING = (SessionStatus.ACTIVE, SessionStatus.PAUSED)  # a paused session stays in sight
LEAST = {"critical": 1, "high": 2, "medium": 3}  # open findings of a level

# In the order of their weight; the first that holds gives the severity.
SEVERITY = {
    "critical_risk": AlertSeverity.CRITICAL,
    "high_risks": AlertSeverity.HIGH,
    "medium_risks": AlertSeverity.MEDIUM,
    "ai_share": AlertSeverity.HIGH,
    "long_session": AlertSeverity.MEDIUM,
}


def open_risks(level: RiskLevel) -> ScalarSelect[int]:
    statement = select(func.count()).where(Risk.session_id == LearningSession.id, Risk.resolved.is_(False))
    return statement.where(Risk.risk_level == level).correlate(LearningSession).scalar_subquery()


CRITICAL, HIGH, MEDIUM = (open_risks(level) for level in (RiskLevel.CRITICAL, RiskLevel.HIGH, RiskLevel.MEDIUM))
MEAN = (
    select(func.coalesce(mean_of(CognitiveTrace.ai_involvement.expression), 0.0))
    .where(CognitiveTrace.session_id == LearningSession.id)
    .correlate(LearningSession)
    .scalar_subquery()
)


class Watched(Protocol):
    """A row of the columns that `watched` selects."""

    id: UUID
    student_id: str
    activity_id: str
    course_id: str | None
    status: SessionStatus  # as a text, which equals it
    created_at: datetime
    start_time: datetime
    critical: int
    high: int
    medium: int
    share: float
    handled: bool


def watched(sessions: SessionRepository, now: datetime, *, acknowledged: bool) -> AnySelect:
    """Sessions that go on, paused ones too, and call for a look; those with an intervention only where asked for."""
    handled = exists().where(TeacherIntervention.session_id == LearningSession.id).where(is_live_alert())
    columns = (
        *(
            LearningSession.__table__.c[name]
            for name in ("id", "student_id", "activity_id", "course_id", "status", "created_at", "start_time")
        ),
        CRITICAL.label("critical"),
        HIGH.label("high"),
        MEDIUM.label("medium"),
        MEAN.label("share"),
        handled.label("handled"),
    )
    calls = or_(
        LEAST["critical"] <= CRITICAL,
        LEAST["high"] <= HIGH,
        LEAST["medium"] <= MEDIUM,
        MEAN > SHARE,
        LearningSession.start_time < now - LONG,
    )
    going = (LearningSession.status.in_(GOING), of_others(sessions.principal))
    statement = sessions.select(*columns).where(*going, calls)
    return statement if acknowledged else statement.where(~handled)


def is_live_alert() -> ColumnElement[bool]:
    return TeacherIntervention.alert_id.startswith(PREFIX, autoescape=True)


def live_alert(row: Watched, now: datetime) -> LiveAlert:
    holds = {
        "critical_risk": row.critical >= LEAST["critical"],
        "high_risks": row.high >= LEAST["high"],
        "medium_risks": row.medium >= LEAST["medium"],
        "ai_share": row.share > SHARE,
        "long_session": row.start_time < now - LONG,
    }
    triggers = [name for name, held in holds.items() if held]
    return LiveAlert(
        id=f"{PREFIX}{row.id}",
        session_id=row.id,
        student_id=row.student_id,
        activity_id=row.activity_id,
        course_id=row.course_id,
        status=row.status,
        severity=SEVERITY[triggers[0]],
        triggers=triggers,
        critical_risks=row.critical,
        high_risks=row.high,
        medium_risks=row.medium,
        ai_share=round(row.share, 4),
        open_since=row.start_time,
        acknowledged=row.handled,
    )


async def snapshot(session: AsyncSession, principal: Principal, alert_id: str) -> Document:
    """The alert as a document. Raises NotFound where it is not there to be seen."""
    try:
        id_ = UUID(alert_id.removeprefix(PREFIX))
    except ValueError:
        raise NotFound("alert", alert_id) from None
    if not alert_id.startswith(PREFIX):
        alert = await AlertRepository(session, principal).get(id_)
        return dict(msgspec.to_builtins(AlertOut.of(alert)))
    now = utc_now()
    statement = watched(SessionRepository(session, principal), now, acknowledged=True)
    row = (await session.execute(statement.where(LearningSession.id == id_))).one_or_none()
    if row is None:
        raise NotFound("alert", alert_id)
    return dict(msgspec.to_builtins(live_alert(row, now)))

"""Student profiles, worked out in SQL from what is stored; nothing else writes these figures.

Sessions, interactions and the AI's share count ended sessions only, so that a profile is the same whenever it is made
anew. Findings that a person judged unfounded do not count.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from cortez.accounts.models import User
from cortez.database import Database
from cortez.db import utc_now, written
from cortez.evaluations.models import Evaluation
from cortez.evaluations.rules import level_of
from cortez.oversight.models import StudentProfile
from cortez.risks.models import Resolution, Risk, RiskLevel
from cortez.sessions.models import LearningSession
from cortez.sessions.rules import FINAL
from cortez.traces.models import CognitiveTrace

REMEMBERED = 20  # evaluations in a profile's competency_evolution
CHUNK = 200

ENDED = LearningSession.status.in_([status.value for status in FINAL])
SUPPORTED = func.coalesce(Risk.resolution, Resolution.CONFIRMED.value) != Resolution.UNFOUNDED.value


async def rebuild(database: Database) -> int:
    """Work out every profile anew, some at a time, each lot in a unit of its own; how many there are."""
    async with database.reading() as session:
        known = select(LearningSession.student_id).union(
            select(User.student_id).where(User.student_id.is_not(None)), select(StudentProfile.student_id)
        )
        students = sorted(await session.scalars(known))
    for start in range(0, len(students), CHUNK):
        async with database.unit() as session:
            await refresh(session, students[start : start + CHUNK])
    return len(students)


async def refresh(session: AsyncSession, student_ids: Collection[str]) -> None:
    """Work out these profiles anew, by a fixed number of queries.

    The profiles are locked before anything is counted: of two units that change one student the later counts what the
    earlier has committed.
    """
    profiles = await locked(session, student_ids)
    facts = [await fold(session, student_ids) for fold in (accounts, sessions, dependency, states, risks, evaluations)]
    gone = []
    for student_id, profile in profiles.items():
        values = dict(EMPTY)
        for fact in facts:
            values |= fact.get(student_id, {})
        if not values.pop("known"):
            gone.append(profile.id)
        for name, value in values.items():
            setattr(profile, name, value)
    await session.flush()
    if gone:
        await session.execute(delete(StudentProfile).where(StudentProfile.id.in_(gone)))


EMPTY: dict[str, Any] = {
    "known": False,
    "user_id": None,
    "name": None,
    "email": None,
    "total_sessions": 0,
    "total_interactions": 0,
    "average_ai_dependency": 0.0,
    "average_competency_level": None,
    "average_competency_score": None,
    "total_risks": 0,
    "critical_risks": 0,
    "risk_trends": {},
    "competency_evolution": [],
    "last_activity_date": None,
    "learning_patterns": {},
    "competency_levels": {},
    "strengths": [],
    "areas_for_improvement": [],
}

Facts = dict[str, dict[str, Any]]


async def locked(session: AsyncSession, student_ids: Collection[str]) -> dict[str, StudentProfile]:
    """The profiles, those that are missing made, held in the order of their keys until the unit ends."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    now = utc_now()
    rows = [{"id": uuid7(), "student_id": one, "created_at": now, "updated_at": now} for one in sorted(student_ids)]
    await session.execute(insert(StudentProfile).on_conflict_do_nothing(index_elements=["student_id"]), rows)
    statement = select(StudentProfile).where(StudentProfile.student_id.in_(student_ids))
    held = statement.order_by(StudentProfile.student_id).with_for_update(key_share=True)
    found = await session.scalars(held.execution_options(populate_existing=True))
    return {profile.student_id: profile for profile in found}


async def accounts(session: AsyncSession, student_ids: Collection[str]) -> Facts:
    columns = (User.student_id, User.id, User.full_name, User.email)
    return {
        row.student_id: {
            "known": True,
            "user_id": row.id,
            "name": row.full_name and row.full_name[:200],
            "email": row.email[:200],
        }
        for row in await session.execute(select(*columns).where(User.student_id.in_(student_ids)))
    }


async def sessions(session: AsyncSession, student_ids: Collection[str]) -> Facts:
    """How many have ended, with how many steps, and when the last one did."""
    columns = (
        LearningSession.student_id,
        func.sum(case((ENDED, 1), else_=0)).label("sessions"),
        func.sum(case((ENDED, LearningSession.trace_count), else_=0)).label("steps"),
        func.max(LearningSession.end_time).label("last"),
    )
    grouped = select(*columns).where(LearningSession.student_id.in_(student_ids)).group_by(LearningSession.student_id)
    return {
        row.student_id: {
            "known": True,
            "total_sessions": row.sessions,
            "total_interactions": row.steps,
            "last_activity_date": row.last,
        }
        for row in await session.execute(grouped)
    }


def of_sessions(model: Any, columns: Sequence[Any], student_ids: Collection[str]) -> Select[Any]:
    """Columns of rows that hang on sessions of these students."""
    joined = select(LearningSession.student_id, *columns).join(model, model.session_id == LearningSession.id)
    return joined.where(LearningSession.student_id.in_(student_ids))


async def dependency(session: AsyncSession, student_ids: Collection[str]) -> Facts:
    share = func.avg(CognitiveTrace.ai_involvement).label("share")
    statement = of_sessions(CognitiveTrace, [share], student_ids).where(ENDED).group_by(LearningSession.student_id)
    return {row.student_id: {"average_ai_dependency": round(row.share, 6)} for row in await session.execute(statement)}


async def states(session: AsyncSession, student_ids: Collection[str]) -> Facts:
    """In which states the student is found, as shares of the steps whose state is known."""
    state = CognitiveTrace.cognitive_state
    statement = of_sessions(CognitiveTrace, [state, func.count().label("steps")], student_ids)
    counts: dict[str, dict[str, int]] = {}
    known = statement.where(ENDED, state.is_not(None)).group_by(LearningSession.student_id, state).order_by(state)
    for row in await session.execute(known):
        counts.setdefault(row.student_id, {})[row.cognitive_state] = row.steps
    return {
        student_id: {"learning_patterns": {"states": {name: round(n / sum(of.values()), 4) for name, n in of.items()}}}
        for student_id, of in counts.items()
    }


async def risks(session: AsyncSession, student_ids: Collection[str]) -> Facts:
    """Totals, and by dimension how many are open and how many were confirmed."""

    def counted(condition: ColumnElement[bool]) -> Any:
        return func.sum(case((condition, 1), else_=0))

    columns = (
        Risk.dimension,
        func.count().label("total"),
        counted(Risk.risk_level == RiskLevel.CRITICAL).label("critical"),
        counted(Risk.resolved.is_(False)).label("open"),
    )
    statement = of_sessions(Risk, columns, student_ids).where(SUPPORTED)
    facts: Facts = {}
    for row in await session.execute(
        statement.group_by(LearningSession.student_id, Risk.dimension).order_by(Risk.dimension)
    ):
        fact = facts.setdefault(row.student_id, {"total_risks": 0, "critical_risks": 0, "risk_trends": {}})
        fact["total_risks"] += row.total
        fact["critical_risks"] += row.critical
        fact["risk_trends"][row.dimension] = {"open": row.open, "confirmed": row.total - row.open}
    return facts


async def evaluations(session: AsyncSession, student_ids: Collection[str]) -> Facts:
    """The mean of all scores; of the latest evaluation strengths, areas and levels; the last scores in order."""
    place = func.row_number().over(
        partition_by=LearningSession.student_id, order_by=(Evaluation.created_at.desc(), Evaluation.id.desc())
    )
    mean = func.avg(Evaluation.overall_score).over(partition_by=LearningSession.student_id)
    columns = (Evaluation.id, place.label("place"), mean.label("mean"))
    ranked = of_sessions(Evaluation, columns, student_ids).subquery()
    shown = (
        select(Evaluation, ranked.c.student_id.label("student"), ranked.c.mean)
        .join(ranked, ranked.c.id == Evaluation.id)
        .where(ranked.c.place <= REMEMBERED)
        .order_by(ranked.c.student_id, ranked.c.place.desc())
    )
    facts: Facts = {}
    for evaluation, student_id, average in await session.execute(shown):
        fact = facts.setdefault(student_id, {"competency_evolution": []})
        fact["competency_evolution"].append(point(evaluation))
        fact["average_competency_score"] = round(average, 4)
        fact["average_competency_level"] = level_of(round(average, 4)).value
        fact["strengths"] = evaluation.key_strengths
        fact["areas_for_improvement"] = evaluation.improvement_areas
        fact["competency_levels"] = levels_in(evaluation.dimensions)
    return facts


def point(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "evaluated_at": written(evaluation.created_at),
        "score": evaluation.overall_score,
        "level": evaluation.overall_competency_level,
    }


def levels_in(dimensions: Sequence[Any]) -> dict[str, str]:
    """The level of each dimension of an evaluation that has a name and a score."""
    scored = [one for one in dimensions if isinstance(one, dict) and isinstance(one.get("score"), int | float)]
    return {str(one["name"]): level_of(one["score"]).value for one in scored if "name" in one}

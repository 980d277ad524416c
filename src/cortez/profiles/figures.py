"""Sums over a student's sessions in each place, worked out in SQL, and the one way to merge them.

A place is a course, or an activity for the sessions that have no course. What a reader is shown of a student is merged
from the places that the reader may see. Sessions, steps and the AI's share count ended sessions only, so that figures
are the same whenever they are worked out again. Findings that a person judged unfounded do not count.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.clock import written
from cortez.core.db.repository import group_by
from cortez.core.db.types import AnyColumn, AnySelect, Document, Items
from cortez.evaluations.models import CompetencyLevel, Evaluation
from cortez.evaluations.rules import BANDS, level_of
from cortez.profiles.models import StudentFigures
from cortez.risks.models import Resolution, Risk, RiskLevel
from cortez.sessions.access import SessionKey
from cortez.sessions.changes import MILLION, Change, FigurePlace, in_millionths
from cortez.sessions.models import LearningSession
from cortez.sessions.rules import FINAL
from cortez.traces.models import CognitiveTrace

REMEMBERED = 20  # evaluations in a profile's competency_evolution
AT_RISK = 0.7  # mean share of the AI above which a student counts as at risk, as in alerts and reports
SHARE_DIGITS, SHARE_UNIT = 6, 1e-6  # of a mean share, as it is shown
SCORE_DIGITS, SCORE_UNIT = 4, 1e-4  # and of a mean score

ENDED = LearningSession.status.in_([status.value for status in FINAL])
SUPPORTED = func.coalesce(Risk.resolution, Resolution.CONFIRMED.value) != Resolution.UNFOUNDED.value

ACTIVITY = case((LearningSession.course_id.is_(None), LearningSession.activity_id))
PLACE = (LearningSession.student_id, LearningSession.course_id, ACTIVITY)

Facts = dict[FigurePlace, Document]
TRACES, EVALUATIONS = CognitiveTrace.__table__, Evaluation.__table__

EMPTY: Document = {
    "sessions": 0,
    "steps": 0,
    "ai_share": 0.0,
    "states": {},
    "risks": 0,
    "critical_risks": 0,
    "risk_counts": {},
    "evaluations": 0,
    "score": 0.0,
    "evolution": [],
    "latest": {},
    "last_activity_date": None,
}


async def renew(
    session: AsyncSession, changed: Mapping[str, Sequence[Change] | None]
) -> dict[str, list[StudentFigures]]:
    """The figures of these students, brought up to date. Their profiles are locked.

    What changed is added. Without a change, or where a place has no figures yet, all is worked out by a fixed number
    of queries.
    """
    wanted = StudentFigures.student_id.in_(changed)
    stored = await session.scalars(select(StudentFigures).where(wanted).execution_options(populate_existing=True))
    known: dict[FigurePlace, StudentFigures] = {(row.student_id, row.course_id, row.activity_id): row for row in stored}
    whole = [
        student_id
        for student_id, changes in changed.items()
        if changes is None or any(change.place not in known for change in changes)
    ]
    for change in (one for student_id in changed.keys() - whole for one in changed[student_id] or ()):
        add(known[change.place], change)
    there = await work_out(session, whole, known) if whole else []
    added = [row for place, row in known.items() if place[0] not in whole]
    return group_by([*there, *added], lambda row: row.student_id, changed)


def add(row: StudentFigures, change: Change) -> None:
    """What changed, on top of what is there: the same as when all is worked out from what is stored."""
    for way, number in change.counts.items():
        match way:
            case ("ai_share" | "score" as name,):
                setattr(row, name, round(getattr(row, name) + number / MILLION, SHARE_DIGITS))
            case (name,):
                setattr(row, name, getattr(row, name) + number)
            case ("states", name):
                row.states = without_zeros(row.states | {name: row.states.get(name, 0) + number})
            case ("risk_counts", dimension, kind):
                counts = {"open": 0, "confirmed": 0} | row.risk_counts.get(dimension, {})
                counts[kind] += number
                row.risk_counts = row.risk_counts | {dimension: counts}
    row.risk_counts = {name: counts for name, counts in row.risk_counts.items() if any(counts.values())}
    if change.last:
        row.last_activity_date = max(change.last, row.last_activity_date or change.last)
    if change.evaluation:
        newest = point(change.evaluation)
        row.evolution = sorted([*row.evolution, newest], key=moment_of)[-REMEMBERED:]
        if row.evolution[-1] == newest:
            row.latest = words(change.evaluation)


def without_zeros(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


async def work_out(
    session: AsyncSession, student_ids: Collection[str], stored: Mapping[FigurePlace, StudentFigures]
) -> list[StudentFigures]:
    """The figures of these students from all that they did, in the rows that are stored as far as there are any."""
    known = {place: row for place, row in stored.items() if place[0] in student_ids}
    facts = [await fold(session, student_ids) for fold in (sessions, steps, risks, evaluations)]
    kept = []
    for place in sorted(facts[0], key=str):
        row = known.pop(place, None) or StudentFigures(student_id=place[0], course_id=place[1], activity_id=place[2])
        for name, value in merge_facts(facts, place).items():
            setattr(row, name, value)
        kept.append(row)
    session.add_all(kept)
    await session.flush()
    if known:
        await session.execute(delete(StudentFigures).where(StudentFigures.id.in_([row.id for row in known.values()])))
    return kept


def merge_facts(facts: Sequence[Facts], place: FigurePlace) -> Document:
    values = dict(EMPTY)
    for fact in facts:
        values |= fact.get(place, {})
    return values


async def sessions(session: AsyncSession, student_ids: Collection[str]) -> Facts:
    """How many have ended, and when the last one did. Every place has a session; other facts are of these places."""
    ended = func.sum(case((ENDED, 1), else_=0))
    statement = select(*PLACE, ended, func.max(LearningSession.end_time))
    grouped = statement.where(LearningSession.student_id.in_(student_ids)).group_by(*PLACE)
    return {
        (student_id, course_id, activity_id): {"sessions": count, "last_activity_date": last}
        for student_id, course_id, activity_id, count, last in await session.execute(grouped)
    }


def of_sessions(key: SessionKey, columns: Sequence[AnyColumn], student_ids: Collection[str]) -> AnySelect:
    """Columns of rows that hang by their `key` on sessions of these students, after the place."""
    joined = select(*PLACE, *columns).join(key.class_, key == LearningSession.id)
    return joined.where(LearningSession.student_id.in_(student_ids))


async def steps(session: AsyncSession, student_ids: Collection[str]) -> Facts:
    """How many there are, the sum of the AI's shares in them, and how many name which state."""
    state = CognitiveTrace.cognitive_state
    columns = (state, func.count(), func.sum(in_millionths(TRACES.c.ai_involvement)))
    grouped = (
        of_sessions(CognitiveTrace.session_id, columns, student_ids)
        .where(ENDED)
        .group_by(*PLACE, state)
        .order_by(state)
    )
    facts: Facts = {}
    for *place, name, count, share in await session.execute(grouped):
        fact = facts.setdefault(place_of(place), {"steps": 0, "ai_share": 0.0, "states": {}})
        fact["steps"] += count
        fact["ai_share"] = round(fact["ai_share"] + int(share) / MILLION, SHARE_DIGITS)
        fact["states"] |= {name: count} if name else {}
    return facts


def place_of(columns: Sequence[str]) -> FigurePlace:
    student_id, course_id, activity_id = columns
    return student_id, course_id, activity_id


async def risks(session: AsyncSession, student_ids: Collection[str]) -> Facts:
    """Totals, and by dimension how many are open and how many were confirmed."""

    def counted(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((condition, 1), else_=0))

    critical, opened = counted(Risk.risk_level == RiskLevel.CRITICAL), counted(Risk.resolved.is_(False))
    statement = of_sessions(Risk.session_id, (Risk.dimension, func.count(), critical, opened), student_ids).where(
        SUPPORTED
    )
    grouped = statement.group_by(*PLACE, Risk.dimension).order_by(Risk.dimension)
    facts: Facts = {}
    for *place, dimension, total, severe, waiting in await session.execute(grouped):
        fact = facts.setdefault(place_of(place), {"risks": 0, "critical_risks": 0, "risk_counts": {}})
        fact["risks"] += total
        fact["critical_risks"] += severe
        fact["risk_counts"][dimension] = {"open": waiting, "confirmed": total - waiting}
    return facts


async def evaluations(session: AsyncSession, student_ids: Collection[str]) -> Facts:
    """How many, the sum of their scores, the last ones in order, and what the latest says."""
    newest = func.row_number().over(partition_by=PLACE, order_by=(Evaluation.created_at.desc(), Evaluation.id.desc()))
    columns = (
        Evaluation.id,
        newest.label("number"),
        func.count().over(partition_by=PLACE).label("evaluations"),
        func.sum(in_millionths(EVALUATIONS.c.overall_score)).over(partition_by=PLACE).label("score"),
    )
    ranked = of_sessions(Evaluation.session_id, columns, student_ids).subquery()
    place = (ranked.c[0], ranked.c[1], ranked.c[2])
    shown = (
        select(Evaluation, *place, ranked.c.evaluations, ranked.c.score)
        .join(ranked, ranked.c.id == Evaluation.id)
        .where(ranked.c.number <= REMEMBERED)
        .order_by(*place, ranked.c.number.desc())
    )
    facts: Facts = {}
    for evaluation, *there, count, score in await session.execute(shown):
        fact = facts.setdefault(place_of(there), {"evolution": []})
        fact["evolution"].append(point(evaluation))
        fact |= {"evaluations": count, "score": round(int(score) / MILLION, SHARE_DIGITS), "latest": words(evaluation)}
    return facts


def point(evaluation: Evaluation) -> Document:
    return {
        "id": str(evaluation.id),
        "evaluated_at": written(evaluation.created_at),
        "score": evaluation.overall_score,
        "level": evaluation.overall_competency_level,
    }


def words(evaluation: Evaluation) -> Document:
    """What a profile says by the latest evaluation."""
    return {
        "competency_levels": levels_in(evaluation.dimensions),
        "strengths": evaluation.key_strengths,
        "areas_for_improvement": evaluation.improvement_areas,
    }


def levels_in(dimensions: Items) -> dict[str, str]:
    """The level of each dimension of an evaluation that has a name and a score."""
    scored = [one for one in dimensions if isinstance(one, dict) and isinstance(one.get("score"), int | float)]
    return {str(one["name"]): level_of(one["score"]).value for one in scored if "name" in one}


def merged(places: Collection[StudentFigures]) -> Document:
    """The figures of a profile over these places of one student; without a place those of nothing."""
    steps, evaluations = sum(one.steps for one in places), sum(one.evaluations for one in places)
    share, score = sum(one.ai_share for one in places), sum(one.score for one in places)
    mean = round(score / evaluations, SCORE_DIGITS) if evaluations else None
    points = sorted((point for one in places for point in one.evolution), key=moment_of)
    latest = max((one for one in places if one.evolution), key=lambda one: moment_of(one.evolution[-1]), default=None)
    said = latest.latest if latest else {}
    return {
        "total_sessions": sum(one.sessions for one in places),
        "total_interactions": steps,
        "average_ai_dependency": round(share / steps, SHARE_DIGITS) if steps else 0.0,
        "average_competency_level": None if mean is None else level_of(mean).value,
        "average_competency_score": mean,
        "total_risks": sum(one.risks for one in places),
        "critical_risks": sum(one.critical_risks for one in places),
        "risk_trends": trends(one.risk_counts for one in places),
        "competency_evolution": [
            {name: value for name, value in point.items() if name != "id"} for point in points[-REMEMBERED:]
        ],
        "last_activity_date": max((one.last_activity_date for one in places if one.last_activity_date), default=None),
        "learning_patterns": patterns(one.states for one in places),
        "competency_levels": said.get("competency_levels", {}),
        "strengths": said.get("strengths", []),
        "areas_for_improvement": said.get("areas_for_improvement", []),
    }


def moment_of(point: Document) -> tuple[datetime, str]:
    return datetime.fromisoformat(point["evaluated_at"]), point["id"]


def trends(counts: Iterable[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """By dimension how many findings are open and how many were confirmed."""
    sums: dict[str, Counter[str]] = {}
    for by_dimension in counts:
        for dimension, found in by_dimension.items():
            sums.setdefault(dimension, Counter()).update(found)
    return {dimension: dict(found) for dimension, found in sorted(sums.items())}


def patterns(states: Iterable[dict[str, int]]) -> Document:
    """In which states the student is found, as shares of the steps whose state is known."""
    sums: Counter[str] = Counter()
    for counts in states:
        sums.update(counts)
    return {"states": {name: round(sums[name] / sums.total(), 4) for name in sorted(sums)}} if sums else {}


def is_risky() -> ColumnElement[bool]:
    """Of grouped rows: whether their merged figures call for a look. Means count as they are shown, rounded."""
    share, count = func.sum(StudentFigures.ai_share), func.sum(StudentFigures.steps)
    return or_(share > count * (AT_RISK + SHARE_UNIT / 2), func.sum(StudentFigures.critical_risks) > 0)


def is_on(level: CompetencyLevel) -> ColumnElement[bool]:
    """Of grouped rows: whether their merged mean score lies in the band of the level."""
    score, count = func.sum(StudentFigures.score), func.sum(StudentFigures.evaluations)
    least = next((least for least, band in BANDS if band == level), 0.0)
    bounds = [score >= count * (least - SCORE_UNIT / 2)]
    if higher := [other for other, _ in BANDS if other > least]:
        bounds.append(score < count * (min(higher) - SCORE_UNIT / 2))
    return and_(count > 0, *bounds)

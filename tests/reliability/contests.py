"""Writes that want the same thing: one of them gets it, or each gets the next one, and the others are told so."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from cortez.content.models import Apuntes, Subject, Unidad
from cortez.exercises.models import ExerciseHint, HintReveal
from cortez.oversight.models import RiskAlert
from cortez.risks.models import Risk
from cortez.sessions.models import LearningSession
from cortez.simulators.models import InterviewSession, SimulatorEvent
from cortez.traces.models import CognitiveTrace
from factory import Make, Someone
from forgeries import secret_of
from reliability.history import History, Write

PRIZES = 8  # of each kind: risks, alerts, hints, numbers of units, events
NOTES = 5
ALERT = {
    "alert_type": "critical_risk_surge",
    "severity": "high",
    "scope": "student",
    "title": "Look",
    "description": "x",
}


class Contest(NamedTuple):
    """What is to be had."""

    admin: str  # tokens
    student: str
    subject: str
    session: UUID
    interview: UUID
    exercise: UUID
    unit: UUID  # whose notes come and go
    fickle: UUID  # a unit that comes and goes itself
    notes: Sequence[UUID]
    risks: Sequence[UUID]
    alerts: Sequence[UUID]
    events: Sequence[UUID]


async def build(make: Make, name: str, admin: Someone, student: Someone) -> Contest:
    session = await make.session()
    hung = {"session_id": session.id, "student_id": session.student_id}
    interview = InterviewSession(**hung, interview_type="DESIGN")
    unit, fickle = (Unidad(materia_code=name, numero=number, titulo="Unit") for number in (1, PRIZES + 2))
    exercise = await make.exercise()
    alerts = [RiskAlert(**ALERT, detection_rule="manual", student_id=session.student_id) for _ in range(PRIZES)]
    hints = [ExerciseHint(exercise_id=exercise.id, hint_number=i + 1, content="x") for i in range(PRIZES)]
    await make.add(Subject(code=name, name="Subject", language="python", total_units=2), unit, fickle)
    notes = [Apuntes(unidad_id=unit.id, titulo="Note", contenido_markdown="", orden=i + 1) for i in range(NOTES)]
    await make.add(interview, *alerts, *hints, *notes)
    return Contest(
        admin=secret_of(admin),
        student=secret_of(student),
        subject=name,
        session=session.id,
        interview=interview.id,
        exercise=exercise.id,
        unit=unit.id,
        fickle=fickle.id,
        notes=[note.id for note in notes],
        risks=[(await make.risk(session)).id for _ in range(PRIZES)],
        alerts=[alert.id for alert in alerts],
        events=[UUID(str(uuid7())) for _ in range(PRIZES)],
    )


def kinds(contest: Contest, chance: random.Random) -> list[Callable[[], Write]]:
    """One maker of writes for each kind; what it makes is never the same twice, so that one can tell who won."""

    def some(ids: Sequence[UUID]) -> UUID:
        return chance.choice(ids)

    def admin(kind: str, method: str, path: str, content: Any = None, losing: str = "") -> Write:
        return Write(kind, contest.admin, method, path, content, frozenset(losing.split()))

    def word() -> str:
        return f"{chance.getrandbits(64):x}"

    def events() -> list[dict[str, Any]]:
        chosen = chance.sample(contest.events, PRIZES // 2)
        return [{"id": str(id_), "event_type": "query_executed", "simulator_type": "client"} for id_ in chosen]

    student = contest.student
    exercise, interview = f"/exercises/{contest.exercise}", f"/interviews/{contest.interview}"
    session, unit = f"/sessions/{contest.session}", f"/unidades/{contest.fickle}"
    exhausted, gone, full = frozenset({"HINTS_EXHAUSTED"}), "NOTE_NOT_FOUND UNIT_NOT_FOUND", "TOO_MANY_PARTS"
    return [
        lambda: admin("step", "POST", f"{session}/traces", {"interaction_type": "ai_response", "content": word()}),
        lambda: admin("events", "POST", f"{session}/simulator-events/batch", events()),
        lambda: admin("question", "POST", f"{interview}/questions", {"question": word()}, "QUESTION_OPEN"),
        lambda: admin("answer", "POST", f"{interview}/responses", {"response": word()}, "NO_OPEN_QUESTION"),
        lambda: Write("hint", student, "POST", f"{exercise}/hints/reveal", {}, exhausted),
        lambda: admin(
            "risk",
            "POST",
            f"/risks/{some(contest.risks)}/resolve",
            {"resolution": "confirmed", "resolution_notes": word()},
            "RISK_RESOLVED",
        ),
        lambda: admin("alert", "POST", f"/alerts/{some(contest.alerts)}/acknowledge", None, "ILLEGAL_TRANSITION"),
        lambda: admin(
            "unit",
            "POST",
            f"/subjects/{contest.subject}/unidades",
            {"numero": chance.randint(2, PRIZES + 1), "titulo": word()},
            "UNIT_NUMBER_IN_USE",
        ),
        lambda: admin("unit away", "DELETE", unit, None, gone),
        lambda: admin("unit back", "POST", f"{unit}/restore", None, gone),
        lambda: admin(
            "note",
            "POST",
            f"/unidades/{contest.unit}/apuntes",
            {"titulo": word(), "contenido_markdown": "x", "orden": 1},
            full,
        ),
        lambda: admin("note away", "DELETE", f"/apuntes/{some(contest.notes)}", None, gone),
        lambda: admin("note back", "POST", f"/apuntes/{some(contest.notes)}/restore", None, f"{gone} {full}"),
    ]


async def differences(session: AsyncSession, contest: Contest, history: History) -> AsyncIterator[str]:
    """Between what was acknowledged and what is there."""
    hung = contest.session
    for name, there, said in (
        ("steps", await told(session, CognitiveTrace.content, hung), contents(history, "step", "content")),
        (
            "resolutions",
            await told(session, Risk.resolution_notes, hung),
            contents(history, "risk", "resolution_notes"),
        ),
        ("events", await told(session, SimulatorEvent.id, hung), sorted(contest.events)),
    ):
        if there != said:
            yield f"{len(said)} {name} acknowledged, {len(there)} there"
    if await session.scalar(select(LearningSession.trace_count).filter_by(id=hung)) != history.count("step"):
        yield "steps miscounted"
    interview = (await session.scalars(select(InterviewSession).filter_by(id=contest.interview))).one()
    if in_order(interview.questions_asked, "question") != contents(history, "question", "question"):
        yield "questions lost"
    if in_order(interview.responses, "response") != contents(history, "answer", "response"):
        yield "answers lost"
    reveals = select(func.count(), func.count(HintReveal.hint_id.distinct())).filter_by(exercise_id=contest.exercise)
    if tuple((await session.execute(reveals)).one()) != (history.count("hint"), history.count("hint")):
        yield "hints lost or revealed twice"
    if any(len(won) != 1 for won in (history.winners("risk") | history.winners("alert")).values()):
        yield "one thing was won twice"
    async for wrong in places(session, contest, history):
        yield wrong


async def places(session: AsyncSession, contest: Contest, history: History) -> AsyncIterator[str]:
    notes = select(Apuntes.orden).where(Apuntes.unidad_id == contest.unit, Apuntes.deleted_at.is_(None))
    count = NOTES + history.count("note") - history.count("note away") + history.count("note back")
    if sorted(await session.scalars(notes)) != list(range(1, count + 1)):
        yield f"places of {count} notes with gaps"
    units = list(await session.scalars(select(Unidad).filter_by(materia_code=contest.subject, deleted_at=None)))
    count = 2 + history.count("unit") - history.count("unit away") + history.count("unit back")
    counted = await session.scalar(select(Subject.total_units).filter_by(code=contest.subject))
    if not len({unit.numero for unit in units}) == len(units) == count == counted:
        yield f"{count} units acknowledged, {len(units)} there, {counted} counted"


async def told(session: AsyncSession, column: Any, hung: UUID) -> list[Any]:
    """What the rows of the session say, one by one."""
    return sorted(await session.scalars(select(column).where(column.is_not(None), column.class_.session_id == hung)))


def in_order(items: Sequence[Any], name: str) -> list[str]:
    return sorted(item[name] for item in items)


def contents(history: History, kind: str, name: str) -> list[str]:
    return in_order([write.content for write in history.acknowledged[kind]], name)

"""A student's sessions in every state, everything that can be written to them, and what became of the record."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez import tables
from cortez.accounts.models import Scope
from cortez.audit.models import AuditEntry
from cortez.clock import utc_now
from cortez.exercises.models import ExerciseHint
from cortez.sessions.models import LearningSession
from cortez.sessions.rules import FINAL
from cortez.simulators.models import IncidentSimulation, InterviewSession
from factory import Make, Someone
from matrix import said, undone

# Minutes since the session's end; an assessed one is open, and has been judged already.
MINUTES = {"open": 30, "assessed": 30, "ended": 2, "old": 60, "judged": 2, "resolved": 2, "abandoned": 60}
STATES = tuple(MINUTES)
OPEN = {"open", "assessed"}
DELIVERABLE = "ended"  # over for less than ten minutes, and nobody has judged it: the one that a student still adds to
EARLY = timedelta(minutes=5)  # before the start: as far as clocks differ
STEPS = ("cognitive_traces", "git_traces")
# What is counted, or only stamped: it follows from the rest.
COUNTED = {"updated_at", "trace_count", "trace_bytes"}
HASH = f"{13:040x}"


class Record:
    """Whose it is, the sessions by their state, and the rows that the paths name."""

    student: Someone
    teacher: Someone
    key: Someone

    def __init__(self, make: Make) -> None:
        self.make = make
        self.sessions: dict[str, LearningSession] = {}
        self.at: dict[str, dict[str, str]] = {}
        self.judged_at = utc_now() - timedelta(minutes=1)

    @classmethod
    async def of(cls, make: Make) -> "Record":
        made = cls(make)
        course = await make.course("c")
        made.teacher, made.student = await make.teacher(course=course), await make.student(course=course)
        made.key = await make.key(*[scope.value for scope in Scope])
        await make.activity(activity_id="a", course_id=course, teacher_id=made.teacher.id)
        exercise = await make.exercise()
        await make.add(ExerciseHint(exercise_id=exercise.id, hint_number=1, content="x"))
        for state in STATES:
            made.sessions[state] = session = await made.session(state)
            of = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
            asked = [{"question_id": 1, "question": "Why?", "expected_key_points": []}]
            interview = InterviewSession(**of, interview_type="DESIGN", questions_asked=asked)
            incident = IncidentSimulation(**of, incident_type="DATABASE", incident_description="x")
            await make.add(interview, incident)
            ids = {"session": session.id, "interview": interview.id, "incident": incident.id, "exercise": exercise.id}
            made.at[state] = {f"{{{name}}}": str(id_) for name, id_ in ids.items()}
        return made

    async def session(self, state: str) -> LearningSession:
        """One of an hour, with steps, in this state."""
        end = utc_now() - timedelta(minutes=MINUTES[state])
        values: dict[str, Any] = {"activity_id": "a", "course_id": "c", "start_time": end - timedelta(hours=1)}
        if state not in OPEN:
            values |= {"status": "abandoned" if state == "abandoned" else "completed", "end_time": end}
        session = await self.make.session(self.student, **values)
        for number in range(6):
            at = session.start_time + timedelta(minutes=number)
            await self.make.trace(session, content=f"Why {number}?", occurred_at=at)
        if state in {"assessed", "judged"}:
            await self.make.evaluation(session, overall_score=2.5, created_at=self.judged_at)
        if state == "resolved":
            done = {"resolved": True, "resolution": "confirmed", "resolved_at": utc_now(), "resolution_notes": "x"}
            await self.make.risk(session, **done)
        return session

    def moments(self, state: str) -> dict[str, datetime]:
        session = self.sessions[state]
        end = session.end_time or utc_now()
        return {
            "just before the end": end - timedelta(seconds=1),
            "at the start": session.start_time + timedelta(seconds=1),
            "an hour before the start": session.start_time - timedelta(hours=1),
            "in 1971": datetime(1971, 1, 1, tzinfo=UTC),
            "after the end": end + timedelta(seconds=30),
        }


class Write(msgspec.Struct, frozen=True):
    """One request: who sends it to the session in which state, and what it says of when that happened."""

    who: str
    state: str
    call: str
    moment: str
    body: Any
    media: str = "application/json"

    def __str__(self) -> str:
        return f"{self.who}, {self.state}: {self.call}, {self.moment}"

    async def send(self, record: Record) -> httpx.Response:
        verb, path = self.call.split()
        for place, value in record.at[self.state].items():
            path = path.replace(place, value)
        content = self.body if isinstance(self.body, str) else json.dumps(self.body)
        client = getattr(record, self.who).client
        answer: httpx.Response = await client.request(verb, path, content=content, headers={"content-type": self.media})
        return answer


def writes(record: Record) -> Iterator[Write]:
    for state in STATES:
        moments: dict[str, datetime | None] = {**record.moments(state), "without a time": None}
        for name, at in moments.items():
            yield from steps("student", state, name, at, record)
            yield from steps("teacher", state, name, at, record)
            yield from steps("key", state, name, at, record)
            if at:
                yield from commits("student", state, name, at)
                yield from commits("key", state, name, at)
        yield from works(state)


def steps(who: str, state: str, moment: str, at: datetime | None, record: Record) -> Iterator[Write]:
    kinds = {"student": "hypothesis_formulation", "teacher": "teacher_feedback", "key": "ai_response"}
    step = {"interaction_type": kinds[who], "content": "Because I thought about it for a long time."}
    step |= {"occurred_at": at.isoformat()} if at else {}
    named = step | {"session_id": record.at[state]["{session}"]}
    yield Write(who, state, "POST /sessions/{session}/traces", moment, step)
    yield Write(who, state, "POST /sessions/{session}/traces/batch", moment, [step, step])
    yield Write(who, state, "POST /traces/batch", moment, [named])
    lines = "\n".join([json.dumps(step)] * 2)
    yield Write(
        who, state, "POST /sessions/{session}/traces/batch", f"{moment}, as lines", lines, "application/x-ndjson"
    )


def commits(who: str, state: str, moment: str, at: datetime) -> Iterator[Write]:
    commit = {"event_type": "commit", "commit_hash": HASH, "commit_message": "A step", "author_name": "Ana"}
    commit |= {"author_email": "ana@example.edu", "timestamp": at.isoformat(), "branch_name": "main"}
    log = f"\x1e{HASH}\x1f\x1fAna\x1fana@example.edu\x1f{at.isoformat()}\x1frefs/heads/main\x1fA step\x1f\n"
    yield Write(who, state, "POST /sessions/{session}/git-traces", moment, commit)
    yield Write(who, state, "POST /sessions/{session}/git-traces/batch", moment, [commit])
    yield Write(who, state, "POST /sessions/{session}/git-traces/import", moment, log, "text/plain")


def works(state: str) -> Iterator[Write]:
    """What a student does in a session beside its steps, which has no time of its own."""
    event = {"event_type": "test_executed", "simulator_type": "client"}
    session = "{session}"
    bodies: dict[str, Any] = {
        "PATCH /sessions/{session}": {"mode": "practice", "learning_objective": {"title": "rewritten"}},
        **{f"POST /sessions/{{session}}/{name}": {} for name in ("pause", "resume", "complete", "abort")},
        "POST /sessions/{session}/simulator-events": event,
        "POST /sessions/{session}/simulator-events/batch": [event],
        "POST /interviews/{interview}/responses": {"response": "Because."},
        "POST /incidents/{incident}/diagnosis-steps": {"action": "look"},
        "POST /exercises/{exercise}/attempts": {"submitted_code": "x", "session_id": session},
        "POST /exercises/{exercise}/hints/reveal": {"session_id": session},
        "DELETE /sessions/{session}": {},
        "POST /sessions/{session}/evaluations": {"overall_score": 10},
        "POST /sessions/{session}/evaluations/generate": {},
        "POST /sessions/{session}/risks/analyze": {},
    }
    for call, body in bodies.items():
        yield Write("student", state, call, "without a time", body)


class Change(msgspec.Struct, frozen=True):
    """A row of the session that a write has added, changed or removed; of a new one also who is noted."""

    table: str
    how: str
    late: bool | None = None
    at: datetime | None = None
    audited: str | None = None


Rows = dict[tuple[str, Any], Any]


async def rows_of(session: AsyncSession, id_: Any) -> Rows:
    """All that is stored of a session."""
    found: Rows = {}
    for table in tables.metadata.sorted_tables:
        column = key_of(table)
        if column is not None:
            for row in await session.execute(select(table).where(column == id_)):
                found[str(table.name), row.id] = {
                    name: value for name, value in row._mapping.items() if name not in COUNTED
                }
    return found


def key_of(table: Table) -> Any:
    if table.name == "sessions":
        return table.c.id
    return table.c.session_id if table.name != "lti_sessions" and "session_id" in table.c else None


async def changes(session: AsyncSession, before: Rows, id_: Any) -> list[Change]:
    after = await rows_of(session, id_)
    found = []
    for key in before.keys() | after.keys():
        if key not in before:
            row = after[key]
            made = select(AuditEntry.actor_kind).where(
                AuditEntry.table_name == key[0], AuditEntry.operation == "insert"
            )
            audited = await session.scalar(made.where(AuditEntry.row_id == str(key[1])))
            at = row.get("occurred_at") or row.get("timestamp")
            found.append(Change(key[0], "added", row.get("late"), at, audited))
        elif before[key] != after.get(key):
            found.append(Change(key[0], "changed" if key in after else "removed"))
    return found


async def tried(record: Record, write: Write) -> tuple[httpx.Response, list[Change]]:
    """What was answered, and what it would have changed: it is taken back."""
    id_ = record.sessions[write.state].id
    async with record.make.database.reading() as session:
        before = await rows_of(session, id_)

    async def look(session: AsyncSession) -> str:
        return msgspec.json.encode(await changes(session, before, id_)).decode()

    with undone(look) as seen:
        answer = await write.send(record)
    return answer, [one for text in seen for one in msgspec.json.decode(text, type=list[Change])]


def trouble(record: Record, write: Write, answer: httpx.Response, found: list[Change]) -> str:
    """What is wrong with what came of a write; an empty text where all is as it was promised."""
    if answer.status_code >= 500:
        return said(answer)
    session = record.sessions[write.state]
    is_over = session.status in {one.value for one in FINAL}
    for one in found:
        before = one.at is not None and one.at < record.judged_at
        is_late = is_over or (before and write.who == "student" and write.state == "assessed")
        if wrong := fault_of(write, session, one, is_over=is_over, is_late=is_late):
            return f"{wrong}: {one.how} {one.table}, {answer.status_code}"
    return ""


def fault_of(write: Write, session: LearningSession, one: Change, *, is_over: bool, is_late: bool) -> str:
    if write.who == "student" and is_over and (write.state != DELIVERABLE or one.table not in STEPS):
        return "the record was changed"
    if one.table not in STEPS:
        return ""
    if one.how != "added":
        return "a step was changed"
    if one.late is not is_late:
        return "not marked as late" if is_late else "marked as late"
    if write.who != "key" and one.audited != "person":
        return "not in the audit log"
    if write.who != "student" or one.at is None or one.table != "cognitive_traces":
        return ""
    if one.at < session.start_time - EARLY or (session.end_time and one.at > session.end_time):
        return "at a time at which the session was not"
    return ""

"""Many writers on the same rows in different orders, and many that append to one document.

Broken on purpose: without the lock of the exercise, attempts get the same number and are refused with 409; without the
repeats of `UnitOfWork.run`, each deadlock that picks the service is a 503.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import count, cycle
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from cortez.accounts.models import CourseMember, User
from cortez.content.models import Apuntes, Subject, Unidad
from cortez.exercises.models import ExerciseAttempt
from cortez.sessions.models import LearningSession
from cortez.simulators.models import IncidentSimulation
from cortez.traces.models import CognitiveTrace
from factory import Make
from forgeries import secret_of
from reliability import contests
from reliability.history import History, Write
from reliability.stage import SQLITE, Outcome, Stage
from reliability.wire import Wire
from running import client_of

FIGURE = "R9"
CLAIM = "conflicting writes of 18 kinds (orders, batches, numbers, lists, documents, contests), one and two workers"
TARGET = "2xx, 503 with Retry-After, and a 409 or 404 only where another write won; 0 of 300 increments lost"
CLIENTS = 24
PATIENCE = 30.0  # seconds for one write, however often it is put off
NOTES, TRACES, ACCOUNTS = 6, 40, 6


class World(NamedTuple):
    courses: list[str]
    admin: str  # tokens
    student: str
    sessions: list[UUID]
    unit: UUID
    notes: list[UUID]
    exercise: UUID
    incidents: list[UUID]
    traces: list[UUID]
    contest: contests.Contest


async def build(make: Make, name: str) -> World:
    admin, student = await make.admin(), await make.student()
    sessions = [await make.session() for _ in range(4)]
    unit = Unidad(materia_code=name, numero=1, titulo="Unit")
    await make.add(Subject(code=name, name="Subject", language="python"), unit)
    notes = [Apuntes(unidad_id=unit.id, titulo="Note", contenido_markdown="", orden=i + 1) for i in range(NOTES)]
    hung = {"session_id": sessions[0].id, "student_id": sessions[0].student_id}
    incidents = [IncidentSimulation(**hung, incident_type="DATABASE", incident_description="x") for _ in range(2)]
    exercise = await make.exercise(subject_code=name)
    await make.add(*notes, *incidents)
    return World(
        courses=[await make.course(f"{name}-{letter}") for letter in "AB"],
        admin=secret_of(admin),
        student=secret_of(student),
        sessions=[session.id for session in sessions],
        unit=unit.id,
        notes=[note.id for note in notes],
        exercise=exercise.id,
        incidents=[incident.id for incident in incidents],
        traces=[UUID(str(uuid7())) for _ in range(TRACES)],
        contest=await contests.build(make, f"{name}-C", admin, student),
    )


def writes(world: World, conflicts: int, increments: int) -> Iterator[Write]:
    """In turn, so that each kind meets itself and the others."""
    chance = random.Random(9)  # noqa: S311 - the same every time
    lists = class_lists(world, chance)
    kinds: list[Callable[[], Write]] = [
        lambda: Write("order", world.admin, "PUT", f"/unidades/{world.unit}/apuntes/order", shuffled(chance, world)),
        lambda: Write("batch", world.admin, "POST", "/traces/batch", batch(chance, world)),
        lambda: Write("number", world.student, "POST", f"/exercises/{world.exercise}/attempts", ATTEMPT),
        lambda: next(lists),
        lambda: next(lists),
        *contests.kinds(world.contest, chance),
    ]
    turns = cycle(kinds)
    every = max(1, conflicts // increments)
    for number in range(conflicts):
        yield next(turns)()
        if number % every == 0 and number // every < increments:
            incident = world.incidents[number // every % len(world.incidents)]
            yield Write(
                "append", world.admin, "POST", f"/incidents/{incident}/diagnosis-steps", {"action": str(number)}
            )


ATTEMPT = {"submitted_code": "x = 1"}


def shuffled(chance: random.Random, world: World) -> list[str]:
    return [str(one) for one in chance.sample(world.notes, NOTES)]


def batch(chance: random.Random, world: World) -> list[dict[str, Any]]:
    """Half of the steps there are, in any order; each always the same."""
    some = chance.sample(range(TRACES), TRACES // 2)
    return [
        {
            "id": str(world.traces[place]),
            "session_id": str(world.sessions[place % len(world.sessions)]),
            "interaction_type": "teacher_feedback",
            "content": str(place),
        }
        for place in some
    ]


def class_lists(world: World, chance: random.Random) -> Iterator[Write]:
    """Two courses take in the same new people at the same time, each list in an order of its own."""
    for wave in count():
        for course in world.courses:
            people = [{"email": f"{world.courses[0]}-{wave}-{number}@example.edu"} for number in range(ACCOUNTS)]
            chance.shuffle(people)
            yield Write("list", world.admin, "POST", f"/courses/{course}/members/batch", people)


class Storm:
    """Sends every write until there is a last word on it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.history = History()

    async def send_all(self, all_of_them: Iterator[Write]) -> None:
        keys = iter(range(1_000_000))

        async def lane() -> None:
            async with Wire(self.address) as wire:
                for write in all_of_them:
                    await self.send(wire, write, f"r9-{next(keys)}")

        await asyncio.gather(*[lane() for _ in range(CLIENTS)])

    async def send(self, wire: Wire, write: Write, key: str) -> None:
        """Raises TimeoutError where it is put off again and again."""
        headers = {"authorization": f"Bearer {write.token}"}
        if write.method == "POST":
            headers["idempotency-key"] = key
        async with asyncio.timeout(PATIENCE):
            while True:
                reply = await wire.send(write.method, f"/api/v1{write.path}", write.content, headers)
                if self.history.record(write, reply):
                    return
                await asyncio.sleep(reply.retry_after + random.uniform(0, 0.3))  # noqa: S311 - jitter


async def run(stage: Stage) -> Outcome:
    conflicts, increments = (160, 40) if stage.quick else (2_000, 300)
    said, kept, counts = [], True, ["2"] if stage.quick else ["1", "2"]
    async with stage.app() as app, Make(app, client_of) as make:
        worlds = [await build(make, f"R9-{workers}") for workers in counts]
    for workers, world in zip(counts, worlds, strict=True):
        with stage.server(CORTEZ_WORKERS=workers) as server:
            storm = Storm(server.address)
            async with quarrel(stage, world):
                await storm.send_all(writes(world, conflicts, increments))
        history = storm.history
        async with stage.app() as app, app.state.database.reading() as session:
            wrong = [found async for found in differences(session, world, history)]
            wrong += [found async for found in contests.differences(session, world.contest, history)]
        wrong += [f"{write.kind}: {reply.status} {reply.code}" for write, reply in history.unasked[:5]]
        done = sum(map(len, history.acknowledged.values()))
        what = f"{done:,} acknowledged, {history.lost.total()} lost to another, {history.put_off} x 503 on the way"
        said.append(f"{workers} workers: {what}, {len(wrong)} wrong")
        said.extend(wrong)
        kept &= not wrong
    waits = "one writer at a time" if stage.database == SQLITE else await deadlocks(stage)
    return Outcome(f"{'; '.join(said)} ({waits})", kept)


@asynccontextmanager
async def quarrel(stage: Stage, world: World) -> AsyncIterator[None]:
    """Meanwhile somebody takes the sessions in the wrong order, past the service: it has no such order of its own."""
    if stage.database == SQLITE:
        yield
        return
    connection = await asyncpg.connect(stage.settings.database_url)

    async def take() -> None:
        while True:
            with suppress(asyncpg.DeadlockDetectedError):
                async with connection.transaction():
                    for id_ in sorted(world.sessions, reverse=True):
                        await connection.execute("SELECT 1 FROM sessions WHERE id = $1 FOR NO KEY UPDATE", id_)
                        await asyncio.sleep(0.005)

    quarrelling = asyncio.create_task(take())
    yield
    quarrelling.cancel()
    await asyncio.wait([quarrelling])
    await connection.close()


async def deadlocks(stage: Stage) -> str:
    async with stage.app() as app, app.state.database.reading() as session:
        found = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return f"{await session.scalar(found)} deadlocks, found after 100 ms each"


async def differences(session: AsyncSession, world: World, history: History) -> AsyncIterator[str]:
    """Between what was acknowledged and what is there."""
    notes = select(Apuntes.orden).where(Apuntes.unidad_id == world.unit)
    attempts = select(ExerciseAttempt.attempt_number).where(ExerciseAttempt.exercise_id == world.exercise)
    incidents = select(IncidentSimulation.diagnosis_process).where(IncidentSimulation.id.in_(world.incidents))
    traces = select(CognitiveTrace.id).where(CognitiveTrace.session_id.in_(world.sessions))
    counted = select(func.sum(LearningSession.trace_count)).where(LearningSession.id.in_(world.sessions))
    if sorted(await session.scalars(notes)) != list(range(1, NOTES + 1)):
        yield "places of notes with gaps"
    if sorted(await session.scalars(attempts)) != list(range(1, history.count("number") + 1)):
        yield f"numbers of {history.count('number')} attempts with gaps"
    steps = sum([len(one) for one in await session.scalars(incidents)])
    if steps != history.count("append"):
        yield f"{history.count('append') - steps} of {history.count('append')} increments lost"
    if sorted(await session.scalars(traces)) != sorted(world.traces) or await session.scalar(counted) != TRACES:
        yield "steps of batches missing, doubled or miscounted"
    for path, lists in history.winners("list").items():
        members = select(User.email).join(CourseMember).where(CourseMember.course_id == path.split("/")[2])
        wanted = {person["email"].lower() for people in lists for person in people}
        if sorted(await session.scalars(members)) != sorted(wanted):
            yield "members missing"

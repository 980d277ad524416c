"""Loads the demo course, student by student, through the repositories and the ingest that the API uses."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.models import Course, CourseMember, CourseRole, Role, User
from cortez.activities.models import Activity
from cortez.core.db.engine import Database
from cortez.core.security.passwords import Passwords
from cortez.core.security.principal import SYSTEM, Principal
from cortez.core.web.batches import read
from cortez.demo.classroom import furnish
from cortez.demo.material import ASSIGNMENTS, POLICIES
from cortez.demo.model import NAMESPACE, WEEKS, Session, Student, sessions, students
from cortez.demo.people import ADMIN, PASSWORD, TEACHER, TUTOR
from cortez.demo.teaching import teach
from cortez.demo.work import commit, work
from cortez.sessions.models import LearningSession
from cortez.sessions.quotas import Quotas
from cortez.sessions.repository import SessionRepository
from cortez.settings import Settings
from cortez.traces.ingest import Ingest
from cortez.traces.schemas import TraceIn

COURSE = "PROG2-2026"


async def load(
    database: Database, passwords: Passwords, report: Callable[[int, int], None], working: int = 30
) -> tuple[int, int]:
    """Load what is not there yet; how many sessions and traces that was. `report` hears (done, of how many).

    The first `working` students of the class have sessions.
    """
    hashed = await passwords.hash(PASSWORD)
    async with database.unit() as session:
        start = await people_and_activities(session, hashed, database.settings)
    made = [one for one in sessions(start) if one.student.number <= working]
    async with database.reading() as session:
        there = set(await session.scalars(select(LearningSession.id)))
    stored = traces = 0
    quotas = Quotas(database.settings)
    for _, lot in groupby(enumerate(made, start=1), key=lambda numbered: numbered[1].student.number):
        async with database.unit() as session:
            for done, one in lot:
                if one.id not in there:
                    traces += await store(session, one, quotas)
                    stored += 1
                report(done, len(made))
    async with database.unit() as session:
        await teach(session, teacher(), COURSE, students())
    return stored, traces


def teacher() -> Principal:
    return Principal(id=uuid5(NAMESPACE, TEACHER), roles=frozenset({Role.TEACHER.value}))


def learner(student: Student) -> Principal:
    key = student.student_id
    return Principal(id=uuid5(NAMESPACE, key), student_id=key, roles=frozenset({Role.STUDENT.value}))


async def people_and_activities(session: AsyncSession, hashed: str, settings: Settings) -> datetime:
    """The course with its members, what they learn from and activities, once; the beginning of its term."""
    course = await session.scalar(select(Course).where(Course.course_id == COURSE))
    if course is None:
        course = Course(course_id=COURSE, title="Programación 2", description="A class of 30, invented.")
        session.add(course)
        await session.flush()
        staff = [
            (TEACHER, "Ana Morales", Role.TEACHER),
            (TUTOR, "Luis Prado", Role.TUTOR),
            (ADMIN, "Admin", Role.ADMIN),
        ]
        people = [account(username, name, role, hashed) for username, name, role in staff]
        people += [account(student.student_id, student.name, Role.STUDENT, hashed) for student in students()]
        session.add_all(people)
        await session.flush()
        session.add_all(
            CourseMember(course_id=COURSE, user_id=person.id, role=CourseRole(person.roles[0]).value)
            for person in people
            if person.username != ADMIN
        )
        session.add_all(activities(people[0].id))
        await session.flush()
        await furnish(session, teacher(), settings)
    return course.created_at - timedelta(weeks=WEEKS)


def account(username: str, name: str, role: Role, hashed: str) -> User:
    student_id = username if role == Role.STUDENT else None
    return User(
        id=uuid5(NAMESPACE, username),
        email=f"{username}@example.edu",
        username=username,
        full_name=name,
        roles=[role.value],
        student_id=student_id,
        hashed_password=hashed,
        is_verified=True,
        course_name="Programación 2",
        commission="B",
    )


def activities(teacher_id: UUID) -> list[Activity]:
    return [
        Activity(
            activity_id=assignment.activity_id,
            title=assignment.title,
            description=f"Sobre {assignment.concept}.",
            instructions=assignment.instructions,
            evaluation_criteria=["Explica sus decisiones", "Prueba los casos de borde"],
            teacher_id=teacher_id,
            course_id=COURSE,
            policies=POLICIES,
            subject="Programación 2",
            difficulty=assignment.difficulty,
            estimated_duration_minutes=assignment.minutes,
            tags=assignment.tags,
            status=assignment.status,
        )
        for assignment in ASSIGNMENTS
    ]


async def store(session: AsyncSession, one: Session, quotas: Quotas) -> int:
    """One session with all that hangs on it, whole or not at all; how many traces."""
    repository = SessionRepository(session, SYSTEM)
    learning = await repository.add(
        LearningSession(
            id=one.id,
            student_id=one.student.student_id,
            user_id=uuid5(NAMESPACE, one.student.student_id),
            activity_id=one.assignment.activity_id,
            course_id=COURSE,
            start_time=one.start_time,
            created_at=one.start_time,
            learning_objective={"title": one.assignment.title, "expected_competencies": one.assignment.tags},
        )
    )
    sent = [msgspec.json.encode(trace) for trace in one.traces]
    steps = [read(msgspec.Raw(step), TraceIn) for step in sent]
    result = await Ingest(repository, quotas).batch(steps, [*map(len, sent)], one.id, atomic=True)
    await commit(session, one)
    await repository.change(learning, {"end_time": one.end_time, "status": one.status})  # nothing of it came late
    await work(session, learner(one.student), learning, one)
    return result.created

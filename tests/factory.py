"""Makes accounts, courses, activities, sessions and traces for tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any, Self
from uuid import UUID

import httpx
from litestar import Litestar
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from cortez.accounts.models import ApiKey, Course, CourseMember, RefreshToken, Role, User
from cortez.activities.models import Activity
from cortez.clock import utc_now
from cortez.content.models import Subject, SubjectTeacher
from cortez.core.db.base import Base
from cortez.core.security.tokens import REFRESH_TTL, Tokens, digest, new_secret
from cortez.evaluations.models import Evaluation
from cortez.exercises.models import Exercise
from cortez.git.models import GitTrace
from cortez.risks.models import Risk
from cortez.sequences.models import TraceSequence
from cortez.sessions.models import LearningSession
from cortez.traces.models import CognitiveTrace

PASSWORD = "correct horse battery"


class Someone:
    """An account or a key, with a client that speaks for it."""

    def __init__(self, id_: UUID, student_id: str, client: httpx.AsyncClient) -> None:
        self.id = id_
        self.student_id = student_id
        self.client = client
        self.get, self.post, self.patch = client.get, client.post, client.patch
        self.put, self.delete = client.put, client.delete


class Group:
    """A course with its people and a student's session in it; next to it a stranger, who teaches elsewhere."""

    teacher: Someone
    tutor: Someone
    student: Someone
    key: Someone
    stranger: Someone
    session: LearningSession
    path: str


class Make:
    def __init__(self, app: Litestar, client_of: Callable[..., httpx.AsyncClient]) -> None:
        self.app = app
        self.database = app.state.database
        self.tokens = Tokens(app.state.settings)
        self.client_of = client_of
        self.clients = AsyncExitStack()
        self.unit: AsyncSession | None = None
        self.count = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.clients.aclose()

    def number(self) -> int:
        self.count += 1
        return self.count

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """What is made in here is stored by one unit of work."""
        async with self.database.unit() as self.unit:
            yield
        self.unit = None

    async def add(self, *entities: Base) -> None:
        async with nullcontext(self.unit) if self.unit else self.database.unit() as session:
            for entity in entities:
                session.add(entity)
                await session.flush()

    async def user(self, *roles: Role, course: str | None = None, **values: Any) -> Someone:
        """Someone with these roles (default: student), in the course if one is named."""
        given = roles or (Role.STUDENT,)
        name = f"{given[0]}{self.number()}"
        user = User(
            id=uuid7(),
            email=f"{name}@example.edu",
            username=name,
            hashed_password="!",
            roles=[str(role) for role in given],
            student_id=values.pop("student_id", name if Role.STUDENT in given else None),
            **values,
        )
        member = [CourseMember(course_id=course, user_id=user.id, role=str(given[0]))] if course else []
        return await self.sign_in(user.id, user.student_id or "", user, *member)

    async def sign_in(self, user_id: UUID | str, student_id: str, *with_: Base) -> Someone:
        """Somebody who has an account, or gets it now, with a client of their own."""
        id_ = UUID(str(user_id))
        expires_at = utc_now() + REFRESH_TTL
        token = RefreshToken(user_id=id_, family_id=uuid7(), token_hash=digest(new_secret("")), expires_at=expires_at)
        await self.add(*with_, token)
        access = self.tokens.access(id_, token.family_id)
        client = await self.clients.enter_async_context(self.client_of(self.app, access))
        return Someone(id_, student_id, client)

    async def student(self, **values: Any) -> Someone:
        return await self.user(Role.STUDENT, **values)

    async def teacher(self, **values: Any) -> Someone:
        return await self.user(Role.TEACHER, **values)

    async def subject_teacher(self, code: str) -> Someone:
        """A teacher who looks after the subject."""
        someone = await self.teacher()
        await self.add(SubjectTeacher(subject_code=code, user_id=someone.id))
        return someone

    async def tutor(self, **values: Any) -> Someone:
        return await self.user(Role.TUTOR, **values)

    async def admin(self, **values: Any) -> Someone:
        return await self.user(Role.ADMIN, **values)

    async def key(self, *scopes: str, course_ids: list[str] | None = None) -> Someone:
        secret = new_secret("ck_")
        values: dict[str, Any] = {"scopes": list(scopes)} if scopes else {}
        key = ApiKey(name="tutor agent", key_hash=digest(secret), course_ids=course_ids, **values)
        await self.add(key)
        client = await self.clients.enter_async_context(self.client_of(self.app, secret))
        return Someone(key.id, "", client)

    async def course(self, course_id: str | None = None, **values: Any) -> str:
        course = Course(course_id=course_id or f"course-{self.number()}", title="A course", **values)
        await self.add(course)
        return course.course_id

    async def activity(self, **values: Any) -> Activity:
        """Active, unless another status is given."""
        defaults = {"activity_id": f"activity-{self.number()}", "title": "An activity", "instructions": "Do it."}
        activity = Activity(**({"status": "active"} | defaults | values))
        await self.add(activity)
        return activity

    async def session(self, student: Someone | None = None, **values: Any) -> LearningSession:
        owner = student or await self.student()
        if "activity_id" not in values:
            values["activity_id"] = (await self.activity()).activity_id
        session = LearningSession(student_id=owner.student_id, user_id=owner.id, **values)
        await self.add(session)
        return session

    async def trace(self, session: LearningSession, **values: Any) -> CognitiveTrace:
        defaults = {"interaction_type": "student_prompt", "content": "Why?", "ingest_digest": b""}
        own = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
        trace = CognitiveTrace(**(defaults | own | values))
        await self.add(trace)
        return trace

    async def risk(self, session: LearningSession, **values: Any) -> Risk:
        defaults = {"risk_type": "ai_dependency", "risk_level": "medium", "dimension": "cognitive", "description": "x"}
        own = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
        risk = Risk(**(defaults | own | values))
        await self.add(risk)
        return risk

    async def evaluation(self, session: LearningSession, **values: Any) -> Evaluation:
        defaults = {"overall_competency_level": "autonomo", "overall_score": 7.5}
        own = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
        evaluation = Evaluation(**(defaults | own | values))
        await self.add(evaluation)
        return evaluation

    async def exercise(self, **values: Any) -> Exercise:
        """In the subject that is named; one is made where none is."""
        if "subject_code" not in values:
            values["subject_code"] = f"S{self.number()}"
            await self.add(Subject(code=values["subject_code"], name="A subject", language="python"))
        texts = {"title": "An exercise", "mission_markdown": "Do it.", "starter_code": ""}
        defaults = {"difficulty": "Easy", "time_min": 10, "language": "python"}
        exercise = Exercise(**(texts | defaults | values))
        await self.add(exercise)
        return exercise

    async def group(self) -> Group:
        """In the course "c", the session in its activity "a"; the key may analyse."""
        async with self.together():
            made, course = Group(), await self.course("c")
            made.teacher, made.tutor = await self.teacher(course=course), await self.tutor(course=course)
            made.student, made.key = await self.student(course=course), await self.key("analysis")
            made.stranger = await self.teacher(course=await self.course("elsewhere"))
            activity = await self.activity(activity_id="a", course_id=course)
            made.session = await self.session(made.student, activity_id=activity.activity_id, course_id=course)
            made.path = f"/sessions/{made.session.id}"
        return made

    async def git_trace(self, session: LearningSession, **values: Any) -> GitTrace:
        defaults: dict[str, Any] = {
            "event_type": "commit",
            "commit_hash": f"{self.number():040x}",
            "commit_message": "A step",
            "author_name": "Ana",
            "author_email": "ana@example.edu",
            "timestamp": session.start_time,
            "branch_name": "main",
        }
        own = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
        commit = GitTrace(**(defaults | own | values))
        await self.add(commit)
        return commit

    async def sequence(self, session: LearningSession, **values: Any) -> TraceSequence:
        own = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
        sequence = TraceSequence(**(own | values))
        await self.add(sequence)
        return sequence

    async def all(self, model: type[Any]) -> list[Any]:
        async with self.database.reading() as session:
            return list(await session.scalars(select(model).order_by(model.created_at, model.id)))

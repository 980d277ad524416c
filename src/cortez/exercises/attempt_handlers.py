"""Attempts: a student submits code, a runner outside delivers what it found. No code runs here."""

from uuid import UUID

from litestar import Router, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_201_CREATED

from cortez.core.db.pagination import Listing, Page
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import allow
from cortez.core.web.parameters import QueryKey
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.core.web.route_options import route
from cortez.exercises.access import readers
from cortez.exercises.dependencies import Exercises, provide_exercises
from cortez.exercises.models import AttemptStatus
from cortez.exercises.repository import AttemptRepository
from cortez.exercises.schemas import AttemptIn, AttemptOut, GradeIn
from cortez.sessions.dependencies import Sessions, provide_sessions

provide_attempts = provided(AttemptRepository)
Attempts = NamedDependency[AttemptRepository]


@post("/exercises/{exercise_id:uuid}/attempts", guards=[allow("student")], opt=route(sent_back=HTTP_201_CREATED))
async def submit_attempt(
    exercise_id: FromPath[UUID],
    data: JSONBody[AttemptIn],
    exercises: Exercises,
    attempts: Attempts,
    sessions: Sessions,
) -> Answer[AttemptOut]:
    """One's next attempt, PENDING until a runner has graded it. A session must be one's own, and open.

    Outside of a session those who teach `course_id` see it; without a course nobody who teaches does.
    """
    session = await sessions.own(data.session_id) if data.session_id else None
    exercise = await exercises.get(exercise_id, lock=True)
    attempt = await attempts.submit(exercise, data.submitted_code, session, data.course_id)
    return created(AttemptOut.of(attempt), f"/attempts/{attempt.id}")


@get("/attempts", guards=[readers])
async def list_attempts(
    attempts: Attempts,
    page: NamedDependency[Page],
    student_id: QueryKey = None,
    exercise_id: FromQuery[UUID | None] = None,
    session_id: FromQuery[UUID | None] = None,
    status: FromQuery[AttemptStatus | None] = None,
) -> Listing[AttemptOut]:
    """Oldest first: `status=PENDING` is a runner's queue."""
    equal = {"student_id": student_id, "exercise_id": exercise_id, "session_id": session_id, "status": status}
    statement = attempts.select().filter_by(**{name: value for name, value in equal.items() if value is not None})
    return await attempts.page(statement, page, AttemptOut.of)


@get("/attempts/{attempt_id:uuid}", guards=[readers])
async def read_attempt(attempt_id: FromPath[UUID], attempts: Attempts) -> AttemptOut:
    return AttemptOut.of(await attempts.get(attempt_id))


@patch("/attempts/{attempt_id:uuid}", guards=[allow("key:grading")])
async def grade_attempt(
    attempt_id: FromPath[UUID],
    data: JSONBody[GradeIn],
    attempts: Attempts,
    match: NamedDependency[Match],
    regrade: FromQuery[bool] = False,
) -> AttemptOut:
    """score = max(0, points - penalties) / 10, with two decimals. Graded once, unless `regrade`."""
    attempt = await attempts.get(attempt_id, lock=True)
    match.check(attempt.updated_at)
    return AttemptOut.of(await attempts.grade(attempt, data, regrade=regrade))


router = Router(
    "/",
    route_handlers=[submit_attempt, list_attempts, read_attempt, grade_attempt],
    dependencies={
        "exercises": provide_exercises,
        "attempts": provide_attempts,
        "sessions": provide_sessions,
    },
    tags=["attempts"],
)

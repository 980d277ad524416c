"""`/sessions`: a student at work, from start to end."""

from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK

from cortez.activities.repository import ActivityRepository
from cortez.core.db.pagination import Listing, Page
from cortez.core.db.repository import refuse_erased
from cortez.core.db.types import Document, stored
from cortez.core.security.principal import Principal
from cortez.core.web.guards import admins
from cortez.core.web.parameters import QueryKey, QueryTime, instant
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.errors import Forbidden, Invalid, NotFound
from cortez.sessions.access import readers, workers
from cortez.sessions.admission import admit_unknown, learner, not_there, not_yours
from cortez.sessions.dependencies import Sessions, provide_sessions
from cortez.sessions.models import LearningSession, SessionMode, SessionStatus
from cortez.sessions.schemas import SessionIn, SessionOut, SessionPatch, StartedOut
from cortez.settings import Settings


@get("/", guards=[readers])
async def list_sessions(
    sessions: Sessions,
    page: NamedDependency[Page],
    student_id: QueryKey = None,
    activity_id: QueryKey = None,
    course_id: QueryKey = None,
    mode: FromQuery[SessionMode | None] = None,
    status: FromQuery[SessionStatus | None] = None,
    started_after: QueryTime = None,
    started_before: QueryTime = None,
) -> Listing[SessionOut]:
    """Newest first; `started_after` is included, `started_before` is not."""
    return await sessions.listed(
        page,
        student_id=student_id,
        activity_id=activity_id,
        course_id=course_id,
        mode=mode,
        status=status,
        started_after=instant("started_after", started_after),
        started_before=instant("started_before", started_before),
    )


@post("/", guards=[workers])
async def start_session(
    data: JSONBody[SessionIn], sessions: Sessions, settings: NamedDependency[Settings]
) -> Answer[StartedOut]:
    """A student starts their own; a machine starts one for the student it names.

    In a course the student must be a member of it. A student_id that no account has is taken, taken with a word in
    `warnings`, or refused, as the operator says (`CORTEZ_UNKNOWN_STUDENTS`).
    """
    principal, session = sessions.principal, sessions.session
    student_id = student_of(data.student_id, principal)
    refuse_erased(student_id)
    activity = await ActivityRepository(session, principal).startable(data.activity_id)
    course_id = activity.course_id or data.course_id
    if data.course_id not in (None, course_id):
        raise not_yours("/course_id")
    who, warnings = await learner(session, student_id, course_id), []
    if who is None and course_id == activity.course_id:
        warnings = await admit_unknown(session, settings, student_id, course_id)
    elif course_id and not (who and who.attends):
        is_own = not (principal.is_key or principal.is_admin)
        raise not_yours("/activity_id" if activity.course_id else "/course_id") if is_own else not_there(course_id)
    values = {name: stored(getattr(data, name)) for name in ("activity_id", "mode", "simulator_type")}
    values["learning_objective"] = stored(data.learning_objective) if data.learning_objective else {}
    started = await sessions.add(
        LearningSession(**values, student_id=student_id, user_id=who and who.id, course_id=course_id)
    )
    return created(StartedOut.started(started, warnings), f"/sessions/{started.id}")


def student_of(given: str | None, principal: Principal) -> str:
    """Whose session it is: one's own for a student, the one named for others."""
    if principal.student_id and not (principal.is_admin or principal.is_key):
        if given not in (None, principal.student_id):
            raise NotFound("student", given)
        return principal.student_id
    if given is None:
        raise Invalid.at("/student_id", "Say whose session it is.")
    return given


@patch("/{session_id:uuid}", guards=[workers])
async def change_session(
    session_id: FromPath[UUID], data: JSONBody[SessionPatch], sessions: Sessions, match: NamedDependency[Match]
) -> SessionOut:
    """A student may change mode, simulator_type and learning_objective of their own; the rest is the tutor's.

    Once the session is over, a student changes nothing: 409 SESSION_CLOSED.
    """
    changes = data.changes()
    is_student = not (sessions.principal.is_key or sessions.principal.is_admin)
    if is_student and {"cognitive_status", "session_metrics"} & set(changes):
        raise Forbidden(None, "Only the tutor agent writes cognitive_status and session_metrics.")
    found = await (sessions.open if is_student else sessions.worked)(session_id)
    match.check(found.updated_at)
    check_simulator({"mode": found.mode, "simulator_type": found.simulator_type} | changes)
    return SessionOut.of(await sessions.change(found, changes))


def check_simulator(values: Document) -> None:
    if values["mode"] == SessionMode.SIMULATOR and values["simulator_type"] is None:
        raise Invalid.at("/simulator_type", "A simulator session needs a simulator_type.")


def _action(name: str) -> HTTPRouteHandler:
    """The route of one transition of the life cycle."""

    @post(f"/{{session_id:uuid}}/{name}", guards=[workers], status_code=HTTP_200_OK, name=f"{name}_session")
    async def act(session_id: FromPath[UUID], sessions: Sessions, match: NamedDependency[Match]) -> SessionOut:
        found = await sessions.worked(session_id)
        match.check(found.updated_at)
        return SessionOut.of(await sessions.move(found, name))

    return act


@delete("/{session_id:uuid}", guards=[admins])
async def delete_session(session_id: FromPath[UUID], sessions: Sessions, match: NamedDependency[Match]) -> None:
    """Gone with everything that hangs on it; interventions stay."""
    found = await sessions.get_to_delete(session_id)
    match.check(found.updated_at)
    await sessions.delete(found)


router = Router(
    "/sessions",
    route_handlers=[
        list_sessions,
        start_session,
        change_session,
        *(_action(name) for name in ("pause", "resume", "complete", "abort")),
        delete_session,
    ],
    dependencies={"sessions": provide_sessions},
    tags=["sessions"],
)

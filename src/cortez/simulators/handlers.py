"""`/simulators`, interviews and incidents: professional situations that a student works in."""

from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK

from cortez.core.db.pagination import Listing, Page
from cortez.core.web.dependencies import provided
from cortez.core.web.parameters import PathKey
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.errors import Forbidden
from cortez.sessions.dependencies import Sessions, provide_sessions
from cortez.simulators.access import machines, readers, require_taker, takers
from cortez.simulators.models import IncidentSimulation, InterviewSession
from cortez.simulators.repository import IncidentRepository, InterviewRepository, keys_of
from cortez.simulators.roles import ROLES, SimulatorRole, role_of
from cortez.simulators.schemas import (
    DiagnosisStepIn,
    IncidentEndIn,
    IncidentIn,
    IncidentOut,
    InterviewEndIn,
    InterviewIn,
    InterviewOut,
    QuestionIn,
    ResponseIn,
)

provide_interviews = provided(InterviewRepository)
provide_incidents = provided(IncidentRepository)
Interviews = NamedDependency[InterviewRepository]
Incidents = NamedDependency[IncidentRepository]


@get("/simulators", guards=[readers])
async def list_simulators() -> list[SimulatorRole]:
    return list(ROLES.values())


@get("/simulators/{type_:str}", guards=[readers])
async def read_simulator(type_: PathKey) -> SimulatorRole:
    return role_of(type_)


def shown(interviews: InterviewRepository, interview: InterviewSession) -> InterviewOut:
    principal = interviews.principal
    mine = interview.student_id == principal.student_id and not principal.is_admin
    full = principal.is_key or (principal.is_teaching and not mine)
    return InterviewOut.of(interview) if full else InterviewOut.for_student(interview)


@get("/sessions/{session_id:uuid}/interviews", guards=[readers])
async def list_interviews(
    session_id: FromPath[UUID], sessions: Sessions, interviews: Interviews, page: NamedDependency[Page]
) -> Listing[InterviewOut]:
    await sessions.require(session_id)
    statement = interviews.select().where(InterviewSession.session_id == session_id)
    return await interviews.page(statement, page, lambda interview: shown(interviews, interview))


@post("/sessions/{session_id:uuid}/interviews", guards=[machines])
async def start_interview(
    session_id: FromPath[UUID], data: JSONBody[InterviewIn], sessions: Sessions, interviews: Interviews
) -> Answer[InterviewOut]:
    session = await sessions.open(session_id)
    interview = await interviews.add(InterviewSession(**data.changes(), **keys_of(session)))
    return created(InterviewOut.of(interview), f"/interviews/{interview.id}")


@get("/interviews/{interview_id:uuid}", guards=[readers])
async def read_interview(interview_id: FromPath[UUID], interviews: Interviews) -> InterviewOut:
    return shown(interviews, await interviews.get(interview_id))


@post("/interviews/{interview_id:uuid}/questions", guards=[machines], status_code=HTTP_200_OK)
async def ask_question(
    interview_id: FromPath[UUID], data: JSONBody[QuestionIn], interviews: Interviews, match: NamedDependency[Match]
) -> InterviewOut:
    """The next question, when the last one is answered."""
    interview = await interviews.going(interview_id)
    match.check(interview.updated_at)
    return InterviewOut.of(await interviews.ask(interview, data.changes()))


@post("/interviews/{interview_id:uuid}/responses", guards=[takers], status_code=HTTP_200_OK)
async def answer_question(
    interview_id: FromPath[UUID], data: JSONBody[ResponseIn], interviews: Interviews, match: NamedDependency[Match]
) -> InterviewOut:
    """To the question that is open; a student answers, a machine may deliver the answer with its evaluation."""
    if data.evaluation is not None and not interviews.principal.may("key:simulators"):
        raise Forbidden(None, "A student does not evaluate an answer.")
    interview = await interviews.going(interview_id)
    await require_taker(interviews, interview)
    match.check(interview.updated_at)
    return shown(interviews, await interviews.answer(interview, data.changes()))


@post("/interviews/{interview_id:uuid}/complete", guards=[machines], status_code=HTTP_200_OK)
async def complete_interview(
    interview_id: FromPath[UUID], data: JSONBody[InterviewEndIn], interviews: Interviews, match: NamedDependency[Match]
) -> InterviewOut:
    interview = await interviews.going(interview_id)
    match.check(interview.updated_at)
    values = data.changes()
    values["evaluation_breakdown"] = values["evaluation_breakdown"] or {}
    return InterviewOut.of(await interviews.end(interview, values))


@get("/sessions/{session_id:uuid}/incidents", guards=[readers])
async def list_incidents(
    session_id: FromPath[UUID], sessions: Sessions, incidents: Incidents, page: NamedDependency[Page]
) -> Listing[IncidentOut]:
    await sessions.require(session_id)
    statement = incidents.select().where(IncidentSimulation.session_id == session_id)
    return await incidents.page(statement, page, IncidentOut.of)


@post("/sessions/{session_id:uuid}/incidents", guards=[machines])
async def start_incident(
    session_id: FromPath[UUID], data: JSONBody[IncidentIn], sessions: Sessions, incidents: Incidents
) -> Answer[IncidentOut]:
    session = await sessions.open(session_id)
    incident = await incidents.add(IncidentSimulation(**data.changes(), **keys_of(session)))
    return created(IncidentOut.of(incident), f"/incidents/{incident.id}")


@get("/incidents/{incident_id:uuid}", guards=[readers])
async def read_incident(incident_id: FromPath[UUID], incidents: Incidents) -> IncidentOut:
    return IncidentOut.of(await incidents.get(incident_id))


@post("/incidents/{incident_id:uuid}/diagnosis-steps", guards=[takers], status_code=HTTP_200_OK)
async def add_diagnosis_step(
    incident_id: FromPath[UUID], data: JSONBody[DiagnosisStepIn], incidents: Incidents, match: NamedDependency[Match]
) -> IncidentOut:
    incident = await incidents.going(incident_id)
    await require_taker(incidents, incident)
    match.check(incident.updated_at)
    return IncidentOut.of(await incidents.diagnose(incident, data.changes()))


@post("/incidents/{incident_id:uuid}/complete", guards=[machines], status_code=HTTP_200_OK)
async def complete_incident(
    incident_id: FromPath[UUID], data: JSONBody[IncidentEndIn], incidents: Incidents, match: NamedDependency[Match]
) -> IncidentOut:
    incident = await incidents.going(incident_id)
    match.check(incident.updated_at)
    values = data.changes()
    values["evaluation"] = values["evaluation"] or {}
    return IncidentOut.of(await incidents.end(incident, values))


router = Router(
    "/",
    route_handlers=[
        list_simulators,
        read_simulator,
        list_interviews,
        start_interview,
        read_interview,
        ask_question,
        answer_question,
        complete_interview,
        list_incidents,
        start_incident,
        read_incident,
        add_diagnosis_step,
        complete_incident,
    ],
    dependencies={
        "sessions": provide_sessions,
        "interviews": provide_interviews,
        "incidents": provide_incidents,
    },
    tags=["simulators"],
)

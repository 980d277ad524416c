"""`/evaluations`: how a student worked, as people, agents and the rules see it."""

import asyncio
from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from cortez.core.db.pagination import Listing, Page
from cortez.core.web.parameters import QueryKey
from cortez.core.web.responses import Answer, created
from cortez.core.web.route_options import HEAVY
from cortez.errors import Invalid
from cortez.evaluations.access import judges, readers
from cortez.evaluations.dependencies import Evaluations, provide_evaluations
from cortez.evaluations.rules import EVALUATOR, evaluate, level_of
from cortez.evaluations.schemas import EvaluationIn, EvaluationOut
from cortez.risks.access import judged
from cortez.risks.repository import require_traces
from cortez.sessions.dependencies import Sessions, provide_sessions


@get("/sessions/{session_id:uuid}/evaluations", guards=[readers])
async def list_session_evaluations(
    session_id: FromPath[UUID], evaluations: Evaluations, page: NamedDependency[Page]
) -> Listing[EvaluationOut]:
    """Newest first."""
    return await evaluations.listed_of(session_id, page)


@post("/sessions/{session_id:uuid}/evaluations", guards=[judges])
async def create_evaluation(
    session_id: FromPath[UUID], data: JSONBody[EvaluationIn], sessions: Sessions, evaluations: Evaluations
) -> Answer[EvaluationOut]:
    """What a person or an agent, such as a language model's, made of the session."""
    session = await judged(sessions, session_id)
    if data.evaluator == EVALUATOR:
        raise Invalid.at("/evaluator", "This is the service's own; `generate` runs it.", "EVALUATOR_RESERVED")
    asking = (evaluations.session, evaluations.principal)
    late = await require_traces(*asking, session_id, data.trace_ids(), "/dimensions")
    values = data.changes() | {"late": late}
    values["dimensions"] = [
        dimension | {"trace_ids": [str(id_) for id_ in dimension.get("trace_ids", [])]}
        for dimension in values["dimensions"]
    ]
    values["overall_competency_level"] = values["overall_competency_level"] or level_of(data.overall_score).value
    values["recommendations"] = values["recommendations"] or {}
    evaluation = await evaluations.store(session, values)
    return created(EvaluationOut.of(evaluation), f"/evaluations/{evaluation.id}")


@post("/sessions/{session_id:uuid}/evaluations/generate", guards=[judges], opt=HEAVY)
async def generate_evaluation(
    session_id: FromPath[UUID], sessions: Sessions, evaluations: Evaluations, late: FromQuery[bool] = True
) -> Answer[EvaluationOut]:
    """Let the rules evaluate the session as it is now, once more each time; too few steps are a conflict.

    `late=false` leaves out the steps that are late.
    """
    session = await judged(sessions, session_id)
    left_out = 0 if late else await evaluations.count_late(session_id)
    found = await asyncio.to_thread(evaluate, await evaluations.steps(session_id, late=late), left_out)
    evaluation = await evaluations.store(session, found)
    return created(EvaluationOut.of(evaluation), f"/evaluations/{evaluation.id}")


@get("/sessions/{session_id:uuid}/evaluations/latest", guards=[readers])
async def read_latest_evaluation(
    session_id: FromPath[UUID], sessions: Sessions, evaluations: Evaluations
) -> EvaluationOut:
    """404 where there is none."""
    await sessions.require(session_id)
    return EvaluationOut.of(await evaluations.latest(session_id))


@get("/evaluations", guards=[readers])
async def list_evaluations(
    evaluations: Evaluations,
    page: NamedDependency[Page],
    student_id: QueryKey = None,
    activity_id: QueryKey = None,
    course_id: QueryKey = None,
) -> Listing[EvaluationOut]:
    """Newest first."""
    return await evaluations.listed(page, student_id=student_id, activity_id=activity_id, course_id=course_id)


@get("/evaluations/{evaluation_id:uuid}", guards=[readers])
async def read_evaluation(evaluation_id: FromPath[UUID], evaluations: Evaluations) -> EvaluationOut:
    return await evaluations.read(evaluation_id)


router = Router(
    "/",
    route_handlers=[
        list_session_evaluations,
        create_evaluation,
        generate_evaluation,
        read_latest_evaluation,
        list_evaluations,
        read_evaluation,
    ],
    dependencies={"sessions": provide_sessions, "evaluations": provide_evaluations},
    tags=["evaluations"],
)

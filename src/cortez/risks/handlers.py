"""`/risks`: indicators in sessions, found by rules, agents and people, and judged by people."""

from typing import Any
from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK

from cortez.core.db.engine import Database
from cortez.core.db.pagination import Listing, Page
from cortez.core.web.guards import teachers
from cortez.core.web.parameters import QueryKey
from cortez.core.web.preconditions import Match
from cortez.core.web.requests import StrictRequest
from cortez.core.web.responses import Answer, created
from cortez.core.web.route_options import HEAVY, route
from cortez.errors import Invalid
from cortez.risks.access import judged, judges, readers
from cortez.risks.analysis import NAMES, Material, look, material_of
from cortez.risks.dependencies import Risks, provide_risks
from cortez.risks.findings import Finding
from cortez.risks.models import DIMENSION_OF, RiskDimension, RiskLevel
from cortez.risks.repository import RiskRepository
from cortez.risks.schemas import FoundOut, ResolveIn, RiskIn, RiskOut
from cortez.risks.scores import SessionScores, scores
from cortez.sessions.dependencies import Sessions, provide_sessions
from cortez.sessions.repository import SessionRepository


@get("/sessions/{session_id:uuid}/risks", guards=[readers])
async def list_session_risks(session_id: FromPath[UUID], risks: Risks, page: NamedDependency[Page]) -> Listing[RiskOut]:
    """Newest first."""
    return await risks.listed_of(session_id, page)


@post("/sessions/{session_id:uuid}/risks", guards=[judges])
async def create_risk(
    session_id: FromPath[UUID], data: JSONBody[RiskIn], sessions: Sessions, risks: Risks
) -> Answer[RiskOut]:
    """What a person or an agent saw; the names of the service's own rules are its own."""
    session = await judged(sessions, session_id)
    if data.rule in NAMES:
        raise Invalid.at("/rule", "The service has a rule of this name; `analyze` runs it.", "RULE_RESERVED")
    values = data.changes()
    values["dimension"] = DIMENSION_OF[data.risk_type].value
    values["trace_ids"] = [str(id_) for id_ in data.trace_ids]
    values["detected_by"] = data.detected_by or ("AR-IA" if risks.principal.is_key else "teacher")
    risk = await risks.store(session, values)
    return created(RiskOut.of(risk), f"/risks/{risk.id}")


async def findings(scope: Any, body: bytes, database: Database) -> list[Finding]:
    """What the rules find, before the unit of work begins: neither a row nor a connection is held meanwhile."""
    session_id = scope["path_params"]["session_id"]
    async with database.reading() as session:
        found = await judged(SessionRepository(session, scope["user"]), session_id, lock=False)

    async def load() -> Material:
        async with database.reading() as session:
            return await material_of(RiskRepository(session, scope["user"]), found)

    return await look(load, found.trace_count)


@post(
    "/sessions/{session_id:uuid}/risks/analyze",
    guards=[judges],
    status_code=HTTP_200_OK,
    opt=route(HEAVY, before=findings),
)
async def analyze_session(
    session_id: FromPath[UUID], request: StrictRequest, sessions: Sessions, risks: Risks
) -> FoundOut:
    """Run every rule. What was found before is not added again; what a person resolved stays as it is."""
    kept = await risks.keep(await judged(sessions, session_id), request.state.prepared)
    items = [RiskOut.of(risk) for risk in kept.risks]
    return FoundOut(kept.new, kept.updated, len(items) - kept.new - kept.updated, items)


@get("/sessions/{session_id:uuid}/analysis", guards=[readers], tags=["session views"], opt=HEAVY)
async def read_analysis(session_id: FromPath[UUID], sessions: Sessions, risks: Risks) -> SessionScores:
    """Five dimensions of 0 to 10: the session's unresolved risks, critical 4, high 3, medium 2, low 1."""
    await sessions.require(session_id)
    return scores(session_id, await risks.count_open(session_id))


@get("/risks", guards=[readers])
async def list_risks(
    risks: Risks,
    page: NamedDependency[Page],
    student_id: QueryKey = None,
    activity_id: QueryKey = None,
    course_id: QueryKey = None,
    dimension: FromQuery[RiskDimension | None] = None,
    risk_level: FromQuery[RiskLevel | None] = None,
    resolved: FromQuery[bool | None] = None,
) -> Listing[RiskOut]:
    """Newest first."""
    return await risks.listed(
        page,
        student_id=student_id,
        activity_id=activity_id,
        course_id=course_id,
        dimension=dimension,
        risk_level=risk_level,
        resolved=resolved,
    )


@get("/risks/{risk_id:uuid}", guards=[readers])
async def read_risk(risk_id: FromPath[UUID], risks: Risks) -> RiskOut:
    return await risks.read(risk_id)


@post("/risks/{risk_id:uuid}/resolve", guards=[teachers], status_code=HTTP_200_OK)
async def resolve_risk(
    risk_id: FromPath[UUID], data: JSONBody[ResolveIn], sessions: Sessions, risks: Risks, match: NamedDependency[Match]
) -> RiskOut:
    """Close a risk as confirmed or unfounded; closing it twice is a conflict. No grade follows from it."""
    risk = await risks.get(risk_id, lock=True)
    await judged(sessions, risk.session_id, lock=False)
    match.check(risk.updated_at)
    return RiskOut.of(await risks.resolve(risk, data.resolution, data.resolution_notes))


router = Router(
    "/",
    route_handlers=[
        list_session_risks,
        create_risk,
        analyze_session,
        read_analysis,
        list_risks,
        read_risk,
        resolve_risk,
    ],
    dependencies={"sessions": provide_sessions, "risks": provide_risks},
    tags=["risks"],
)

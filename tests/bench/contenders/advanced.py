"""Litestar with advanced-alchemy at its defaults: its services, filters and plugin, which commits before it answers.

The page is read without the count that its pagination brings: the answer holds none.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from advanced_alchemy.extensions.litestar import SQLAlchemyAsyncConfig, SQLAlchemyPlugin
from advanced_alchemy.extensions.litestar.providers import create_service_dependencies
from advanced_alchemy.filters import LimitOffset, OrderBy
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from litestar import Litestar, Request, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, NotFoundException
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct, field, structs

from bench.contenders.orm import OPEN, ApiKey, LearningSession, Trace, address

Document = dict[str, Any]


class TraceIn(Struct, forbid_unknown_fields=True, kw_only=True):
    interaction_type: str
    content: str
    id: UUID | None = None
    occurred_at: datetime | None = None
    parent_trace_id: UUID | None = None
    agent_id: str | None = None
    context: Document = {}
    trace_metadata: Document = field(name="metadata", default_factory=dict)
    decision_justification: str | None = None
    alternatives_considered: list[Any] = []
    trace_level: str = "n4_cognitivo"
    cognitive_state: str | None = None
    cognitive_intent: str | None = None
    strategy_type: str | None = None
    ai_involvement: float = 0.0
    semantic_understanding: Document = {}
    algorithmic_evolution: Document = {}
    cognitive_reasoning: Document = {}
    interactional_data: Document = {}
    ethical_risk_data: Document = {}
    process_data: Document = {}

    def columns(self) -> dict[str, Any]:
        """Without the id that was not given."""
        values = structs.asdict(self)
        return values if self.id else {name: value for name, value in values.items() if name != "id"}


class TraceOut(Struct):
    id: UUID
    created_at: datetime
    updated_at: datetime
    session_id: UUID
    student_id: str
    activity_id: str
    trace_level: str
    interaction_type: str
    content: str
    context: Document
    trace_metadata: Document = field(name="metadata")
    cognitive_state: str | None
    cognitive_intent: str | None
    decision_justification: str | None
    alternatives_considered: list[Any]
    strategy_type: str | None
    ai_involvement: float
    semantic_understanding: Document
    algorithmic_evolution: Document
    cognitive_reasoning: Document
    interactional_data: Document
    ethical_risk_data: Document
    process_data: Document
    parent_trace_id: UUID | None
    agent_id: str | None
    occurred_at: datetime | None
    late: bool


class Listing(Struct):
    items: list[TraceOut]
    next_cursor: str | None = None


class KeyService(SQLAlchemyAsyncRepositoryService[ApiKey]):
    class Repo(SQLAlchemyAsyncRepository[ApiKey]):
        model_type = ApiKey

    repository_type = Repo

    async def require(self, request: Request[Any, Any, Any], right: str) -> None:
        key = await self.get_one_or_none(*ApiKey.presented(request.headers.get("authorization", "")))
        if key is None or right not in key.scopes:
            raise NotAuthorizedException


class SessionService(SQLAlchemyAsyncRepositoryService[LearningSession]):
    class Repo(SQLAlchemyAsyncRepository[LearningSession]):
        model_type = LearningSession

    repository_type = Repo


class TraceService(SQLAlchemyAsyncRepositoryService[Trace]):
    class Repo(SQLAlchemyAsyncRepository[Trace]):
        model_type = Trace

    repository_type = Repo


Keys = NamedDependency[KeyService]
Sessions = NamedDependency[SessionService]
Traces = NamedDependency[TraceService]
AnyRequest = Request[Any, Any, Any]
ORDER = (OrderBy("created_at", "asc"), OrderBy("id", "asc"))


@get("/api/v1/sessions/{session_id:uuid}/traces")
async def list_traces(
    request: AnyRequest, session_id: FromPath[UUID], keys: Keys, sessions: Sessions, traces: Traces,
    limit: FromQuery[int] = 50,
) -> Listing:  # fmt: skip
    await keys.require(request, "read")
    if not await sessions.exists(id=session_id):
        raise NotFoundException
    found = await traces.get_many(LimitOffset(limit, 0), *ORDER, session_id=session_id)
    return Listing(list(traces.to_schema(found, schema_type=TraceOut).items))


@post("/api/v1/sessions/{session_id:uuid}/traces")
async def create_trace(
    request: AnyRequest, session_id: FromPath[UUID], data: JSONBody[TraceIn], keys: Keys, sessions: Sessions,
    traces: Traces,
) -> TraceOut:  # fmt: skip
    await keys.require(request, "traces")
    session = await sessions.get_one_or_none(id=session_id, with_for_update={"key_share": True})
    if session is None or session.status not in OPEN:
        raise NotFoundException
    copied = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
    answer: TraceOut = traces.to_schema(await traces.create(data.columns() | copied), schema_type=TraceOut)
    return answer


config = SQLAlchemyAsyncConfig(connection_string=address("asyncpg"), before_send_handler="autocommit")
app = Litestar(
    [list_traces, create_trace],
    plugins=[SQLAlchemyPlugin(config=config)],
    dependencies=create_service_dependencies(KeyService, "keys")
    | create_service_dependencies(SessionService, "sessions")
    | create_service_dependencies(TraceService, "traces"),
    openapi_config=None,
)

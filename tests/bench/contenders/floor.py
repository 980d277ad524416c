"""The floor: the hot routes written by hand on asyncpg and msgspec, with nothing that the answer does not need.

It asks the same authentication query, sends the same bytes and commits as durably as Cortez, on the same tables; it
knows no idempotency keys, rate limits, filters, access log or problem documents.
"""

import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from litestar import Litestar, Request, get, post
from litestar.exceptions import NotAuthorizedException, NotFoundException
from litestar.params import FromPath, FromQuery
from msgspec import Raw, Struct
from uuid_utils.compat import uuid7

AUTHENTICATE = """
    SELECT id, scopes, course_ids FROM api_keys WHERE key_hash = $1 AND (expires_at IS NULL OR expires_at > $2)
    AND (created_by IS NULL OR EXISTS (
        SELECT 1 FROM users WHERE users.id = api_keys.created_by AND is_active AND roles @> '"admin"'
    ))
"""
TRACE_COLUMNS = """
    id, created_at, updated_at, session_id, student_id, activity_id, trace_level, interaction_type, content, context,
    trace_metadata, cognitive_state, cognitive_intent, decision_justification, alternatives_considered, strategy_type,
    ai_involvement, semantic_understanding, algorithmic_evolution, cognitive_reasoning, interactional_data,
    ethical_risk_data, process_data, parent_trace_id, agent_id, occurred_at, late
"""
SESSION_COLUMNS = """
    id, created_at, updated_at, student_id, activity_id, course_id, mode, simulator_type, user_id, start_time, end_time,
    status, learning_objective, cognitive_status, session_metrics, trace_count
"""
RISK_COLUMNS = """
    id, created_at, updated_at, session_id, student_id, activity_id, risk_type, risk_level, dimension, description,
    impact, evidence, trace_ids, root_cause, impact_assessment, recommendations, pedagogical_intervention, resolved,
    resolved_at, resolution, resolution_notes, detected_by, rule, rule_version, subject, threshold_value, actual_value,
    late
"""
EVALUATION_COLUMNS = """
    id, created_at, updated_at, session_id, student_id, activity_id, overall_competency_level, overall_score,
    dimensions, key_strengths, improvement_areas, recommendations, reasoning_analysis, git_analysis,
    ai_dependency_score, ai_dependency_metrics, evaluator, evaluator_version, late
"""
PAGE = f"SELECT {TRACE_COLUMNS} FROM cognitive_traces WHERE session_id = $1 ORDER BY created_at, id LIMIT $2"
ONE_SESSION = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE id = $1"
TRACES = f"""
    SELECT {TRACE_COLUMNS} FROM cognitive_traces WHERE session_id = $1 ORDER BY coalesce(occurred_at, created_at), id
"""
RISKS = f"SELECT {RISK_COLUMNS} FROM risks WHERE session_id = $1 ORDER BY created_at, id"
EVALUATIONS = f"SELECT {EVALUATION_COLUMNS} FROM evaluations WHERE session_id = $1 ORDER BY created_at, id"
LOCK_SESSION = "SELECT student_id, activity_id, status FROM sessions WHERE id = $1 FOR NO KEY UPDATE"
INSERT = f"""
    INSERT INTO cognitive_traces (id, created_at, updated_at, session_id, student_id, activity_id, trace_level,
        interaction_type, content, context, trace_metadata, cognitive_state, cognitive_intent, decision_justification,
        alternatives_considered, strategy_type, ai_involvement, semantic_understanding, algorithmic_evolution,
        cognitive_reasoning, interactional_data, ethical_risk_data, process_data, parent_trace_id, agent_id,
        occurred_at, late)
    VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
        $23, $24, $25, $26)
    RETURNING {TRACE_COLUMNS}
"""
KNOWN = "SELECT id FROM cognitive_traces WHERE id = ANY($1)"
COPIED = [name.strip() for name in TRACE_COLUMNS.split(",")]
EMPTY, NONE = Raw(b"{}"), Raw(b"[]")


class TraceIn(Struct, forbid_unknown_fields=True, kw_only=True):
    interaction_type: str
    content: str
    id: UUID | None = None
    occurred_at: datetime | None = None
    parent_trace_id: UUID | None = None
    agent_id: str | None = None
    context: Raw = EMPTY
    metadata: Raw = EMPTY
    decision_justification: str | None = None
    alternatives_considered: Raw = NONE
    trace_level: str = "n4_cognitivo"
    cognitive_state: str | None = None
    cognitive_intent: str | None = None
    strategy_type: str | None = None
    ai_involvement: float = 0.0
    semantic_understanding: Raw = EMPTY
    algorithmic_evolution: Raw = EMPTY
    cognitive_reasoning: Raw = EMPTY
    interactional_data: Raw = EMPTY
    ethical_risk_data: Raw = EMPTY
    process_data: Raw = EMPTY

    def row(self, session_id: UUID, session: asyncpg.Record, moment: datetime) -> tuple[Any, ...]:
        return (
            self.id or uuid7(),
            moment,
            session_id,
            session["student_id"],
            session["activity_id"],
            self.trace_level,
            self.interaction_type,
            self.content,
            text(self.context),
            text(self.metadata),
            self.cognitive_state,
            self.cognitive_intent,
            self.decision_justification,
            text(self.alternatives_considered),
            self.strategy_type,
            self.ai_involvement,
            text(self.semantic_understanding),
            text(self.algorithmic_evolution),
            text(self.cognitive_reasoning),
            text(self.interactional_data),
            text(self.ethical_risk_data),
            text(self.process_data),
            self.parent_trace_id,
            self.agent_id,
            self.occurred_at,
            False,
        )


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
    context: Raw
    metadata: Raw
    cognitive_state: str | None
    cognitive_intent: str | None
    decision_justification: str | None
    alternatives_considered: Raw
    strategy_type: str | None
    ai_involvement: float
    semantic_understanding: Raw
    algorithmic_evolution: Raw
    cognitive_reasoning: Raw
    interactional_data: Raw
    ethical_risk_data: Raw
    process_data: Raw
    parent_trace_id: UUID | None
    agent_id: str | None
    occurred_at: datetime | None
    late: bool

    @classmethod
    def of(cls, row: Any) -> "TraceOut":
        (
            id_, created, updated, session, student, activity, level, kind, content, context, metadata, state, intent,
            why, others, strategy, involvement, semantic, algorithmic, reasoning, interactional, ethical, process,
            parent, agent, occurred, late,
        ) = row  # fmt: skip
        return cls(
            id_, created, updated, session, student, activity, level, kind, content, Raw(context), Raw(metadata),
            state, intent, why, Raw(others), strategy, involvement, Raw(semantic), Raw(algorithmic), Raw(reasoning),
            Raw(interactional), Raw(ethical), Raw(process), parent, agent, occurred, late,
        )  # fmt: skip


class Listing(Struct):
    items: list[TraceOut]
    next_cursor: str | None = None


class ItemResult(Struct):
    index: int
    status: str
    id: UUID


class BatchResult(Struct):
    created: int
    duplicate: int
    rejected: int
    items: list[ItemResult]


def text(raw: Raw) -> str:
    return bytes(raw).decode()


def document(names: str, row: asyncpg.Record, raw: set[str]) -> dict[str, Any]:
    """A row with its JSON columns undecoded."""
    return {name: Raw(row[name]) if name in raw and row[name] else row[name] for name in split(names)}


def split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


@asynccontextmanager
async def signed_in(request: Request[Any, Any, Any], right: str) -> AsyncGenerator[Any]:
    """A connection for the request, once its key is known."""
    key = hashlib.sha256(request.headers.get("authorization", "").removeprefix("Bearer ").encode()).digest()
    async with request.app.state.pool.acquire() as connection:
        found = await connection.fetchrow(AUTHENTICATE, key, datetime.now(UTC))
        if found is None or right not in msgspec.json.decode(found["scopes"], type=set[str]):
            raise NotAuthorizedException
        yield connection


@get("/api/v1/sessions/{session_id:uuid}/traces")
async def list_traces(
    request: Request[Any, Any, Any], session_id: FromPath[UUID], limit: FromQuery[int] = 50
) -> Listing:
    async with signed_in(request, "read") as connection:
        rows = await connection.fetch(PAGE, session_id, limit + 1)
        if not rows and not await connection.fetchrow(ONE_SESSION, session_id):
            raise NotFoundException
    return Listing([TraceOut.of(row) for row in rows[:limit]])


@get("/api/v1/sessions/{session_id:uuid}")
async def read_session(request: Request[Any, Any, Any], session_id: FromPath[UUID]) -> dict[str, Any]:
    """With its traces, risks and evaluations."""
    async with signed_in(request, "read") as connection:
        session = await connection.fetchrow(ONE_SESSION, session_id)
        if session is None:
            raise NotFoundException
        traces = await connection.fetch(TRACES, session_id)
        risks = await connection.fetch(RISKS, session_id)
        evaluations = await connection.fetch(EVALUATIONS, session_id)
    return {
        **document(SESSION_COLUMNS, session, {"learning_objective", "cognitive_status", "session_metrics"}),
        "traces": [TraceOut.of(row) for row in traces],
        "risks": [document(RISK_COLUMNS, row, {"evidence", "trace_ids", "recommendations"}) for row in risks],
        "evaluations": [document(EVALUATION_COLUMNS, row, SCORED) for row in evaluations],
    }


SCORED = set(
    """dimensions key_strengths improvement_areas recommendations reasoning_analysis git_analysis
    ai_dependency_metrics""".split()
)


@post("/api/v1/sessions/{session_id:uuid}/traces")
async def create_trace(request: Request[Any, Any, Any], session_id: FromPath[UUID]) -> TraceOut:
    data = msgspec.json.decode(await request.body(), type=TraceIn)
    async with signed_in(request, "traces") as connection, connection.transaction():
        session = await open_session(connection, session_id)
        row = await connection.fetchrow(INSERT, *data.row(session_id, session, datetime.now(UTC)))
    return TraceOut.of(row)


@post("/api/v1/sessions/{session_id:uuid}/traces/batch", status_code=200)
async def create_traces(request: Request[Any, Any, Any], session_id: FromPath[UUID]) -> BatchResult:
    """All of them by COPY; duplicates within the batch or with what is stored fail it."""
    data = msgspec.json.decode(await request.body(), type=list[TraceIn])
    async with signed_in(request, "traces") as connection, connection.transaction():
        session = await open_session(connection, session_id)
        given = [trace.id for trace in data if trace.id]
        if given and await connection.fetch(KNOWN, given):
            raise ValueError("a trace with this id is there already")
        moment = datetime.now(UTC)
        rows = [(row[0], row[1], *row[1:]) for row in (trace.row(session_id, session, moment) for trace in data)]
        await connection.copy_records_to_table("cognitive_traces", columns=COPIED, records=rows)
    results = [ItemResult(index, "created", row[0]) for index, row in enumerate(rows)]
    return BatchResult(len(rows), 0, 0, results)


async def open_session(connection: Any, session_id: UUID) -> asyncpg.Record:
    session = await connection.fetchrow(LOCK_SESSION, session_id)
    if session is None or session["status"] not in ("active", "paused"):
        raise NotFoundException
    return session


async def keep(connection: Any) -> None:
    """asyncpg resets each connection that comes back, which costs a round trip; nothing here needs it."""


@asynccontextmanager
async def pooled(app: Litestar) -> AsyncGenerator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=20, max_size=20, reset=keep) as pool:
        app.state.pool = pool
        yield


ROUTES = [list_traces, read_session, create_trace, create_traces]
app = Litestar(ROUTES, lifespan=[pooled], logging_config=None, openapi_config=None)

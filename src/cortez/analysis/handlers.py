"""Views over several domains: a session with what hangs on it, and its cognitive path."""

from uuid import UUID

from litestar import Router, get
from litestar.di import Provide
from litestar.params import FromPath, FromQuery
from msgspec import UNSET, UnsetType

from cortez.analysis.rules import CognitivePath, cognitive_path
from cortez.errors import Invalid
from cortez.security import allow
from cortez.sessions.handlers import Sessions, provide_sessions
from cortez.sessions.schemas import SessionOut
from cortez.traces.handlers import Traces, provide_traces
from cortez.traces.schemas import TraceOut

readers = allow("student", "tutor", "teacher", "key:read", "key:sessions")
PARTS = {"traces"}
MAX_STEPS = 20_000


class SessionView(SessionOut):
    traces: list[TraceOut] | UnsetType = UNSET


@get("/sessions/{session_id:uuid}", guards=[readers])
async def read_session(
    session_id: FromPath[UUID], sessions: Sessions, traces: Traces, include: FromQuery[str] = ""
) -> SessionView:
    """A session; `include=traces` adds its traces in the order they happened."""
    parts = {part for part in include.split(",") if part}
    if unknown := parts - PARTS:
        raise Invalid.at("include", f"There is no part {', '.join(sorted(unknown))}; use one of: traces.")
    found = await sessions.get(session_id)
    rows = (await traces.get_by_session_ids([session_id]))[session_id] if "traces" in parts else None
    return SessionView(
        **{name: getattr(found, name) for name in SessionOut.__struct_fields__},
        traces=UNSET if rows is None else [TraceOut.of(row) for row in rows],
    )


@get("/sessions/{session_id:uuid}/cognitive-path", guards=[readers])
async def read_cognitive_path(session_id: FromPath[UUID], sessions: Sessions, traces: Traces) -> CognitivePath:
    """Of the first 20,000 steps."""
    await sessions.require(session_id)
    return cognitive_path(await traces.steps(session_id, MAX_STEPS))


router = Router(
    "/",
    route_handlers=[read_session, read_cognitive_path],
    dependencies={"sessions": Provide(provide_sessions), "traces": Provide(provide_traces)},
    tags=["session views"],
)

"""Views over several domains: a session with what hangs on it, and its cognitive path."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from litestar import Router, get
from litestar.params import FromPath, FromQuery
from msgspec import UNSET, Meta, UnsetType

from cortez.analysis.access import readers
from cortez.analysis.rules import CognitivePath, cognitive_path
from cortez.core.security.principal import Principal
from cortez.core.web.route_options import HEAVY
from cortez.errors import Forbidden, Invalid
from cortez.evaluations.dependencies import Evaluations, provide_evaluations
from cortez.evaluations.schemas import EvaluationOut
from cortez.risks.dependencies import Risks, provide_risks
from cortez.risks.schemas import RiskOut
from cortez.sessions.dependencies import Sessions, provide_sessions
from cortez.sessions.schemas import SessionOut
from cortez.traces.dependencies import Traces, provide_traces
from cortez.traces.schemas import TraceOut

# What may be included, and the scope with which a key that may not `read` sees it.
PARTS = {"traces": "key:traces", "risks": "key:analysis", "evaluations": "key:analysis"}
MAX_STEPS = 20_000
MAX_INCLUDED = 1_000

Lists = Annotated[dict[str, str], Meta(description="Of each included part that has more than is shown, its list.")]


class SessionView(SessionOut):
    """A session with the parts that were asked for; `more` says where all of a part is that is not shown whole."""

    traces: list[TraceOut] | UnsetType = UNSET
    risks: list[RiskOut] | UnsetType = UNSET
    evaluations: list[EvaluationOut] | UnsetType = UNSET
    more: Lists | UnsetType = UNSET


@get("/sessions/{session_id:uuid}", guards=[readers])
async def read_session(
    session_id: FromPath[UUID],
    sessions: Sessions,
    traces: Traces,
    risks: Risks,
    evaluations: Evaluations,
    include: FromQuery[str] = "",
) -> SessionView:
    """A session; `include=traces,risks,evaluations` adds them, traces in the order they happened.

    Of each part the first 1,000 are shown, and fewer where they have more than some 4 MB. `more` then names the list of
    the part, which has everything in pages: `"more": {"traces": "/api/v1/sessions/…/traces"}`.
    """
    parts = parts_of(include, sessions.principal)
    found = await sessions.row(sessions.columns, session_id)
    sources: dict[str, Any] = {"traces": traces, "risks": risks, "evaluations": evaluations}
    view, more = SessionView(*found), {}
    for part in sorted(parts):
        shown, has_more = await sources[part].included(session_id, MAX_INCLUDED)
        setattr(view, part, shown)
        if has_more:
            more[part] = f"/api/v1/sessions/{session_id}/{part}"
    view.more = more or UNSET
    return view


def parts_of(include: str, principal: Principal) -> set[str]:
    """The parts that are named. Raises Invalid where one does not exist, Forbidden where a key may not see it."""
    parts = {part for part in include.split(",") if part}
    if unknown := parts - PARTS.keys():
        raise Invalid.at("include", f"There is no part {', '.join(sorted(unknown))}; use one of: {', '.join(PARTS)}.")
    if principal.is_key and not all(principal.may("key:read", PARTS[part]) for part in parts):
        raise Forbidden
    return parts


@get("/sessions/{session_id:uuid}/cognitive-path", guards=[readers], opt=HEAVY)
async def read_cognitive_path(session_id: FromPath[UUID], sessions: Sessions, traces: Traces) -> CognitivePath:
    """Of the first 20,000 steps."""
    await sessions.require(session_id)
    return await asyncio.to_thread(cognitive_path, await traces.steps(session_id, MAX_STEPS))


router = Router(
    "/",
    route_handlers=[read_session, read_cognitive_path],
    dependencies={
        "sessions": provide_sessions,
        "traces": provide_traces,
        "risks": provide_risks,
        "evaluations": provide_evaluations,
    },
    tags=["session views"],
)

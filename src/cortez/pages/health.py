"""Whether the service lives, and whether it is ready."""

from litestar import Response, get
from msgspec import Struct

from cortez.core.web.requests import ServiceRequest
from cortez.core.web.route_options import OUTSIDE, route
from cortez.ops.readiness import Condition, condition_of


class Live(Struct, frozen=True):
    status: str


class Ready(Struct, frozen=True):
    """`reasons` says what is missing, and is empty where all is well.

    With the status `ok` it names a newer revision of the database, under which this version still works (what comes
    while a newer version is being rolled out), and why this worker does not read at the replica.
    """

    status: str
    reasons: list[str]


@get("/live", tags=["operations"], opt=OUTSIDE)
async def live() -> Live:
    """The process answers."""
    return Live("ok")


@get("/ready", tags=["operations"], opt=route(OUTSIDE, also=(503,)))
async def ready(request: ServiceRequest) -> Response[Ready]:
    """503 with the reasons where a request would fail now; a schema newer than this version needs is none."""
    state = request.app.state
    if state.stopping:
        condition = Condition(["The service is stopping."], [])
    else:
        condition = await condition_of(state.database)
    answer = Ready("unavailable" if condition.shortcomings else "ok", condition.shortcomings or condition.notices)
    return Response(answer, status_code=503 if condition.shortcomings else 200)

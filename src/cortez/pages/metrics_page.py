"""The metrics, for Prometheus."""

import hmac

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.types import Scope
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from cortez.accounts.authentication import bearer
from cortez.core.observability.metrics import exposition
from cortez.core.web.requests import StrictRequest
from cortez.core.web.route_options import OUTSIDE
from cortez.errors import Forbidden, Unauthorized
from cortez.ops.gauges import Gauges
from cortez.settings import Settings


@get("/metrics", include_in_schema=False, opt=OUTSIDE)
async def metrics(request: StrictRequest, settings: NamedDependency[Settings]) -> Response[bytes]:
    """With CORTEZ_METRICS_TOKEN as bearer token; without such a setting open in development, closed in production."""
    admit(request.scope, settings)
    gauges: Gauges = request.app.state.gauges
    await gauges.ask()
    gauges.look()
    return Response(await exposition(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def admit(scope: Scope, settings: Settings) -> None:
    """Raises Unauthorized or Forbidden."""
    if settings.metrics_token:
        if not hmac.compare_digest(bearer(scope).encode(), settings.metrics_token.encode()):
            raise Unauthorized("METRICS_TOKEN_INVALID", "Send CORTEZ_METRICS_TOKEN as bearer token.")
    elif settings.env == "production":
        raise Forbidden("METRICS_TOKEN_MISSING", "Set CORTEZ_METRICS_TOKEN, and send it as bearer token.")

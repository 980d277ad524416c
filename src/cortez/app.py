"""The application: the one place where everything is wired."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import LitestarException
from litestar.types import (
    ControllerRouterHandler,
    Message,
    Send,
)
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts import auth_handlers, course_handlers, invitation_handlers
from cortez.accounts import handlers as accounts
from cortez.accounts.attempts import Refusals
from cortez.accounts.authentication import Callers, authenticator
from cortez.accounts.rights import rights_of
from cortez.activities import handlers as activities
from cortez.analysis import handlers as analysis
from cortez.analysis import student_handlers as student_views
from cortez.audit import handlers as audit_handlers
from cortez.audit.access_log import Journal
from cortez.bootstrap import open_database
from cortez.content import file_handlers, note_handlers
from cortez.content import handlers as content
from cortez.core.db.errors import described
from cortez.core.db.pagination import Cursors
from cortez.core.observability.request_context import Exchange, note_status
from cortez.core.observability.request_ids import request_id
from cortez.core.security.passwords import Passwords
from cortez.core.security.principal import Principal
from cortez.core.security.tokens import Tokens
from cortez.core.web.middleware import RequestPipeline
from cortez.core.web.pagination import provide_page
from cortez.core.web.preconditions import Match
from cortez.core.web.problems import on_exception
from cortez.core.web.rate_limits import Rates, limited
from cortez.core.web.request_attempt import provide_session
from cortez.core.web.requests import ServiceRequest, StrictRequest
from cortez.core.web.responses import Answer
from cortez.core.web.route_options import compile_route_options
from cortez.core.web.security_headers import add_headers, cors
from cortez.evaluations import handlers as evaluations
from cortez.exercises import attempt_handlers, part_handlers
from cortez.exercises import handlers as exercises
from cortez.exports import handlers as exports
from cortez.git import handlers as git_handlers
from cortez.lti import handlers as lti
from cortez.ops.background_jobs import Upkeep, beside
from cortez.ops.gauges import Gauges
from cortez.oversight import alert_handlers, intervention_handlers, plan_handlers
from cortez.pages import handlers as pages
from cortez.privacy import handlers as privacy_handlers
from cortez.profiles import handlers as student_handlers
from cortez.reports import handlers as reports
from cortez.risks import handlers as risks
from cortez.sequences import handlers as sequence_handlers
from cortez.sessions import handlers as sessions
from cortez.sessions.quotas import Quotas
from cortez.settings import Settings, load
from cortez.simulators import event_handlers
from cortez.simulators import handlers as simulators
from cortez.traces import handlers as traces

if TYPE_CHECKING:
    from cortez.core.observability.tracing import Tracing

V = TypeVar("V")

logger = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, extra: Sequence[ControllerRouterHandler] = ()) -> Litestar:
    """The service with these settings (default: those of the environment), and extra routes where a test needs them."""
    settings = settings or load()
    database, tokens, passwords = open_database(settings), Tokens(settings), Passwords(settings)
    journal, refusals = Journal(database), Refusals()
    callers = Callers(tokens, settings)
    sign_in = authenticator(callers, replicated=database.replica is not None)
    api = Router(
        "/api/v1",
        route_handlers=[
            auth_handlers.router,
            student_handlers.me_router,
            invitation_handlers.router,
            accounts.router,
            accounts.keys_router,
            course_handlers.router,
            content.subjects_router,
            content.unidades_router,
            note_handlers.router,
            file_handlers.router,
            activities.router,
            sessions.router,
            analysis.router,
            sequence_handlers.router,
            student_views.router,
            traces.router,
            risks.router,
            evaluations.router,
            exercises.router,
            part_handlers.router,
            attempt_handlers.router,
            simulators.router,
            event_handlers.router,
            student_handlers.router,
            alert_handlers.router,
            plan_handlers.router,
            intervention_handlers.router,
            reports.router,
            lti.router,
            git_handlers.router,
            exports.router,
            privacy_handlers.router,
            audit_handlers.router,
        ],
    )
    app = Service(
        tracing=open_tracing(settings),
        route_handlers=[api, *pages.routers, *extra],
        dependencies={
            "session": Provide(provide_session),
            "page": Provide(provide_page),
            "match": Provide(provide_match),
            "principal": Provide(provide_principal),
            "database": constant(database),
            "tokens": constant(tokens),
            "passwords": constant(passwords),
            "settings": constant(settings),
            "journal": constant(journal),
            "refusals": constant(refusals),
            "callers": constant(callers),
            "quotas": constant(Quotas(settings)),
        },
        middleware=[
            RequestPipeline(database, callers.identify, limited(sign_in, Rates(database)), journal.note, rights_of)
        ],
        exception_handlers={Exception: on_exception},
        request_class=StrictRequest,
        response_class=Answer,
        before_send=[add_headers, note_status],
        lifespan=[running],
        state=State(
            {
                "database": database,
                "settings": settings,
                "cursors": Cursors(*settings.key_ring),
                "upkeep": Upkeep(database, journal),
                "gauges": Gauges(database, journal),
                "refusals": refusals,
                "callers": callers,
                "stopping": False,
            },
            deep_copy=False,
        ),
        cors_config=cors(settings),
        logging_config=None,  # whoever runs the service says where it logs to
        openapi_config=None,  # pages/openapi.py makes the document from the types that decode
        request_max_body_size=None,  # the unit of work bounds every body, by route
        signature_types=[AsyncSession],
    )
    compile_route_options(app)
    return app


def open_tracing(settings: Settings) -> "Tracing | None":
    """Where spans go to, if anywhere: without it, none of OpenTelemetry is loaded."""
    if not settings.otel_exporter_otlp_endpoint:
        return None
    try:
        from cortez.core.observability.tracing import Tracing
    except ImportError:
        logger.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set, but nothing is traced: install cortez[otel].")
        return None
    return Tracing.to(settings.otel_exporter_otlp_endpoint)


def unwrapped(error: BaseException) -> BaseException:
    """What went wrong, without what the framework has put around it."""
    if isinstance(error, BaseExceptionGroup):
        return unwrapped(error.exceptions[0])
    if isinstance(error, LitestarException) and error.__cause__:
        return unwrapped(error.__cause__)
    return error


class BrokenOff(Exception):
    """An answer that had begun could not be finished."""


class Service(Litestar):
    """Litestar, with HEAD answered as GET without the body, and nothing of people in what the server logs."""

    def __init__(self, tracing: "Tracing | None", **options: Any) -> None:
        super().__init__(**options)
        self.tracing = tracing

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":
            scope, send = {**scope, "method": "GET"}, without_body(send)
        with Exchange(method, scope, self.tracing.begin(scope) if self.tracing else None):
            try:
                await super().__call__(scope, receive, send)
            except Exception as error:
                logger.error("an answer broke off: %s, request %s", described(unwrapped(error)), request_id(scope))
                raise BrokenOff from None  # the server closes the connection, and prints no more than this name


def without_body(send: Send) -> Send:
    async def silent(message: Message) -> None:
        await send(message | {"body": b""} if message["type"] == "http.response.body" else message)

    return silent


@asynccontextmanager
async def running(app: "Service") -> AsyncGenerator[None]:
    """Connections are made when they are needed, and closed when the service stops."""
    async with app.state.upkeep.going(), beside(app.state.gauges.run()):
        yield
    await app.state.database.close()
    if app.tracing:
        await asyncio.to_thread(app.tracing.close)


def constant(value: V) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


async def provide_principal(request: ServiceRequest) -> Principal:
    principal: Principal = request.user
    return principal


async def provide_match(request: ServiceRequest) -> Match:
    return Match(request.headers.get("if-match"))

"""The application: the one place where everything is wired."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Router
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler, Message, Scope
from sqlalchemy.ext.asyncio import AsyncSession

from cortez import tables  # noqa: F401 - registers every table
from cortez.accounts import auth_handlers, course_handlers
from cortez.accounts import handlers as accounts
from cortez.accounts.authentication import authenticator
from cortez.activities import handlers as activities
from cortez.analysis import handlers as analysis
from cortez.analysis import sequence_handlers, student_handlers
from cortez.database import Database
from cortez.errors import on_exception, request_id
from cortez.pages import handlers as pages
from cortez.paging import Cursors, provide_page
from cortez.responses import Answer
from cortez.schemas import Match, StrictRequest
from cortez.security import Passwords, Principal, Tokens
from cortez.sessions import handlers as sessions
from cortez.settings import Settings, load
from cortez.traces import git_handlers
from cortez.traces import handlers as traces
from cortez.transactions import UnitOfWork, learn_query_parameters, provide_session

DESCRIPTION = "The system of record for how students work with AI tutors."


def create_app(settings: Settings | None = None, extra: Sequence[ControllerRouterHandler] = ()) -> Litestar:
    """The service with these settings (default: those of the environment), and extra routes where a test needs them."""
    settings = settings or load()
    database, tokens, passwords = Database(settings), Tokens(settings), Passwords(settings)
    api = Router(
        "/api/v1",
        route_handlers=[
            auth_handlers.router,
            accounts.router,
            accounts.keys_router,
            course_handlers.router,
            activities.router,
            sessions.router,
            analysis.router,
            sequence_handlers.router,
            student_handlers.router,
            traces.router,
            git_handlers.router,
        ],
        security=[{"bearer": []}],
    )
    app = Litestar(
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
        },
        middleware=[UnitOfWork(database, authenticator(database, tokens))],
        exception_handlers={Exception: on_exception},
        request_class=StrictRequest,
        response_class=Answer,
        before_send=[add_headers],
        lifespan=[running],
        state=State(
            {"database": database, "settings": settings, "cursors": Cursors(settings.secret_key)}, deep_copy=False
        ),
        cors_config=CORSConfig(allow_origins=list(settings.cors_origins)) if settings.cors_origins else None,
        openapi_config=openapi(),
        request_max_body_size=None,  # the unit of work bounds every body, by route
        signature_types=[AsyncSession],
    )
    learn_query_parameters(app)
    return app


@asynccontextmanager
async def running(app: Litestar) -> AsyncGenerator[None]:
    """Connections are made when they are needed, and closed when the service stops."""
    yield
    await app.state.database.close()


def constant(value: Any) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


async def provide_principal(request: Request[Any, Any, Any]) -> Principal:
    principal: Principal = request.user
    return principal


async def provide_match(request: Request[Any, Any, Any]) -> Match:
    return Match(request.headers.get("if-match"))


async def add_headers(message: Message, scope: Scope) -> None:
    """Every answer says which request it belongs to; answers about people are kept by no cache."""
    if message["type"] == "http.response.start":
        added = [(b"x-request-id", request_id(scope).encode()), (b"x-content-type-options", b"nosniff")]
        if scope["path"].startswith("/api/"):
            added.append((b"cache-control", b"no-store"))
        message["headers"] = [*message["headers"], *added]


def openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", description="An access token, or an API key (`ck_…`).")
    return OpenAPIConfig(
        title="Cortez",
        version="0.1.0",
        description=DESCRIPTION,
        components=Components(security_schemes={"bearer": bearer}),
        openapi_router=Router("/schema", route_handlers=[], opt={"outside": True}),
        render_plugins=[],
    )

"""What a person opens in a browser: the front page and the documentation, with nothing loaded from elsewhere."""

import base64
import hashlib
from html import escape
from importlib.metadata import version
from importlib.resources import files
from string import Template

import msgspec
from litestar import MediaType, Response, Router, get
from litestar.di import NamedDependency
from litestar.enums import OpenAPIMediaType
from litestar.params import FromPath
from sqlalchemy import select

from cortez.accounts.models import User
from cortez.analysis.rules import cognitive_path
from cortez.core.db.engine import Database
from cortez.core.security.principal import SYSTEM
from cortez.core.web.requests import StrictRequest
from cortez.core.web.route_options import OUTSIDE
from cortez.demo.people import ADMIN, FIRST_STUDENT, PASSWORD, TEACHER, TUTOR
from cortez.errors import NotFound
from cortez.pages.drawing import draw
from cortez.pages.health import live, ready
from cortez.pages.metrics_page import metrics
from cortez.pages.openapi import document
from cortez.sessions.models import LearningSession
from cortez.settings import Settings
from cortez.traces.repository import TraceRepository

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
START = "SwaggerUIBundle({url: '/schema/openapi.json', dom_id: '#docs', deepLinking: true});"
START_HASH = base64.b64encode(hashlib.sha256(START.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; script-src 'self' 'sha256-{START_HASH}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
MAX_STEPS = 200

DOCS = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Cortez API</title>
<link rel="icon" href="/docs/favicon-32x32.png"><link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="docs"></div><script src="/docs/swagger-ui-bundle.js"></script><script>{START}</script></body></html>"""

PAGE = Template((files("cortez.pages") / "front.html").read_text("utf-8"))


def html(text: str) -> Response[str]:
    return Response(text, media_type=MediaType.HTML, headers={"Content-Security-Policy": POLICY})


@get("/", include_in_schema=False, opt=OUTSIDE)
async def front(database: NamedDependency[Database], settings: NamedDependency[Settings]) -> Response[str]:
    """In development with the demo logins and one student's path; in production only what this is and where to go."""
    demo = await demonstration(database) if settings.env == "development" else ""
    return html(PAGE.substitute(demo=demo))


async def demonstration(database: Database) -> str:
    """The first demo student's latest session, drawn from its traces; nothing where the demo is not loaded."""
    latest = select(LearningSession).where(LearningSession.student_id == FIRST_STUDENT)
    async with database.reading() as session:
        name = await session.scalar(select(User.full_name).where(User.student_id == FIRST_STUDENT))
        found = await session.scalar(latest.order_by(LearningSession.created_at.desc()).limit(1))
        steps = await TraceRepository(session, SYSTEM).steps(found.id, MAX_STEPS) if found else []
    if not (found and steps):
        return ""
    logins = "".join(
        f"<tr><td>{role}</td><td><code>{escape(login)}</code></td><td><code>{escape(PASSWORD)}</code></td></tr>"
        for role, login in (("teacher", TEACHER), ("tutor", TUTOR), ("student", FIRST_STUDENT), ("admin", ADMIN))
    )
    return (
        f"<h2>One student's path</h2><p>{escape(name or FIRST_STUDENT)} on <code>{escape(found.activity_id)}</code>: "
        f"what they were doing from step to step, and below it the AI's share in each (mean of five).</p>"
        f"{draw(cognitive_path(steps))}"
        f"<h2>Logins to try</h2><table><tr><th>role</th><th>login</th><th>password</th></tr>{logins}</table>"
    )


@get("/docs", include_in_schema=False, opt=OUTSIDE)
async def docs() -> Response[str]:
    return html(DOCS)


@get("/docs/{asset:str}", include_in_schema=False, opt=OUTSIDE)
async def docs_asset(asset: FromPath[str]) -> Response[bytes]:
    """A file of Swagger UI, from the package."""
    if asset not in ASSETS:
        raise NotFound("page", "at this address")
    content = (files("swagger_ui") / "static" / asset).read_bytes()
    return Response(content, media_type=ASSETS[asset], headers={"Cache-Control": "public, max-age=86400"})


@get("/schema/openapi.json", include_in_schema=False, opt=OUTSIDE, media_type=OpenAPIMediaType.OPENAPI_JSON)
async def schema(request: StrictRequest) -> bytes:
    """The OpenAPI document, made when it is first asked for."""
    state = request.app.state
    if "document" not in state:
        state.document = msgspec.json.encode(document(request.app, version("cortez")))
    made: bytes = state.document
    return made


routers = [
    Router("/", route_handlers=[front, docs, docs_asset, schema, metrics]),
    Router("/health", route_handlers=[live, ready]),
]

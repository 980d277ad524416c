"""What a browser is told about every answer, and which other origins may call."""

from collections.abc import Iterable, Iterator

from litestar.config.cors import CORSConfig
from litestar.types import Message, Scope

from cortez.core.observability.request_ids import request_id
from cortez.core.web.route_options import options_of
from cortez.settings import Settings

EVERYWHERE = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
# Answers of the API are data: a browser runs nothing in them, shows them in no frame, keeps them in no cache.
OF_THE_API = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
TWO_YEARS = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
SENT = ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Range", "X-Request-ID"]
SHOWN = ["Content-Disposition", "ETag", "Link", "Location", "Retry-After", "X-Request-ID"]


async def add_headers(message: Message, scope: Scope) -> None:
    """On every answer, errors included. In production a browser also remembers to come by HTTPS only."""
    if message["type"] == "http.response.start":
        added = [(b"x-request-id", request_id(scope).encode()), *EVERYWHERE]
        if scope["path"].startswith("/api/"):
            added += OF_THE_API
        if scope["litestar_app"].state.settings.env == "production":
            added.append(TWO_YEARS)
        kept = [header for header in message["headers"] if header[0] != b"allow"]
        message["headers"] = [*kept, *allowed(message["headers"], scope), *added]


def allowed(headers: Iterable[tuple[bytes, bytes]], scope: Scope) -> Iterator[tuple[bytes, bytes]]:
    """The Allow header, with HEAD where there is GET; the framework's own names the first routes of a path only."""
    route = scope.get("route_handler")
    for name, value in headers:
        if name == b"allow":
            methods = options_of(route).methods if route else None
            named = {*(methods or value.decode().split(", "))}
            yield name, ", ".join(sorted(named | ({"HEAD"} if "GET" in named else set()))).encode()


def cors(settings: Settings) -> CORSConfig | None:
    """For the origins that are listed, none by default. Tokens travel in a header, so no cookies are allowed."""
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=SENT,
        expose_headers=SHOWN,
        max_age=600,
    )

"""What is read and checked of a request before a connection is taken: its body, headers and query."""

import asyncio
from typing import Any

from litestar.types import HTTPScope, Receive, Scope

from cortez.errors import Invalid, TooLarge, UnsupportedMediaType
from cortez.paging import pairs_of, with_filters
from cortez.schemas import Input, decode

SAFE = {"GET", "HEAD", "OPTIONS"}
MAX_BODY = 1_000_000
LARGE = 2_000_000  # bytes, from which on a body waits for its turn
DIGITS = 15  # of a length that makes sense


class Nothing(Input):
    """The body of an action without fields: an empty object, or none."""


def exceeds(declared: bytes, limit: int) -> bool:
    """Whether a Content-Length is more than the limit, or no length at all, of however many digits."""
    return not declared.isdigit() or len(declared) > DIGITS or int(declared) > limit


def is_large(scope: HTTPScope, headers: dict[bytes, bytes]) -> bool:
    """Whether the body may be larger than most: by what the route takes, and what the sender says of it."""
    if scope["route_handler"].opt.get("max_body", MAX_BODY) <= LARGE:
        return False
    return exceeds(headers.get(b"content-length", b""), LARGE)


async def read_body(scope: HTTPScope, headers: dict[bytes, bytes], receive: Receive, seconds: float) -> bytes | None:
    """The whole body, before any connection is taken. None where the client has gone.

    Raises TooLarge, or Invalid (REQUEST_TIMEOUT) where it takes longer than `seconds`.
    """
    limit = scope["route_handler"].opt.get("max_body", MAX_BODY)
    declared = headers.get(b"content-length", b"0")
    if exceeds(declared, limit):
        raise TooLarge(None, f"A body may have at most {limit} bytes here.")
    bodiless = b"content-length" in headers or scope["method"] in SAFE
    if bodiless and int(declared) == 0 and b"transfer-encoding" not in headers:
        return b""
    try:
        async with asyncio.timeout(seconds):
            return await _gather(receive, limit)
    except TimeoutError:
        raise Invalid("REQUEST_TIMEOUT", f"The body did not arrive within {seconds:g} seconds.") from None


async def _gather(receive: Receive, limit: int) -> bytes | None:
    body = bytearray()
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > limit:
            raise TooLarge(None, f"A body may have at most {limit} bytes here.")
        if not message.get("more_body", False):
            return bytes(body)


def takes_body(scope: HTTPScope) -> bool:
    """Whether the handler reads the body, decoded or raw."""
    return not {"data", "request"}.isdisjoint(scope["route_handler"].parsed_fn_signature.parameters)


def check_headers(scope: HTTPScope, headers: dict[bytes, bytes], body: bytes) -> None:
    """Refuse what a route would otherwise silently ignore: a media type, a key or a precondition."""
    handler = scope["route_handler"]
    media_types = handler.opt.get("bodies", ("application/json",))
    given = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if body and given not in media_types:
        raise UnsupportedMediaType(None, f"Send {' or '.join(media_types)}.")
    if body and not takes_body(scope):
        decode(body, Nothing)
    if b"if-none-match" in headers and scope["method"] not in SAFE:
        raise Invalid("HEADER_NOT_SUPPORTED", "If-None-Match has a meaning for reading only.")
    if b"if-match" in headers and "match" not in handler.parsed_fn_signature.parameters:
        raise Invalid("HEADER_NOT_SUPPORTED", "If-Match has no meaning on this route.")
    if b"idempotency-key" in headers and (scope["method"] != "POST" or handler.opt.get("no_key")):
        raise Invalid("HEADER_NOT_SUPPORTED", "Idempotency-Key has no meaning on this route.")


def check_query(scope: Scope) -> bytes:
    """The query string with the filters its cursor carries; what the route does not know is refused."""
    given = scope["query_string"]
    if not given:
        return given
    query, known = pairs_of(given), scope["route_handler"].opt["query"]
    if unknown := sorted({name for name, _ in query} - known.keys()):
        raise Invalid.at(unknown[0], f"This route has no query parameter {unknown[0]!r}.", "UNKNOWN_PARAMETER")
    if b"%00" in given:
        raise Invalid.at("", "A parameter may not contain the NUL character.")
    completed = with_filters(scope["path"], query, scope["litestar_app"].state.cursors) if "cursor" in known else None
    return completed or given

"""What is read and checked of a request before a connection is taken: its body, headers and query."""

import asyncio
from typing import Any

from litestar.types import HTTPScope, Receive, Scope

from cortez.core.db.pagination import pairs_of
from cortez.core.web.decoding import decode
from cortez.core.web.pagination import with_filters
from cortez.core.web.route_options import options_of
from cortez.core.web.schemas import Input
from cortez.errors import Invalid, TooLarge, TooSlow, UnsupportedMediaType

SAFE = {"GET", "HEAD", "OPTIONS"}
LARGE = 2_000_000  # bytes, from which on a body waits for its turn
DIGITS = 15  # of a length that makes sense
LEAST_RATE = 32_000  # bytes a second


class Nothing(Input):
    """The body of an action without fields: an empty object, or none."""


def exceeds(declared: bytes, limit: int) -> bool:
    """Whether a Content-Length is more than the limit, or no length at all, of however many digits."""
    return not declared.isdigit() or len(declared) > DIGITS or int(declared) > limit


def is_large(scope: HTTPScope, headers: dict[bytes, bytes]) -> bool:
    """Whether the body may be larger than most: by what the route takes, and what the sender says of it."""
    if options_of(scope["route_handler"]).max_body <= LARGE:
        return False
    return exceeds(headers.get(b"content-length", b""), LARGE)


class Body:
    """A body as it comes. It may keep us waiting for so many seconds, and a second more for each 32 kB that have come.

    So a large file may take long on a slow line, and a byte now and then holds nothing. Our own work does not count.
    """

    def __init__(self, receive: Receive, seconds: float) -> None:
        self.receive = receive
        self.seconds = self.left = seconds
        self.size = 0
        self.is_complete = False

    async def next_chunk(self) -> bytes | None:
        """None where the client has gone. Raises TooSlow."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(self.left):
                message: Any = await self.receive()
        except TimeoutError:
            rule = f"Send it within {self.seconds:g} seconds, or {LEAST_RATE // 1_000} kB a second."
            raise TooSlow(None, f"The body comes too slowly. {rule}") from None
        if message["type"] == "http.disconnect":
            return None
        chunk: bytes = message.get("body", b"")
        self.left = min(self.seconds, self.left + len(chunk) / LEAST_RATE - (loop.time() - begun))
        self.size += len(chunk)
        self.is_complete = not message.get("more_body", False)
        return chunk


async def read_body(scope: HTTPScope, headers: dict[bytes, bytes], receive: Receive, seconds: float) -> bytes | None:
    """The whole body, before any connection is taken. None where the client has gone.

    Raises TooLarge, or TooSlow (`Body`).
    """
    limit = options_of(scope["route_handler"]).max_body
    declared = headers.get(b"content-length", b"0")
    if exceeds(declared, limit):
        raise TooLarge(None, f"A body may have at most {limit} bytes here.")
    bodiless = b"content-length" in headers or scope["method"] in SAFE
    if bodiless and int(declared) == 0 and b"transfer-encoding" not in headers:
        return b""
    body, gathered = Body(receive, seconds), bytearray()
    while not body.is_complete:
        chunk = await body.next_chunk()
        if chunk is None:
            return None
        gathered += chunk
        if body.size > limit:
            raise TooLarge(None, f"A body may have at most {limit} bytes here.")
    return bytes(gathered)


def takes_body(scope: HTTPScope) -> bool:
    """Whether the handler reads the body, decoded or raw."""
    return not {"data", "request"}.isdisjoint(scope["route_handler"].parsed_fn_signature.parameters)


def check_headers(scope: HTTPScope, headers: dict[bytes, bytes], body: bytes) -> None:
    """Refuse what a route would otherwise silently ignore: a media type, a key or a precondition."""
    handler = scope["route_handler"]
    options = options_of(handler)
    media_types = options.bodies or ("application/json",)
    given = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if body and given not in media_types:
        raise UnsupportedMediaType(None, f"Send {' or '.join(media_types)}.")
    if body and not takes_body(scope):
        decode(body, Nothing)
    if b"if-none-match" in headers and scope["method"] not in SAFE:
        raise Invalid("HEADER_NOT_SUPPORTED", "If-None-Match has a meaning for reading only.")
    if b"if-match" in headers and "match" not in handler.parsed_fn_signature.parameters:
        raise Invalid("HEADER_NOT_SUPPORTED", "If-Match has no meaning on this route.")
    if b"idempotency-key" in headers and (scope["method"] != "POST" or not options.takes_key):
        raise Invalid("HEADER_NOT_SUPPORTED", "Idempotency-Key has no meaning on this route.")


def check_query(scope: Scope) -> bytes:
    """The query string with the filters its cursor carries; what the route does not know is refused."""
    given = scope["query_string"]
    if not given:
        return given
    query, known = pairs_of(given), options_of(scope["route_handler"]).query
    if unknown := sorted({name for name, _ in query} - known.keys()):
        raise Invalid.at(unknown[0], f"This route has no query parameter {unknown[0]!r}.", "UNKNOWN_PARAMETER")
    if b"%00" in given:
        raise Invalid.at("", "A parameter may not contain the NUL character.")
    completed = with_filters(scope["path"], query, scope["litestar_app"].state.cursors) if "cursor" in known else None
    return completed or given

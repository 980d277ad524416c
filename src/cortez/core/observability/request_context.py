"""A request and its answer as they are seen from outside: counted, timed, and logged in one line."""

import logging
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING

from cortez.core.observability.metrics import BATCH_ITEMS, REQUEST_SECONDS, REQUESTS
from cortez.core.observability.request_ids import request_id
from cortez.core.typing import JsonObject

if TYPE_CHECKING:
    from litestar.types import HTTPScope, Message, Scope
    from prometheus_client import Counter, Histogram

    from cortez.core.observability.tracing import Trace

logger = logging.getLogger("cortez.requests")
ANSWERED = vars(logging.LogRecord(logger.name, logging.INFO, __file__, 0, "answered", None, None))

UNKNOWN = "unknown"  # the route of what fits none, whatever was asked for
METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())
CLIENT_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
GONE = 499  # the status of an answer that never began: the client had gone

# What the metrics keep for a label costs more to look up than to count.
counted: "dict[tuple[str, str, int], Counter]" = {}
timed: "dict[tuple[str, str], Histogram]" = {}


class Exchange:
    """From the head of a request to the end of its answer."""

    at_work = 0

    def __init__(self, method: str, scope: "HTTPScope", trace: "Trace | None") -> None:
        self.method = method if method in METHODS else UNKNOWN
        self.scope = scope
        self.trace = trace
        self.status = GONE
        self.principal: str | None = None  # KIND:ID
        self.batch: Mapping[str, int] = {}  # items by what became of them
        self.statements = 0
        self.database_seconds = 0.0

    def __enter__(self) -> "Exchange":
        Exchange.at_work += 1
        self.token = CURRENT.set(self)
        self.begun = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self.begun
        Exchange.at_work -= 1
        self.count(seconds)
        if self.trace:
            self.trace.end(self)
        if logger.isEnabledFor(logging.INFO):
            self.log(seconds)
        CURRENT.reset(self.token)

    @property
    def route(self) -> str:
        """Its template, never the path that was asked for: that names people."""
        return str(self.scope.get("path_template", UNKNOWN))

    @property
    def request_id(self) -> str:
        return request_id(self.scope)

    def log(self, seconds: float) -> None:
        """As `logger.info` would, at half of its cost: nobody asks from which line of ours it comes."""
        record, now = logging.LogRecord.__new__(logging.LogRecord), time.time()
        record.__dict__.update(ANSWERED, created=now, msecs=now % 1 * 1000, fields=self.told(seconds))
        logger.handle(record)

    def told(self, seconds: float) -> JsonObject:
        """For the log: nothing that was sent but the client's own id, and of people only the key of their account."""
        return {
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "ms": round(seconds * 1000, 2),
            "principal": self.principal,
            "statements": self.statements,
            "database_ms": round(self.database_seconds * 1000, 2),
            **client_request_id(self.scope),
        }

    def count(self, seconds: float) -> None:
        route = self.route
        called, answered = (self.method, route), (self.method, route, self.status)
        if answered not in counted:
            counted[answered] = REQUESTS.labels(*answered)
            timed[called] = REQUEST_SECONDS.labels(*called)
        counted[answered].inc()
        timed[called].observe(seconds)
        if self.status < 400:
            for result, items in self.batch.items():
                BATCH_ITEMS.labels(result).inc(items)


def client_request_id(scope: "HTTPScope") -> dict[str, str]:
    """The X-Request-ID that the client sent, for the log alone; nothing where it sent none, or no plain token."""
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return {"client_request_id": given} if CLIENT_REQUEST_ID.fullmatch(given) else {}


CURRENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


async def note_status(message: "Message", scope: "Scope") -> None:
    if message["type"] == "http.response.start" and (exchange := CURRENT.get()):
        exchange.status = message["status"]


def note_principal(principal: str | None) -> None:
    """Whose request it is, as KIND:ID."""
    if exchange := CURRENT.get():
        exchange.principal = principal


def note_batch(items: Mapping[str, int]) -> None:
    """How many items of a batch were created, duplicate, rejected. A repeated attempt replaces what the first noted."""
    if exchange := CURRENT.get():
        exchange.batch = items

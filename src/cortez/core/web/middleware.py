"""One unit of work per request: body first, then who asks, then begin, handle, serialize, commit, answer.

The middleware opens the session and closes it, whatever happens; the one generator dependency `session` commits.
Raise to fail (rolls back), return to succeed (commits) - a returned 4xx too.
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.compat import body_is_read, own_state
from cortez.core.concurrency.admission import ADMISSION
from cortez.core.concurrency.fair_queue import Crowded, Turns
from cortez.core.db.audit_context import Author
from cortez.core.db.engine import Database
from cortez.core.db.unit_of_work import unit_of
from cortez.core.observability.metrics import RETRIES
from cortez.core.observability.request_ids import request_id
from cortez.core.security.principal import Principal
from cortez.core.web import idempotency
from cortez.core.web.request_attempt import Attempt
from cortez.core.web.request_body import SAFE, check_headers, check_query, is_large, read_body
from cortez.core.web.responses import shown_again, subjects_of
from cortez.core.web.route_options import is_outside, options_of
from cortez.core.web.uploads import receive_upload
from cortez.errors import Invalid, Unavailable

ATTEMPTS = 4
LARGE_BODIES, LARGE_SHARE, LARGE_WAITING = 10, 3, 200  # at once, of one sender, and how many wait
LARGE_PATIENCE = 20.0  # seconds
KEY = re.compile(r"[\x20-\x7e]{1,200}")

Identify = Callable[[Scope], str]  # whose request it is, as far as can be told without the database
Authenticate = Callable[[HTTPScope, AsyncSession], Awaitable[Principal | None]]
# Told after an answer who was shown what: principal, route, student_ids and ids of sessions, request id.
Note = Callable[[Principal, str, set[str | UUID], str], None]


class RequestPipeline(ASGIMiddleware):
    """Buffers the body, authenticates, and runs the request in a unit of work, repeated where that may help."""

    scopes = (ScopeType.HTTP,)
    should_bypass_for_scope = staticmethod(is_outside)

    def __init__(
        self,
        database: Database,
        identify: Identify,
        authenticate: Authenticate,
        note: Note,
        rights_of: Callable[[Principal, AsyncSession], Awaitable[list[str] | None]],
    ) -> None:
        self.database = database
        self.identify = identify
        self.authenticate = authenticate
        self.note = note
        self.rights_of = rights_of
        self.large = Turns(LARGE_BODIES, LARGE_WAITING)

    async def handle(self, scope: Any, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if scope["method"] == "OPTIONS":
            await next_app(scope, receive, send)
            return
        request_id(scope)  # made before the state is copied, so that every attempt has the same
        headers = dict(scope["headers"])
        if options_of(scope["route_handler"]).upload:
            await self.handle_upload(scope, receive, send, next_app, headers)
            return
        async with self.room(scope, headers):
            await self.handle_body(scope, receive, send, next_app, headers)

    @asynccontextmanager
    async def room(self, scope: HTTPScope, headers: dict[bytes, bytes]) -> AsyncGenerator[None]:
        """A turn for a body that is large: a few of them are in memory at once, and of one sender fewer.

        Raises Unavailable (POOL_BUSY) where none comes in time.
        """
        if not is_large(scope, headers):
            yield
            return
        whose = self.identify(scope)
        try:
            await self.large.take(whose, LARGE_SHARE, LARGE_PATIENCE)
        except (TimeoutError, Crowded):
            raise Unavailable("POOL_BUSY", "Too many send large bodies; try again, or send less at once.") from None
        try:
            yield
        finally:
            self.large.release(whose)

    async def handle_body(
        self, scope: HTTPScope, receive: Receive, send: Send, next_app: ASGIApp, headers: dict[bytes, bytes]
    ) -> None:
        body = await read_body(scope, headers, receive, self.database.settings.body_timeout)
        if body is None:
            return
        check_headers(scope, headers, body)
        body = body or (b"{}" if "data" in scope["route_handler"].parsed_fn_signature.parameters else b"")
        scope["query_string"] = check_query(scope)
        async with self.admitted(scope, send) as sending:
            if scope["method"] not in SAFE:
                async with self.database.session(writes=False) as session:
                    await self.sign_in(scope, session)
            if before := options_of(scope["route_handler"]).before:
                scope["state"]["prepared"] = await before(scope, body, self.database)
            await self.run(scope, body, receive, sending, next_app, self.claim(scope, headers, body))

    async def sign_in(self, scope: HTTPScope, session: AsyncSession) -> None:
        """By a session that reads; where the handler does not go on with it, its connection goes back.

        Raises Unauthorized, or Forbidden where the route's guards do.
        """
        handler = scope["route_handler"]
        scope["user"] = principal = await self.authenticate(scope, session)
        if principal and principal.is_key:
            self.note(principal, call_of(scope), set(), request_id(scope))
        options = options_of(handler)
        for guard in options.guards:
            await guard(ASGIConnection(scope), handler)
        if scope["method"] not in SAFE or not options.reads:
            await unit_of(session).close()

    @asynccontextmanager
    async def admitted(self, scope: Scope, send: Send) -> AsyncGenerator[Send]:
        """A place, and so many seconds, until the answer begins: who reads slowly takes neither from anybody.

        Raises Unavailable; what the database does then for nobody is cancelled there too.
        """
        seconds = self.database.settings.request_timeout
        admission = await self.database.gate.admit(self.identify(scope))
        known = ADMISSION.set(admission)

        async def begun(message: Message) -> None:
            admission.leave()
            deadline.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(seconds) as deadline:
                yield begun
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Unavailable("DEADLINE_EXCEEDED", f"This took longer than {seconds:g} seconds.") from None
        finally:
            ADMISSION.reset(known)
            admission.leave()

    async def handle_upload(
        self, scope: HTTPScope, receive: Receive, send: Send, next_app: ASGIApp, headers: dict[bytes, bytes]
    ) -> None:
        """Who may not sign in uploads nothing; what nobody has taken in the end is removed."""
        settings = self.database.settings
        check_headers(scope, headers, b"a form")
        scope["query_string"] = check_query(scope)
        async with self.admitted(scope, send), self.database.session(writes=False) as session:
            await self.sign_in(scope, session)
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        folder = Path(settings.files) / "incoming"
        upload = await receive_upload(content_type, receive, folder, settings.max_upload, settings.body_timeout)
        if upload is None:
            return
        try:
            scope["state"]["upload"] = upload
            claimed = self.claim(scope, headers, upload.fingerprint())
            async with self.admitted(scope, send) as sending:
                if before := options_of(scope["route_handler"]).before:
                    scope["state"]["prepared"] = await before(scope, b"", self.database)
                await self.run(scope, b"", receive, sending, next_app, claimed)
        finally:
            upload.discard()

    async def run(
        self,
        scope: HTTPScope,
        body: bytes,
        receive: Receive,
        send: Send,
        next_app: ASGIApp,
        claimed: idempotency.Claim | None,
    ) -> None:
        """The request in a unit of work, begun anew where that may help."""
        pristine = dict(scope["state"])
        for attempt in range(ATTEMPTS):
            attempted: HTTPScope = {**scope, "state": {key: own_state(value) for key, value in pristine.items()}}
            body_is_read(attempted, body)
            if await self.attempt(attempted, receive, send, next_app, claimed, attempt):
                return
            RETRIES.labels(attempted["state"]["attempt"].repeated_for or "replica").inc()
            await asyncio.sleep(random.uniform(0, 0.02) * 2**attempt)  # noqa: S311 - jitter

    async def attempt(
        self,
        scope: HTTPScope,
        receive: Receive,
        send: Send,
        next_app: ASGIApp,
        claimed: idempotency.Claim | None,
        number: int,
    ) -> bool:
        """Run the request once; False where its answer was held back and it should be begun again.

        The first attempt at a read may go to the replica; whatever fails there is read at the primary.
        """
        writes, last = scope["method"] not in SAFE, number == ATTEMPTS - 1
        async with self.database.session(writes=writes) as session:
            attempt = scope["state"]["attempt"] = Attempt(session, writes, claimed)

            async def guarded(message: Any) -> None:
                if attempt.will_repeat(last):
                    return
                if not attempt.sent:
                    attempt.sent, attempt.status = True, message["status"]
                    await unit_of(session).close()  # the answer is on its way: no connection waits until it is read
                await send(message)

            try:
                if writes:
                    unit_of(session).author = Author(actor_of(scope), request_id(scope))
                else:
                    await self.sign_in(scope, session)
                    replica = self.database.replica
                    if replica and number == 0 and options_of(scope["route_handler"]).reads:
                        attempt.replica = replica if await replica.take_over(session) else None
                if claimed:
                    self.keep_place()
                if claimed and (stored := await idempotency.take(session, claimed)):
                    await unit_of(session).close()
                    begin, rest = stored
                    await send(begin)
                    await send(rest)
                    attempt.status, attempt.shown = begin["status"], shown_again(rest["body"])
                    self.note_shown(scope, attempt)
                    return True
                await next_app(scope, receive, guarded)
            except Exception as error:
                attempt.failure = error
                if not attempt.will_repeat(last):
                    raise
            self.note_shown(scope, attempt)
            return attempt.sent or not attempt.will_repeat(last)

    def claim(self, scope: HTTPScope, headers: dict[bytes, bytes], body: bytes) -> idempotency.Claim | None:
        """The idempotency key of the request, bound to who sent it and where."""
        if b"idempotency-key" not in headers:
            return None
        key = headers[b"idempotency-key"].decode("latin-1")
        if not KEY.fullmatch(key):
            raise Invalid("IDEMPOTENCY_KEY_INVALID", "An Idempotency-Key has 1 to 200 printable ASCII characters.")
        user: Principal = scope["user"]
        target = f"{scope['method']} {scope['path']}"
        whose, rights = f"{user.kind}:{user.id}", partial(self.rights_of, user)
        return idempotency.Claim.of(key, whose, user.user_id, target, scope["query_string"], body, rights)

    @staticmethod
    def keep_place() -> None:
        """The unit has a connection from now on, also while its handler waits for something else."""
        if admission := ADMISSION.get():
            admission.is_kept = True

    def note_shown(self, scope: HTTPScope, attempt: Attempt) -> None:
        """For the access log: whose data an answer to any verb has shown."""
        principal: Principal | None = scope["user"]
        shown = subjects_of(scope, attempt.status, attempt.shown) if principal else ()
        if principal and shown:
            self.note(principal, call_of(scope), shown, request_id(scope))


def call_of(scope: HTTPScope) -> str:
    return f"{scope['method']} {scope['path_template']}"


def actor_of(scope: Scope) -> str:
    """Who asks, in the words of the audit log."""
    user: Principal | None = scope["user"]
    return f"{user.kind}:{user.id}" if user else "anonymous"

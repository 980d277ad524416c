"""One unit of work per request: body first, then who asks, then begin, handle, serialize, commit, answer.

The middleware opens the session and closes it, whatever happens; the one generator dependency `session` commits.
Raise to fail (rolls back), return to succeed (commits) - a returned 4xx too.
"""

import asyncio
import random
import re
from collections import ChainMap
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.response.base import ASGIResponse
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from litestar.utils.scope.state import ScopeState
from sqlalchemy.ext.asyncio import AsyncSession

from cortez import idempotency
from cortez.auditing import act_for
from cortez.database import Database, commit
from cortez.driver import close
from cortez.errors import Invalid, Unavailable, repeatable_cause, request_id
from cortez.gate import ADMISSION
from cortez.incoming import SAFE, check_headers, check_query, is_large, read_body
from cortez.metrics import RETRIES
from cortez.replica import POSITION, Replica
from cortez.responses import shown_again, subjects_of
from cortez.security import Principal
from cortez.turns import Crowded, Turns
from cortez.uploads import receive_upload

ATTEMPTS = 4
LARGE_BODIES, LARGE_SHARE, LARGE_WAITING = 10, 3, 200  # at once, of one sender, and how many wait
LARGE_PATIENCE = 20.0  # seconds
KEY = re.compile(r"[\x20-\x7e]{1,200}")

Identify = Callable[[Scope], str]  # whose request it is, as far as can be told without the database
Authenticate = Callable[[Scope, AsyncSession], Awaitable[Principal | None]]
# Told after an answer who was shown what: principal, route, student_ids and ids of sessions, request id.
Note = Callable[[Principal, str, set[Any], str], None]


class Unit:
    """One attempt at a request: its session, and what became of it."""

    def __init__(self, session: AsyncSession, writes: bool, claim: idempotency.Claim | None) -> None:
        self.session = session
        self.writes = writes
        self.claim = claim
        self.failure: BaseException | None = None
        self.answer: ASGIResponse | None = None
        self.shown: set[Any] = set()  # the students and sessions that the answer is about
        self.replica: Replica | None = None  # where it reads there
        self.sent = False
        self.status = 0

    def rendered(self) -> ASGIResponse:
        """The answer about to be sent. A handler that made none of ours cannot be replayed, so it does not commit."""
        if self.answer is None:
            raise TypeError("A handler must return plain data or an Answer.")
        return self.answer

    @property
    def repeated_for(self) -> str | None:
        """Why it may be begun anew, where what failed is such."""
        return repeatable_cause(self.failure)

    def will_repeat(self, last: bool) -> bool:
        if last or self.sent or self.failure is None:
            return False
        return self.repeated_for is not None or (self.replica is not None and self.replica.must_give_way(self.failure))


class UnitOfWork(ASGIMiddleware):
    """Buffers the body, authenticates, and runs the request in a unit of work, repeated where that may help."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = "outside"  # pages and health checks, which touch no data

    def __init__(self, database: Database, identify: Identify, authenticate: Authenticate, note: Note) -> None:
        self.database = database
        self.identify = identify
        self.authenticate = authenticate
        self.note = note
        self.large = Turns(LARGE_BODIES, LARGE_WAITING)

    async def handle(self, scope: Any, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if scope["method"] == "OPTIONS":
            await next_app(scope, receive, send)
            return
        request_id(scope)  # made before the state is copied, so that every attempt has the same
        headers = dict(scope["headers"])
        if scope["route_handler"].opt.get("upload"):
            await self.handle_upload(scope, receive, send, next_app, headers)
            return
        async with self.room(scope, headers):
            await self.handle_body(scope, receive, send, next_app, headers)

    @asynccontextmanager
    async def room(self, scope: Any, headers: dict[bytes, bytes]) -> AsyncGenerator[None]:
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
        self, scope: Any, receive: Receive, send: Send, next_app: ASGIApp, headers: dict[bytes, bytes]
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
            if before := scope["route_handler"].opt.get("before"):
                scope["state"]["prepared"] = await before(scope, body, self.database)
            await self.run(scope, body, receive, sending, next_app, claim_of(scope, headers, body))

    async def sign_in(self, scope: Any, session: AsyncSession) -> None:
        """By a session that reads; where the handler does not go on with it, its connection goes back.

        Raises Unauthorized, or Forbidden where the route's guards do.
        """
        handler = scope["route_handler"]
        scope["user"] = principal = await self.authenticate(scope, session)
        if principal and principal.is_key:
            self.note(principal, call_of(scope), set(), request_id(scope))
        for guard in handler.opt["guards"]:
            await guard(ASGIConnection(scope), handler)
        if scope["method"] not in SAFE or not handler.opt["reads"]:
            await close(session)

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
        self, scope: Any, receive: Receive, send: Send, next_app: ASGIApp, headers: dict[bytes, bytes]
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
            claimed = claim_of(scope, headers, upload.fingerprint())
            async with self.admitted(scope, send) as sending:
                scope["state"]["prepared"] = await scope["route_handler"].opt["before"](scope, b"", self.database)
                await self.run(scope, b"", receive, sending, next_app, claimed)
        finally:
            upload.discard()

    async def run(
        self,
        scope: Any,
        body: bytes,
        receive: Receive,
        send: Send,
        next_app: ASGIApp,
        claimed: idempotency.Claim | None,
    ) -> None:
        """The request in a unit of work, begun anew where that may help."""
        pristine = dict(scope["state"])
        for attempt in range(ATTEMPTS):
            attempted: Any = {**scope, "state": {key: _fresh(value) for key, value in pristine.items()}}
            ScopeState.from_scope(attempted).body = body  # where the framework keeps one that it has read
            if await self.attempt(attempted, receive, send, next_app, claimed, attempt):
                return
            RETRIES.labels(attempted["state"]["unit"].repeated_for or "replica").inc()
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
            unit = scope["state"]["unit"] = Unit(session, writes, claimed)

            async def guarded(message: Any) -> None:
                if unit.will_repeat(last):
                    return
                if not unit.sent:
                    unit.sent, unit.status = True, message["status"]
                    await close(session)  # the answer is on its way: no connection waits until it is read
                await send(message)

            try:
                if writes:
                    act_for(session, actor_of(scope), request_id(scope))
                else:
                    await self.sign_in(scope, session)
                    replica = self.database.replica
                    if replica and number == 0 and scope["route_handler"].opt["reads"]:
                        unit.replica = replica if await replica.take_over(session) else None
                if claimed:
                    self.keep_place()
                if claimed and (stored := await idempotency.take(session, claimed)):
                    await session.rollback()
                    for message in stored:
                        await send(message)
                    unit.status, unit.shown = stored[0]["status"], shown_again(stored[1]["body"])
                    self.note_shown(scope, unit)
                    return True
                await next_app(scope, receive, guarded)
            except Exception as error:
                unit.failure = error
                if not unit.will_repeat(last):
                    raise
            self.note_shown(scope, unit)
            return unit.sent or not unit.will_repeat(last)

    @staticmethod
    def keep_place() -> None:
        """The unit has a connection from now on, also while its handler waits for something else."""
        if admission := ADMISSION.get():
            admission.is_kept = True

    def note_shown(self, scope: Any, unit: Unit) -> None:
        """For the access log: whose data an answer to any verb has shown."""
        principal: Principal | None = scope["user"]
        shown = subjects_of(scope, unit.status, unit.shown) if principal else ()
        if principal and shown:
            self.note(principal, call_of(scope), shown, request_id(scope))


async def provide_session(scope: Scope) -> AsyncGenerator[AsyncSession]:
    """The request's session: the one dependency that commits, and only for a method that writes."""
    unit: Unit = scope["state"]["unit"]
    try:
        yield unit.session
        if unit.claim:
            await idempotency.store(unit.session, unit.claim, unit.rendered())
        if unit.writes:
            await commit(unit.session)
    except GeneratorExit:  # cancelled before the handler began: the middleware closes the session
        raise
    except BaseException as error:
        unit.failure = error
        await unit.session.rollback()
        raise


def call_of(scope: Any) -> str:
    return f"{scope['method']} {scope['path_template']}"


def actor_of(scope: Scope) -> str:
    """Who asks, in the words of the audit log."""
    user: Principal | None = scope["user"]
    return f"{user.kind}:{user.id}" if user else "anonymous"


def position_of(scope: Scope) -> str | None:
    """How far the primary had written when it said who asks, for what reads on sessions of its own."""
    told: str | None = scope["state"]["unit"].session.info.get(POSITION)
    return told


def _fresh(value: Any) -> Any:
    """Litestar keeps its own state of a request here (a private class); an attempt must not see the one before."""
    if not isinstance(value, ScopeState):
        return value
    state = ScopeState()
    state.exception_handlers = value.exception_handlers
    return state


def learn_routes(app: Litestar) -> None:
    """Note beside each handler which query parameters it and its dependencies take, and which methods its path has.

    Guards are asked by `UnitOfWork.sign_in`, before a key is taken or an upload received; the framework copies the
    handler for each of them, at each request. Dependencies are resolved one after the other: none of ours waits, and a
    task group costs more than they do.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler, model in route.route_handler_map.values():
                handler.opt["methods"] = sorted(route.methods)
                if not {"guards", UnitOfWork.exclude_opt_key} & handler.opt.keys():
                    handler.opt["guards"] = tuple(handler.resolve_guards())
                    handler.resolve_guards().clear()
                providers = [provide.parsed_fn_signature for provide in handler.resolve_dependencies().values()]
                fields = dict(ChainMap(handler.parsed_fn_signature.parameters, *(one.parameters for one in providers)))
                model.dependency_batches = [{one} for batch in model.dependency_batches for one in batch]
                handler.opt["reads"] = any(one.key == "session" for batch in model.dependency_batches for one in batch)
                handler.opt["query"] = {one.field_alias: fields[one.field_name] for one in model.expected_query_params}


def claim_of(scope: HTTPScope, headers: dict[bytes, bytes], body: bytes) -> idempotency.Claim | None:
    """The idempotency key of the request, bound to who sent it and where."""
    if b"idempotency-key" not in headers:
        return None
    key = headers[b"idempotency-key"].decode("latin-1")
    if not KEY.fullmatch(key):
        raise Invalid("IDEMPOTENCY_KEY_INVALID", "An Idempotency-Key has 1 to 200 printable ASCII characters.")
    user: Principal = scope["user"]
    target = f"{scope['method']} {scope['path']}"
    roles = user.roles if user.is_teaching else frozenset()
    return idempotency.Claim.of(key, f"{user.kind}:{user.id}", user.user_id, target, scope["query_string"], body, roles)

"""Who asks: an access token of a person, or a machine's key, looked up anew for every request."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from litestar.types import Scope
from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.models import ApiKey, RefreshToken, Role, User
from cortez.clock import utc_now
from cortez.core.concurrency.admission import HOME, KEY, NETWORK, PERSON
from cortez.core.db.compiled_queries import Kept
from cortez.core.db.expressions import holds
from cortez.core.db.replica import HERE, POSITION
from cortez.core.db.unit_of_work import unit_of
from cortez.core.latest import Latest
from cortez.core.security.principal import Principal
from cortez.core.security.tokens import KEY_PREFIX, Claims, Tokens, digest
from cortez.core.web.client_address import client_network
from cortez.core.web.route_options import options_of
from cortez.errors import Unauthorized
from cortez.settings import Settings

MOST_KNOWN = 10_000  # keys, and as many networks

USERS, KEYS, TOKENS = User.__table__.c, ApiKey.__table__.c, RefreshToken.__table__.c
LIVING_KEY = select(KEYS.id, KEYS.scopes, KEYS.course_ids).where(
    KEYS.key_hash == bindparam("hash"),
    or_(KEYS.expires_at.is_(None), KEYS.expires_at > bindparam("now")),
    or_(
        KEYS.created_by.is_(None),  # made before keys named their maker
        exists().where(USERS.id == KEYS.created_by, USERS.is_active.is_(True), holds(USERS.roles, Role.ADMIN.value)),
    ),
)
SIGNED_IN = select(USERS.id, USERS.student_id, USERS.roles).where(
    USERS.id == bindparam("user"),
    USERS.is_active.is_(True),
    exists().where(TOKENS.family_id == bindparam("family"), TOKENS.user_id == USERS.id, TOKENS.revoked_at.is_(None)),
)


class Callers:
    """The caller of a request, as far as it is known without the database: by a token's claims, or a key used before.

    `known` holds digests of keys, the most recently used ones. Any other caller counts as its network. `homes` holds
    the networks of the latest sign-ins and refreshes that this worker answered.
    """

    def __init__(self, tokens: Tokens, settings: Settings) -> None:
        self.tokens = tokens
        self.settings = settings
        self.known: Latest[bytes, None] = Latest(MOST_KNOWN)
        self.homes: Latest[str, None] = Latest(MOST_KNOWN)

    def identify(self, scope: Any) -> str:
        """A name for the gate. The claims of a token are kept for who authenticates the request."""
        if not options_of(scope["route_handler"]).public:
            with suppress(Unauthorized):
                secret = bearer(scope)
                if not secret.startswith(KEY_PREFIX):
                    scope["state"]["claims"] = claims = self.tokens.read(secret)
                    return f"{PERSON}{claims.sub}"
                if (hashed := digest(secret)) in self.known:
                    return f"{KEY}{hashed.hex()}"
        network = client_network(scope, self.settings)
        return f"{HOME if network in self.homes else NETWORK}{network}"

    def remember(self, secret: str) -> None:
        self.known[digest(secret)] = None

    def note_home(self, network: str) -> None:
        """Somebody has signed in from there."""
        self.homes[network] = None


def authenticator(
    callers: Callers, *, replicated: bool = False
) -> Callable[[Scope, AsyncSession], Awaitable[Principal | None]]:
    """A function from request, and a session to read by, to principal; None on a public route.

    Where the database is replicated, the same statement tells the session how far the primary has written.
    """
    more = (HERE,) if replicated else ()
    living_key, signed_in = Kept(LIVING_KEY.add_columns(*more)), Kept(SIGNED_IN.add_columns(*more))

    async def authenticate(scope: Scope, session: AsyncSession) -> Principal | None:
        if options_of(scope["route_handler"]).public:
            return None
        secret = bearer(scope)
        if secret.startswith(KEY_PREFIX):
            found, principal = await machine(session, living_key, secret)
            callers.remember(secret)
        else:
            claims = scope["state"].get("claims") or callers.tokens.read(secret)
            found, principal = await person(session, signed_in, claims)
        if replicated:
            session.info[POSITION] = found.position
        return principal

    return authenticate


def bearer(scope: Scope) -> str:
    """The one credential that was sent; of two, somebody before us may have checked the other."""
    headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, secret = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthorized
    return secret.strip()


async def machine(session: AsyncSession, living_key: Kept, secret: str) -> tuple[Any, Principal]:
    found = await unit_of(session).fetch(living_key, {"hash": digest(secret), "now": utc_now()})
    if not found:
        raise Unauthorized("API_KEY_INVALID", "The API key is unknown, revoked or expired, or its maker is gone.")
    (key,) = found
    limited = None if key.course_ids is None else frozenset(key.course_ids)
    return key, Principal(id=key.id, kind="key", scopes=frozenset(key.scopes), course_ids=limited)


async def person(session: AsyncSession, signed_in: Kept, claims: Claims) -> tuple[Any, Principal]:
    found = await unit_of(session).fetch(signed_in, {"user": claims.sub, "family": claims.sid})
    if not found:
        raise Unauthorized("TOKEN_REVOKED", "This sign-in has ended; sign in again.")
    (user,) = found
    roles = frozenset(user.roles)
    return user, Principal(id=user.id, student_id=user.student_id, roles=roles, family_id=claims.sid)

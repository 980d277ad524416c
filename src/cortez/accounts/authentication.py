"""Who asks: an access token of a person, or a machine's key, looked up anew for every request."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from litestar.types import Scope
from sqlalchemy import exists, or_, select

from cortez.accounts.models import ApiKey, RefreshToken, User
from cortez.database import Database
from cortez.db import utc_now
from cortez.errors import Unauthorized
from cortez.security import KEY_PREFIX, Principal, Tokens, digest

# The service itself, where nobody has signed in yet.
SYSTEM = Principal(id=UUID(int=0), roles=frozenset({"admin"}))


def authenticator(database: Database, tokens: Tokens) -> Callable[[Scope], Awaitable[Principal | None]]:
    """A function from request to principal; None on a public route. It gives its connection back before it returns."""

    async def authenticate(scope: Scope) -> Principal | None:
        if scope["route_handler"].opt.get("public"):
            return None
        secret = bearer(scope)
        if secret.startswith(KEY_PREFIX):
            return await machine(database, secret)
        return await person(database, tokens, secret)

    return authenticate


def bearer(scope: Scope) -> str:
    """The one credential that was sent; of two, somebody before us may have checked the other."""
    headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, secret = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthorized
    return secret.strip()


async def machine(database: Database, secret: str) -> Principal:
    living = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > utc_now())
    async with database.reading() as session:
        key = await session.scalar(select(ApiKey).where(ApiKey.key_hash == digest(secret), living))
    if key is None:
        raise Unauthorized("API_KEY_INVALID", "The API key is unknown, revoked or expired.")
    limited = None if key.course_ids is None else frozenset(key.course_ids)
    return Principal(id=key.id, kind="key", scopes=frozenset(key.scopes), course_ids=limited)


async def person(database: Database, tokens: Tokens, token: str) -> Principal:
    claims = tokens.read(token)
    signed_in = exists().where(
        RefreshToken.family_id == claims.sid, RefreshToken.user_id == User.id, RefreshToken.revoked_at.is_(None)
    )
    statement = select(User.id, User.student_id, User.roles).where(
        User.id == claims.sub, User.is_active.is_(True), signed_in
    )
    async with database.reading() as session:
        row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise Unauthorized("TOKEN_REVOKED", "This sign-in has ended; sign in again.")
    return Principal(id=row.id, student_id=row.student_id, roles=frozenset(row.roles), family_id=claims.sid)

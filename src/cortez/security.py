"""Principals, tokens, password hashing and guards. Knows no table."""

import base64
import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID, uuid4

import bcrypt
import jwt
import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from cortez.db import utc_now
from cortez.errors import Forbidden, Unauthorized
from cortez.guessable import refuse_guessable
from cortez.identifiers import nfc
from cortez.pools import be_nice, threads
from cortez.settings import Settings

ACCESS_TTL = timedelta(minutes=15)
REFRESH_TTL = timedelta(days=30)
SIGN_IN_TTL = timedelta(days=90)  # of all refreshes together; then the person signs in again
SAME_REFRESH = timedelta(seconds=30)  # in which a client that refreshes twice, in two tabs, is answered alike
RESET_TTL = timedelta(hours=24)
LEEWAY = timedelta(seconds=5)  # by how much the clocks of two workers may differ
ISSUER, AUDIENCE = "cortez", "cortez-api"
ALGORITHM, TYPE = "HS256", "at+jwt"  # the media type of access tokens, RFC 9068: no other token of ours is one
KEY_PREFIX = "ck_"
DECOY = "$2b$12$" + "." * 52 + "u"  # of no password that anybody has; cost 12, which is bcrypt's default


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: a person with roles, or a key with scopes (`course_ids` None: every course)."""

    id: UUID
    kind: Literal["person", "key"] = "person"
    student_id: str | None = None
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    course_ids: frozenset[str] | None = None
    family_id: UUID | None = None

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles

    @property
    def is_teaching(self) -> bool:
        return bool(self.roles & {"teacher", "tutor", "admin"})

    @property
    def is_key(self) -> bool:
        return self.kind == "key"

    @property
    def user_id(self) -> UUID | None:
        return None if self.is_key else self.id

    def may(self, *roles: str) -> bool:
        """Whether one of the roles is held; an admin holds every one. `key:SCOPE` names a key's scope."""
        if self.is_key:
            return not self.scopes.isdisjoint(scopes_in(roles))
        return self.is_admin or not self.roles.isdisjoint(roles)


@lru_cache
def scopes_in(roles: tuple[str, ...]) -> frozenset[str]:
    return frozenset(role.removeprefix("key:") for role in roles if role.startswith("key:"))


class allow:  # noqa: N801 - reads as a function
    """Deny everybody but these roles and scopes: `allow("teacher", "key:sessions")`."""

    def __init__(self, *roles: str) -> None:
        self.roles = roles

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if not connection.user.may(*self.roles):
            raise Forbidden


people = allow("student", "tutor", "teacher")
teaching = allow("tutor", "teacher")
teachers = allow("teacher")
admins = allow("admin")


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands before an access token: this and nothing else, no key or extension of the sender's."""

    alg: Literal["HS256"]
    typ: Literal["at+jwt"]
    kid: str


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What an access token says, all of it required; `sid` is the sign-in that it belongs to."""

    iss: Literal["cortez"]
    aud: Literal["cortez-api"]
    sub: UUID
    sid: UUID
    jti: Annotated[str, msgspec.Meta(min_length=1)]
    iat: int
    nbf: int
    exp: int


class Tokens:
    """Signs access tokens with the current key and accepts those of older keys too; `kid` names the key."""

    def __init__(self, settings: Settings) -> None:
        self.current = settings.secret_key
        self.ring = {key_id(key): key for key in settings.key_ring}

    def access(self, user_id: UUID, family_id: UUID) -> str:
        now = utc_now()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": str(family_id),
            "jti": uuid4().hex,
            "iat": now,
            "nbf": now,
            "exp": now + ACCESS_TTL,
        }
        return jwt.encode(claims, self.current, algorithm=ALGORITHM, headers={"kid": key_id(self.current), "typ": TYPE})

    def heirs(self, refresh_token: str) -> list[str]:
        """The refresh token that follows on this one, by the current key and by those of before."""
        return [heir_of(refresh_token, key) for key in self.ring.values()]

    def read(self, token: str) -> Claims:
        """Raises Unauthorized where anything about the token is not as it should be."""
        try:
            header = msgspec.convert(jwt.get_unverified_header(token), Header)
            said = jwt.decode(
                token,
                self.ring[header.kid],
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY,
                options={"require": list(Claims.__struct_fields__), "strict_aud": True},
            )
            claims = msgspec.convert(said, Claims)
            if claims.exp - claims.iat > ACCESS_TTL.total_seconds():  # we never make one that lives longer
                raise jwt.InvalidTokenError
        except jwt.ExpiredSignatureError:
            raise Unauthorized("TOKEN_EXPIRED", "The access token has expired; refresh it.") from None
        except (jwt.InvalidTokenError, msgspec.ValidationError, KeyError, OverflowError):
            raise Unauthorized("TOKEN_INVALID", "The access token is not valid.") from None
        return claims


def key_id(key: str) -> str:
    """Names a key of the service without telling it: 12 hexadecimal digits."""
    return hashlib.sha256(b"kid:" + key.encode()).hexdigest()[:12]


def new_secret(prefix: str) -> str:
    """A random secret of 256 bits behind a prefix that says what it is."""
    return prefix + secrets.token_urlsafe(32)


def heir_of(secret: str, key: str) -> str:
    """The refresh token that follows on this one: another random secret to everybody without the service's key."""
    mac = hmac.digest(hashlib.sha256(b"refresh:" + key.encode()).digest(), secret.encode(), "sha256")
    return "cr_" + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def digest(secret: str) -> bytes:
    """What is stored of a random secret: it has 256 bits, so that a plain hash cannot be searched."""
    return hashlib.sha256(secret.encode()).digest()


class Verdict(NamedTuple):
    """Whether a password is the account's: it is true where it is.

    `is_outdated`: its hash is as an older version or the predecessor made it, and should be made again.
    """

    matches: bool
    is_outdated: bool

    def __bool__(self) -> bool:
        return self.matches


class Passwords:
    """argon2id, on a thread of its own: hashing holds neither the event loop nor a connection, and one core at most.

    A password is hashed in NFC, since keyboards differ in how they compose an accented letter. An older version hashed
    it as it was sent: where that is another text, both are compared, whatever the first comparison finds.

    An adopted account has a bcrypt hash until its next login. While there are any, every login costs both, so that
    the time does not tell which account has which.
    """

    def __init__(self, settings: Settings) -> None:
        self.hasher = PasswordHasher(time_cost=settings.password_time_cost, memory_cost=settings.password_memory_kib)
        thread = ThreadPoolExecutor(1, "passwords", initializer=be_nice)
        self.pool = threads(thread, 1)
        self.made = thread.submit(self.hasher.hash, secrets.token_urlsafe(16))

    @property
    def decoy(self) -> str:
        """A hash of no password that anybody has; it is made while the service starts."""
        return self.made.result()

    async def hash(self, password: str) -> str:
        return await self.pool.run(self.hasher.hash, nfc(password))

    async def choose(self, password: str, *names: str, pointer: str = "/password") -> str:
        """The hash of a password that is set now, for an account with these names.

        Raises Invalid (PASSWORD_GUESSABLE).
        """
        return await self.pool.run(self._choose, nfc(password), names, pointer)

    def _choose(self, password: str, names: tuple[str, ...], pointer: str) -> str:
        refuse_guessable(password, names, pointer)
        return self.hasher.hash(password)

    async def verify(self, hashed: str | None, password: str, *, some_adopted: bool = False) -> Verdict:
        """Takes as long for an unknown account (None), or one without a password, as for any other."""
        forms = dict.fromkeys((nfc(password), password))
        matches = await self.pool.run(self._match_all, hashed, tuple(forms), some_adopted)
        if hashed is None or not any(matches):
            return Verdict(False, False)
        return Verdict(True, is_adopted(hashed) or not matches[0])

    def _match_all(self, hashed: str | None, forms: tuple[str, ...], some_adopted: bool) -> list[bool]:
        return [self._matches(hashed, form, some_adopted) for form in forms]

    def _matches(self, given: str | None, password: str, some_adopted: bool) -> bool:
        hashed = given or self.decoy
        if is_adopted(hashed):
            self._matches_ours(self.decoy, password)
            return matches_bcrypt(hashed, password)
        if some_adopted:
            matches_bcrypt(DECOY, password)
        return self._matches_ours(hashed, password)

    def _matches_ours(self, hashed: str, password: str) -> bool:
        try:
            return self.hasher.verify(hashed, password)
        except InvalidHashError:
            self._matches_ours(self.decoy, password)
            return False
        except VerificationError:
            return False


def is_adopted(hashed: str) -> bool:
    """Whether it is a hash of the predecessor's: bcrypt."""
    return hashed.startswith("$2")


def matches_bcrypt(hashed: str, password: str) -> bool:
    """As the predecessor compared them: by the first 72 bytes."""
    try:
        return bcrypt.checkpw(password.encode()[:72], hashed.encode())
    except ValueError:
        return False

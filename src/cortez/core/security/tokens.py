"""Access tokens, refresh tokens, and other random secrets."""

import base64
import hashlib
import hmac
import secrets
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Literal
from uuid import UUID, uuid4

import jwt
import msgspec

from cortez.clock import utc_now
from cortez.errors import Unauthorized
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
KNOWN = 2_000  # access tokens whose signature a worker need not check again, some 2 KB each


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
        self.verified = lru_cache(KNOWN)(self._verified)

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
        """Raises Unauthorized where anything about the token is not as it should be.

        A signature is checked once. Whether the token has expired is asked each time.
        """
        claims = self.verified(token)
        if claims.exp <= (utc_now() - LEEWAY).timestamp():
            raise expired()
        return claims

    def _verified(self, token: str) -> Claims:
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
            raise expired() from None
        except (jwt.InvalidTokenError, msgspec.ValidationError, KeyError, OverflowError):
            raise Unauthorized("TOKEN_INVALID", "The access token is not valid.") from None
        return claims


def expired() -> Unauthorized:
    return Unauthorized("TOKEN_EXPIRED", "The access token has expired; refresh it.")


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

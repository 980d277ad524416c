"""Credentials that must open nothing: forged, swapped, expired and malformed ones, and those that were good once."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
from litestar import Litestar

from cortez.accounts.models import ApiKey
from cortez.clock import utc_now
from cortez.core.security.tokens import digest, new_secret
from factory import Make, Someone
from running import SECRET

# The Authorization headers of one request: none, one, or more than there should be.
Headers = tuple[str, ...]

GONE = object()
OTHER = "a secret of somebody else, as long as the right one"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def written(document: Any) -> str:
    return encoded(document if isinstance(document, bytes) else json.dumps(document).encode())


def signed(header: Any, claims: Any, key: str = SECRET, hashed: str = "sha256") -> str:
    """Signed by hand, since a library would refuse to make most of these."""
    parts = f"{written(header)}.{written(claims)}"
    return f"{parts}.{encoded(hmac.digest(key.encode(), parts.encode(), hashed))}"


def changed(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (document | changes).items() if value is not GONE}


def secret_of(someone: Someone) -> str:
    return someone.client.headers["authorization"].removeprefix("Bearer ")


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def of_headers(good: str) -> Iterator[tuple[str, str]]:
    """Signed with the right key: what the header says is all that is wrong."""
    header, claims = parts_of(good)
    for alg in (
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "hs256",
        "HS384",
        "HS512",
        "RS256",
        "ES256",
        "EdDSA",
        None,
        ["HS256"],
    ):
        yield f"alg {alg!r}", signed(changed(header, alg=alg), claims)
    yield "alg none, unsigned", f"{written(changed(header, alg='none'))}.{written(claims)}."
    yield "alg HS384, truly", signed(changed(header, alg="HS384"), claims, hashed="sha384")
    yield "alg HS512, truly", signed(changed(header, alg="HS512"), claims, hashed="sha512")
    for typ in ("JWT", "AT+JWT", "rt+jwt", "", None, ["at+jwt"]):
        yield f"typ {typ!r}", signed(changed(header, typ=typ), claims)
    for kid in ("", "unknown", "../../../dev/null", "' OR 1=1 --", None, 0, [header["kid"]]):
        yield f"kid {kid!r}", signed(changed(header, kid=kid), claims)
    yield "a kid that names no file, signed with nothing", signed(changed(header, kid="/dev/null"), claims, key="")
    for name in ("alg", "typ", "kid"):
        yield f"no {name}", signed(changed(header, **{name: GONE}), claims)
    key = {"kty": "oct", "k": encoded(OTHER.encode())}
    extensions: dict[str, Any] = {"crit": ["exp"], "jwk": key, "jku": "https://example.org/keys", "cty": "JWT"}
    extensions |= {"x5u": "https://example.org/cert", "x5c": ["MIIB"], "zip": "DEF", "b64": False, "enc": "A256GCM"}
    for name, value in extensions.items():
        yield f"extension {name}", signed(changed(header, **{name: value}), claims)
    yield "an empty crit", signed(changed(header, crit=[]), claims)
    yield "a jwk to check it with", signed(changed(header, jwk=key), claims, key=OTHER)
    for name, raw in {
        "array": b"[]",
        "null": b"null",
        "text": b"at+jwt",
        "bytes": b"\xff",
        "deep": b"[" * 5000,
    }.items():
        yield f"a header of {name}", signed(raw, claims)


def of_claims(good: str, other: str) -> Iterator[tuple[str, str]]:
    """Signed with the right key: what the token says is all that is wrong."""
    header, claims = parts_of(good)
    elsewhere = parts_of(other)[1]
    now = int(time.time())
    for name in claims:
        yield f"no {name}", signed(header, changed(claims, **{name: GONE}))
        yield f"{name} null", signed(header, changed(claims, **{name: None}))
        yield f"{name} a list", signed(header, changed(claims, **{name: [claims[name]]}))
    wrong: dict[str, tuple[Any, ...]] = {
        "iss": ("other", "", "Cortez"),
        "aud": ("other", "", ["cortez-api", "other"]),
        "exp": (now - 60, 0, -1, "soon", str(now + 60), True, float("inf"), float("nan"), now + 86400, 10**400),
        "nbf": (now + 60, "now", float("nan")),
        "iat": (now + 60, "now", float("inf")),
        "sub": (str(uuid4()), "00000000-0000-0000-0000-000000000000", "admin", "", 1, elsewhere["sub"]),
        "sid": (str(uuid4()), "", 1, True, elsewhere["sid"]),
        "jti": ("", 1, {}),
    }
    for name, values in wrong.items():
        for value in values:
            yield f"{name} {str(value)[:40]}", signed(header, changed(claims, **{name: value}))
    for name, raw in {"array": b"[]", "null": b"null", "nothing": b"", "bytes": b"\xff", "deep": b"[" * 5000}.items():
        yield f"claims of {name}", signed(header, raw)


def of_signatures(good: str, other: str) -> Iterator[tuple[str, str]]:
    header, claims = parts_of(good)
    head, body, signature = good.split(".")
    hashed = hashlib.sha256(SECRET.encode()).hexdigest()
    keys = {"another": OTHER, "an empty": "", "the name of the": header["kid"], "the hash of the": hashed}
    for name, key in keys.items():
        yield f"signed with {name} key", signed(header, claims, key=key)
    yield "signed for other claims", f"{head}.{body}.{other.split('.')[2]}"
    yield "other claims under its signature", f"{head}.{other.split('.')[1]}.{signature}"
    yield "one letter of the signature changed", f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    yield "half a signature", f"{head}.{body}.{signature[:20]}"
    yield "no signature", f"{head}.{body}."
    yield "two parts", f"{head}.{body}"
    yield "four parts", f"{good}.{signature}"
    yield "five parts, as if encrypted", f"{head}.{body}.{body}.{body}.{signature}"
    yield "only points", ".."


async def of_the_past(make: Make, boss: Someone) -> list[tuple[str, str]]:
    """Good until a moment ago: signed out, deactivated, deleted, replaced, expired, withdrawn."""
    leaving, inactive, deleted, reset = [await make.teacher() for _ in range(4)]
    for path in (f"/users/{inactive.id}/deactivate", f"/users/{reset.id}/password-reset"):
        assert (await boss.post(path)).status_code < 300, path
    offered = (await boss.post(f"/users/{reset.id}/password-reset")).json()["token"]
    answers = [
        await leaving.post("/auth/logout", json={}),
        await boss.delete(f"/users/{deleted.id}"),
        await reset.post("/auth/password-reset", json={"token": offered, "password": "a new password"}),
    ]
    assert all(answer.status_code < 300 for answer in answers), [answer.text for answer in answers]
    withdrawn = await make.key()
    assert (await boss.delete(f"/api-keys/{withdrawn.id}")).status_code == 204
    expired = new_secret("ck_")
    await make.add(ApiKey(name="old", key_hash=digest(expired), expires_at=utc_now() - timedelta(seconds=1)))
    return [
        ("a token after its logout", secret_of(leaving)),
        ("a token of a deactivated account", secret_of(inactive)),
        ("a token of a deleted account", secret_of(deleted)),
        ("a token from before the new password", secret_of(reset)),
        ("a key that was withdrawn", secret_of(withdrawn)),
        ("a key that has expired", expired),
    ]


async def of_other_kinds(make: Make, app: Litestar) -> list[tuple[str, str]]:
    """Secrets of ours that are no access tokens, and keys that are nearly right."""
    someone, key = await make.teacher(), secret_of(await make.key())
    account = {"email": f"{uuid4().hex}@example.edu", "username": uuid4().hex, "password": "long enough"}
    async with make.client_of(app) as nobody:
        assert (await nobody.post("/auth/register", json=account)).status_code == 201
        login = {"login": account["username"], "password": account["password"]}
        refresh = (await nobody.post("/auth/login", json=login)).json()["refresh_token"]
    return [
        ("a refresh token", refresh),
        ("a refresh token as a key", refresh.replace("cr_", "ck_", 1)),
        ("a token behind the prefix of keys", f"ck_{secret_of(someone)}"),
        ("an unknown key", new_secret("ck_")),
        ("a key without its prefix", key.removeprefix("ck_")),
        ("a key with another prefix", key.replace("ck_", "cr_", 1)),
        ("a key in capitals", key.upper()),
        ("a key without its end", key[:-1]),
        ("a key and more", f"{key}x"),
        ("what is stored of a key", f"ck_{digest(key).hex()}"),
        ("the prefix of keys", "ck_"),
        ("the id of an account", str(someone.id)),
        ("the secret of the service", SECRET),
    ]


def of_schemes(good: str) -> Iterator[tuple[str, Headers]]:
    """A good token, sent as it should not be."""
    yield "nothing", ()
    yield "an empty header", ("",)
    for header in (f"Basic {good}", f"Token {good}", f"Bearer{good}", good, f"Bearer:{good}", "Bearer", "Bearer  "):
        yield f"sent as {header[:8]!r}", (header,)
    yield "two in one header", (f"Bearer {good}, Bearer {good}",)
    yield "two in one header, without a comma", (f"Bearer {good} {good}",)
    yield "twice", (f"Bearer {good}", f"Bearer {good}")
    yield "after a wrong one", ("Bearer x", f"Bearer {good}")
    yield "before a wrong one", (f"Bearer {good}", "Basic x")


async def forged(make: Make, app: Litestar, boss: Someone) -> dict[str, Headers]:
    """All of them by name, around the living sign-in of an admin, who may do everything."""
    good, other = secret_of(boss), secret_of(await make.student())
    found: dict[str, Headers] = dict(of_schemes(good))
    tokens = [*of_headers(good), *of_claims(good, other), *of_signatures(good, other)]
    tokens += await of_the_past(make, boss) + await of_other_kinds(make, app)
    return found | {name: (f"Bearer {token}",) for name, token in tokens}

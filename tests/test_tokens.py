"""Access tokens and keys: one exact form is accepted, from the keys that are ours, while the sign-in lives."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from litestar import Litestar

from asking import absent, guarded, send
from cortez.accounts.models import ApiKey
from cortez.app import create_app
from cortez.clock import utc_now
from cortez.core.security.tokens import ACCESS_TTL, LEEWAY, Tokens, digest, new_secret
from factory import Make, Someone
from forgeries import changed, forged, parts_of, secret_of, signed
from running import SECRET, client_of, live

NEXT = "the key that follows, as long as the one before"


@asynccontextmanager
async def second(app: Litestar, **changes: Any) -> AsyncIterator[Litestar]:
    """Another worker on the same database."""
    async with live(create_app(msgspec.structs.replace(app.state.settings, **changes))) as other:
        yield other


async def status_of(app: Litestar, token: str, path: str = "/auth/me") -> int:
    async with client_of(app, token) as client:
        return (await client.get(path)).status_code


async def someone_with(make: Make, app: Litestar, headers: tuple[str, ...]) -> Someone:
    client = await make.clients.enter_async_context(client_of(app))
    client.headers = httpx.Headers([*client.headers.items(), *(("authorization", value) for value in headers)])
    return Someone(uuid4(), "", client)


@pytest.mark.requirement("S2")
async def test_every_forgery_is_refused(app: Litestar, make: Make) -> None:
    boss = await make.admin()
    forgeries = await forged(make, app, boss)
    assert len(forgeries) >= 60
    for name, headers in forgeries.items():
        stranger = await someone_with(make, app, headers)
        answer = await stranger.get("/users")
        assert answer.status_code == 401, (name, answer.text)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "items" not in answer.json(), name
    assert (await boss.get("/users")).status_code == 200


@pytest.mark.requirement("S2")
async def test_every_call_refuses_forgeries(app: Litestar, make: Make) -> None:
    boss = await make.admin()
    forgeries = await forged(make, app, boss)
    names = (
        "alg none, unsigned",
        "signed with another key",
        "no sid",
        "sub 00000000-0000-0000-0000-000000000000",
        "a token after its logout",
        "a key that was withdrawn",
    )
    strangers = {name: await someone_with(make, app, forgeries[name]) for name in names}
    for verb, path, handler in guarded(app):
        for name, stranger in strangers.items():
            answer = await send(stranger, verb, absent(path), handler)
            assert answer.status_code == 401, (verb, path, name, answer.text)


async def test_a_token_counts_from_its_first_moment_to_its_last_give_or_take_the_leeway(
    app: Litestar, make: Make
) -> None:
    header, claims = parts_of(secret_of(await make.admin()))
    now, lee = int(time.time()), int(LEEWAY.total_seconds())
    assert claims["exp"] - claims["iat"] == ACCESS_TTL.total_seconds()
    for times, status in (
        ({"exp": now - lee + 3}, 200),
        ({"exp": now - lee - 1}, 401),
        ({"nbf": now + lee - 1}, 200),
        ({"nbf": now + lee + 5}, 401),
        ({"iat": now + lee + 5}, 401),
    ):
        assert await status_of(app, signed(header, changed(claims, **times))) == status, times


async def test_a_token_that_was_good_a_moment_ago_expires(app: Litestar, make: Make) -> None:
    """Its signature is not checked a second time; its expiry is."""
    header, claims = parts_of(secret_of(await make.admin()))
    short = signed(header, changed(claims, exp=int(time.time()) - int(LEEWAY.total_seconds()) + 2))
    assert await status_of(app, short) == 200
    await asyncio.sleep(2.1)
    assert await status_of(app, short) == 401


async def test_an_expired_token_says_so_and_any_other_says_nothing(client: httpx.AsyncClient, make: Make) -> None:
    header, claims = parts_of(secret_of(await make.admin()))
    expired, wrong = changed(claims, exp=0), changed(claims, iss="other")
    for token, code in (
        (signed(header, expired), "TOKEN_EXPIRED"),
        (signed(header, wrong), "TOKEN_INVALID"),
        (signed(header, expired, key=NEXT), "TOKEN_INVALID"),
    ):
        answer = await client.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["code"] == code


@pytest.mark.requirement("S2")
async def test_a_new_key_logs_nobody_out(app: Litestar, make: Make) -> None:
    someone = await make.teacher()
    for number in range(3):
        await make.add(ApiKey(name=f"key {number}", key_hash=digest(new_secret("ck_"))))
    admin = await make.admin()
    cursor = (await admin.get("/api-keys?limit=1")).json()["next_cursor"]
    account = {"email": "ana@example.edu", "username": "ana", "password": "long enough"}
    async with client_of(app) as nobody:
        assert (await nobody.post("/auth/register", json=account)).status_code == 201
        login = {"login": "ana", "password": "long enough"}
        refresh = {"refresh_token": (await nobody.post("/auth/login", json=login)).json()["refresh_token"]}
    async with second(app, secret_key=NEXT, secret_keys=(SECRET,)) as rotated:
        assert await status_of(rotated, secret_of(someone)) == 200
        assert await status_of(rotated, secret_of(await make.key("read")), "/sessions") == 200
        assert await status_of(rotated, secret_of(admin), f"/api-keys?limit=1&cursor={cursor}") == 200
        async with client_of(rotated) as nobody:
            fresh = (await nobody.post("/auth/refresh", json=refresh)).json()["access_token"]
        assert parts_of(fresh)[0]["kid"] != parts_of(secret_of(someone))[0]["kid"]
        assert await status_of(rotated, fresh) == 200
    async with second(app, secret_keys=(NEXT,)) as behind:  # a worker that still signs with the old one
        assert await status_of(behind, fresh) == 200


@pytest.mark.requirement("S2")
async def test_a_key_that_is_taken_from_the_ring_signs_nothing_any_more(app: Litestar, make: Make) -> None:
    someone, admin = await make.teacher(), await make.admin()
    await make.teacher()
    cursor = (await admin.get("/users?limit=1")).json()["next_cursor"]
    async with second(app, secret_key=NEXT) as without:
        assert await status_of(without, secret_of(someone)) == 401
        fresh = Tokens(without.state.settings).access(admin.id, family_of(admin))
        assert await status_of(without, fresh, f"/users?limit=1&cursor={cursor}") == 422
        assert await status_of(app, fresh) == 401


def family_of(someone: Someone) -> Any:
    return parts_of(secret_of(someone))[1]["sid"]


async def test_a_key_s_name_belongs_to_the_key(app: Litestar, make: Make) -> None:
    header, claims = parts_of(secret_of(await make.admin()))
    async with second(app, secret_key=NEXT, secret_keys=(SECRET,)) as rotated:
        assert await status_of(rotated, signed(header, claims)) == 200
        assert await status_of(rotated, signed(header, claims, key=NEXT)) == 401


@pytest.mark.requirement("S2")
async def test_what_ends_a_sign_in_or_changes_a_role_holds_in_every_worker_at_once(app: Litestar, make: Make) -> None:
    admin = await make.admin()
    leaving, inactive, demoted = [await make.teacher() for _ in range(3)]
    async with second(app) as other:
        for someone in (leaving, inactive, demoted):
            assert await status_of(other, secret_of(someone)) == 200
        await leaving.post("/auth/logout", json={})
        await admin.post(f"/users/{inactive.id}/deactivate")
        await admin.put(f"/users/{demoted.id}/roles", json={"roles": ["student"]})
        assert await status_of(other, secret_of(leaving)) == 401
        assert await status_of(other, secret_of(inactive)) == 401
        async with client_of(other, secret_of(demoted)) as client:
            assert (await client.post("/courses", json={"course_id": "c", "title": "C"})).status_code == 403


async def test_a_key_is_stored_as_a_hash_and_shows_when_it_was_used(make: Make) -> None:
    admin = await make.admin()
    expires_at = (utc_now() + timedelta(days=1)).isoformat()
    body = {"name": "agent", "scopes": ["read"], "expires_at": expires_at, "course_ids": [await make.course("c")]}
    made = (await admin.post("/api-keys", json=body)).json()
    row = (await make.all(ApiKey))[0]
    assert row.key_hash == digest(made["key"])
    assert made["key"].encode() not in row.key_hash
    assert (made["course_ids"], made["last_used_at"]) == (["c"], None)
    await make.course("elsewhere")
    async with client_of(make.app, made["key"]) as machine:
        assert [one["course_id"] for one in (await machine.get("/courses")).json()["items"]] == ["c"]
        assert (await machine.get("/courses/elsewhere")).status_code == 404
        assert (await machine.post("/sessions", json={})).status_code == 403

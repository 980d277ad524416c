"""Refresh tokens rotate: many parallel uses of one give one successor; a later use ends the whole sign-in."""

import asyncio
from datetime import timedelta

import httpx
from litestar import Litestar
from sqlalchemy import update

from cortez.accounts.models import RefreshToken
from cortez.clock import utc_now
from cortez.core.security.tokens import SAME_REFRESH
from factory import PASSWORD
from reliability.stage import Outcome, Stage
from running import client_of

FIGURE = "S3"
CLAIM = "50 parallel uses of one refresh token by one client, its use by another, and its use after 30 seconds"
TARGET = "one successor; the family revoked"
USES = 50


async def run(stage: Stage) -> Outcome:
    async with stage.app() as app, client_of(app) as client:
        account = {"email": "ana@example.edu", "username": "ana", "password": PASSWORD}
        assert (await client.post("/auth/register", json=account)).status_code == 201
        found = {way: await ended(app, client, way) for way in ("another client", "30 seconds later")}
    kept = all(one == (USES, 1, "REFRESH_TOKEN_REUSED", 401, 401) for one in found.values())
    said = "; ".join(f"{way}: the family {'revoked' if one[3] == 401 else 'alive'}" for way, one in found.items())
    many, heirs = next(iter(found.values()))[:2]
    return Outcome(f"{many} of {USES} answered, {heirs} successor; {said}", kept)


async def answered(client: httpx.AsyncClient, used: dict[str, str]) -> httpx.Response:
    """What comes of a use, sent again where it is told to come again."""
    for _ in range(100):
        answer = await client.post("/auth/refresh", json=used)
        if answer.status_code != 503:
            break
        await asyncio.sleep(0.1)
    return answer


async def ended(app: Litestar, client: httpx.AsyncClient, way: str) -> tuple[int, int, str, int, int]:
    """How many parallel uses are answered, and with how many successors; what a use in another way is answered, and
    then the successor, as refresh token and by its access token."""
    signed_in = (await client.post("/auth/login", json={"login": "ana", "password": PASSWORD})).json()
    used = {"refresh_token": signed_in["refresh_token"]}
    answers = await asyncio.gather(*[answered(client, used) for _ in range(USES)])
    won = [answer.json() for answer in answers if answer.status_code == 200]
    agent = {"User-Agent": "another"} if way == "another client" else {}
    if not agent:
        async with app.state.database.unit() as session:
            earlier = utc_now() - SAME_REFRESH - timedelta(seconds=1)
            await session.execute(update(RefreshToken).where(RefreshToken.used_at.is_not(None)).values(used_at=earlier))
    reused = (await client.post("/auth/refresh", json=used, headers=agent)).json().get("code", "")
    heir = {"refresh_token": won[0]["refresh_token"]}
    access = {"Authorization": f"Bearer {won[0]['access_token']}"}
    refreshed = (await client.post("/auth/refresh", json=heir)).status_code
    return (
        len(won),
        len({one["refresh_token"] for one in won}),
        reused,
        refreshed,
        (await client.get("/auth/me", headers=access)).status_code,
    )

"""Refresh tokens rotate: of many parallel uses of one, one chain goes on; a used one ends its whole sign-in."""

import asyncio

from factory import PASSWORD
from reliability.stage import Outcome, Stage
from running import client_of

FIGURE = "S3"
CLAIM = "50 parallel uses of one refresh token, then its reuse"
TARGET = "one chain; the family revoked"
USES = 50


async def run(stage: Stage) -> Outcome:
    async with stage.app() as app, client_of(app) as client:
        account = {"email": "ana@example.edu", "username": "ana", "password": PASSWORD}
        assert (await client.post("/auth/register", json=account)).status_code == 201
        signed_in = (await client.post("/auth/login", json={"login": "ana", "password": PASSWORD})).json()
        used = {"refresh_token": signed_in["refresh_token"]}
        answers = await asyncio.gather(*[client.post("/auth/refresh", json=used) for _ in range(USES)])
        won = [answer for answer in answers if answer.status_code == 200]
        others = {answer.json()["code"] for answer in answers if answer.status_code == 401}
        heir = {"refresh_token": won[0].json()["refresh_token"]}
        ended = (await client.post("/auth/refresh", json=heir)).status_code
        access = {"Authorization": f"Bearer {won[0].json()['access_token']}"}
        locked_out = (await client.get("/auth/me", headers=access)).status_code
    kept = (len(won), others, ended, locked_out) == (1, {"REFRESH_TOKEN_REUSED"}, 401, 401)
    return Outcome(f"{len(won)} chain of {USES}, then the family {'revoked' if ended == 401 else 'alive'}", kept)

"""Forged, swapped, expired, revoked and replayed credentials on every call; the end of a sign-in, seen by workers."""

import asyncio
from collections import Counter
from uuid import uuid4

import httpx
from litestar import Litestar

from asking import absent, guarded, send
from factory import Make, Someone
from forgeries import forged, secret_of
from reliability.stage import POSTGRESQL, Outcome, Stage
from running import client_of

FIGURE = "S2"
QUICK = (POSTGRESQL,)
CLAIM = "forged, expired, swapped, revoked or replayed tokens and keys on every protected route; two workers"
TARGET = "0 accepted; logout, deactivation and role change hold from the next request"
REQUESTS = 40  # after each change, each over a connection of its own, so that both workers answer
STRIDE = 24  # of the forgeries, each call meets one in so many in the short form, and all of them meet some


async def run(stage: Stage) -> Outcome:
    async with stage.app(rate_anonymous=0) as app, Make(app, client_of) as make:
        boss = await make.admin()
        tried, count, answers = await try_all(stage, app, make, boss)
        control = await answered(app, boss)
        late = await changes(stage, make, boss)
    accepted = sum(number for status, number in answers.items() if status != 401)
    measured = f"{count} on {len(list(guarded(app)))} routes: {accepted} of {tried} accepted; "
    measured += f"{late} of {3 * REQUESTS} late; {control} routes open to the good token"
    return Outcome(measured, count >= 60 and accepted == late == 0 and control == len(list(guarded(app))))


async def try_all(stage: Stage, app: Litestar, make: Make, boss: Someone) -> tuple[int, int, Counter[int]]:
    """How many requests with how many forgeries, and what they were answered."""
    forgeries = list((await forged(make, app, boss)).values())
    answers: Counter[int] = Counter()
    async with client_of(app) as client:
        stranger = Someone(uuid4(), "", client)
        plain = list(client.headers.items())
        for place, (verb, path, handler) in enumerate(guarded(app)):
            for headers in forgeries[place % STRIDE :: STRIDE] if stage.quick else forgeries:
                client.headers = httpx.Headers([*plain, *(("authorization", value) for value in headers)])
                answers[(await send(stranger, verb, absent(path), handler)).status_code] += 1
    return answers.total(), len(forgeries), answers


async def answered(app: Litestar, boss: Someone) -> int:
    """How many calls a good token opens: else nothing would be shown by a refusal."""
    statuses: list[int] = [
        (await send(boss, verb, absent(path), handler)).status_code
        for verb, path, handler in guarded(app)
        if path != "/auth/logout"
    ]
    signed_out = await boss.post("/auth/logout", json={})
    return sum(status != 401 for status in statuses) + int(signed_out.status_code == 200)


async def changes(stage: Stage, make: Make, boss: Someone) -> int:
    """How many requests a worker let through that came after the change."""
    again = await make.sign_in(boss.id, "")
    leaving, inactive, demoted = [await make.teacher() for _ in range(3)]
    with stage.served(CORTEZ_WORKERS="2") as address:
        base = f"{address}/api/v1"
        for someone in (leaving, inactive, demoted):  # both workers have seen them
            assert await passed(base, someone, "GET", "/courses") == REQUESTS
        ends: tuple[tuple[Someone, Someone, str, str, dict[str, list[str]]], ...] = (
            (leaving, leaving, "POST", "/auth/logout", {}),
            (inactive, again, "POST", f"/users/{inactive.id}/deactivate", {}),
            (demoted, again, "PUT", f"/users/{demoted.id}/roles", {"roles": ["student"]}),
        )
        late = 0
        for someone, actor, verb, path, body in ends:
            async with httpx.AsyncClient(headers=bearer(actor), timeout=30) as client:
                assert (await client.request(verb, base + path, json=body)).is_success
            late += await passed(base, someone, "POST", "/courses")
    return late


async def passed(base: str, someone: Someone, verb: str, path: str) -> int:
    """How many of many requests at once were neither 401 nor 403."""

    async def ask() -> int:
        async with httpx.AsyncClient(headers=bearer(someone), timeout=30) as client:
            body = {"course_id": uuid4().hex, "title": "A course"} if verb == "POST" else None
            return (await client.request(verb, base + path, json=body)).status_code

    statuses = await asyncio.gather(*[ask() for _ in range(REQUESTS)])
    return sum(status not in {401, 403} for status in statuses)


def bearer(someone: Someone) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret_of(someone)}"}

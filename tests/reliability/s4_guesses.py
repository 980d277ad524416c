"""Passwords guessed from changing addresses at two workers: how many are verified, what their times tell, who waits.

A guess counts as verified where it is answered LOGIN_FAILED: a refusal (429) is given before any password is looked at.
One account is guessed at from behind its owner's own address too. The owner of another one, at which strangers alone
guess, signs in at the end, from where they signed in before.
The guesser, both workers and the database share the machine, so quiet and stormy samples of the other route alternate.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from statistics import median, quantiles
from typing import NamedTuple

import httpx
import msgspec

from cortez.accounts.models import Role, User
from cortez.core.security.passwords import Passwords
from cortez.settings import Settings
from factory import PASSWORD, Make
from forgeries import secret_of
from reliability.stage import SQLITE, Outcome, Stage
from running import client_of

FIGURE = "S4"
QUICK = (SQLITE,)
CLAIM = "passwords guessed from changing addresses at two workers, at known and unknown accounts"
TARGET = "≤ 20 verified per account and hour; known and unknown users within 5 ms; other routes' p99 within 2 times"
TARGETS = 5  # known accounts that are guessed at, and as many unknown ones
CLIENTS = 4  # that guess at the same time
MOST = 20
NEAR, FAR = ("target0", "203.0.113.1"), ("target1", "203.0.113.2")  # accounts and where their owners sign in from

Guess = tuple[str, str, str | None]  # account, login, the address where it is no new one


class Guesser:
    """Sends guesses, each from an address of its own."""

    def __init__(self, base: str, first: int = 0) -> None:
        self.base = base
        self.addresses = (f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}" for i in count(first))

    async def guess(self, client: httpx.AsyncClient, login: str, address: str | None = None) -> str:
        headers = {"X-Forwarded-For": address or next(self.addresses)}
        body = {"login": login, "password": "a guess that is wrong"}
        answer = await client.post(f"{self.base}/auth/login", json=body, headers=headers)
        return str(answer.json()["code"])

    async def seconds(self, client: httpx.AsyncClient, login: str, code: str) -> float:
        begun = time.perf_counter()
        assert await self.guess(client, login) == code
        return time.perf_counter() - begun


async def rage(guesser: Guesser, names: Iterator[Guess]) -> Counter[tuple[str, str]]:
    """All clients guess until the logins are used up: how often which account had which answer."""
    seen: Counter[tuple[str, str]] = Counter()

    async def one() -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            for account, login, address in names:
                seen[account, await guesser.guess(client, login, address)] += 1

    await asyncio.gather(*[one() for _ in range(CLIENTS)])
    return seen


def storm(base: str, names: list[Guess], first: int) -> Counter[tuple[str, str]]:
    """In a process of its own, that waits where others have work: a guesser has a machine of its own."""
    return asyncio.run(rage(Guesser(base, first), iter(names)))


def logins(guesses: int) -> Iterator[Guess]:
    """Accounts in turn, by username and by e-mail, in this case and that; at one also from its owner's address."""
    forms: list[Callable[[str], str]] = [str, "{}@example.edu".format, lambda name: f"{name}@example.edu".upper()]
    names = [f"{kind}{i}" for i in range(TARGETS) for kind in ("target", "nobody")]
    for i in range(guesses):
        name = names[i % len(names)]
        address = NEAR[1] if name == NEAR[0] and i // len(names) % 2 else None
        yield name, forms[i // len(names) % len(forms)](name), address


async def run(stage: Stage) -> Outcome:
    guesses, windows, pairs = (200, 2, 4) if stage.quick else (10_000, 5, 200)
    async with stage.app() as app, Make(app, client_of) as make:
        token = await accounts(make, pairs)
    proxied = {"CORTEZ_WORKERS": "2", "CORTEZ_TRUSTED_PROXIES": "127.0.0.1"}
    with stage.served(**proxied) as address:
        base = f"{address}/api/v1"
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as reader:
            for owner in (NEAR, FAR):
                assert await sign_in(reader, base, *owner) == 200
            times = await alternate(base, reader, list(logins(guesses)), windows)
            owner_status = await sign_in(reader, base, *FAR)
        guesser = Guesser(base, 1 << 20)
        verifying = await gap(guesser, "LOGIN_FAILED", pairs, "known", "unknown")
        refusing = await gap(guesser, "LOGIN_THROTTLED", pairs, "target0", "nobody0")
    return judged(times, guesses, (verifying, refusing), owner_status, stage.quick)


async def sign_in(client: httpx.AsyncClient, base: str, login: str, address: str) -> int:
    """With the right password."""
    body, headers = {"login": login, "password": PASSWORD}, {"X-Forwarded-For": address}
    return (await client.post(f"{base}/auth/login", json=body, headers=headers)).status_code


async def accounts(make: Make, pairs: int) -> str:
    """Passwords as they are in production; the token of somebody who works meanwhile."""
    costs = Settings()
    same = {"password_time_cost": costs.password_time_cost, "password_memory_kib": costs.password_memory_kib}
    hashed = await Passwords(msgspec.structs.replace(make.app.state.settings, **same)).hash(PASSWORD)
    for name in [*(f"target{i}" for i in range(TARGETS)), *(f"known{i}" for i in range(pairs))]:
        email = f"{name}@example.edu"
        await make.add(User(email=email, username=name, hashed_password=hashed, roles=[Role.STUDENT], student_id=name))
    return secret_of(await make.teacher())


class Times(NamedTuple):
    """Seconds of another route, without and with the storm, and what the storm was answered."""

    quiet: list[float]
    stormy: list[float]
    seen: Counter[tuple[str, str]]


async def alternate(base: str, reader: httpx.AsyncClient, names: list[Guess], windows: int) -> Times:
    times = Times([], [], Counter())
    share = len(names) // windows
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=os.nice, initargs=(19,)) as pool:
        await loop.run_in_executor(pool, storm, base, [], 0)
        for first in range(0, len(names), share):
            raging = loop.run_in_executor(pool, storm, base, names[first : first + share], first)
            await sample(base, reader, times.stormy, raging.done)
            times.seen.update(await raging)
            enough = len(times.stormy)
            await sample(base, reader, times.quiet, lambda enough=enough: len(times.quiet) >= enough)  # type: ignore[misc]
    return times


async def sample(base: str, reader: httpx.AsyncClient, times: list[float], over: Callable[[], bool]) -> None:
    while not over():
        begun = time.perf_counter()
        answer = await reader.get(f"{base}/auth/me")
        times.append(time.perf_counter() - begun)
        assert answer.status_code == 200, answer.text
        await asyncio.sleep(0.01)


async def gap(guesser: Guesser, code: str, pairs: int, known: str, unknown: str) -> float:
    """Seconds between the medians of a known and an unknown account, asked in turn."""
    times: dict[bool, list[float]] = {True: [], False: []}
    async with httpx.AsyncClient(timeout=60) as client:
        for i in range(pairs):
            for is_known in (True, False) if i % 2 else (False, True):
                name = known if is_known else unknown
                login = f"{name}{i}" if code == "LOGIN_FAILED" else name
                times[is_known].append(await guesser.seconds(client, login, code))
    return abs(median(times[True]) - median(times[False]))


def p99(times: list[float]) -> float:
    return quantiles(times, n=100)[98]


def judged(times: Times, guesses: int, gaps: tuple[float, float], owner_status: int, quick: bool) -> Outcome:
    """The short form judges the counts only: a few samples on a machine that does other things tell no times."""
    verified = max(often for (_, code), often in times.seen.items() if code == "LOGIN_FAILED")
    near = times.seen[NEAR[0], "LOGIN_FAILED"]
    refused = sum(often for (_, code), often in times.seen.items() if code == "LOGIN_THROTTLED")
    quiet, stormy = p99(times.quiet), p99(times.stormy)
    measured = (
        f"{guesses:,} guesses: at most {verified} verified at an account ({near} where the guesser shares the owner's "
        f"address), {refused:,} refused; an owner is answered {owner_status} from home; known and unknown "
    )
    measured += f"{gaps[0] * 1000:.1f} ms apart (refused: {gaps[1] * 1000:.1f}); "
    measured += f"p99 {quiet * 1000:.0f} ms quiet, {stormy * 1000:.0f} ms stormy ({stormy / quiet:.1f} times)"
    codes = {code for _, code in times.seen}
    honest = codes <= {"LOGIN_FAILED", "LOGIN_THROTTLED"} and times.seen.total() == guesses
    in_time = quick or (max(gaps) <= 0.005 and stormy <= 2 * quiet)
    return Outcome(measured, honest and verified <= MOST and near > MOST // 2 and owner_status == 200 and in_time)

"""Passwords guessed from changing addresses at two workers: how many are verified, what their times tell, who waits.

A guess counts as verified where it is answered LOGIN_FAILED: a refusal (429) is given before any password is looked at.
The load generator, both workers and the database share the machine, so quiet and stormy samples of the other route
alternate, and what the generator itself costs is in the stormy ones.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from statistics import median, quantiles

import httpx
import msgspec

from cortez.accounts.models import Role, User
from cortez.security import Passwords
from cortez.settings import Settings
from factory import PASSWORD, Make
from forgeries import secret_of
from reliability.stage import Outcome, Stage
from running import client_of

FIGURE = "S4"
CLAIM = "passwords guessed from changing addresses at two workers, at known and unknown accounts"
TARGET = "≤ 20 verified per account and hour; known and unknown users within 5 ms; other routes' p99 within 2 times"
TARGETS = 5  # known accounts that are guessed at, and as many unknown ones
CLIENTS = 4  # that guess at the same time
MOST = 20


class Storm:
    """The guesses, and what became of them."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.addresses = (f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(1 << 24))
        self.verified: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()

    async def guess(self, client: httpx.AsyncClient, login: str) -> str:
        headers = {"X-Forwarded-For": next(self.addresses)}
        body = {"login": login, "password": "a guess that is wrong"}
        answer = await client.post(f"{self.base}/auth/login", json=body, headers=headers)
        return str(answer.json()["code"])

    async def rage(self, logins: Iterator[tuple[str, str]]) -> None:
        """All clients guess until the logins are used up."""

        async def one() -> None:
            async with httpx.AsyncClient(timeout=60) as client:
                for account, login in logins:
                    code = await self.guess(client, login)
                    self.codes[code] += 1
                    self.verified[account] += code == "LOGIN_FAILED"

        await asyncio.gather(*[one() for _ in range(CLIENTS)])

    async def seconds(self, client: httpx.AsyncClient, login: str, code: str) -> float:
        begun = time.perf_counter()
        assert await self.guess(client, login) == code
        return time.perf_counter() - begun


def logins(count: int) -> Iterator[tuple[str, str]]:
    """Accounts in turn, by username and by e-mail, in this case and that."""
    forms: list[Callable[[str], str]] = [str, "{}@example.edu".format, lambda name: f"{name}@example.edu".upper()]
    names = [f"{kind}{i}" for i in range(TARGETS) for kind in ("target", "nobody")]
    for i in range(count):
        name = names[i % len(names)]
        yield name, forms[i // len(names) % len(forms)](name)


async def run(stage: Stage) -> Outcome:
    guesses, windows, pairs = (400, 2, 6) if stage.quick else (10_000, 5, 60)
    async with stage.app() as app, Make(app, client_of) as make:
        token = await accounts(make, pairs)
    proxied = {"CORTEZ_WORKERS": "2", "CORTEZ_TRUSTED_PROXIES": "127.0.0.1"}
    with stage.served(**proxied) as address:
        storm = Storm(f"{address}/api/v1")
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as reader:
            quiet, stormy = await alternate(storm, reader, guesses // windows, windows)
        verifying = await gap(storm, "LOGIN_FAILED", pairs, "known", "unknown")
        refusing = await gap(storm, "LOGIN_THROTTLED", pairs, "target0", "nobody0")
    return judged(storm, guesses, (verifying, refusing), (p99(quiet), p99(stormy)), stage.quick)


async def accounts(make: Make, pairs: int) -> str:
    """Passwords as they are in production; the token of somebody who works meanwhile."""
    costs = Settings()
    same = {"password_time_cost": costs.password_time_cost, "password_memory_kib": costs.password_memory_kib}
    hashed = await Passwords(msgspec.structs.replace(make.app.state.settings, **same)).hash(PASSWORD)
    for name in [*(f"target{i}" for i in range(TARGETS)), *(f"known{i}" for i in range(pairs))]:
        email = f"{name}@example.edu"
        await make.add(User(email=email, username=name, hashed_password=hashed, roles=[Role.STUDENT], student_id=name))
    return secret_of(await make.teacher())


async def alternate(
    storm: Storm, reader: httpx.AsyncClient, guesses: int, windows: int
) -> tuple[list[float], list[float]]:
    """Times of another route, without and with the storm in turn."""
    quiet: list[float] = []
    stormy: list[float] = []
    everything = logins(guesses * windows)
    for _ in range(windows):
        share = (next(everything) for _ in range(guesses))
        raging = asyncio.create_task(storm.rage(share))
        await sample(storm, reader, stormy, raging.done)
        await raging
        enough = len(stormy)
        await sample(storm, reader, quiet, lambda enough=enough: len(quiet) >= enough)  # type: ignore[misc]
    return quiet, stormy


async def sample(storm: Storm, reader: httpx.AsyncClient, times: list[float], over: Callable[[], bool]) -> None:
    while not over():
        begun = time.perf_counter()
        answer = await reader.get(f"{storm.base}/auth/me")
        times.append(time.perf_counter() - begun)
        assert answer.status_code == 200, answer.text
        await asyncio.sleep(0.01)


async def gap(storm: Storm, code: str, pairs: int, known: str, unknown: str) -> float:
    """Seconds between the medians of a known and an unknown account, asked in turn."""
    times: dict[bool, list[float]] = {True: [], False: []}
    async with httpx.AsyncClient(timeout=60) as client:
        for i in range(pairs):
            for is_known in (True, False) if i % 2 else (False, True):
                name = known if is_known else unknown
                login = f"{name}{i}" if code == "LOGIN_FAILED" else name
                times[is_known].append(await storm.seconds(client, login, code))
    return abs(median(times[True]) - median(times[False]))


def p99(times: list[float]) -> float:
    return quantiles(times, n=100)[98]


def judged(storm: Storm, guesses: int, gaps: tuple[float, float], p99s: tuple[float, float], quick: bool) -> Outcome:
    """The short form judges the counts only: a few samples on a machine that does other things tell no times."""
    most, (verifying, refusing), (quiet, stormy) = max(storm.verified.values()), gaps, p99s
    refused = storm.codes["LOGIN_THROTTLED"]
    measured = f"{guesses:,} guesses: at most {most} verified at an account, {refused:,} refused; known and unknown "
    measured += f"{verifying * 1000:.1f} ms apart (refused: {refusing * 1000:.1f}); "
    measured += f"p99 {quiet * 1000:.0f} ms quiet, {stormy * 1000:.0f} ms stormy ({stormy / quiet:.1f} times)"
    honest = storm.codes.keys() <= {"LOGIN_FAILED", "LOGIN_THROTTLED"} and storm.codes.total() == guesses
    in_time = quick or (max(gaps) <= 0.005 and stormy <= 2 * quiet)
    return Outcome(measured, honest and most <= MOST and in_time)

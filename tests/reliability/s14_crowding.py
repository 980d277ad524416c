"""One attacker of each kind does what costs most, and everybody else goes on working.

The attacker, the others and the database share the machine; the attacker's process waits where others have work, as one
with a machine of its own would. Logins are sent too, but their time is not judged: a guess costs a processor whoever
makes it.
"""

import asyncio
import io
import itertools
import os
import random
import time
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from multiprocessing import get_context
from statistics import quantiles
from typing import Any

import httpx
from msgspec import Struct

from cortez.accounts.models import User
from cortez.content.models import Subject, Unidad
from cortez.core.security.passwords import Passwords
from cortez.traces.models import CognitiveTrace
from factory import PASSWORD, Make
from forgeries import secret_of
from reliability.stage import Outcome, Stage
from running import client_of
from serving import Server

FIGURE = "S14"
CLAIM = "an attacker of each kind (no account, a student, a teacher, a key) against everybody else"
TARGET = "0 x 503 and 0 wrong answers for others; their p99 within 3 times; the worker at most 500 MB"
CLIENTS = 40  # of the attacker
SLOWER, MEMORY = 3, 500  # times, MB
HERE, THERE = {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "203.0.113.66"}
STEP = {"interaction_type": "student_prompt", "content": "Why?"}

Request = tuple[str, str, dict[str, Any]]  # method, path, what httpx sends


class Place(Struct, frozen=True):
    """Tokens of everybody, and the rows that they ask for."""

    base: str
    tokens: dict[str, str]
    sessions: dict[str, str]
    unit: str
    student_id: str


async def run(stage: Stage) -> Outcome:
    seconds = 3.0 if stage.quick else 60.0
    with stage.server(CORTEZ_TRUSTED_PROXIES="127.0.0.1") as server:
        place = await prepared(stage, f"{server.address}/api/v1")
        quiet = await others(place, seconds)
        said, kept = [f"p99 {p99(quiet.times) * 1000:.0f} ms quiet"], not quiet.wrong
        with ProcessPoolExecutor(1, get_context("spawn"), initializer=os.nice, initargs=(19,)) as pool:
            await asyncio.get_running_loop().run_in_executor(
                pool, storm, place, "no account", 0.0
            )  # starts the process
            for kind in ATTACKS:
                seen = await attacked(pool, server, place, kind, seconds)
                often = ", ".join(f"{status} x {count}" for status, count in sorted(seen.answers.items()))
                print(f"{stage.database}, {kind}: answered {often}")  # noqa: T201
                for line, count in seen.found.wrong.items():
                    print(f"others: {line} x {count}")  # noqa: T201
                times = p99(seen.found.times) / p99(quiet.times)
                kept &= not seen.found.wrong
                kept &= stage.quick or (times <= SLOWER and seen.memory <= MEMORY)
                wrong = seen.found.wrong.total()
                said.append(
                    f"{kind}: {len(seen.found.times)} asked, {wrong} wrong, {times:.1f} x, {seen.memory:.0f} MB"
                )
    return Outcome("; ".join(said), kept)


class Found(Struct):
    """How long others waited, in seconds, and what they were answered that is wrong."""

    times: list[float]
    wrong: Counter[str]


class Seen(Struct):
    """Of one attack: what the attacker was answered, what others found, and the worker's memory at most, in MB."""

    answers: dict[str, int]
    found: Found
    memory: float


async def attacked(pool: ProcessPoolExecutor, server: Server, place: Place, kind: str, seconds: float) -> Seen:
    loop, memory = asyncio.get_running_loop(), [server.memory()]
    attack = loop.run_in_executor(pool, storm, place, kind, seconds + 1)

    async def watch() -> None:
        while True:
            memory.append(server.memory())
            await asyncio.sleep(0.2)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.5)
    found = await others(place, seconds)
    answers = await attack
    watching.cancel()
    return Seen(answers, found, max(memory))


async def others(place: Place, seconds: float) -> Found:
    """A student, a teacher and a tutor's key at their work, and somebody who signs in."""
    found, until = Found([], Counter()), time.monotonic() + seconds
    session = place.sessions["victim"]
    work: list[tuple[str, str, str, Any, int]] = [
        ("victim", "GET", "/auth/me", None, 200),
        ("boss", "GET", "/sessions?limit=10", None, 200),
        ("agent", "POST", f"/sessions/{session}/traces", STEP, 201),
        ("", "POST", "/auth/login", {"login": "door", "password": PASSWORD}, 200),
    ]

    async def one(who: str, method: str, path: str, body: Any, status: int) -> None:
        async with client(place, who, HERE) as sending:
            while time.monotonic() < until:
                begun = time.perf_counter()
                answer = await sending.request(method, path, json=body)
                if who:
                    found.times.append(time.perf_counter() - begun)
                if answer.status_code != status:
                    found.wrong[f"{method} {path.partition('?')[0]}: {answer.status_code}"] += 1
                await asyncio.sleep(0.02 if who else 1)

    await asyncio.gather(*[one(*each) for each in work])
    return found


@asynccontextmanager
async def client(place: Place, who: str, headers: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    own = {"Authorization": f"Bearer {place.tokens[who]}"} if who else {}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=place.base, headers=headers | own, timeout=120, limits=limits) as made:
        yield made


def storm(place: Place, kind: str, seconds: float) -> dict[str, int]:
    return dict(asyncio.run(rage(place, kind, seconds)))


async def rage(place: Place, kind: str, seconds: float) -> Counter[str]:
    """All clients send what costs most, again and again: how often there was which answer."""
    seen: Counter[str] = Counter()
    requests = ATTACKS[kind](place)
    who = {"no account": "", "a student": "attacker", "a teacher": "teacher", "a key": "key"}[kind]

    async with client(place, who, THERE) as sending:

        async def one() -> None:
            while True:
                method, path, what = next(requests)
                answer = await sending.request(method, path, **what)
                seen[str(answer.status_code)] += 1

        tasks = [asyncio.create_task(one()) for _ in range(CLIENTS)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    seen.update(type(one).__name__ for one in ended if not isinstance(one, asyncio.CancelledError))
    return seen


def nobody(place: Place) -> Iterator[Request]:
    """Guesses at names that nobody has, and made-up tokens."""
    for number in itertools.count():
        yield "POST", "/auth/login", {"json": {"login": f"nobody{number}", "password": "a guess"}}
        yield "POST", "/auth/refresh", {"json": {"refresh_token": f"cr_{number}"}}


def student(place: Place) -> Iterator[Request]:
    """Histories of 6,000 commits, the archive of everything, names, and a session whole."""
    line = "\x1e{0:040x}\x1f\x1fAna\x1fa@example.edu\x1f2020-01-01T00:00:00+00:00\x1frefs/heads/main\x1fStep {0}\x1f\n"
    log = "".join(f"{line.format(number)}\n1\t1\tfile{number}.py\n" for number in range(6_000)).encode()
    session = place.sessions["attacker"]
    for number in itertools.count():
        headers = {"Content-Type": "text/plain"}
        yield "POST", f"/sessions/{session}/git-traces/import", {"content": log, "headers": headers}
        yield "GET", f"/students/{place.student_id}/data", {}
        yield "PATCH", "/auth/me", {"json": {"full_name": f"Ana {number}"}}


def teacher(place: Place) -> Iterator[Request]:
    """Archives of 30,000 names, and class lists of a megabyte."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for number in range(30_000):
            file.writestr(f"{number}.txt", "")
    lines = b"email\n" + b"a@b.co\n" * 140_000
    while True:
        yield "POST", f"/unidades/{place.unit}/archivos", {"files": {"file": ("many.zip", packed.getvalue())}}
        yield (
            "POST",
            "/courses/attack/members/batch",
            {"content": lines, "headers": {"Content-Type": "text/csv"}},
        )


def key(place: Place) -> Iterator[Request]:
    """Ten megabytes of empty lists, and every rule over a long session."""
    session, long = place.sessions["attacker"], place.sessions["long"]
    crowded = b'[{"metadata":{"a":[' + b"[]," * 3_000_000 + b"[]]}}]"
    headers = {"Content-Type": "application/json"}
    while True:
        yield "POST", f"/sessions/{session}/traces/batch", {"content": crowded, "headers": headers}
        yield "POST", f"/sessions/{long}/risks/analyze", {}


ATTACKS = {"no account": nobody, "a student": student, "a teacher": teacher, "a key": key}


async def prepared(stage: Stage, base: str) -> Place:
    async with stage.app() as app, Make(app, client_of) as make:
        for course in ("home", "attack"):
            await make.course(course)
        people = {"victim": await make.student(course="home"), "attacker": await make.student(course="attack")}
        people |= {"boss": await make.teacher(course="home"), "teacher": await make.teacher(course="attack")}
        people |= {"agent": await make.key("traces"), "key": await make.key("traces", "analysis")}
        unit = Unidad(materia_code="S", numero=1, titulo="x", esta_publicada=True)
        await make.add(Subject(code="S", name="x", language="python"), unit)
        sessions = {name: await make.session(people[name]) for name in ("victim", "attacker")}
        sessions["long"] = await make.session(people["attacker"])
        noise = random.Random(14)  # noqa: S311 - that does not compress
        texts = [noise.randbytes(1_000).hex() for _ in range(2_000)]
        same = {"session_id": sessions["long"].id, "student_id": people["attacker"].student_id}
        same |= {"activity_id": sessions["long"].activity_id, "trace_level": "n4_cognitivo"}
        await make.add(*[CognitiveTrace(**same, interaction_type="student_prompt", content=text) for text in texts])
        hashed = await Passwords(make.app.state.settings).hash(PASSWORD)
        await make.add(User(email="door@example.edu", username="door", hashed_password=hashed, roles=["student"]))
        return Place(
            base,
            {name: secret_of(someone) for name, someone in people.items()},
            {name: str(session.id) for name, session in sessions.items()},
            str(unit.id),
            str(people["attacker"].student_id),
        )


def p99(times: list[float]) -> float:
    return quantiles(times, n=100)[98]

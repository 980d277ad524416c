"""Bad input in every field and parameter of every route: a clear answer, and the same on both databases."""

import json
import re
from collections import Counter
from typing import Any, NamedTuple

import httpx
from litestar import Litestar

from corpus import ENDING, Asked, corpus, places
from factory import Make, Someone
from reliability.stage import Outcome, Stage
from running import client_of

FIGURE = "R4"
CLAIM = "51 and more values x every field, parameter and header of every route"
TARGET = "≥ 20,000, 0 x 5xx; same status and value on both"
SHARE = {True: 41, False: 2}  # every so many-th request; no factor in common with the lists of values
UNLIKE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # ids
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"  # times
    r"|c[kpr]_[\w-]{43}|eyJ[\w.-]+|[0-9a-f]{32,64}"  # secrets and digests
)
OF_THE_MOMENT = {"next_cursor", "distance_seconds", "median_distance_seconds", "minutes_since_previous"}


class Side:
    """One database: the application on it, an admin, and the ids of what is there."""

    def __init__(self, app: Litestar, make: Make, admin: Someone, asked: list[Asked]) -> None:
        self.app, self.make, self.admin, self.asked = app, make, admin, asked

    async def send(self, number: int) -> "Answered":
        asked = self.asked[number]
        ending = any(end in asked.path for end in ENDING)
        someone = await self.make.admin() if ending else self.admin
        headers = [(name.encode(), value.encode()) for name, value in asked.headers.items()]
        answer = await someone.client.request(asked.verb, asked.path, content=asked.content, headers=headers)
        stored = await self.read_back(asked, answer)
        return Answered(answer.status_code, code_of(answer), said_in(answer), stored)

    async def read_back(self, asked: Asked, answer: httpx.Response) -> Any:
        """What a write that was accepted has stored, as a reader gets it."""
        place = answer.headers.get("location", "").removeprefix("/api/v1")
        if asked.verb in {"PATCH", "PUT"} and answer.status_code == 200:
            place = asked.path.partition("?")[0]
        if not place or not answer.is_success:
            return None
        return said_in(await self.admin.get(place))


class Answered(NamedTuple):
    status: int
    code: str
    said: Any
    stored: Any


def said_in(answer: httpx.Response) -> Any:
    """The document of an answer, without what no two answers share; None where it is no document."""
    if not answer.content or answer.headers.get("content-type") != "application/json":
        return None
    return alike(json.loads(answer.content))


def alike(value: Any) -> Any:
    if isinstance(value, dict):
        return {UNLIKE.sub("…", name): alike(one) for name, one in value.items() if name not in OF_THE_MOMENT}
    if isinstance(value, list):
        return [alike(one) for one in value]
    return UNLIKE.sub("…", value) if isinstance(value, str) else value


def code_of(answer: httpx.Response) -> str:
    if answer.status_code < 400 or answer.headers.get("content-type") != "application/problem+json":
        return ""
    return str(answer.json()["code"])


async def compare(sqlite: Stage, postgresql: Stage) -> Outcome:
    faults: list[str] = []
    statuses: Counter[int] = Counter()
    async with (
        sqlite.app(**LIMITS) as one,
        postgresql.app(**LIMITS) as other,
        Make(one, client_of) as here,
        Make(other, client_of) as there,
    ):
        sides = [await side(one, here), await side(other, there)]
        for number in range(0, len(sides[0].asked), SHARE[sqlite.quick]):
            first, second = [await side.send(number) for side in sides]
            statuses.update([first.status, second.status])
            if problem := differs(first, second):
                faults.append(f"{sides[0].asked[number].where}: {problem}")
    tried, broken = statuses.total(), sum(count for status, count in statuses.items() if status >= 500)
    for fault in faults[:20]:
        print(fault[:1000])  # noqa: T201
    said = f"{tried:,} requests: {broken} x 5xx, {len(faults)} differ"
    return Outcome(said, not broken and not faults and tried > 2_000)


# The audit log is sealed by the clock, and each side has its own.
LIMITS: dict[str, Any] = {"max_upload": 100_000, "seal_interval": 3600.0}


async def side(app: Litestar, make: Make) -> Side:
    address = await places(make)
    return Side(app, make, await make.admin(), list(corpus(app, address)))


def differs(one: Answered, other: Answered) -> str:
    """In what the two answers are unlike, if in anything."""
    if (one.status, one.code) != (other.status, other.code):
        return f"{one.status} {one.code} and {other.status} {other.code}"
    return unlike([one.said, one.stored], [other.said, other.stored]) if one.status < 300 else ""


def unlike(one: Any, other: Any) -> str:
    """The first place where two documents are unlike, and what is there."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return next((f"/{name}{found}" for name in one if (found := unlike(one[name], other[name]))), "")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return next(
            (f"/{place}{found}" for place, pair in enumerate(zip(one, other, strict=True)) if (found := unlike(*pair))),
            "",
        )
    return "" if one == other else f": {one} and {other}"

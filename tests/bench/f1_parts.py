"""F1, F3: where the time of a list of 50 traces, and of one that is created, goes, ours and the floor's.

Processor time, in one process, without HTTP.

Each part is run by itself, so that no instrument distorts it; what is left over is the framework and the unit of work.
"""

import asyncio
import gc
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import msgspec
from litestar.serialization import encode_json
from sqlalchemy.util import greenlet_spawn

from bench.material import Place, step
from bench.programs import ROOT
from bench.stage import Bench, Line
from cortez.accounts.authentication import Callers, authenticator
from cortez.app import create_app
from cortez.core.db.pagination import Listing, Page
from cortez.core.db.unit_of_work import unit_of
from cortez.core.security.principal import Principal
from cortez.core.security.tokens import Tokens
from cortez.sessions.repository import SessionRepository
from cortez.settings import Settings
from cortez.traces.ingest import JUDGED
from cortez.traces.repository import TraceRepository
from cortez.traces.schemas import TraceOut
from running import live

FIGURES = ("F1",)
PAGE = ROOT / "results" / "parts.md"
TIMES, QUICK_TIMES, ROUNDS = 200, 20, 7

Part = Callable[[], Awaitable[object]]


def run(bench: Bench) -> Iterator[Line]:
    scene = bench.scene("parts", 1)
    os.environ["DATABASE_URL"] = scene.url  # the floor reads it when it is imported
    taken = asyncio.run(measured(scene.settings, scene.place, QUICK_TIMES if bench.quick else TIMES))
    ours, floor = split(taken, "ours"), split(taken, "floor")
    head = "| part, µs of processor time | ours | floor |\n|---|---|---|\n"
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(head + "\n".join(f"| {part} | {ours[part]:,.0f} | {floor[part]:,.0f} |" for part in ours) + "\n")
    database = ours["who asks"] + ours["the page"] + ours["a session, its connection"]
    told = (
        f"processor time of the list in one process: {ours['all']:,.0f} µs, floor {floor['all']:,.0f}; "
        f"in the database's layers {database:,.0f} ({PAGE.relative_to(ROOT)})"
    )
    yield Line("F1", told, "printed", "where the distance lies", None)


def split(taken: dict[tuple[str, str], float], whose: str) -> dict[str, float]:
    part = {name: microseconds for (owner, name), microseconds in taken.items() if owner == whose}
    rest = part["all"] - part["page"] - part["who"] - part["json"] + part["connection"]
    return {
        "framework, unit of work, answer": rest,
        "a session, its connection": part["connection"],
        "who asks": part["who"] - part["connection"],
        "the page": part["page"] - part["connection"],
        "JSON": part["json"],
        "all": part["all"],
        "create one trace: who asks": part["who"],
        "create one trace: a unit of work that locks its session": part["unit"],
        "create one trace: storing, framework, answer": part["create"] - part["who"] - part["unit"],
        "create one trace: all": part["create"],
    }


async def measured(settings: Settings, place: Place, times: int) -> dict[tuple[str, str], float]:
    from bench.contenders import floor

    app = create_app(settings)
    async with live(app), live(floor.app):
        parts = {**ours(app, settings, place), **theirs(floor, place)}
        gc.collect()
        gc.freeze()
        least: dict[tuple[str, str], float] = {}
        for _ in range(ROUNDS):
            for name, part in parts.items():
                begun = time.process_time()
                for _ in range(times):
                    await part()
                spent = (time.process_time() - begun) / times * 1e6
                least[name] = min(spent, least.get(name, spent))
        gc.unfreeze()
        return least


def ours(app: Any, settings: Settings, place: Place) -> dict[tuple[str, str], Part]:
    database, authenticate = app.state.database, authenticator(Callers(Tokens(settings), settings))
    asked: Any = scope_of(place)
    page = Page(app.state.cursors, asked["path"], b"", 50, None, False, None)
    known: dict[str, Any] = {}

    async def connection() -> None:
        async with database.session(writes=False) as session:
            await greenlet_spawn(unit_of(session).open)

    async def who() -> None:
        async with database.session(writes=False) as session:
            known["principal"] = await authenticate(asked, session)

    async def rows() -> None:
        principal: Principal = known["principal"]
        async with database.session(writes=False) as session:
            traces = TraceRepository(session, principal)
            known["listing"] = await traces.listed(page, newest_first=False, session_id=place.session)

    async def json() -> None:
        listing: Listing[TraceOut] = known["listing"]
        encode_json(listing)

    async def unit() -> None:
        async with database.session(writes=True) as session:
            sessions = SessionRepository(session, known["principal"])
            await sessions.run(sessions.locking(*JUDGED), session_ids=[place.open[0]])
            await unit_of(session).commit()

    parts = {"connection": connection, "who": who, "page": rows, "json": json, "unit": unit, **asked_of(app, place)}
    return {("ours", name): part for name, part in parts.items()}


def theirs(floor: Any, place: Place) -> dict[tuple[str, str], Part]:
    known: dict[str, Any] = {}

    class Request:
        app = floor.app
        headers = {"authorization": f"Bearer {place.token}"}

    async def connection() -> None:
        async with floor.app.state.pool.acquire():
            pass

    async def who() -> None:
        async with floor.signed_in(Request, "read"):
            pass

    async def rows() -> None:
        pool: asyncpg.Pool = floor.app.state.pool
        async with pool.acquire() as connection:
            found = await connection.fetch(floor.PAGE, place.session, 51)
        known["listing"] = floor.Listing([floor.TraceOut.of(row) for row in found[:50]])

    async def json() -> None:
        encode_json(known["listing"])

    async def unit() -> None:
        pool: asyncpg.Pool = floor.app.state.pool
        async with pool.acquire() as connection, connection.transaction():
            await floor.open_session(connection, place.open[0])

    parts = {
        "connection": connection,
        "who": who,
        "page": rows,
        "json": json,
        "unit": unit,
        **asked_of(floor.app, place),
    }
    return {("floor", name): part for name, part in parts.items()}


class Route:
    """A route that is not public."""

    opt: dict[str, Any] = {}


def scope_of(place: Place) -> dict[str, Any]:
    path = f"/api/v1/sessions/{place.session}/traces"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"limit=50",
        "root_path": "",
        "route_handler": Route,
        "headers": [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {place.token}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }


def asked_of(app: Any, place: Place) -> dict[str, Part]:
    """The whole of the list, and of a trace that is created."""
    listed, body = scope_of(place), msgspec.json.encode(step(random.Random(1)))  # noqa: S311 - the same each time
    path = f"/api/v1/sessions/{place.open[0]}/traces"
    told = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    created = {**listed, "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    created["headers"] = [*listed["headers"], *told]
    return {"all": lambda: asking(app, listed), "create": lambda: asking(app, created, body)}


async def asking(app: Any, scope: dict[str, Any], body: bytes = b"") -> None:
    """A request to an application, past the server."""
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 200))

    await app({**scope, "state": {}}, receive, send)
    assert set(statuses) <= {200, 201}, statuses

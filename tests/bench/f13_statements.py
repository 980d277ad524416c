"""F13: what each route sends to the database, and that a reading route sends no more where there is more to read."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
from sqlalchemy import event

from bench.programs import ROOT
from bench.stage import Bench, Line
from corpus import SPARED, at, places, right_body
from cortez.app import create_app
from cortez.core.migrations import runner
from cortez.sessions.models import LearningSession
from factory import Make
from postgres import create_database
from routes import calls
from running import client_of, live, settings_for

FIGURES = ("F13",)
PAGE = ROOT / "results" / "statements.md"
WHOLE = "GET /audit/verify"  # reads all of the log, a lot at a time
MORE = 3  # times as many of everything that is listed


class Sent(msgspec.Struct):
    """What one request sent. A unit that writes sends BEGIN and COMMIT beside its statements."""

    statements: int = 0
    units: int = 0

    @property
    def flights(self) -> int:
        return self.statements + 2 * self.units


def run(bench: Bench) -> Iterator[Line]:
    found = asyncio.run(counted(bench))
    PAGE.parent.mkdir(exist_ok=True)
    head = "| route | status | statements | round trips | with more rows |\n|---|---|---|---|---|\n"
    lines = [
        f"| {call} | {status} | {few.statements} | {few.flights} | {many.statements} |"
        for call, (status, few, many) in found.items()
    ]
    PAGE.write_text(head + "\n".join(lines) + "\n")
    reads = {call: few for call, (_, few, _) in found.items() if call.startswith("GET")}
    most = max(reads, key=lambda call: reads[call].statements)
    grown = [call for call, (_, few, many) in found.items() if many.statements > few.statements and call != WHOLE]
    two = sum(sent.statements <= 2 for sent in reads.values())
    what = (
        f"statements of {len(found)} routes ({PAGE.relative_to(ROOT)}): {two} of {len(reads)} reading routes send two "
        f"with authentication's, at most {reads[most].statements} ({most})"
    )
    yield Line("F13", what, f"**{len(grown)}** grow with rows", "0: no N+1", not grown)


async def counted(bench: Bench) -> dict[str, tuple[int, Sent, Sent]]:
    url = await create_database(bench.postgres, "bench_statements")
    settings = settings_for(url, files=str(bench.folder / "statements"), rate_anonymous=0)
    await asyncio.to_thread(runner.upgrade, settings)
    async with live(create_app(settings)) as app, Make(app, client_of) as make:
        address = await places(make)
        admin = await make.admin()
        await more(make, address)
        few = await each(app, admin.client, address, reading=True)
        for _ in range(MORE):
            await more(make, address)
        many = await each(app, admin.client, address, reading=True)
        writing = await each(app, admin.client, address, reading=False)
        return {call: (*few[call], many[call][1]) for call in few} | {
            call: (*writing[call], writing[call][1]) for call in writing
        }


async def more(make: Make, address: dict[str, str]) -> None:
    """More of what hangs on a session, and more sessions, activities and accounts."""
    session = await make.session(activity_id="there")
    for one in (session, await find(make, address)):
        await make.trace(one)
        await make.risk(one)
        await make.evaluation(one)
        await make.git_trace(one)
        await make.sequence(one)
    await make.exercise(subject_code="S-1")
    await make.activity()
    await make.key()


async def find(make: Make, address: dict[str, str]) -> Any:
    async with make.database.reading() as session:
        return await session.get(LearningSession, address["{session_id:uuid}"])


async def each(
    app: Any, client: httpx.AsyncClient, address: dict[str, str], *, reading: bool
) -> dict[str, tuple[int, Sent]]:
    """Every route once, rightly asked; what it answered and what was sent for it."""
    engine = app.state.database.engine.sync_engine
    filled = {place.partition(":")[0] + "}": value for place, value in address.items()}
    sent = Sent()

    def statement(*told: Any) -> None:
        sent.statements += 1

    def unit(*told: Any) -> None:
        sent.units += 1

    found: dict[str, tuple[int, Sent]] = {}
    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", unit)
    for _, verb, path, handler in calls(app):
        call = f"{verb} {path}"
        if (verb == "GET") is not reading or call in SPARED or verb == "DELETE":
            continue
        media, body = right_body(handler)
        sent = Sent()
        answer = await client.request(
            verb, at(path, filled), content=body, headers={"content-type": media} if media else {}
        )
        found[call] = (answer.status_code, sent)
    event.remove(engine, "before_cursor_execute", statement)
    event.remove(engine, "commit", unit)
    return found

"""What the service publishes, answers and stores, as digests that can be compared with those of another version.

Ids, times, tokens and the words of errors are masked, and lists are compared as bags, since a class works at once.
With CORTEZ_WRITE_BEHAVIOUR set the test writes `behaviour.json`: only where a change means to change an answer.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar
from sqlalchemy import select

from cortez import tables
from cortez.core.db.engine import Database
from cortez.pages import openapi
from factory import Make
from inventory import inventory
from running import client_of
from test_school_day import CHECKS, live_the_day
from test_tour import test_a_teacher_publishes_a_student_works_a_tutor_records_and_the_teacher_reads as tour

ROOT = Path(__file__).parents[1]
FILE = ROOT / "tests" / "behaviour.json"

# What depends on the second in which something was done: a commit is tied to the step that lies nearest.
MEASURED = {"spent_until", "position", "xid", "git_traces", "weeks", "trend"}
UNSURE = {"rows of git_traces", "POST /api/v1/exports/research 200"}
PROSE = {"summary", "description", "title", "detail", "message", "examples", "example"}
MASKS = [
    (re.compile(r"[0-9a-f]{40,}"), "<digest>"),
    (re.compile(r"\$argon2id\S+"), "<hash>"),
    (re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?)?"), "<time>"),
    (re.compile(r"\d{4}-W\d\d"), "<week>"),
    (re.compile(r"\b(ck|cr|ci)_[\w-]+"), "<secret>"),
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"), "<token>"),
    (re.compile(r"&cursor=[\w-]+"), ""),
]
Digests = dict[str, str]


def digest(texts: Iterable[str]) -> str:
    """How many there are, and a digest of them in the order of their letters."""
    ordered = sorted(texts)
    return f"{len(ordered)} {hashlib.sha256(chr(10).join(ordered).encode()).hexdigest()[:16]}"


def masked(value: Any) -> Any:
    """Without what differs from run to run."""
    if isinstance(value, dict):
        return {masked(key): "<measured>" if key in MEASURED else masked(one) for key, one in value.items()}
    if isinstance(value, float):
        return round(value, 9)  # a sum has other last digits where the rows come in another order
    if isinstance(value, list | tuple):
        return sorted((masked(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True, default=str))
    if isinstance(value, str):
        for pattern, word in MASKS:
            value = pattern.sub(word, value)
    return value


def line(value: Any) -> str:
    return json.dumps(masked(value), sort_keys=True, default=text_of)


def text_of(value: Any) -> Any:
    return "<bytes>" if isinstance(value, bytes) else masked(str(value))


def without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_prose(one) for key, one in value.items() if key not in PROSE}
    return [without_prose(one) for one in value] if isinstance(value, list) else value


def published(app: Litestar) -> Digests:
    """Of each call and each schema of the document, and of the error codes."""
    document: dict[str, Any] = openapi.document(app, "1")
    calls = {f"{verb} {path}": call for path, verbs in document["paths"].items() for verb, call in verbs.items()}
    parts = {f"call {name}": call for name, call in calls.items()}
    parts |= {f"schema {name}": schema for name, schema in document["components"]["schemas"].items()}
    digests = {name: digest([json.dumps(without_prose(part), sort_keys=True)]) for name, part in parts.items()}
    codes = re.findall(r"`([A-Z]+_?[A-Z_]+)`", (ROOT / "docs" / "errors.md").read_text("utf-8"))
    return digests | {
        "codes": digest({*codes}),
        "routes page": digest([(ROOT / "docs" / "routes.md").read_text("utf-8")]),
    }


async def schema(database: Database) -> Digests:
    """Of all that each table has in the live database."""
    async with database.engine.connect() as connection:
        lines = await connection.run_sync(inventory)
    tables: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        tables[f"{database.engine.dialect.name} {line.split(':')[0].split()[0]}"].append(line)
    return {name: digest(lines) for name, lines in tables.items()}


def recording(app: Litestar, seen: dict[str, list[str]]) -> Callable[..., httpx.AsyncClient]:
    """Makes clients whose answers are kept, as lines, by the call and its status."""

    async def keep(answer: httpx.Response) -> None:
        await answer.aread()
        request = answer.request
        is_json = "json" in answer.headers.get("content-type", "")
        body = answer.json() if is_json and "ndjson" not in answer.headers["content-type"] else answer.text.splitlines()
        if b"\0" in answer.content:
            body = "<file>"
        if answer.is_error:
            body = without_prose(body)
        call = masked(f"{request.method} {request.url.raw_path.decode()} {answer.status_code}")
        if isinstance(body, dict) and "items" in body:  # pages end where others happen to have written
            seen[call] += [line(item) for item in body.pop("items")]
            body.pop("next_cursor", None)
        seen[call].append(line(body))

    def client(app: Litestar, token: str | None = None) -> httpx.AsyncClient:
        made = client_of(app, token)
        made.event_hooks = {"response": [keep]}
        return made

    return client


async def rows(database: Database) -> Digests:
    """Of the rows of each table."""
    found = {}
    async with database.reading() as session:
        for table in tables.metadata.sorted_tables:
            result = await session.execute(select(*table.c))
            found[f"rows of {table.name}"] = digest([line(dict(row)) for row in result.mappings()])
    return found


async def lived(app: Litestar, act: Callable[[Litestar, Make], Awaitable[object]]) -> Digests:
    """Of what was answered meanwhile, and of what is stored afterwards."""
    seen: dict[str, list[str]] = defaultdict(list)
    async with Make(app, recording(app, seen)) as make:
        await act(app, make)
        digests = {call: digest(lines) for call, lines in seen.items()} | await rows(make.database)
        return {name: one for name, one in digests.items() if name not in UNSURE}


async def the_tour(app: Litestar, make: Make) -> None:
    await tour(make)


async def the_school_day(app: Litestar, make: Make) -> None:
    school = await live_the_day(app, make)
    for check in CHECKS:
        await check(school)

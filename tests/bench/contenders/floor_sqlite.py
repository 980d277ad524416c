"""The floor on SQLite: two of the hot routes written by hand on aiosqlite and msgspec.

It stores what Cortez stores (keys as 32 hexadecimal characters, instants and documents as text) with the same pragmas;
one connection writes, a few read.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiosqlite
import msgspec
from litestar import Litestar, Request, get, post
from litestar.exceptions import NotAuthorizedException, NotFoundException
from litestar.params import FromPath, FromQuery

from bench.contenders.floor import TRACE_COLUMNS, Listing, TraceIn, TraceOut, split

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON", "secure_delete=ON")
READERS = 4
AUTHENTICATE = """
    SELECT id, scopes, course_ids FROM api_keys WHERE key_hash = ? AND (expires_at IS NULL OR expires_at > ?)
    AND (created_by IS NULL OR EXISTS (
        SELECT 1 FROM users WHERE users.id = api_keys.created_by AND is_active
        AND EXISTS (SELECT 1 FROM json_each(roles) WHERE json_each.value = 'admin')
    ))
"""
PAGE = f"SELECT {TRACE_COLUMNS} FROM cognitive_traces WHERE session_id = ? ORDER BY created_at, id LIMIT ?"
ONE_SESSION = "SELECT student_id, activity_id, status FROM sessions WHERE id = ?"
VALUES = ", ".join("?" * len(split(TRACE_COLUMNS)))
INSERT = f"INSERT INTO cognitive_traces ({TRACE_COLUMNS}) VALUES ({VALUES}) RETURNING {TRACE_COLUMNS}"
# What the audit's triggers call, by the number of arguments; to them this program is a key, whose inserts they pass by.
AUDIT = {f"cortez_{name}": 0 for name in ("actor_kind", "actor", "request_id", "new_pads")}
AUDIT |= {"cortez_hmac": 2, "cortez_changed": 2}
AnyRequest = Request[Any, Any, Any]


def stored(value: Any) -> Any:
    if isinstance(value, UUID):
        return value.hex
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value


def dashed(key: str) -> str:
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"


def instant(text: str) -> str:
    """As an answer spells it: without a fraction where there is none."""
    return text.replace(" ", "T").removesuffix(".000000") + "Z"


def shown(row: Sequence[Any]) -> TraceOut:
    id_, created, updated, session, *others, parent, agent, occurred, late = row
    parent, occurred = parent and dashed(parent), occurred and instant(occurred)
    first, last = (dashed(id_), instant(created), instant(updated), dashed(session)), (parent, agent, occurred)
    return TraceOut.of((*first, *others, *last, bool(late)))


class Pool:
    """The connections; `writer` is used by one request at a time."""

    def __init__(self, writer: aiosqlite.Connection, readers: Iterable[aiosqlite.Connection]) -> None:
        self.writer, self.writing = writer, asyncio.Lock()
        self.readers: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        for reader in readers:
            self.readers.put_nowait(reader)

    @asynccontextmanager
    async def signed_in(self, request: AnyRequest, right: str) -> AsyncGenerator[aiosqlite.Connection]:
        """A connection to read with, once the key is known."""
        key = hashlib.sha256(request.headers.get("authorization", "").removeprefix("Bearer ").encode()).digest()
        reader = await self.readers.get()
        try:
            found = await first(reader, AUTHENTICATE, (key, stored(datetime.now(UTC))))
            if found is None or right not in msgspec.json.decode(found[1], type=set[str]):
                raise NotAuthorizedException
            yield reader
        finally:
            self.readers.put_nowait(reader)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[aiosqlite.Connection]:
        async with self.writing:
            await self.writer.execute("BEGIN IMMEDIATE")
            try:
                yield self.writer
                await self.writer.execute("COMMIT")
            except BaseException:
                await self.writer.execute("ROLLBACK")
                raise


async def first(connection: aiosqlite.Connection, statement: str, values: Iterable[Any]) -> Any:
    return next(iter(await connection.execute_fetchall(statement, values)), None)


@get("/api/v1/sessions/{session_id:uuid}/traces")
async def list_traces(request: AnyRequest, session_id: FromPath[UUID], limit: FromQuery[int] = 50) -> Listing:
    async with request.app.state.pool.signed_in(request, "read") as reader:
        rows = list(await reader.execute_fetchall(PAGE, (session_id.hex, limit + 1)))
        if not rows and not await first(reader, ONE_SESSION, (session_id.hex,)):
            raise NotFoundException
    return Listing([shown(row) for row in rows[:limit]])


@post("/api/v1/sessions/{session_id:uuid}/traces")
async def create_trace(request: AnyRequest, session_id: FromPath[UUID]) -> TraceOut:
    data = msgspec.json.decode(msgspec.json.format(await request.body(), indent=-1), type=TraceIn)
    pool = request.app.state.pool
    async with pool.signed_in(request, "traces"):
        pass
    async with pool.transaction() as writer:
        session = await first(writer, ONE_SESSION, (session_id.hex,))
        if session is None or session[2] not in ("active", "paused"):
            raise NotFoundException
        named = {"student_id": session[0], "activity_id": session[1]}
        id_, moment, *others = map(stored, data.row(session_id, named, datetime.now(UTC)))
        row = await first(writer, INSERT, (id_, moment, moment, *others))
    return shown(row)


@asynccontextmanager
async def pooled(app: Litestar) -> AsyncGenerator[None]:
    async with AsyncExitStack() as stack:
        path = os.environ["DATABASE_URL"].removeprefix("sqlite:///")
        opened = [
            await stack.enter_async_context(aiosqlite.connect(path, isolation_level=None)) for _ in range(READERS + 1)
        ]
        for connection in opened:
            for pragma in PRAGMAS:
                await connection.execute(f"PRAGMA {pragma}")
            for function, arguments in AUDIT.items():
                await connection.create_function(function, arguments, lambda *_: "key")
        app.state.pool = Pool(opened[0], opened[1:])
        yield


app = Litestar([list_traces, create_trace], lifespan=[pooled], logging_config=None, openapi_config=None)

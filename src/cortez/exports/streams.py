"""An export on its way out: rows some at a time, as bytes, and no connection held while the other side is slow."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple, TypeVar

from msgspec import Struct
from msgspec.json import Encoder
from msgspec.structs import astuple
from sqlalchemy import Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.concurrency.admission import ADMISSION
from cortez.core.concurrency.fair_queue import Company, Turns
from cortez.core.concurrency.worker_pools import turn_of
from cortez.core.db.base import Base
from cortez.core.db.engine import Database
from cortez.core.db.expressions import within
from cortez.core.db.repository import LOT, Place
from cortez.core.db.types import Document
from cortez.core.security.principal import Principal
from cortez.core.web.spreadsheets import CSV, csv_lines
from cortez.exports.repository import TraceExports
from cortez.exports.schemas import ExportFormat
from cortez.traces.schemas import TraceFilter, TraceOut

T = TypeVar("T")
M = TypeVar("M", bound=Base)

PlacesAfter = Callable[[AsyncSession, Place | None], Awaitable[list[Place]]]  # at most PLACES of them
RowsAt = Callable[[AsyncSession, Sequence[Place]], Awaitable[Sequence[T]]]

ENCODER = Encoder()
ROWS = 5  # that are encoded at a stretch
PIECE = 256_000  # bytes that are encoded, sent or compressed at a time
MOST = 8 * LOT  # traces that are held at a time, where they are small
PLACES = 20_000  # of rows, that are held at a time
REST = 0.15  # seconds

MEDIA = {ExportFormat.NDJSON: "application/x-ndjson", ExportFormat.CSV: CSV}


class Kind(NamedTuple):
    """How many streams are on their way from one worker at once, and of these to one principal."""

    turns: Turns
    share: int


EXPORTS, ARCHIVES = Kind(Turns(50, most_waiting=0), 8), Kind(Turns(10, most_waiting=0), 1)


async def trace_lots(
    database: Database, principal: Principal, wanted: TraceFilter, position: str | None = None
) -> AsyncGenerator[Sequence[TraceOut]]:
    """In the order they were stored; each lot by a statement on a session of its own, small traces more at a time."""
    after: Place | None = None
    size = LOT

    async def next_lot(session: AsyncSession) -> list[TraceOut]:
        return await TraceExports(session, principal).lot(wanted, after, size)

    while True:
        lot = await database.read(next_lot, position)
        if lot:
            yield lot
            after = (lot[-1].created_at, lot[-1].id)
        if len(lot) < size:
            return
        size = min(2 * size, MOST) if are_small(lot) else LOT


def are_small(lot: Sequence[TraceOut]) -> bool:
    """Whether so many rows like the last ones take little, so that more may be held at a time."""
    few = lot[-ROWS:]
    return bool(few) and len(ENCODER.encode_lines(few)) * len(lot) / len(few) < PIECE


async def begun(lots: AsyncGenerator[T], kind: Kind = EXPORTS) -> AsyncIterator[T]:
    """The same, once the first is there: what goes wrong before it can still be answered as an error.

    Raises Unavailable (POOL_BUSY) where too many of the kind are on their way, or too many of one principal.
    """
    rest = limited(lots, kind)
    first = await anext(rest, None)

    async def all_of_them() -> AsyncGenerator[T]:
        async with aclosing(rest):
            if first is not None:
                yield first
            async for lot in rest:
                yield lot

    return all_of_them()


async def limited(lots: AsyncGenerator[T], kind: Kind) -> AsyncGenerator[T]:
    """The same, counted until its end: each holds some rows in memory, however slowly it is read."""
    busy = "Too many exports are on their way; let one of them end first."
    async with turn_of(kind.turns, kind.share, busy), aclosing(lots):
        async for lot in lots:
            yield lot


async def resting(parts: AsyncGenerator[T], company: Company) -> AsyncGenerator[T]:
    """The same, with a rest after each as long as it took, and three times as long while others than this one ask.

    It is at most `REST`. So others have half of the loop's time, or three quarters of it.
    """
    admission = ADMISSION.get()
    whose, since = admission.whose if admission else "", time.monotonic()
    async with aclosing(parts):
        async for part in parts:
            yield part
            took = time.monotonic() - since
            await asyncio.sleep(min(REST, took * (3 if company.is_shared(whose) else 1)))
            since = time.monotonic()


async def encoded(
    lots: AsyncIterator[Sequence[Struct]], kind: type[Struct], form: ExportFormat
) -> AsyncGenerator[bytes]:
    """As NDJSON, one object a line; or as CSV with a line of names, documents in their cells as JSON."""
    if form == ExportFormat.CSV:
        yield csv_lines([kind.__struct_fields__])
    encode = csv_rows if form == ExportFormat.CSV else ENCODER.encode_lines
    async for lot in lots:
        few = (lot[start : start + ROWS] for start in range(0, len(lot), ROWS))
        for piece in pieces(map(encode, few)):
            yield piece
            await asyncio.sleep(0)  # other requests get their turn


def csv_rows(rows: Sequence[Struct]) -> bytes:
    return csv_lines(map(astuple, rows))


def pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Joined to some `PIECE` bytes each."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) > PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


async def in_lots(
    database: Database, places_after: PlacesAfter, rows_at: RowsAt[T], position: str | None = None
) -> AsyncGenerator[T]:
    """Rows in an order that no index needs to have: many places are looked up at once, then the rows by these.

    Each statement runs on a session of its own.
    """
    places: list[Place] = []
    lot: list[Place] = []

    async def next_places(session: AsyncSession) -> list[Place]:
        return await places_after(session, places[-1] if places else None)

    async def next_lot(session: AsyncSession) -> Sequence[T]:
        return await rows_at(session, lot)

    while True:
        places = await database.read(next_places, position)
        for start in range(0, len(places), LOT):
            lot = places[start : start + LOT]
            for row in await database.read(next_lot, position):
                yield row
        if len(places) < PLACES:
            return


def stored_rows(
    database: Database, model: type[M], statement: Select[M], position: str | None = None
) -> AsyncGenerator[M]:
    """Those that a statement finds, in the order they were stored."""
    place = tuple_(model.created_at, model.id)

    async def places_after(session: AsyncSession, after: Place | None) -> list[Place]:
        wanted = statement.with_only_columns(model.created_at, model.id).order_by(*place.clauses).limit(PLACES)
        rows = await session.execute(wanted if after is None else wanted.where(place > tuple_(*after)))
        return [(row.created_at, row.id) for row in rows]

    async def rows_at(session: AsyncSession, places: Sequence[Place]) -> Sequence[M]:
        wanted = statement.where(within(model.id, [id_ for _, id_ in places]))
        return (await session.scalars(wanted.order_by(*place.clauses))).all()

    return in_lots(database, places_after, rows_at, position)


async def listed(rows: AsyncIterator[Struct | Document]) -> AsyncGenerator[tuple[bytes, int]]:
    """A JSON list in pieces, and how many rows have been listed with each."""
    count, piece = 0, bytearray(b"[")
    async for row in rows:
        piece += b",\n" if count else b"\n"
        piece += ENCODER.encode(row)
        count += 1
        if len(piece) > PIECE:
            yield bytes(piece), count
            piece.clear()
            await asyncio.sleep(0)  # other requests get their turn
    yield bytes(piece) + (b"\n]\n" if count else b"]\n"), count

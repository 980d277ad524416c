"""An export on its way out: rows some at a time, as bytes, and no connection held while the other side is slow."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.json import Encoder
from msgspec.structs import astuple
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.database import Database
from cortez.records.repository import Place, TraceExports
from cortez.records.schemas import ExportFormat
from cortez.security import Principal
from cortez.spreadsheets import CSV, csv_lines
from cortez.traces.schemas import TraceFilter, TraceOut

T = TypeVar("T")

ENCODER = Encoder()
LOT = 500  # traces that are held at a time
MEDIA = {ExportFormat.NDJSON: "application/x-ndjson", ExportFormat.CSV: CSV}


async def trace_lots(
    database: Database, principal: Principal, wanted: TraceFilter, position: str | None = None
) -> AsyncGenerator[Sequence[TraceOut]]:
    """In the order they were stored; each lot by a statement on a session of its own."""
    after: Place | None = None

    async def next_lot(session: AsyncSession) -> list[TraceOut]:
        return await TraceExports(session, principal).lot(wanted, after, LOT)

    while True:
        lot = await database.read(next_lot, position)
        if lot:
            yield lot
            after = (lot[-1].created_at, lot[-1].id)
        if len(lot) < LOT:
            return


async def begun(lots: AsyncIterator[T]) -> AsyncIterator[T]:
    """The same, once the first is there: what goes wrong before it can still be answered as an error."""
    first = await anext(lots, None)

    async def all_of_them() -> AsyncGenerator[T]:
        if first is not None:
            yield first
        async for lot in lots:
            yield lot

    return all_of_them()


async def encoded(
    lots: AsyncIterator[Sequence[Struct]], kind: type[Struct], form: ExportFormat
) -> AsyncGenerator[bytes]:
    """As NDJSON, one object a line; or as CSV with a line of names, documents in their cells as JSON."""
    if form == ExportFormat.CSV:
        yield csv_lines([kind.__struct_fields__])
    async for lot in lots:
        yield csv_lines(map(astuple, lot)) if form == ExportFormat.CSV else ENCODER.encode_lines(lot)

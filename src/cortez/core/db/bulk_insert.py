"""Many rows at once: COPY on PostgreSQL, one prepared INSERT on SQLite."""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import JSON, Table, insert
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.db.types import ColumnValue, Values
from cortez.core.db.unit_of_work import unit_of


async def copy_rows(session: AsyncSession, table: Table, columns: Sequence[str], rows: Sequence[Values]) -> None:
    """Store rows of these columns.

    COPY takes a third of the time of an INSERT with as many parameters; it is refused as an INSERT would be.
    """
    unit = unit_of(session)
    if unit.is_embedded:
        await session.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in rows])
        return
    documents = [isinstance(table.c[name].type, JSON) for name in columns]
    await unit.copy(table.name, columns, records(documents, rows))


def records(documents: Sequence[bool], rows: Sequence[Values]) -> Iterable[Values]:
    """The rows, with documents as the text of their JSON."""
    columns = zip(*rows, strict=True)
    return zip(
        *(texts(column) if is_document else column for is_document, column in zip(documents, columns, strict=True)),
        strict=True,
    )


def texts(documents: Iterable[ColumnValue]) -> list[str | None]:
    encode = msgspec.json.Encoder().encode
    return [None if value is None else encode(value).decode() for value in documents]

"""Many rows at once: COPY on PostgreSQL, one prepared INSERT on SQLite."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import JSON, Table, insert
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.db.driver import FAILURES, told
from cortez.core.db.instrumentation import timed


async def copy_rows(
    session: AsyncSession, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Store rows of these columns in the session's open transaction.

    COPY takes a third of the time of an INSERT with as many parameters; it is refused as an INSERT would be. The
    transaction begins with a statement of its own, so one must have run.
    """
    connection = await session.connection()
    if connection.dialect.name == "sqlite":
        await connection.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in rows])
        return
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver  # noqa: S101 - a connection that is open
    documents = [isinstance(table.c[name].type, JSON) for name in columns]
    try:
        with timed(connection.engine.sync_engine, f"COPY {table.name}"):
            await driver.copy_records_to_table(table.name, columns=columns, records=records(documents, rows))
    except FAILURES as error:
        raise told(error, f"COPY {table.name}") from error


def records(documents: Sequence[bool], rows: Sequence[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    """The rows, with documents as the text of their JSON."""
    columns = zip(*rows, strict=True)
    return zip(
        *(texts(column) if is_document else column for is_document, column in zip(documents, columns, strict=True)),
        strict=True,
    )


def texts(documents: Iterable[Any]) -> list[str | None]:
    encode = msgspec.json.Encoder().encode
    return [None if value is None else encode(value).decode() for value in documents]

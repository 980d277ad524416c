"""Many rows at once: COPY on PostgreSQL, one prepared INSERT on SQLite."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import JSON, Table, insert
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.driver import FAILURES, told
from cortez.queries import timed


async def copy_rows(session: AsyncSession, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Store rows with the same columns, all of them given, in the session's open transaction.

    COPY takes a third of the time of an INSERT with as many parameters; it is refused as an INSERT would be. The
    transaction begins with a statement of its own, so one must have run.
    """
    connection = await session.connection()
    if connection.dialect.name == "sqlite":
        await connection.execute(insert(table), rows)
        return
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver  # noqa: S101 - a connection that is open
    try:
        with timed(connection.engine.sync_engine, f"COPY {table.name}"):
            await driver.copy_records_to_table(table.name, columns=list(rows[0]), records=records(table, rows))
    except FAILURES as error:
        raise told(error, f"COPY {table.name}") from error


def records(table: Table, rows: Sequence[dict[str, Any]]) -> Iterable[tuple[Any, ...]]:
    """The values of the rows, documents as the text of their JSON."""
    columns = zip(*(row.values() for row in rows), strict=True)
    return zip(
        *(
            texts(column) if isinstance(table.c[name].type, JSON) else column
            for name, column in zip(rows[0], columns, strict=True)
        ),
        strict=True,
    )


def texts(documents: Iterable[Any]) -> list[str | None]:
    encode = msgspec.json.Encoder().encode
    return [None if value is None else encode(value).decode() for value in documents]

"""The predecessor's database, read and never written: what is in it, and its rows in one steady order."""

from collections.abc import AsyncIterator
from typing import Any, Self

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    Uuid,
    cast,
    column,
    event,
    func,
    inspect,
    select,
    table,
    tuple_,
    types,
)
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from cortez.core.db.diagnostics import name_of
from cortez.core.db.types import AnySelect
from cortez.settings import DRIVERS

Row = dict[str, Any]
KEYS = ("id", "code")  # of a table, the first that it has: subjects had no other key once
# What drivers give as a plain value; anything else (a vector, an enumeration type) is read as text.
PLAIN = (
    types.Integer,
    types.Numeric,
    types.Float,
    types.Boolean,
    types.String,
    types.DateTime,
    types.Date,
    types.JSON,
    Uuid,
)


class Unusable(Exception):
    """The database cannot be adopted; the message says why and what to do."""


class Position(Struct, frozen=True):
    """Of a row in its table: when it was made, then its key, both as the database writes them."""

    time: str = ""
    key: str = ""


class Table(Struct, frozen=True):
    """A table as it is in this database."""

    name: str
    columns: dict[str, types.TypeEngine[Any]]
    rows: int

    @property
    def key(self) -> str:
        return next(name for name in KEYS if name in self.columns)


def read_only(address: str) -> URL:
    """Raises Unusable where the address is none."""
    try:
        url = make_url(address)
        return url.set(drivername=DRIVERS[url.drivername])
    except (ArgumentError, KeyError):
        raise Unusable(f"{address!r} is no address of a database; write sqlite:///path or postgresql://…") from None


class Source:
    """One connection on which one transaction reads one snapshot. `name` is the address without the password."""

    def __init__(self, name: str, connection: AsyncConnection, tables: dict[str, Table]) -> None:
        self.name = name
        self.connection = connection
        self.tables = tables

    @classmethod
    async def open(cls, address: str) -> Self:
        """Raises Unusable where nothing can be read there."""
        url = read_only(address)
        is_sqlite = url.get_backend_name() == "sqlite"
        engine = create_async_engine(embedded(url) if is_sqlite else url, poolclass=NullPool)
        if is_sqlite:
            read_as_it_is(engine)
        try:
            connection = await engine.connect()
            if not is_sqlite:
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            tables = {found.name: found for found in [found async for found in inspected(connection)]}
        except Exception as error:
            await engine.dispose()
            reason = getattr(error, "orig", None) or error
            raise Unusable(f"{name_of(url)} cannot be read: {reason}") from None
        return cls(name_of(url)[:500], connection, tables)

    async def close(self) -> None:
        await self.connection.close()
        await self.connection.engine.dispose()

    async def lots(
        self, name: str, after: Position, size: int, only: tuple[str, ...] = ()
    ) -> AsyncIterator[list[tuple[Position, Row]]]:
        """The rows behind a position, oldest first, so many at a time: one statement, so that it is sorted once.

        `only` some columns of rows that have all of them.
        """
        found = self.tables[name]
        time = func.coalesce(as_text("created_at"), "") if "created_at" in found.columns else cast("", Text)
        place = tuple_(time, as_text(found.key))
        statement = (
            selecting(found, only)
            .add_columns(time.label("after_time"), as_text(found.key).label("after_key"))
            .where(place > tuple_(cast(after.time, Text), cast(after.key, Text)))
            .order_by(time, as_text(found.key))
        )
        result = await self.connection.stream(statement, execution_options={"yield_per": size})
        async for lot in result.mappings().partitions(size):
            yield [placed(dict(row)) for row in lot]

    async def values(self, name: str, wanted: str) -> list[str]:
        """The different values of a column; nothing where there is no such column."""
        if wanted not in getattr(self.tables.get(name), "columns", {}):
            return []
        statement = select(as_text(wanted)).select_from(table(name)).where(column(wanted).is_not(None)).distinct()
        return list(await self.connection.scalars(statement))

    async def there(self, name: str, keys: list[str]) -> set[str]:
        """Which of these keys rows of the table have."""
        if name not in self.tables or not keys:
            return set()
        key = as_text(self.tables[name].key)
        return set(await self.connection.scalars(select(key).select_from(table(name)).where(key.in_(keys))))


def as_text(name: str) -> ColumnElement[str]:
    """A column as the database writes it."""
    return cast(column(name), Text)


def placed(row: Row) -> tuple[Position, Row]:
    return Position(row.pop("after_time"), row.pop("after_key")), row


def selecting(found: Table, only: tuple[str, ...]) -> AnySelect:
    chosen = [
        column(name) if isinstance(kind, PLAIN) else as_text(name).label(name)
        for name, kind in found.columns.items()
        if not only or name in only
    ]
    return select(*chosen).select_from(table(found.name)).where(*(column(name).is_not(None) for name in only))


def embedded(url: URL) -> URL:
    return url.set(database=f"file:{url.database}", query={"mode": "ro", "uri": "true"})


def read_as_it_is(engine: AsyncEngine) -> None:
    """One snapshot; and text that is no UTF-8 comes too, to be kept and said, not as an error."""

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: AsyncAdapt_aiosqlite_connection, record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        connection.driver_connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


async def inspected(connection: AsyncConnection) -> AsyncIterator[Table]:
    def read(sync: Connection) -> dict[str, dict[str, types.TypeEngine[Any]]]:
        found = inspect(sync)
        return {name: {one["name"]: one["type"] for one in found.get_columns(name)} for name in found.get_table_names()}

    for name, columns in (await connection.run_sync(read)).items():
        rows = await connection.scalar(select(func.count()).select_from(table(name)))
        yield Table(name, columns, rows or 0)

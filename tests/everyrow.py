"""Rows for every table of whatever schema there is: a revision that adds a table needs nothing here."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, Connection, MetaData, Table, func, select
from sqlalchemy.exc import IntegrityError

QUOTED = re.compile(r"'([^']+)'")
VERSIONS, LOG = "alembic_version", "audit_log"
GUARDS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"
START = datetime(2026, 3, 1, tzinfo=UTC)
Row = dict[str, Any]
Content = dict[str, list[Row]]  # the rows of each table


def tables_of(connection: Connection) -> list[Table]:
    """Parents first."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != VERSIONS]


def plant(connection: Connection) -> None:
    """Two more rows in each table: one with all that may be said, one with what must be."""
    made: Content = {}
    for table in tables_of(connection):
        there = connection.scalar(select(func.count()).select_from(table)) or 0
        rows = made[table.name] = []
        for number, is_full in ((there + 1, True), (there + 2, False)):
            full = {column.name: value_of(column, place, number, made) for place, column in enumerate(table.columns, 1)}
            may_lack = {column.name for column in table.columns if column.nullable}
            row = full if is_full else {name: None if name in may_lack else full[name] for name in full}
            with unguarded(connection, table):
                rows.append(inserted(connection, table, row, full))


@contextmanager
def unguarded(connection: Connection, table: Table) -> Iterator[None]:
    """Let rows be inserted into the audit log by hand, as far as its revision refuses that."""
    if table.name != LOG:
        yield
        return
    embedded = connection.dialect.name == "sqlite"
    guards = connection.execute(sa.text(GUARDS), {"table": LOG}).all() if embedded else []
    for name, _ in guards:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    if not embedded:
        connection.exec_driver_sql("SET session_replication_role = replica")
    yield
    for _, statement in guards:
        connection.exec_driver_sql(statement)
    if not embedded:
        connection.exec_driver_sql("SET session_replication_role = origin")


def inserted(connection: Connection, table: Table, row: Row, full: Row) -> Row:
    """The row as it is now. One that a check refuses gets or loses what the check speaks of, column by column."""
    try:
        with connection.begin_nested():
            connection.execute(
                table.insert().values({name: sa.null() if row[name] is None else row[name] for name in row})
            )
            return row
    except IntegrityError as error:
        for check in checks(table):
            for column in table.columns:
                if column.nullable and str(check.name) in str(error.orig) and speaks_of(check, column):
                    other = full[column.name] if row[column.name] is None else None
                    return inserted(connection, table, row | {column.name: other}, full)
        raise


def checks(table: Table) -> list[CheckConstraint]:
    return [one for one in table.constraints if isinstance(one, CheckConstraint)]


def speaks_of(check: CheckConstraint, column: Column[Any]) -> bool:
    return bool(re.search(rf"\b{column.name}\b", str(check.sqltext)))


def value_of(column: Column[Any], place: int, number: int, made: Content) -> Any:
    """Later columns hold more, so that a range declared as from and to is one."""
    for key in column.foreign_keys:
        if key.column.table is column.table:
            return None
        return made[key.column.table.name][len(made[column.table.name])][key.column.name]
    for check in checks(column.table):
        if speaks_of(check, column) and (quoted := QUOTED.findall(str(check.sqltext))):
            return quoted[0]
    return plain(column, place, number)


def plain(column: Column[Any], place: int, number: int) -> Any:
    key = UUID(int=number * 1000 + place)
    match column.type:
        case sa.Uuid():
            return key
        case sa.CHAR():
            return key.hex
        case sa.String():
            return f"{number}-{column.name}"[: min(column.type.length or 20, 20)]
        case sa.Boolean():
            return True
        case sa.Integer():
            return number * 1_000_000 if column.name in keys(column.table) else place  # apart from what counts from one
        case sa.Numeric() | sa.Float():
            return place / 100
        case sa.DateTime():
            return START + timedelta(minutes=place)
        case sa.LargeBinary():
            return key.bytes
    return {column.name: number}


def keys(table: Table) -> set[str]:
    found = [one for one in table.constraints if isinstance(one, sa.UniqueConstraint)]
    return {column.name for one in found for column in one.columns}


def content(connection: Connection) -> Content:
    names = sa.inspect(connection).get_table_names()
    rows = {name: connection.execute(sa.text(f"SELECT * FROM {name}")).mappings() for name in names if name != VERSIONS}
    return {name: [dict(row) for row in found] for name, found in rows.items()}


def lost(before: Content, after: Content) -> int:
    """Rows that are not there any more as they were, of the tables and columns that there still are."""
    return sum(
        (Counter(written(before[name], after[name])) - Counter(written(after[name], before[name]))).total()
        for name in before.keys() & after.keys()
    )


def written(rows: list[Row], others: list[Row]) -> list[str]:
    known = others[0].keys() if others else set()
    return [repr(sorted((name, str(value)) for name, value in row.items() if name in known)) for row in rows]

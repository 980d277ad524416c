"""A downgrade that would drop what holds data is refused before anything is changed, unless it is told to."""

import re
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple

from alembic.ddl.impl import DefaultImpl
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.util import CommandError
from sqlalchemy import Connection, Executable, Table, TextClause, column, exists, inspect, select, table

from cortez.core.db.types import AnyColumn, ColumnValue, TableColumn

FLAG = "lose-data"
NONE: Mapping[str, ColumnValue] = {}
RAW_TABLE = re.compile(r'\bDROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?"?(\w+)', re.IGNORECASE)
RAW_COLUMN = re.compile(
    r'\bALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?"?(\w+)"?\s.*?\bDROP\s+COLUMN\s+(?:IF\s+EXISTS\s+)?"?(\w+)',
    re.IGNORECASE | re.DOTALL,
)


class Dropped(NamedTuple):
    """A table, or one of its columns."""

    table: str
    column: str = ""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}" if self.column else self.table


class Rehearsal(DefaultImpl):
    """Takes what a downgrade does in place of a database, and notes what it would drop."""

    def __init__(self, context: MigrationContext, connection: Connection) -> None:
        """A revision may read from the connection."""
        super().__init__(context.dialect, connection, True, True, StringIO(), {})
        self.dropped: list[Dropped] = []

    def drop_table(self, table: Table, **options: Any) -> None:
        self.dropped.append(Dropped(table.name))

    def drop_column(self, table_name: str, column: TableColumn, **options: Any) -> None:
        self.dropped.append(Dropped(table_name, column.name))

    def _exec(
        self,
        construct: Executable | str,
        execution_options: Mapping[str, ColumnValue] | None = None,
        multiparams: Sequence[Mapping[str, ColumnValue]] | None = None,
        params: Mapping[str, ColumnValue] = NONE,
    ) -> None:
        said = str(construct) if isinstance(construct, str | TextClause) else ""
        self.dropped += [Dropped(name) for name in RAW_TABLE.findall(said)]
        self.dropped += [Dropped(name, one) for name, one in RAW_COLUMN.findall(said)]


def rehearsed(connection: Connection, steps: Iterable[MigrationStep]) -> list[Dropped]:
    """What the steps would drop."""
    context = MigrationContext.configure(dialect=connection.dialect, opts={"as_sql": True, "output_buffer": StringIO()})
    context.impl = rehearsal = Rehearsal(context, connection)
    with connection.begin_nested() as nothing, Operations.context(context):
        for step in steps:
            step.migration_fn()
        nothing.rollback()
    return list(dict.fromkeys(rehearsal.dropped))


def holds_data(connection: Connection, dropped: Dropped) -> bool:
    """Whether there is a row, or for a column one in which it says something."""
    found = inspect(connection)
    if not found.has_table(dropped.table):
        return False
    if not dropped.column:
        return bool(connection.scalar(select(exists().select_from(table(dropped.table)))))
    if dropped.column not in {known["name"] for known in found.get_columns(dropped.table)}:
        return False
    one: AnyColumn = column(dropped.column)
    rows = select(one).select_from(table(dropped.table)).where(one.is_not(None))
    return bool(connection.scalar(select(rows.exists())))


def refuse_losses(connection: Connection, steps: Iterable[MigrationStep]) -> None:
    """Raises CommandError, with one line that names what is held, where these steps would drop it."""
    downgrades = [step for step in steps if step.is_downgrade]
    dropped = rehearsed(connection, downgrades) if downgrades else []
    lost = [str(one) for one in dropped if holds_data(connection, one)]
    if lost:
        raise CommandError(
            f"This downgrade would lose what is in {', '.join(lost)}. Nothing was changed. "
            f"Make a backup, then say so: alembic -x {FLAG}=yes downgrade ..."
        )

"""The checks of a table, asked of a row before it is stored: SQLite itself reads their SQL, in memory."""

import re
import sqlite3
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import CheckConstraint, Table

from cortez.adoption.values import Old

Row = dict[str, Any]


class Check(Struct, frozen=True):
    name: str
    columns: tuple[str, ...]


class Checks:
    """Those of one table; `broken` says which of them a row would break."""

    def __init__(self, table: Table) -> None:
        declared = sorted(
            (one for one in table.constraints if isinstance(one, CheckConstraint)), key=lambda one: str(one.name)
        )
        self.checks = [Check(str(one.name), named(table, str(one.sqltext))) for one in declared]
        self.columns = sorted({column for check in self.checks for column in check.columns})
        asked = ", ".join(f"({one.sqltext}) IS NOT 0" for one in declared)
        given = ", ".join(f":{name} AS {name}" for name in self.columns)
        self.statement = f"SELECT {asked} FROM (SELECT {given})"
        self.memory = sqlite3.connect(":memory:")

    def broken(self, row: Row) -> list[Check]:
        if not self.checks:
            return []
        values = {name: as_sqlite(row.get(name)) for name in self.columns}
        held = self.memory.execute(self.statement, values).fetchone()
        return [check for check, holds in zip(self.checks, held, strict=True) if not holds]


def named(table: Table, condition: str) -> tuple[str, ...]:
    """The columns that a condition speaks of."""
    words = re.sub(r"'[^']*'", "", condition)
    return tuple(name for name in [column.name for column in table.columns] if re.search(rf"\b{name}\b", words))


def as_sqlite(value: Old) -> str | int | float | None:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | None) else str(value)

"""What the two databases write differently: the UTC day of an instant, the members of a JSON list."""

from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class utc_day(FunctionElement[str]):  # noqa: N801 - reads as a function of SQL
    """The day of an instant in UTC, as text: 2026-03-02."""

    type = String()
    inherit_cache = True
    name = "utc_day"


@compiles(utc_day, "postgresql")
def _utc_day_postgresql(element: utc_day, compiler: Any, **options: Any) -> str:
    return f"to_char({compiler.process(element.clauses, **options)} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"


@compiles(utc_day, "sqlite")
def _utc_day_sqlite(element: utc_day, compiler: Any, **options: Any) -> str:
    """Of the text itself: SQLite's functions round the last microsecond of a day up to the next."""
    return f"substr({compiler.process(element.clauses, **options)}, 1, 10)"


class monday_of(FunctionElement[str]):  # noqa: N801 - reads as a function of SQL
    """The Monday, as text, of the ISO week in UTC that a time lies in."""

    type = String()
    inherit_cache = True
    name = "monday_of"


@compiles(monday_of, "postgresql")
def _monday_postgresql(element: monday_of, compiler: Any, **options: Any) -> str:
    moment = compiler.process(element.clauses, **options)
    return f"to_char(date_trunc('week', {moment} AT TIME ZONE 'UTC'), 'YYYY-MM-DD')"


@compiles(monday_of, "sqlite")
def _monday_sqlite(element: monday_of, compiler: Any, **options: Any) -> str:
    return f"date(substr({compiler.process(element.clauses, **options)}, 1, 10), 'weekday 0', '-6 days')"


class members(FunctionElement[Any]):  # noqa: N801 - reads as a function of SQL
    """The members of a JSON list as rows: `members(column).table_valued("value")`. What is no list has none."""

    inherit_cache = True
    name = "members"


@compiles(members, "postgresql")
def _members_postgresql(element: members, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"jsonb_array_elements(CASE jsonb_typeof({column}) WHEN 'array' THEN {column} END)"


@compiles(members, "sqlite")
def _members_sqlite(element: members, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"json_each(CASE json_type({column}) WHEN 'array' THEN {column} END)"

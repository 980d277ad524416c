"""SQL expressions that the two databases write differently."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    Select,
    String,
    literal,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from cortez.core.db.types import ListOf


class Predicate(FunctionElement[bool]):
    """What is true or false by itself: SQLAlchemy would compare it with 1 on SQLite, which then uses no index."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        return self


class holds(Predicate):  # noqa: N801 - reads as a function of SQL
    """Whether a JSON list holds a text: `holds(Activity.tags, "loops")`."""

    inherit_cache = True
    name = "holds"

    def __init__(self, column: Any, value: str) -> None:
        super().__init__(column, literal(value, String()))


class among(Predicate):  # noqa: N801 - reads as a function of SQL
    """Whether a value is one of few that a query gives: `among(LearningSession.course_id, courses)`.

    As `in_`, but PostgreSQL runs the query first and can then look the values up in an index, also beside an OR.
    """

    inherit_cache = True
    name = "among"

    def __init__(self, column: Any, values: Select[Any]) -> None:
        super().__init__(column, values.scalar_subquery())


class missing(Predicate):  # noqa: N801 - reads as a function of SQL
    """Whether a value is NULL, where that says little: from an index SQLite would read however many rows have none."""

    inherit_cache = True
    name = "missing"


class within(Predicate):  # noqa: N801 - reads as a function of SQL
    """Whether a value is one of those given, or of those that a parameter of type `ListOf` will give.

    As `in_`, but one parameter, and so one text, for however many.
    """

    inherit_cache = True
    name = "within"

    def __init__(self, column: Any, values: Collection[Any] | BindParameter[Any]) -> None:
        given = values if isinstance(values, BindParameter) else literal(list(values), ListOf(column.type))
        super().__init__(column, given)


class whole(FunctionElement[int]):  # noqa: N801 - reads as a function of SQL
    """A number that is not below zero, without what follows its decimal point. Not every SQLite has `floor`."""

    type = BigInteger()
    inherit_cache = True
    name = "whole"


@compiles(whole, "postgresql")
def _whole_postgresql(element: whole, compiler: Any, **options: Any) -> str:
    return f"CAST(floor({compiler.process(element.clauses, **options)}) AS BIGINT)"


@compiles(whole, "sqlite")
def _whole_sqlite(element: whole, compiler: Any, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS INTEGER)"


class all_within(Predicate):  # noqa: N801 - reads as a function of SQL
    """Whether every text of a JSON list is one of those given, as `within` takes them; not where the list is NULL."""

    inherit_cache = True
    name = "all_within"

    def __init__(self, column: Any, values: Collection[str] | BindParameter[Any]) -> None:
        given = values if isinstance(values, BindParameter) else literal(list(values), ListOf(String()))
        super().__init__(column, given)


@compiles(missing, "postgresql")
def _missing_postgresql(element: missing, compiler: Any, **options: Any) -> str:
    (column,) = element.clauses
    return f"{compiler.process(column, **options)} IS NULL"


@compiles(missing, "sqlite")
def _missing_sqlite(element: missing, compiler: Any, **options: Any) -> str:
    (column,) = element.clauses
    return f"+{compiler.process(column, **options)} IS NULL"


@compiles(within, "postgresql")
def _within_postgresql(element: within, compiler: Any, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY ({values})"


@compiles(within, "sqlite")
def _within_sqlite(element: within, compiler: Any, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"


@compiles(among, "postgresql")
def _among_postgresql(element: among, compiler: Any, **options: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **options)} = ANY (ARRAY{compiler.process(values, **options)})"


@compiles(among, "sqlite")
def _among_sqlite(element: among, compiler: Any, **options: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **options)} IN {compiler.process(values, **options)}"


@compiles(holds, "postgresql")
def _holds_postgresql(element: holds, compiler: Any, **options: Any) -> str:
    column, value = element.clauses
    return f"{compiler.process(column, **options)} @> to_jsonb(CAST({compiler.process(value, **options)} AS text))"


@compiles(holds, "sqlite")
def _holds_sqlite(element: holds, compiler: Any, **options: Any) -> str:
    column, value = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({column}) WHERE json_each.value = {value})"


@compiles(all_within, "postgresql")
def _all_within_postgresql(element: all_within, compiler: Any, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} <@ to_jsonb({values})"


@compiles(all_within, "sqlite")
def _all_within_sqlite(element: all_within, compiler: Any, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    outside = f"SELECT 1 FROM json_each({column}) WHERE json_each.value NOT IN (SELECT value FROM json_each({values}))"
    return f"({column} IS NOT NULL AND NOT EXISTS ({outside}))"


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

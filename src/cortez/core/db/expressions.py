"""SQL expressions that the two databases write differently."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import BigInteger, BindParameter, Boolean, Select, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType

from cortez.core.db.types import AnyColumn, ListOf

F = TypeVar("F", bound=FunctionElement[Any])
V = TypeVar("V")


def written(*, postgresql: str, sqlite: str) -> Callable[[type[F]], type[F]]:
    """How each database writes a function: `{0}` stands for its first clause, `{1}` for the second."""

    def register(kind: type[F]) -> type[F]:
        for dialect, text in (("postgresql", postgresql), ("sqlite", sqlite)):
            compiles(kind, dialect)(partial(_write, text))
        return kind

    return register


def _write(text: str, element: FunctionElement[V], compiler: SQLCompiler, **options: Any) -> str:
    return text.format(*(compiler.process(clause, **options) for clause in element.clauses))


class Predicate(FunctionElement[bool]):
    """What is true or false by itself: SQLAlchemy would compare it with 1 on SQLite, which then uses no index."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> "Predicate":
        return self


@written(
    postgresql="{0} @> to_jsonb(CAST({1} AS text))",
    sqlite="EXISTS (SELECT 1 FROM json_each({0}) WHERE json_each.value = {1})",
)
class holds(Predicate):  # noqa: N801 - reads as a function of SQL
    """Whether a JSON list holds a text: `holds(Activity.tags, "loops")`."""

    inherit_cache = True
    name = "holds"

    def __init__(self, column: AnyColumn, value: str) -> None:
        super().__init__(column, literal(value, String()))


@written(postgresql="{0} = ANY (ARRAY{1})", sqlite="{0} IN {1}")
class among(Predicate):  # noqa: N801 - reads as a function of SQL
    """Whether a value is one of few that a query gives: `among(LearningSession.course_id, courses)`.

    As `in_`, but PostgreSQL runs the query first and can then look the values up in an index, also beside an OR.
    """

    inherit_cache = True
    name = "among"

    def __init__(self, column: AnyColumn, values: Select[V]) -> None:
        super().__init__(column, values.scalar_subquery())


@written(postgresql="{0} IS NULL", sqlite="+{0} IS NULL")
class missing(Predicate):  # noqa: N801 - reads as a function of SQL
    """Whether a value is NULL, where that says little: from an index SQLite would read however many rows have none."""

    inherit_cache = True
    name = "missing"


@written(postgresql="{0} = ANY ({1})", sqlite="{0} IN (SELECT value FROM json_each({1}))")
class within(Predicate):  # noqa: N801 - reads as a function of SQL
    """Whether a value is one of those given, or of those that a parameter of type `ListOf` will give.

    As `in_`, but one parameter, and so one text, for however many.
    """

    inherit_cache = True
    name = "within"

    def __init__(self, column: AnyColumn, values: Collection[V] | BindParameter[V]) -> None:
        given = values if isinstance(values, BindParameter) else literal(list(values), ListOf(column.type))
        super().__init__(column, given)


@written(postgresql="CAST(floor({0}) AS BIGINT)", sqlite="CAST({0} AS INTEGER)")
class whole(FunctionElement[int]):  # noqa: N801 - reads as a function of SQL
    """A number that is not below zero, without what follows its decimal point. Not every SQLite has `floor`."""

    type = BigInteger()
    inherit_cache = True
    name = "whole"


@written(
    postgresql="{0} <@ to_jsonb({1})",
    sqlite="({0} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM json_each({0}) "
    "WHERE json_each.value NOT IN (SELECT value FROM json_each({1}))))",
)
class all_within(Predicate):  # noqa: N801 - reads as a function of SQL
    """Whether every text of a JSON list is one of those given, as `within` takes them; not where the list is NULL."""

    inherit_cache = True
    name = "all_within"

    def __init__(self, column: AnyColumn, values: Collection[str] | BindParameter[V]) -> None:
        given = values if isinstance(values, BindParameter) else literal(list(values), ListOf(String()))
        super().__init__(column, given)


# On SQLite of the text itself: its functions round the last microsecond of a day up to the next.
@written(postgresql="to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD')", sqlite="substr({0}, 1, 10)")
class utc_day(FunctionElement[str]):  # noqa: N801 - reads as a function of SQL
    """The day of an instant in UTC, as text: 2026-03-02."""

    type = String()
    inherit_cache = True
    name = "utc_day"


@written(
    postgresql="to_char(date_trunc('week', {0} AT TIME ZONE 'UTC'), 'YYYY-MM-DD')",
    sqlite="date(substr({0}, 1, 10), 'weekday 0', '-6 days')",
)
class monday_of(FunctionElement[str]):  # noqa: N801 - reads as a function of SQL
    """The Monday, as text, of the ISO week in UTC that a time lies in."""

    type = String()
    inherit_cache = True
    name = "monday_of"


@written(
    postgresql="jsonb_array_elements(CASE jsonb_typeof({0}) WHEN 'array' THEN {0} END)",
    sqlite="json_each(CASE json_type({0}) WHEN 'array' THEN {0} END)",
)
class members(FunctionElement[Any]):  # noqa: N801 - reads as a function of SQL
    """The members of a JSON list as rows: `members(column).table_valued("value")`. What is no list has none."""

    inherit_cache = True
    name = "members"

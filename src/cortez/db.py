"""The declarative base and the portable column types."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import (
    JSON,
    BigInteger,
    BindParameter,
    Boolean,
    CheckConstraint,
    ColumnElement,
    DateTime,
    Dialect,
    FromClause,
    MetaData,
    Select,
    String,
    Text,
    TypeDecorator,
    Uuid,
    cast,
    literal,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql.functions import FunctionElement
from uuid_utils.compat import uuid7

from cortez.privacy import Privacy

Document = dict[str, Any]
Items = list[Any]

# One portable document type: JSONB on PostgreSQL, JSON on SQLite. None is SQL NULL, never the JSON null.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

# Options for an index over the rows that are not soft-deleted.
alive: dict[str, Any] = {
    "postgresql_where": text("deleted_at IS NULL"),
    "sqlite_where": text("deleted_at IS NULL"),
}


def utc_now() -> datetime:
    return datetime.now(UTC)


def written(moment: datetime) -> str:
    """An instant in a document, as the API writes it elsewhere: RFC 3339 in UTC, with Z."""
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, given back in UTC on both databases; a naive value is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time must carry its offset from UTC.")
        return value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """None on PostgreSQL, where the driver gives just that."""
        return None if dialect.name == "postgresql" else instant_of


def instant_of(stored: str | None) -> datetime | None:
    """Of the text that SQLite has; in one step, a sixth of the time that reading and replacing take."""
    return None if stored is None else datetime.fromisoformat(stored + "+00:00")


class Undecoded(TypeDecorator[Raw]):
    """A document as the text of its JSON, for an answer that passes it on without looking inside."""

    impl = Text
    cache_ok = True

    def __init__(self, nullable: bool) -> None:
        super().__init__()
        self.nullable = nullable

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Raw | None]:
        return passed_on if self.nullable else Raw


class ListOf(TypeDecorator[list[Any]]):
    """Several values of one type as one parameter: an array on PostgreSQL, on SQLite a JSON list of stored values."""

    impl = Text
    cache_ok = True

    def __init__(self, item: Any) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(ARRAY(self.item) if dialect.name == "postgresql" else Text())

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        if dialect.name == "postgresql":
            return super().bind_processor(dialect)
        stored = self.item.dialect_impl(dialect).bind_processor(dialect)
        return lambda values: msgspec.json.encode([stored(value) if stored else value for value in values]).decode()


def passed_on(text: str | None) -> Raw | None:
    return None if text is None else Raw(text)


class Base(DeclarativeBase):
    """What every table has: a time-ordered UUID key, and when the row was made and last changed."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "idx_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime(), UUID: Uuid(), Document: Json, Items: Json}
    sensitive: ClassVar[frozenset[str]] = frozenset()
    privacy: ClassVar[Privacy]

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-1)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=1)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now, sort_order=2)

    def to_dict(self, *, include_sensitive: bool = False) -> dict[str, Any]:
        """Every column by name; secrets such as hashes are left out unless asked for."""
        hidden = frozenset() if include_sensitive else self.sensitive
        return {
            column.name: getattr(self, attribute.key)
            for attribute in self.__mapper__.column_attrs
            for column in attribute.columns
            if column.name not in hidden
        }


def shown(table: FromClause, shape: type[Struct], **renamed: str) -> list[ColumnElement[Any]]:
    """The columns of a shape's fields in their order, documents undecoded, so that `shape(*row)` is the answer.

    `renamed`: fields whose column has another name.
    """
    columns = [(name, table.c[renamed.get(name, name)]) for name in shape.__struct_fields__]
    return [
        cast(column, Undecoded(bool(column.nullable))).label(name) if isinstance(column.type, JSON) else column
        for name, column in columns
    ]


def one_of(name: str, column: str, values: type[StrEnum]) -> CheckConstraint:
    """A named check that a text column holds one of the values (or NULL, where the column allows it)."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name, info={"choice": (column, values)})


def in_range(name: str, column: str, low: float, high: float) -> CheckConstraint:
    """A named check that a number lies between `low` and `high`, both included."""
    return CheckConstraint(f"{column} >= {low} AND {column} <= {high}", name=name)


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

"""The declarative base, and what tables are declared with."""

from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import ClassVar, NamedTuple, TypedDict
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    JSON,
    CheckConstraint,
    FromClause,
    MetaData,
    TextClause,
    Uuid,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from cortez.clock import utc_now
from cortez.core.db.classification import Audit, Privacy
from cortez.core.db.types import AnyColumn, ColumnValue, Document, Items, Json, Undecoded, UtcDateTime


class IndexOptions(TypedDict):
    """Over which rows an index is, for each database."""

    postgresql_where: TextClause
    sqlite_where: TextClause


# Options for an index over the rows that are not soft-deleted.
alive = IndexOptions(postgresql_where=text("deleted_at IS NULL"), sqlite_where=text("deleted_at IS NULL"))


class Duplicate(NamedTuple):
    """The answer where a uniqueness is broken.

    `is_race`: another request may just have stored the same row, so that the unit of work is repeated.
    """

    code: str
    detail: str
    is_race: bool = False


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
    audit: ClassVar[Audit | None] = None  # a table without one leaves no entries in the audit log
    duplicates: ClassVar[dict[str, Duplicate]] = {}  # by the first column of a uniqueness

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-1)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=1)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now, sort_order=2)

    def to_dict(self, *, include_sensitive: bool = False) -> dict[str, ColumnValue]:
        """Every column by name; secrets such as hashes are left out unless asked for."""
        return {name: getattr(self, key) for name, key in keys_of(type(self), include_sensitive)}


@cache
def keys_of(model: type[Base], include_sensitive: bool) -> list[tuple[str, str]]:
    """The name of each column, and of its attribute."""
    hidden = frozenset() if include_sensitive else model.sensitive
    attributes = model.__mapper__.column_attrs
    return [
        (one.name, attribute.key) for attribute in attributes for one in attribute.columns if one.name not in hidden
    ]


def shown(table: FromClause, shape: type[Struct], **renamed: str) -> list[AnyColumn]:
    """The columns of a shape's fields in their order, documents undecoded, so that `shape(*row)` is the answer.

    `renamed`: fields whose column has another name.
    """
    columns = [(name, table.c[renamed.get(name, name)]) for name in shape.__struct_fields__]
    return [
        column.cast(Undecoded(bool(column.nullable))).label(name) if isinstance(column.type, JSON) else column
        for name, column in columns
    ]


def one_of(name: str, column: str, values: type[StrEnum]) -> CheckConstraint:
    """A named check that a text column holds one of the values (or NULL, where the column allows it)."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name, info={"choice": (column, values)})


def in_range(name: str, column: str, low: float, high: float) -> CheckConstraint:
    """A named check that a number lies between `low` and `high`, both included."""
    return CheckConstraint(f"{column} >= {low} AND {column} <= {high}", name=name)


def models() -> dict[str, type[Base]]:
    """Every model by the name of its table."""
    return {mapper.class_.__tablename__: mapper.class_ for mapper in Base.registry.mappers}

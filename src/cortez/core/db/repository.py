"""The base of every repository, with the conventions that all of them keep."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar, TypeVarTuple, overload
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Integer, Row, Select, bindparam, func, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.db.base import Base
from cortez.core.db.classification import ERASED
from cortez.core.db.compiled_queries import Kept, NamedRow, Statement, asking, once
from cortez.core.db.pagination import DEFAULT_LIMIT, MAX_COUNTED, Listing, Page
from cortez.core.db.types import AnyColumn, AnySelect, ColumnValue, stored
from cortez.core.db.unit_of_work import unit_of
from cortez.core.security.principal import Principal
from cortez.errors import Conflict, NotFound


class Placed(Protocol):
    """What a page may end with."""

    @property
    def id(self) -> UUID: ...

    @property
    def created_at(self) -> datetime: ...


M = TypeVar("M", bound=Base)
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
O = TypeVar("O")  # noqa: E741 - an output type
P = TypeVar("P", bound=Placed)
Columns = TypeVarTuple("Columns")

LOT = DEFAULT_LIMIT + 1  # rows that are read at a time, so that a page of the usual size is one statement
MAX_BYTES = 4_000_000  # of what a list has read, from which on it reads no further
AT_ONCE = 500  # of many rows, some milliseconds' work

# Where a list goes on: the created_at and the id of the row before.
Place = tuple[datetime, UUID]
NextLot = Callable[[Place | None, int], Awaitable[Sequence[P]]]


class Repository(ABC, Generic[M]):
    """Queries of one table, for one principal.

    Conventions of every repository:

    - It never commits, rolls back or swallows an error: it flushes. The request's unit of work commits (P2).
    - Every statement begins with `select()`, which holds the filter `visible()`: what a principal may not see is not
      there, in lists, counts and nested paths alike.
    - Absence (P6): `get` raises NotFound, `find` gives None, a mutation gives the entity, a batch gives a dict.
    - A batch (P3) takes ids and gives a dict with an entry for every id asked, in one query; children come by
      `selectinload`. No relationship loads by itself.
    - A read-modify-write takes its row by `get(…, lock=True)` (P4): FOR NO KEY UPDATE, so that children can still be
      inserted; before a delete or a change of key `get_to_delete`. On SQLite the write transaction is the lock.
      What is left of an erased student may be deleted, but is given to nobody to change.
    - Filtering, ordering, paging and counting happen in SQL (P5). Enumerations are converted on input (P7).
    """

    model: type[M]
    noun: ClassVar[str]

    def __init__(self, session: AsyncSession, principal: Principal) -> None:
        self.session = session
        self.principal = principal

    @abstractmethod
    def visible(self) -> ColumnElement[bool]:
        """The rows that the principal may see, as a condition on the table."""

    @overload
    def select(self, *, of: ColumnElement[bool] | None = None) -> Select[M]: ...

    @overload
    def select(self, *columns: AnyColumn | type[Base], of: ColumnElement[bool] | None = None) -> AnySelect: ...

    def select(self, *columns: AnyColumn | type[Base], of: ColumnElement[bool] | None = None) -> AnySelect:
        """The only way to begin a statement: the entity, or the given columns of visible rows.

        `of`: few that are wanted, said first: of two lists SQLite looks up the first.
        """
        return select(*(columns or (self.model,))).where(true() if of is None else of, self.visible())

    async def find(self, id_: UUID, *, lock: bool = False) -> M | None:
        kept = self.entity()
        statement = kept.other("locked", locking).statement if lock else kept.statement
        return await self._first(statement, {"wanted": id_, **asking(self.principal)}, lock=lock)

    async def get(self, id_: UUID, *, lock: bool = False) -> M:
        return self.present(await self.find(id_, lock=lock), id_)

    @overload
    async def run(self, kept: Kept, /, **values: ColumnValue) -> list[NamedRow]: ...

    @overload
    async def run(self, kept: Kept, make: Callable[..., O], /, **values: ColumnValue) -> list[O]: ...

    async def run(
        self, kept: Kept, make: Callable[..., O] | None = None, /, **values: ColumnValue
    ) -> list[O] | list[NamedRow]:
        """The rows that a kept statement finds for this principal, with these values of its parameters.

        `make`: what is made of the columns of each, instead of a named tuple.
        """
        return await unit_of(self.session).fetch(kept, {**values, **asking(self.principal)}, make)

    @once
    def entity(self) -> Select[M]:
        """The row of an id, all of it, for `find`; SQLAlchemy makes an entity of it."""
        return self.select().where(self.model.id == bindparam("wanted"))

    @once
    def by_id(self, *columns: AnyColumn) -> AnySelect:
        return self.select(*columns).where(self.model.__table__.c.id == bindparam("wanted"))

    async def row(self, columns: Sequence[AnyColumn], id_: UUID) -> NamedRow:
        """These columns of one row: what is only passed on needs no entity."""
        found = await self.run(self.by_id(*columns), wanted=id_)
        return self.present(found[0] if found else None, id_)

    async def get_to_delete(self, id_: UUID) -> M:
        """Locked against children too, since those go with it."""
        found = await self.session.scalar(self.select().where(self.model.id == id_).with_for_update())
        return self.present(found, id_)

    async def one(self, condition: ColumnElement[bool], *, lock: bool = False) -> M | None:
        statement = self.select().where(condition)
        return await self._first(locking(statement) if lock else statement, {}, lock=lock)

    async def _first(self, statement: Statement, values: Mapping[str, ColumnValue], *, lock: bool) -> M | None:
        found: M | None = await self.session.scalar(statement, values)
        if lock:
            refuse_erased(getattr(found, "student_id", None))
        return found

    def present(self, found: V | None, key: UUID | str | None) -> V:
        if found is None:
            raise NotFound(self.noun, key)
        return found

    async def get_by_ids(self, ids: Collection[UUID]) -> dict[UUID, M | None]:
        found = await self.session.scalars(self.select().where(self.model.id.in_(ids)))
        return dict.fromkeys(ids) | {entity.id: entity for entity in found}

    async def limit_parts(self, condition: ColumnElement[bool], most: int) -> None:
        """Raises Conflict (TOO_MANY_PARTS) where so many rows hold it. What they are parts of is locked."""
        held = self.select(self.model.id).where(condition).limit(most).subquery()
        if await self.session.scalar(select(func.count()).select_from(held)) == most:
            raise Conflict("TOO_MANY_PARTS", f"There are {most} here already, and no {self.noun} can be added.")

    async def add(self, entity: M) -> M:
        self.session.add(entity)
        await self.session.flush()
        return entity

    async def change(self, entity: M, changes: Mapping[str, ColumnValue]) -> M:
        for name, value in changes.items():
            setattr(entity, name, value)
        await self.session.flush()
        return entity

    async def delete(self, entity: M) -> None:
        await self.session.delete(entity)
        await self.session.flush()

    async def page(
        self, statement: Select[P], page: Page, make: Callable[[P], O], *, newest_first: bool = False
    ) -> Listing[O]:
        """A keyset page of `statement` by (created_at, id), each entity, or row of several columns, through `make`."""
        descending = is_descending(page, newest_first)

        async def next_lot(after: Place | None, size: int) -> Sequence[P]:
            rows = self.ordered(statement, descending, after is not None)
            result = await self.session.execute(rows, place_of(after, size))
            return [*(result.scalars() if len(result.keys()) == 1 else result)]

        found, has_more = await gather(next_lot, page.place, page.limit)
        total = await self.session.scalar(self.counted(statement)) if page.count else None
        return listing_of(page, found, [make(row) for row in found], has_more, total)

    async def many(self, statement: Select[*Columns]) -> list[Row[*Columns]]:
        """Up to some ten thousand rows of columns, made some at a time so that other requests get their turn."""
        found: list[Row[*Columns]] = []
        for rows in (await self.session.execute(statement)).partitions(AT_ONCE):
            found += rows
            await asyncio.sleep(0)
        return found

    def ordered(self, statement: Select[*Columns], descending: bool, continued: bool) -> Select[*Columns]:
        """The first `page_size` rows in the order of a page; `continued`: of those after a place (`place_of`)."""
        created_at, id_ = self.model.__table__.c.created_at, self.model.__table__.c.id
        rows = statement.order_by(*((created_at.desc(), id_.desc()) if descending else (created_at, id_)))
        if continued:
            here = tuple_(created_at, id_)
            place = tuple_(bindparam("page_after", type_=created_at.type), bindparam("page_after_id", type_=id_.type))
            rows = rows.where(here < place if descending else here > place)
        return rows.limit(bindparam("page_size", type_=Integer()))

    def counted(self, statement: AnySelect) -> Select[int]:
        """How many rows, counted to one more than 10,000."""
        capped = statement.with_only_columns(self.model.id).limit(MAX_COUNTED + 1)
        return select(func.count()).select_from(capped.subquery())


class Listed(Repository[M], Generic[M, P]):
    """Rows that answers only pass on: columns of the table, found by kept statements under filters as parameters."""

    out: Callable[..., P]
    columns: ClassVar[Sequence[AnyColumn]]  # the fields of `out`, in their order

    @once
    def matching(self, *names: str) -> AnySelect:
        """What is shown of the rows under these filters."""
        return self.select(*self.columns).where(*(self.condition(name) for name in names))

    def condition(self, name: str) -> ColumnElement[bool]:
        """What a filter asks for, with a parameter of its name."""
        wanted: ColumnElement[bool] = self.model.__table__.c[name] == bindparam(name)
        return wanted

    async def listed(self, page: Page, *, newest_first: bool = True, **wanted: ColumnValue) -> Listing[P]:
        """A page of those under these filters; None is no filter."""
        values = {name: stored(value) for name, value in wanted.items() if value is not None}
        matching, descending = self.matching(*values), is_descending(page, newest_first)

        async def next_lot(after: Place | None, size: int) -> Sequence[P]:
            rows = self.in_order(matching, descending=descending, continued=after is not None)
            return await self.run(rows, self.out, **values, **place_of(after, size))

        found, has_more = await gather(next_lot, page.place, page.limit)
        total = await self.count(matching, values) if page.count else None
        return listing_of(page, found, found, has_more, total)

    def in_order(self, kept: Kept, *, descending: bool, continued: bool) -> Kept:
        return kept.other((descending, continued), lambda statement: self.ordered(statement, descending, continued))

    async def count(self, kept: Kept, values: Mapping[str, ColumnValue]) -> int:
        ((found,),) = await self.run(kept.other("counted", self.counted), **values)
        return int(found)

    async def read(self, id_: UUID) -> P:
        """What is shown of one row."""
        return self.out(*await self.row(self.columns, id_))


def locking(statement: AnySelect) -> AnySelect:
    """With the row locked to be changed, and an entity that the session has read before read again."""
    return statement.with_for_update(key_share=True).execution_options(populate_existing=True)


def is_descending(page: Page, newest_first: bool) -> bool:
    return newest_first if page.order is None else page.order.startswith("-")


async def gather(next_lot: NextLot[P], after: Place | None, limit: int) -> tuple[list[P], bool]:
    """Up to `limit` rows, fewer where they are large, and whether there are more.

    They are read a lot at a time, so that no list takes more memory than one lot beyond `MAX_BYTES`. One row more is
    read than is given, to see whether it is there.
    """
    found: list[P] = []
    weight = 0
    while weight <= MAX_BYTES and len(found) <= limit:
        wanted = min(LOT, limit + 1 - len(found))
        lot = await next_lot(after, wanted)
        found += lot
        if len(lot) < wanted:
            return found, False
        if len(found) <= limit:
            weight += sum(map(weight_of, lot))
        after = (lot[-1].created_at, lot[-1].id)
    return found[:-1], True


def weight_of(row: Any) -> int:
    """About how many bytes a row has: an entity, a row of columns, or an output."""
    if isinstance(row, Base):
        return len(msgspec.json.encode(vars(row), enc_hook=lambda _: None))
    return len(msgspec.json.encode(row if isinstance(row, Struct) else tuple(row)))


def place_of(after: Place | None, size: int) -> dict[str, ColumnValue]:
    """The values of `ordered`: after which row to go on, and how many rows."""
    place: dict[str, ColumnValue] = {"page_after": after[0], "page_after_id": after[1]} if after else {}
    return {**place, "page_size": size}


def listing_of(page: Page, rows: list[P], shown: list[O], has_more: bool, total: int | None) -> Listing[O]:
    cursor = page.next_cursor(rows[-1].created_at, rows[-1].id) if has_more else None
    if total is None:
        return Listing(shown, cursor)
    return Listing(shown, cursor, min(total, MAX_COUNTED), total > MAX_COUNTED)


def refuse_erased(student_id: str | None) -> None:
    """Raises Conflict (STUDENT_ERASED): a row that erasure has emptied is filled with nothing new, by nobody."""
    if student_id and student_id.startswith(ERASED):
        raise Conflict("STUDENT_ERASED", "The student was erased. What is left are figures; they change no more.")


def group_by(rows: Iterable[V], key: Callable[[V], K], keys: Collection[K]) -> dict[K, list[V]]:
    """Rows by key, with an entry for every key asked."""
    groups: dict[K, list[V]] = {wanted: [] for wanted in keys}
    for row in rows:
        groups[key(row)].append(row)
    return groups

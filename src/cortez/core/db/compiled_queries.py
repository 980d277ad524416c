"""Statements that are built once and run many times: building and compiling one costs more than a small one takes.

What is kept has one text for each kind of database, whatever it is asked with. `UnitOfWork.fetch` runs it.
"""

from collections import namedtuple
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import wraps
from itertools import starmap
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple
from uuid import UUID

import msgspec
from sqlalchemy import JSON, Dialect, Float, Insert, String, Uuid, bindparam
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.compat import FastUUID
from cortez.core.db.types import AnySelect, AnyType, ColumnValue, ListOf, Process, Values
from cortez.core.security.principal import Principal

MOST = 300  # some 10 KB each

# Stand for what is a principal's own in a statement that is kept for all of their kind.
OWN = {
    "id": bindparam("asking_id", type_=Uuid()),
    "student_id": bindparam("asking_student_id", type_=String()),
    "course_ids": bindparam("asking_course_ids", type_=ListOf(String())),
}

O = TypeVar("O")  # noqa: E741 - an output type
Arguments = TypeVarTuple("Arguments")
Statement = AnySelect | Insert

if TYPE_CHECKING:

    class NamedRow(tuple[Any, ...]):
        """The columns of a row, also by their names."""

        def __getattr__(self, name: str) -> Any: ...

else:
    NamedRow = tuple


class Form:
    """A statement as SQLAlchemy compiled it for one kind of database, with what it does to values on their way."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise TypeError(f"A kept statement has one text; use `within` where this has IN: {compiled}")
        self.text = str(compiled)
        names = compiled.positiontup or []
        bound = {name: compiled.binds[name] for name in names}
        self.given = {name: one.value for name, one in bound.items() if not one.required}
        inward = {name: inward_of(one.type, dialect) for name, one in bound.items()}
        self.places: list[tuple[str, Process | None]] = [(name, inward[name]) for name in names]
        columns = list(statement.exported_columns)
        self.row: Callable[..., Any] = namedtuple("Row", [column.key for column in columns], rename=True)  # type: ignore[misc]
        outward = [outward_of(column.type, dialect) for column in columns]
        self.changed = [(place, process) for place, process in enumerate(outward) if process]

    def arguments(self, values: Mapping[str, ColumnValue]) -> Values:
        """In the order of their places. Raises KeyError where one is missing."""
        given = {**self.given, **values}
        return tuple([process(given[name]) if process else given[name] for name, process in self.places])

    def rows(self, found: Sequence[Iterable[ColumnValue]], make: Callable[..., O]) -> list[O]:
        """What `make` makes of the driver's rows, by what their columns hold; column by column, which is quicker."""
        rows: Iterable[Iterable[ColumnValue]] = found
        if found and self.changed:
            columns: list[Iterable[ColumnValue]] = list(zip(*found, strict=True))
            for place, process in self.changed:
                columns[place] = map(process, columns[place])
            rows = zip(*columns, strict=True)
        return list(starmap(make, rows))


def inward_of(type_: AnyType, dialect: Dialect) -> Process | None:
    impl = type_.dialect_impl(dialect)
    process: Process | None = text_of if isinstance(impl, JSON) else impl.bind_processor(dialect)
    return process


def text_of(document: ColumnValue) -> str | None:
    """As SQLAlchemy has our documents encoded, in one call."""
    return None if document is None else msgspec.json.encode(document).decode()


def outward_of(type_: AnyType, dialect: Dialect) -> Process | None:
    impl = type_.dialect_impl(dialect)
    if isinstance(impl, Float):  # comes as a float; SQLAlchemy would ask of which kind
        return None
    process = impl.result_processor(dialect, None)
    return key_of if process and isinstance(impl, Uuid) else process


def key_of(stored: str | None) -> UUID | None:
    """Of the text that SQLite has, as PostgreSQL's driver makes them: in a sixth of the time that Python's take."""
    return None if stored is None else FastUUID(stored)


class Kept:
    """A statement of columns, not entities, whose parameters are all `bindparam`s with one value each."""

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.forms: dict[str, Form] = {}
        self.others: dict[Hashable, Kept] = {}

    def form(self, dialect: Dialect) -> Form:
        found = self.forms.get(dialect.name)
        if found is None:
            found = self.forms[dialect.name] = Form(self.statement, dialect)
        return found

    def other(self, key: Hashable, build: Callable[[Any], Statement]) -> "Kept":
        """What `build` makes of the statement, kept as long as this is."""
        if key not in self.others:
            self.others[key] = Kept(build(self.statement))
        return self.others[key]


STATEMENTS: dict[tuple[Hashable, ...], Kept] = {}


class Seen(Protocol):
    """What builds statements for somebody: a repository."""

    session: AsyncSession
    principal: Principal

    def __init__(self, session: AsyncSession, principal: Principal) -> None: ...


S = TypeVar("S", bound=Seen)


def asking(principal: Principal) -> dict[str, ColumnValue]:
    """The parameters of a kept statement that say who asks."""
    courses = None if principal.course_ids is None else [*principal.course_ids]
    return {"asking_id": principal.id, "asking_student_id": principal.student_id, "asking_course_ids": courses}


def once(build: Callable[[S, *Arguments], AnySelect]) -> Callable[[S, *Arguments], Kept]:
    """Keep what a repository's method builds, for its principal's kind (whose filter is in it) and its arguments.

    `Repository.run` runs it. What differs from call to call is a `bindparam` without a value, so that none can be
    forgotten. An argument must equal that of the next call, which a label made in the call does not.
    """

    @wraps(build)
    def built(repository: S, *arguments: *Arguments) -> Kept:
        who = repository.principal
        has = tuple(getattr(who, name) is not None for name in OWN)
        key = (build, type(repository), who.kind, who.roles, who.scopes, has, arguments)
        found = STATEMENTS.get(key)
        if found is None:
            if len(STATEMENTS) >= MOST:
                STATEMENTS.clear()
            found = STATEMENTS[key] = Kept(build(for_all_like(repository), *arguments))
        return found

    return built


def for_all_like(repository: S) -> S:
    """The repository of somebody of whom only the kind is known."""
    who: Principal = repository.principal
    own = {name: value for name, value in OWN.items() if getattr(who, name) is not None}
    return type(repository)(repository.session, msgspec.structs.replace(who, family_id=None, **own))

"""Compares the schema a database has with the one this version needs, thing by thing.

What is needed is not written down anywhere: the revisions are run, and the models' tables made, where nothing stays, on
an engine of the same kind, and both sides are read in the same way. On PostgreSQL that is the temporary schema of a
savepoint that is rolled back, which takes the right TEMP (every role has it unless it was revoked) and no other.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.engine import ExecutionContext
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError

from cortez.core.db.base import Base
from cortez.core.db.types import Values
from cortez.core.migrations import snapshot
from cortez.core.migrations.repair_advice import ORDER, Embedded, Repair
from cortez.core.migrations.runner import run_all
from cortez.core.migrations.snapshot import Inventory, Thing, is_same

# What is too much and belongs to no table is somebody else's, such as an extension's.
UNTOLD = ("function", "sequence")
NO_REVISION = "The models have it and no revision makes it, so this version is at fault. Write one: make migration"


Make = Callable[[Connection], None]  # what makes a schema


class Needed(NamedTuple):
    """What the revisions make, and what the models speak of; the same unless this version is at fault."""

    revisions: Inventory
    models: Inventory


class Difference(NamedTuple):
    thing: Thing
    said: str
    advice: str

    def __str__(self) -> str:
        return f"{self.thing} {self.said}. {self.advice}"


class Comparison(NamedTuple):
    """What has to be repaired, and what is only worth knowing."""

    differences: list[Difference]
    notes: list[str]


class CannotCompare(Exception):
    """The message says why, and what to do."""


def compare(connection: Connection) -> Comparison:
    """Changes nothing. Raises CannotCompare where the rights for it are missing.

    Tables and indexes that somebody has added are notes. Whatever else was added may refuse, or change, what the
    service writes, and so is a difference.
    """
    return weigh(snapshot.read(connection), needed(connection), connection.dialect.name)


def needed(connection: Connection) -> Needed:
    if connection.dialect.name == "sqlite":
        return Needed(*(embedded(make) for make in (run_all, Base.metadata.create_all)))
    try:
        return Needed(*(temporary(connection, make) for make in (run_all, Base.metadata.create_all)))
    except DBAPIError as error:
        who = connection.execute(text("SELECT quote_ident(current_database()), quote_ident(current_user)")).one()
        raise CannotCompare(
            f"The schema cannot be compared: {str(error.orig).splitlines()[0].rpartition('>: ')[2]}. "
            f"Run: GRANT TEMP ON DATABASE {who[0]} TO {who[1]}; or compare as the owner: cortez migrate --check"
        ) from error


def embedded(make: Make) -> Inventory:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        make(connection)
        found = snapshot.read(connection)
    engine.dispose()
    return found


def temporary(connection: Connection, make: Make) -> Inventory:
    """What `make` leaves in the temporary schema, of which nothing stays."""
    functions: set[str] = set()

    def find_functions(
        conn: Connection, cursor: DBAPICursor, statement: str, values: Values, context: ExecutionContext, many: bool
    ) -> tuple[str, Values]:
        """PostgreSQL looks for no function in the temporary schema unless it is told to."""
        functions.update(re.findall(r"CREATE (?:OR REPLACE )?FUNCTION (\w+)\(", statement))
        if functions:
            statement = re.sub(rf"(?<![\w.])({'|'.join(sorted(functions))})\(", r"pg_temp.\1(", statement)
        return statement, values

    savepoint = connection.begin_nested()
    event.listen(connection, "before_cursor_execute", find_functions, retval=True)
    try:
        connection.execute(text("SET LOCAL search_path = pg_temp"))
        make(connection)
        return snapshot.read(connection)
    finally:
        event.remove(connection, "before_cursor_execute", find_functions)
        savepoint.rollback()


def weigh(live: Inventory, needed: Needed, dialect: str) -> Comparison:
    """What is missing or other than needed, in the order in which it can be repaired, then what is too much."""
    repair: Repair = Embedded() if dialect == "sqlite" else Repair()
    wanted = {**needed.revisions, **needed.models}
    tables = {thing.table for thing in wanted if thing.kind == "table"}
    absent = tables - {thing.table for thing in live if thing.kind == "table"}
    found = Comparison([], [])
    for thing in sorted(wanted, key=lambda one: (ORDER.index(one.kind), one)):
        definition = live.get(thing)
        if thing.table in absent and thing.kind != "table":
            continue  # said once, by the table
        if definition is None or not is_same(definition, wanted[thing], embedded=dialect == "sqlite"):
            said = repair.said(thing, definition, wanted[thing])
            made = needed.revisions.get(thing) == wanted[thing] or thing not in needed.models
            advice = repair.advice(thing, definition, wanted[thing]) if made else NO_REVISION
            found.differences.append(Difference(thing, said, advice))
    for thing in sorted(live.keys() - wanted.keys()):
        if thing.kind in UNTOLD or (thing.kind != "table" and thing.table not in tables):
            continue
        if thing.kind == "table" or (thing.kind == "index" and not live[thing].startswith("CREATE UNIQUE")):
            found.notes.append(f"{thing} is not of this version; it does no harm.")
        else:
            found.differences.append(Difference(thing, "is not of this version", repair.removal(thing)))
    return found

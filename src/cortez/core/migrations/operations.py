"""Changes of the schema that running code hardly notices: what revisions use on tables that are large or busy.

On PostgreSQL each statement is a transaction of its own, so that it holds its lock no longer. A run that was killed
leaves part of a revision behind; each of these may be repeated, so that the revision goes through when it is run again:
let it consist of nothing else. On SQLite all is one transaction, and a table that is made anew keeps its triggers.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alembic import op
from alembic.operations import BatchOperations
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from cortez.core.db.types import TableColumn

# Whoever comes after a statement that waits for a lock waits with it: so it waits briefly, and tries again.
LOCK_TIMEOUT = "50ms"
TRIES, PAUSE = 150, (0.2, 1.0)  # seconds
EMBEDDED_PATIENCE = 900.0  # seconds for SQLite's one lock: another deployer may hold it for all revisions
PASSING = {"55P03", "40P01"}  # a lock that was not free in time, a deadlock
BATCH = 500  # rows that a backfill locks at a time

AT_ONCE = "at_once"  # what migrations.run_all sets: all in the transaction that is open
TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"
INVALID = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"
FILL = """DO $$
DECLARE
    last uuid := '00000000-0000-0000-0000-000000000000';
    until uuid;
BEGIN
    LOOP
        SELECT id INTO until FROM {table} WHERE id > last ORDER BY id OFFSET {batch} - 1 LIMIT 1;
        UPDATE {table} SET {column} = {value}
        WHERE {column} IS NULL AND id > last AND id <= coalesce(until, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
        COMMIT;
        EXIT WHEN until IS NULL;
        last := until;
    END LOOP;
END $$"""


def is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def is_plain() -> bool:
    """Whether nobody else is there to be spared: on SQLite, and where the schema is only made to be compared."""
    return is_sqlite() or bool(op.get_context().opts.get(AT_ONCE))


def insist(change: Callable[[], object]) -> None:
    """Until the locks that it needs were free; raises CommandError after a minute and a half."""
    for _ in range(TRIES):
        try:
            change()
            return
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in PASSING:
                raise
        time.sleep(random.uniform(*PAUSE))  # noqa: S311 - jitter
    raise CommandError(
        f"A lock was not free within {LOCK_TIMEOUT}, {TRIES} times. End the transactions that hold it "
        "(pg_stat_activity shows them), then repeat the command."
    )


def briefly(change: Callable[[], object]) -> None:
    """In a transaction of its own."""
    with op.get_context().autocommit_block():
        insist(change)


def execute(statement: str) -> None:
    """A statement that may be repeated, in a transaction of its own where others are at work."""
    if is_plain():
        op.execute(statement)
    else:
        briefly(lambda: op.execute(statement))


@contextmanager
def patiently() -> Iterator[None]:
    """For statements that let reads and writes through: for as long as it takes."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("SET statement_timeout = 0")
        try:
            yield
        finally:
            op.execute("RESET lock_timeout")
            op.execute("RESET statement_timeout")


@contextmanager
def altered(table: str) -> Iterator[BatchOperations]:
    """`op.batch_alter_table`, with the triggers kept where SQLite makes the table anew."""
    with without_triggers(table), op.batch_alter_table(table) as batch:
        yield batch


@contextmanager
def without_triggers(table: str) -> Iterator[None]:
    """On SQLite the table has no triggers meanwhile: the audit log's call functions that only the service has."""
    triggers = op.get_bind().execute(text(TRIGGERS), {"table": table}).all() if is_sqlite() else []
    for name, _ in triggers:
        op.execute(f"DROP TRIGGER {name}")
    yield
    for _, trigger in triggers:
        op.execute(trigger.replace(":", r"\:"))


def create_index(name: str, table: str, columns: Sequence[str], **options: Any) -> None:
    """`options` as for `op.create_index`. What a killed run has left of it is removed first."""
    if is_plain():
        op.create_index(name, table, columns, if_not_exists=True, **options)
        return
    with patiently():
        context = op.get_context()
        if context.as_sql or op.get_bind().scalar(text(INVALID), {"name": name}):
            op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, if_not_exists=True, postgresql_concurrently=True, **options)


def drop_index(name: str, table: str) -> None:
    if is_plain():
        op.drop_index(name, table, if_exists=True)
        return
    with patiently():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def add_column(table: str, column: TableColumn) -> None:
    """One that may be null, or has a constant default: neither reads the rows that are there."""
    if is_plain():
        op.add_column(table, column)
    else:
        briefly(lambda: op.add_column(table, column, if_not_exists=True))


def add_check(table: str, name: str, condition: str) -> None:
    """New rows are held to it at once; those that are there are looked at while work goes on."""
    if is_plain():
        with altered(table) as batch:
            batch.create_check_constraint(name, condition)
        return
    drop_constraint(table, name)
    briefly(lambda: op.create_check_constraint(name, table, condition, postgresql_not_valid=True))
    validate(table, name)


def add_foreign_key(
    name: str, table: str, parent: str, columns: Sequence[str], parent_columns: Sequence[str], ondelete: str
) -> None:
    """New rows are held to it at once; those that are there are looked at while work goes on."""
    key: tuple[str, list[str], list[str]] = (parent, list(columns), list(parent_columns))
    if is_plain():
        with altered(table) as batch:
            batch.create_foreign_key(name, *key, ondelete=ondelete)
        return
    drop_constraint(table, name)
    briefly(lambda: op.create_foreign_key(name, table, *key, ondelete=ondelete, postgresql_not_valid=True))
    validate(table, name)


def drop_constraint(table: str, name: str) -> None:
    """On PostgreSQL."""
    briefly(lambda: op.drop_constraint(name, table, if_exists=True))


def validate(table: str, name: str) -> None:
    """On PostgreSQL."""
    with patiently():
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def backfill(table: str, column: str, value: str) -> None:
    """Give the column a value, an SQL expression over the row, wherever it is null; in short transactions."""
    if is_plain():
        with without_triggers(table):
            op.execute(f"UPDATE {table} SET {column} = {value} WHERE {column} IS NULL")
        return
    with patiently():
        op.execute(FILL.format(table=table, column=column, value=value, batch=BATCH))


def require(table: str, column: str) -> None:
    """NOT NULL; where it is null somewhere, this fails and can be repeated."""
    if is_plain():
        with altered(table) as batch:
            batch.alter_column(column, nullable=False)
        return
    check = f"ck_{table}_{column}_present"
    add_check(table, check, f"{column} IS NOT NULL")
    briefly(lambda: op.alter_column(table, column, nullable=False))  # the check spares it reading the table
    drop_constraint(table, check)


def add_required_column(table: str, column: TableColumn, value: str, default: str) -> None:
    """A column that is never null. Rows that are there get the value, an SQL expression over the row.

    Those that code inserts which does not know the column get the default, a constant in SQL.
    """
    column.nullable = True
    add_column(table, column)
    if is_plain():
        with altered(table) as batch:
            batch.alter_column(column.name, server_default=text(default))
    else:
        briefly(lambda: op.alter_column(table, column.name, server_default=text(default)))
    backfill(table, column.name, value)
    require(table, column.name)

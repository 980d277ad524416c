"""Many rows from few: copies of what is there with keys of their own, spread as far as a planner can tell."""

from contextlib import nullcontext
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, RowMapping, Table, UniqueConstraint, Uuid, select, text
from sqlalchemy.dialects import postgresql, sqlite
from uuid_utils.compat import uuid7

from cortez import tables
from cortez.core.db.engine import Database
from everyrow import unguarded

# Who and where, as text that is no foreign key: spread, so that asking for one asks for few.
SPREAD = {"student_id": 300, "activity_id": 100, "course_id": 50}
# What rows are copied of; the rest is as large as a school's staff and its plan of lessons.
BIG = tuple(
    """users course_members refresh_tokens sessions cognitive_traces trace_sequences risks evaluations
    exercise_attempts hint_reveals interview_sessions incident_simulations simulator_events git_traces risk_alerts
    remediation_plans teacher_interventions student_profiles student_figures lti_sessions idempotency_records
    login_attempts rate_limits audit_log access_log""".split()
)
PARENTS = ("courses", "activities", "exercises", "unidades", "apuntes", "archivos_adjuntos", "course_reports")

Ids = dict[str, list[Any]]


async def multiply(database: Database, rows: int, parents: int = 200) -> None:
    """Up to so many rows in each of the big tables, and some in those that they refer to."""

    def copy(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        made: Ids = {}
        for table in tables.metadata.sorted_tables:
            wanted = {**dict.fromkeys(BIG, rows), **dict.fromkeys(PARENTS, parents)}.get(table.name, 0)
            template = connection.execute(select(table).order_by(table.c.id).limit(1)).mappings().one_or_none()
            if template is None or not wanted:
                continue
            copies = [copied(table, template, number, made) for number in range(wanted)]
            insert = {"postgresql": postgresql, "sqlite": sqlite}[connection.dialect.name].insert
            with unguarded(connection, table) if database.is_sqlite else nullcontext():
                connection.execute(insert(table).on_conflict_do_nothing(), copies)
            made[table.name] = list(connection.scalars(select(table.c.id).order_by(table.c.id)))

    async with database.unit() as session:
        await (await session.connection()).run_sync(copy)
    if not database.is_sqlite:  # whose planner works without figures of the tables, as it does for the service
        async with database.engine.connect() as connection:
            await connection.execute(text("ANALYZE"))


def copied(table: Table, template: RowMapping, number: int, made: Ids) -> dict[str, Any]:
    row = {column.name: value_of(column, template[column.name], number, made) for column in table.columns}
    for name, kinds in SPREAD.items():
        if name in row and row[name] is not None and not is_unique(table, table.c[name]):
            row[name] = f"{row[name]}-{number % kinds}" if not table.c[name].foreign_keys else row[name]
    if table.name == "exercise_attempts":
        row |= {"attempt_number": number + 1, "status": "PENDING" if number % 100 == 0 else "PASS"}
    return row


def value_of(column: Column[Any], value: Any, number: int, made: Ids) -> Any:
    if column.primary_key:
        return uuid7()
    for key in column.foreign_keys:
        others = made.get(key.column.table.name, [])
        if column.name == "parent_trace_id" or not others or key.column.name != "id" or value is None:
            return value
        return others[number % len(others)]
    if column.name in ("created_at", "updated_at", "start_time", "occurred_at", "timestamp") and value is not None:
        return value + timedelta(seconds=number + 1)
    return another(column, value, number) if value is not None and is_unique(column.table, column) else value


def another(column: Column[Any], value: Any, number: int) -> Any:
    """A value that nobody else has."""
    if isinstance(column.type, LargeBinary):
        return number.to_bytes(32)
    if isinstance(column.type, Uuid):
        return uuid7()
    return value + number + 1_000_000 if isinstance(value, int) else f"{value}-{number}"


def is_unique(table: Any, column: Column[Any]) -> bool:
    """Whether the column is a key by itself."""
    keys = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    return any([*key.columns.keys()] == [column.name] for key in [*keys, *(one for one in table.indexes if one.unique)])

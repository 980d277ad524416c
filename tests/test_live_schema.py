"""The comparison of the live schema with what this version needs, on databases that somebody has tampered with."""

import re
from collections.abc import AsyncGenerator
from typing import NamedTuple
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from cortez.core.db.engine import Database
from cortez.core.migrations import diff, snapshot
from cortez.core.migrations.diff import CannotCompare, Comparison, Needed, weigh
from cortez.settings import Settings

pytestmark = pytest.mark.requirement("G5")


class Tampering(NamedTuple):
    """What is done to either database (`table: this => that` edits SQLite's own text), and what must be named."""

    postgresql: str
    sqlite: str
    named: list[str]
    said: str
    named_on_sqlite: list[str] | None = None  # where that differs


EVENTS = ("delete", "insert", "update")
WITHOUT_DELETED_AT = [
    "column exercises.deleted_at",
    "index idx_exercises_active_deleted on exercises",
    "index idx_exercises_deleted on exercises",
]

TAMPERED = {
    "a dropped column, the audit's own case": Tampering(
        "ALTER TABLE exercises DROP COLUMN deleted_at CASCADE",
        "DROP INDEX idx_exercises_deleted\nDROP INDEX idx_exercises_active_deleted\n"
        "DROP TRIGGER trg_audit_exercises_insert\nDROP TRIGGER trg_audit_exercises_update\n"
        "DROP TRIGGER trg_audit_exercises_delete\nALTER TABLE exercises DROP COLUMN deleted_at",
        [*WITHOUT_DELETED_AT, "trigger trg_audit_exercises on exercises"],
        "is missing",
        [*WITHOUT_DELETED_AT, *(f"trigger trg_audit_exercises_{one} on exercises" for one in EVENTS)],
    ),
    "a shorter type": Tampering(
        "ALTER TABLE users ALTER COLUMN email TYPE varchar(100)",
        "users: email VARCHAR(255) => email VARCHAR(100)",
        ["column users.email"],
        "(100) NOT NULL, and must be",
    ),
    "a column that may be null": Tampering(
        "ALTER TABLE users ALTER COLUMN hashed_password DROP NOT NULL",
        "users: hashed_password VARCHAR(255) NOT NULL => hashed_password VARCHAR(255)",
        ["column users.hashed_password"],
        "NOT NULL",
    ),
    "a dropped default": Tampering(
        "ALTER TABLE users ALTER COLUMN login_count DROP DEFAULT",
        "users: login_count INTEGER DEFAULT 0 => login_count INTEGER",
        ["column users.login_count"],
        "DEFAULT 0",
    ),
    "an added column": Tampering(
        "ALTER TABLE users ADD COLUMN nickname text",
        "ALTER TABLE users ADD COLUMN nickname text",
        ["column users.nickname"],
        "is not of this version",
    ),
    "a dropped check": Tampering(
        "ALTER TABLE activities DROP CONSTRAINT ck_activity_duration_positive",
        "activities: CONSTRAINT ck_activity_duration_positive CHECK (estimated_duration_minutes > 0), => ",
        ["check ck_activity_duration_positive on activities"],
        "is missing",
    ),
    "a changed check": Tampering(
        "ALTER TABLE activities DROP CONSTRAINT ck_activity_status_valid, "
        "ADD CONSTRAINT ck_activity_status_valid CHECK (status IN ('draft', 'active', 'archived', 'lost'))",
        "activities: ('draft', 'active', 'archived') => ('draft', 'active', 'archived', 'lost')",
        ["check ck_activity_status_valid on activities"],
        "'lost'",
    ),
    "a dropped foreign key": Tampering(
        "ALTER TABLE activities DROP CONSTRAINT fk_activities_teacher_id",
        "activities: CONSTRAINT fk_activities_teacher_id FOREIGN KEY(teacher_id) REFERENCES users (id) "
        "ON DELETE SET NULL, => ",
        ["foreign key fk_activities_teacher_id on activities"],
        "is missing",
    ),
    "another ondelete": Tampering(
        "ALTER TABLE activities DROP CONSTRAINT fk_activities_teacher_id, ADD CONSTRAINT fk_activities_teacher_id "
        "FOREIGN KEY (teacher_id) REFERENCES users (id) ON DELETE CASCADE",
        "activities: REFERENCES users (id) ON DELETE SET NULL => REFERENCES users (id) ON DELETE CASCADE",
        ["foreign key fk_activities_teacher_id on activities"],
        "ON DELETE CASCADE, and must be",
    ),
    "a dropped uniqueness": Tampering(
        "ALTER TABLE users DROP CONSTRAINT uq_users_email",
        "users: CONSTRAINT uq_users_email UNIQUE (email), => ",
        ["unique constraint uq_users_email on users"],
        "is missing",
    ),
    "a dropped index": Tampering(
        "DROP INDEX idx_activity_course",
        "DROP INDEX idx_activity_course",
        ["index idx_activity_course on activities"],
        "is missing",
    ),
    "an index over all rows": Tampering(
        "DROP INDEX uq_apuntes_unidad_orden\nCREATE UNIQUE INDEX uq_apuntes_unidad_orden ON apuntes (unidad_id, orden)",
        "DROP INDEX uq_apuntes_unidad_orden\nCREATE UNIQUE INDEX uq_apuntes_unidad_orden ON apuntes (unidad_id, orden)",
        ["index uq_apuntes_unidad_orden on apuntes"],
        "WHERE",
    ),
    "an index over fewer columns": Tampering(
        "DROP INDEX idx_activity_course\nCREATE INDEX idx_activity_course ON activities (course_id)",
        "DROP INDEX idx_activity_course\nCREATE INDEX idx_activity_course ON activities (course_id)",
        ["index idx_activity_course on activities"],
        "(course_id), and must be",
    ),
    "a dropped trigger": Tampering(
        "DROP TRIGGER trg_trace_moved ON cognitive_traces",
        "DROP TRIGGER trg_trace_moved",
        ["trigger trg_trace_moved on cognitive_traces"],
        "is missing",
    ),
    "a trigger that does something else": Tampering(
        "DROP TRIGGER trg_traces_deleted ON cognitive_traces\n"
        "CREATE TRIGGER trg_traces_deleted AFTER DELETE ON cognitive_traces EXECUTE FUNCTION cortez_append_only()",
        "DROP TRIGGER trg_traces_deleted\n"
        "CREATE TRIGGER trg_traces_deleted AFTER DELETE ON cognitive_traces BEGIN SELECT 1; END",
        ["trigger trg_traces_deleted on cognitive_traces"],
        "is not as its revision made it",
    ),
    "an added trigger": Tampering(
        "CREATE TRIGGER mine BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION cortez_append_only()",
        "CREATE TRIGGER mine BEFORE INSERT ON users BEGIN SELECT 1; END",
        ["trigger mine on users"],
        "is not of this version",
    ),
    "an added unique index": Tampering(
        "CREATE UNIQUE INDEX mine ON users (full_name)",
        "CREATE UNIQUE INDEX mine ON users (full_name)",
        ["index mine on users"],
        "is not of this version",
    ),
    "a dropped table": Tampering("DROP TABLE erasures", "DROP TABLE erasures", ["table erasures"], "is missing"),
}

ON_POSTGRESQL = {
    "a changed function": Tampering(
        "CREATE OR REPLACE FUNCTION cortez_trace_moved() RETURNS trigger LANGUAGE plpgsql "
        "AS $$ BEGIN RETURN NULL; END $$",
        "",
        ["function cortez_trace_moved()"],
        "is not as its revision made it",
    ),
    "a function without its protection": Tampering(
        "ALTER FUNCTION cortez_audit() SECURITY INVOKER", "", ["function cortez_audit()"], "is not as its revision"
    ),
    "a function that looks into another schema": Tampering(
        "ALTER FUNCTION cortez_audit() SET search_path = pg_catalog, other, pg_temp",
        "",
        ["function cortez_audit()"],
        "is not as its revision",
    ),
    "a dropped function": Tampering(
        "DROP FUNCTION cortez_trace_moved() CASCADE",
        "",
        ["function cortez_trace_moved()", "trigger trg_trace_moved on cognitive_traces"],
        "is missing",
    ),
    "a disabled trigger": Tampering(
        "ALTER TABLE users DISABLE TRIGGER trg_audit_users", "", ["trigger trg_audit_users on users"], "is disabled"
    ),
    "an index of another method": Tampering(
        "DROP INDEX idx_report_teacher\nCREATE INDEX idx_report_teacher ON course_reports USING hash (teacher_id)",
        "",
        ["index idx_report_teacher on course_reports"],
        "hash",
    ),
    "a check that was never held against the rows": Tampering(
        "ALTER TABLE activities DROP CONSTRAINT ck_activity_duration_positive, "
        "ADD CONSTRAINT ck_activity_duration_positive CHECK (estimated_duration_minutes > 0) NOT VALID",
        "",
        ["check ck_activity_duration_positive on activities"],
        "NOT VALID",
    ),
    "a table that a crash empties": Tampering(
        "ALTER TABLE erasures SET UNLOGGED", "", ["table erasures"], "is unlogged"
    ),
    "a dropped sequence": Tampering(
        "DROP SEQUENCE audit_log_position", "", ["sequence audit_log_position"], "is missing"
    ),
}

EDIT = "UPDATE sqlite_master SET sql = :new WHERE type = 'table' AND name = :table"
known: dict[str, Needed] = {}


@pytest.fixture(scope="session")
async def database(settings: Settings) -> AsyncGenerator[Database]:
    """Not emptied after each test: none leaves anything."""
    made = Database(settings)
    yield made
    await made.close()


def needed(connection: Connection) -> Needed:
    """Worked out once for each engine; that takes half a second."""
    name = connection.dialect.name
    if name not in known:
        known[name] = diff.needed(connection)
    return known[name]


def compare(connection: Connection) -> Comparison:
    return weigh(snapshot.read(connection), needed(connection), connection.dialect.name)


def tamper(connection: Connection, statements: str) -> None:
    edit = re.fullmatch(r"(\w+): (.*) => (.*)", statements)
    if edit is None:
        for statement in statements.split("\n"):
            connection.exec_driver_sql(statement)
        return
    table, old, new = edit.groups()
    spaced = str(connection.scalar(text("SELECT sql FROM sqlite_master WHERE name = :table"), {"table": table}))
    assert old in " ".join(spaced.split()), spaced
    old = "".join(r"\s+" if part == " " else re.escape(part) for part in re.split("( )", old))
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    changed = {"new": re.sub(old, new, spaced), "table": table}
    connection.execute(text(EDIT), changed)
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")


def repairs(found: Comparison) -> list[str]:
    """The SQL that the advice gives, in order."""
    given = [re.search(r"Run: (.*);$", one.advice) for one in found.differences]
    return [match[1] for match in given if match]


async def test_a_migrated_database_has_no_difference(database: Database) -> None:
    async with database.session(writes=True) as session:
        connection = await session.connection()
        found = await connection.run_sync(diff.compare)
        assert found == Comparison([], [])
        assert await connection.run_sync(snapshot.read)


async def test_revisions_and_models_make_the_same_but_for_triggers(database: Database) -> None:
    async with database.session(writes=True) as session:
        both = await (await session.connection()).run_sync(needed)
    apart = {thing.kind for thing, _ in both.revisions.items() ^ both.models.items()}
    assert apart == {"trigger"} | (set() if database.is_sqlite else {"function", "sequence"})
    assert len(both.models) > 800


@pytest.mark.parametrize("name", TAMPERED | ON_POSTGRESQL)
@pytest.mark.requirement("CRIT-MIG-001")
async def test_every_difference_is_named_and_its_repair_repairs(database: Database, name: str) -> None:
    case = (TAMPERED | ON_POSTGRESQL)[name]
    statements = case.sqlite if database.is_sqlite else case.postgresql
    if not statements:
        return  # SQLite has nothing of the kind

    def play(connection: Connection) -> None:
        tamper(connection, statements)
        found = compare(connection)
        named = case.named_on_sqlite if database.is_sqlite and case.named_on_sqlite else case.named
        assert [str(one.thing) for one in found.differences] == named
        assert case.said in found.differences[0].said
        assert found.notes == []
        assert all(one.advice for one in found.differences)
        if len(repairs(found)) == len(found.differences):
            for repair in repairs(found):
                for statement in re.split("; (?=CREATE )", repair):
                    connection.exec_driver_sql(statement)
            assert compare(connection) == Comparison([], [])

    async with database.session(writes=True) as session:
        await (await session.connection()).run_sync(play)


async def test_tables_and_indexes_of_an_operator_are_notes(database: Database) -> None:
    def play(connection: Connection) -> Comparison:
        connection.exec_driver_sql("CREATE TABLE mine (id integer PRIMARY KEY, email varchar(10) UNIQUE)")
        connection.exec_driver_sql("CREATE INDEX idx_mine ON users (full_name)")
        return compare(connection)

    async with database.session(writes=True) as session:
        found = await (await session.connection()).run_sync(play)
    assert found.differences == []
    assert found.notes == [
        "index idx_mine on users is not of this version; it does no harm.",
        "table mine is not of this version; it does no harm.",
    ]


async def test_what_was_repaired_by_hand_in_other_words_is_the_same(database: Database) -> None:
    def play(connection: Connection) -> Comparison:
        connection.exec_driver_sql("DROP INDEX uq_apuntes_unidad_orden")
        connection.exec_driver_sql(
            "create unique index if not exists uq_apuntes_unidad_orden\non apuntes(unidad_id,orden) "
            "where deleted_at is null"
        )
        return compare(connection)

    async with database.session(writes=True) as session:
        found = await (await session.connection()).run_sync(play)
    assert found == Comparison([], [])


async def test_a_database_that_was_dumped_and_restored_is_the_same(database: Database) -> None:
    """PostgreSQL writes a check out, reads it from a dump, and writes it out in other words then."""

    def play(connection: Connection) -> Comparison:
        before = snapshot.read(connection)
        for thing, told in before.items():
            if thing.kind == "check":
                connection.exec_driver_sql(
                    f"ALTER TABLE {thing.table} DROP CONSTRAINT {thing.name}, ADD CONSTRAINT {thing.name} {told}"
                )
            if thing.kind == "index" and "WHERE" in told:
                connection.exec_driver_sql(f"DROP INDEX {thing.name}")
                connection.exec_driver_sql(told)
        assert snapshot.read(connection) != before
        return compare(connection)

    if database.is_sqlite:
        return  # whose copy is the same file
    async with database.session(writes=True) as session:
        found = await (await session.connection()).run_sync(play)
    assert found == Comparison([], [])


async def test_what_the_models_have_and_no_revision_makes_is_this_version_s_fault(database: Database) -> None:
    """The audit's finding: the model had `deleted_at`, the migrations had not."""

    def play(connection: Connection) -> Comparison:
        both = needed(connection)
        forgotten = {thing: told for thing, told in both.revisions.items() if thing.name != "deleted_at"}
        live = {thing: told for thing, told in snapshot.read(connection).items() if thing.name != "deleted_at"}
        return weigh(live, Needed(forgotten, both.models), connection.dialect.name)

    async with database.session(writes=True) as session:
        found = await (await session.connection()).run_sync(play)
    assert [str(one.thing) for one in found.differences] == [
        f"column {table}.deleted_at" for table in ("apuntes", "archivos_adjuntos", "exercises", "unidades")
    ]
    assert {one.advice for one in found.differences} == {diff.NO_REVISION}


async def test_a_role_that_may_only_read_and_write_rows_can_compare_unless_temporary_tables_are_refused(
    database: Database,
) -> None:
    if database.is_sqlite:
        return  # which has no roles
    role = f"reader_{uuid4().hex[:12]}"

    def play(connection: Connection) -> None:
        name = connection.scalar(text("SELECT current_database()"))
        connection.exec_driver_sql(f"CREATE ROLE {role}")
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {role}")
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
        assert diff.compare(connection) == Comparison([], [])
        connection.exec_driver_sql("RESET ROLE")
        connection.exec_driver_sql(f"REVOKE TEMP ON DATABASE {name} FROM PUBLIC")
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
        with pytest.raises(CannotCompare, match=f"GRANT TEMP ON DATABASE {name} TO {role}; or compare as the owner"):
            diff.compare(connection)

    async with database.session(writes=True) as session:
        await (await session.connection()).run_sync(play)

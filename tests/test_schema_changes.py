"""What revisions use on busy tables, and what a downgrade refuses: by alembic, with revisions made for the purpose."""

import asyncio
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from conftest import POSTGRES
from cortez.core.migrations.operations import BATCH, LOCK_TIMEOUT, TRIES
from cortez.core.migrations.revisions import CHECKOUT
from inventory import inventory
from migrating import Changes, Stopped, apply, downgrade, look, printed, processes, upgrade, upgrade_at_once
from postgres import create_database

STRIDE = 3  # every third statement

pytestmark = pytest.mark.requirement("G1")

HEAD = """
import sqlalchemy as sa
from alembic import op
from cortez.core.migrations import operations

revision, down_revision = {name!r}, {below!r}
"""
TABLES = """
def upgrade() -> None:
    op.create_table("parents", sa.Column("id", sa.Uuid(), primary_key=True))
    op.create_table(
        "things",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("n", sa.Integer()),
        sa.Column("parent_id", sa.Uuid()),
        sa.CheckConstraint("n < 1000000", name="ck_things_n_small"),
    )
    op.create_index("idx_things_odd", "things", ["n"], sqlite_where=sa.text("n = 1"), postgresql_where=sa.text("n = 1"))
    if op.get_context().dialect.name == "sqlite":
        op.execute("CREATE TRIGGER trg_things AFTER DELETE ON things BEGIN SELECT 1; END")


def downgrade() -> None:
    op.drop_table("things")
    op.drop_table("parents")
"""
SEVERAL = """
def upgrade() -> None:
    for name in "abcdef":
        op.create_table(name, *(sa.Column(one, sa.Integer()) for one in ("n", "empty", "kept")))
"""
DROPPING = """
def upgrade() -> None:
    pass


def downgrade() -> None:
    op.drop_table("a")
    op.drop_column("b", "n")
    with op.batch_alter_table("c") as c:
        c.drop_column("n")
    op.execute("DROP TABLE IF EXISTS d")
    op.execute("ALTER TABLE e DROP COLUMN n")
    op.drop_column("b", "empty")
    op.drop_table("f")
"""
BRIEF = """
def upgrade() -> None:
    op.add_column("things", sa.Column("brief", sa.Integer()))


def downgrade() -> None:
    op.drop_column("things", "brief")
"""
# docs/migrations.md shows these.
CHANGES = """
def upgrade() -> None:
    operations.create_index("idx_things_n", "things", ["n", "id"])
    operations.add_check("things", "ck_things_n_positive", "n > 0")
    operations.add_foreign_key("fk_things_parent", "things", "parents", ["parent_id"], ["id"], "SET NULL")
    operations.add_required_column("things", sa.Column("twice", sa.Integer()), "2 * n", default="0")


def downgrade() -> None:
    with operations.altered("things") as things:
        things.drop_column("twice")
        things.drop_constraint("fk_things_parent", type_="foreignkey")
        things.drop_constraint("ck_things_n_positive", type_="check")
    operations.drop_index("idx_things_n", "things")
"""


def revision(folder: Path, name: str, below: str | None, body: str) -> None:
    (folder / f"{name}.py").write_text(HEAD.format(name=name, below=below) + body)


def fill(connection: Connection) -> None:
    """More rows than one batch of a backfill."""
    fresh = "lower(hex(randomblob(16)))" if connection.dialect.name == "sqlite" else "gen_random_uuid()"
    numbers = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 1200) SELECT n, {} FROM t"
    connection.execute(text(f"INSERT INTO things (n, id) {numbers.format(fresh)}"))


def rows(connection: Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text("SELECT n, twice FROM things ORDER BY n"))]


def run(sql: str) -> Callable[[Connection], None]:
    def execute(connection: Connection) -> None:
        connection.execute(text(sql))

    return execute


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    revision(tmp_path, "one", None, TABLES)
    revision(tmp_path, "two", "one", CHANGES)
    return tmp_path


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, worker: str, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cortez.db"
    return asyncio.run(create_database(os.environ[POSTGRES], f"changes_{worker}"))


@pytest.fixture
def postgresql(worker: str) -> str:
    return asyncio.run(create_database(os.environ[POSTGRES], f"changes_{worker}"))


def test_changes_of_a_table_with_rows_hold_and_can_be_taken_back(url: str, versions: Path) -> None:
    upgrade(url, "one", versions)
    look(url, fill)
    before = look(url, inventory)
    upgrade(url, "two", versions)
    after = look(url, inventory)
    assert look(url, rows) == [(n, 2 * n) for n in range(1, 1201)]
    look(url, run("INSERT INTO things (id, n) VALUES ('00000000-0000-0000-0000-00000000000a', 2000)"))
    assert look(url, rows)[-1] == (2000, 0)
    assert not [line for line in after if "INVALID" in line or "NOT VALID" in line or "_present" in line]
    assert {line for line in before if "twice" not in line} <= after
    for wrong in ("n = 0", "twice = NULL", "parent_id = id"):
        if "parent" in wrong and url.startswith("sqlite"):
            continue  # checked when it commits
        with pytest.raises(DBAPIError):
            look(url, run(f"UPDATE things SET {wrong}"))
    downgrade(url, "one", versions, lose_data=True)
    assert look(url, inventory) == before


@pytest.mark.requirement("G4")
def test_a_run_that_stops_on_its_way_is_finished_by_the_next(url: str, versions: Path) -> None:
    upgrade(url, "one", versions)
    look(url, fill)
    for place in count(1, STRIDE):
        try:
            with Changes(place):
                upgrade(url, "two", versions)
            break
        except Stopped:
            stopped = place
    assert stopped > 8
    assert look(url, rows) == [(n, 2 * n) for n in range(1, 1201)]
    stairs = look(url, inventory)
    downgrade(url, "base", versions, lose_data=True)
    upgrade(url, "two", versions)
    assert look(url, inventory) == stairs


def test_what_is_printed_makes_the_same_schema(postgresql: str, versions: Path) -> None:
    upgrade(postgresql, "two", versions)
    online = look(postgresql, inventory)
    downgrade(postgresql, "one", versions)
    look(postgresql, fill)
    apply(postgresql, printed(postgresql, "upgrade", "one:two", versions))
    assert look(postgresql, inventory) == online
    assert look(postgresql, rows) == [(n, 2 * n) for n in range(1, 1201)]


def test_an_index_that_a_killed_run_left_invalid_is_made_anew(postgresql: str, versions: Path) -> None:
    upgrade(postgresql, "one", versions)
    look(postgresql, fill)
    look(postgresql, fill)
    with pytest.raises(asyncpg.UniqueViolationError):
        asyncio.run(execute(postgresql, "CREATE UNIQUE INDEX CONCURRENTLY idx_things_n ON things (n)"))
    assert [line for line in look(postgresql, inventory) if "idx_things_n" in line and "INVALID" in line]
    upgrade(postgresql, "two", versions)
    made = "idx_things_n ON things USING btree (n, id)"
    assert [line for line in look(postgresql, inventory) if line.endswith(made)]


async def execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


HERE = "SELECT count(*) FROM pg_sleep(0.01), pg_stat_activity WHERE datname = current_database() AND "
WAITING, CLIENTS = HERE + "wait_event_type = 'Lock'", HERE + "backend_type = 'client backend'"


async def until(connection: asyncpg.Connection, query: str, wanted: int) -> None:
    while await connection.fetchval(query) != wanted:
        pass


@pytest.mark.requirement("G4")
def test_deployers_who_wait_do_not_stop_an_index_made_concurrently(postgresql: str, versions: Path) -> None:
    """It waits for every transaction that began before it, and so it would for theirs."""
    upgrade(postgresql, "one", versions)
    start = processes.Barrier(2)
    deployers = [processes.Process(target=upgrade_at_once, args=(postgresql, start, versions)) for _ in range(2)]

    async def play() -> None:
        reader, watcher = await asyncpg.connect(postgresql), await asyncpg.connect(postgresql)
        transaction = reader.transaction()
        await transaction.start()
        await reader.execute("INSERT INTO things VALUES (gen_random_uuid(), 1)")
        for deployer in deployers:
            deployer.start()
        await until(watcher, WAITING, 1)
        await until(watcher, CLIENTS, 4)
        await transaction.commit()
        await reader.close()
        await watcher.close()

    asyncio.run(asyncio.wait_for(play(), 30))
    for deployer in deployers:
        deployer.join(30)
    assert [deployer.exitcode for deployer in deployers] == [0, 0]
    assert not [line for line in look(postgresql, inventory) if "INVALID" in line]


@pytest.mark.requirement("G4")
def test_a_lock_that_is_not_free_is_asked_for_again(postgresql: str, versions: Path) -> None:
    revision(versions, "three", "two", BRIEF)
    upgrade(postgresql, "two", versions)

    async def play() -> None:
        reader, watcher = await asyncpg.connect(postgresql), await asyncpg.connect(postgresql)
        transaction = reader.transaction()
        await transaction.start()
        await reader.execute("SELECT * FROM things")
        upgrading = asyncio.create_task(asyncio.to_thread(upgrade, postgresql, "three", versions))
        for waiting in (1, 0, 1, 0):
            await until(watcher, WAITING, waiting)
        await transaction.rollback()
        await upgrading
        await reader.close()
        await watcher.close()

    asyncio.run(asyncio.wait_for(play(), 30))
    assert [line for line in look(postgresql, inventory) if line.startswith("column things.brief: ")]


def test_a_downgrade_that_would_lose_data_is_refused_unless_it_is_told(url: str, tmp_path: Path) -> None:
    revision(tmp_path, "one", None, SEVERAL)
    revision(tmp_path, "two", "one", DROPPING)
    upgrade(url, "two", tmp_path)
    for table in "abcde":
        look(url, run(f"INSERT INTO {table} (n) VALUES (1)"))
    before = look(url, inventory)
    with pytest.raises(CommandError, match=r"would lose what is in a, b\.n, c\.n, d, e\.n\. .* -x lose-data=yes"):
        downgrade(url, "one", tmp_path)
    assert look(url, inventory) == before
    downgrade(url, "one", tmp_path, lose_data=True)
    assert len(look(url, inventory)) < len(before)


def test_a_downgrade_of_what_is_empty_needs_no_telling(url: str, versions: Path) -> None:
    upgrade(url, "two", versions)
    downgrade(url, "base", versions)
    assert look(url, inventory) == frozenset()


def test_the_documentation_shows_the_revision_that_is_tested() -> None:
    page = (CHECKOUT / "docs" / "migrations.md").read_text()
    assert f"```python\n{CHANGES.strip()}\n```" in page
    assert f"waits {LOCK_TIMEOUT.removesuffix('ms')} ms" in page
    assert f"{TRIES} times" in page
    assert f"{BATCH} rows at a time" in page

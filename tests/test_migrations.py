"""Migrations, as commands and from a wheel."""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import Connection, MetaData, Table, text

from conftest import POSTGRES
from cortez.clock import utc_now
from cortez.commands.cli import cli
from cortez.core.migrations import runner
from cortez.core.migrations.revisions import CHECKOUT
from cortez.core.migrations.revisions import revisions as known
from cortez.core.migrations.runner import location
from cortez.settings import Settings
from inventory import inventory
from migrating import apply, downgrade, look, printed, revisions, upgrade
from postgres import create_database
from serving import serving


@pytest.mark.requirement("G1")
def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(location()).get_heads()) == 1


@pytest.mark.requirement("G1")
def test_the_revisions_that_readiness_knows_are_those_of_alembic() -> None:
    found = revisions()
    assert (known().head, known().known) == (found[-1], frozenset(found))


@pytest.mark.parametrize(
    ("module", "spared"), [("cortez.commands.cli", "sqlalchemy"), ("cortez.server.worker", "alembic")]
)
def test_a_start_does_not_load_what_it_does_not_need(module: str, spared: str) -> None:
    asked = f"import sys, {module}; print([name for name in sys.modules if name.startswith({spared!r})])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked as pip would, outside the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(CHECKOUT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    target = folder / "site"
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(target)
    return target


@pytest.mark.requirement("G1")
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_the_wheel_alone_migrates_and_serves(installed: Path, tmp_path: Path, backend: str, worker: str) -> None:
    url = f"sqlite:///{tmp_path}/cortez.db"
    if backend == "postgresql":
        url = asyncio.run(create_database(os.environ[POSTGRES], f"wheel_{worker}"))
    own = {"DATABASE_URL": url, "PYTHONPATH": str(installed)}
    environment = {**os.environ, **own}

    where = [sys.executable, "-c", "import cortez; print(cortez.__file__)"]
    shown = subprocess.run(where, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert str(installed) in shown.stdout
    for name in ("migrate", "doctor"):
        call = [sys.executable, "-m", "cortez", name]
        done = subprocess.run(call, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    with serving(tmp_path, own) as server:
        assert httpx.get(f"{server.address}/").status_code == 200


@pytest.fixture
def bare(worker: str) -> str:
    """An empty PostgreSQL."""
    return asyncio.run(create_database(os.environ[POSTGRES], f"migrations_{worker}"))


@pytest.mark.requirement("G1")
def test_the_printed_sql_makes_the_same_schema(bare: str, worker: str) -> None:
    online = asyncio.run(create_database(os.environ[POSTGRES], f"online_{worker}"))
    upgrade(online)
    apply(bare, printed(bare, "upgrade", "head"))
    assert look(bare, inventory) == look(online, inventory)
    assert look(bare, version) == look(online, version)


@pytest.mark.requirement("G1")
def test_the_printed_sql_makes_the_same_schema_on_sqlite(tmp_path: Path) -> None:
    one, two = (f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two"))
    upgrade(one)
    with closing(sqlite3.connect(tmp_path / "two.db")) as connection:
        connection.executescript(printed(two, "upgrade", "0003"))
        connection.executescript(printed(two, "upgrade", "0003:head"))
        made = look(two, inventory)
        assert made == look(one, inventory)
        assert look(two, version) == look(one, version)
        connection.executescript(printed(two, "downgrade", "head:base"))
        assert look(two, inventory) == frozenset()


def version(connection: Connection) -> list[str]:
    return list(connection.scalars(text("SELECT version_num FROM alembic_version")))


@pytest.mark.requirement("G1")
def test_cortez_migrate_prints_the_sql_too(tmp_path: Path) -> None:
    said = CliRunner().invoke(cli, ["migrate", "--sql"], env={"DATABASE_URL": f"sqlite:///{tmp_path}/cortez.db"})
    assert said.exit_code == 0
    assert "CREATE TABLE sessions" in said.output
    assert "up to date" not in said.output


NAMED = """
    SELECT relname, conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid WHERE contype <> 'n' AND {0}
    UNION SELECT tablename, indexname FROM pg_indexes WHERE schemaname = current_schema()
    UNION SELECT relname, 'trigger' FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE NOT tgisinternal AND {0}
""".format("relnamespace = current_schema()::regnamespace")
STORED = "SELECT tbl_name, type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"


@pytest.mark.requirement("G1")
def test_a_table_that_sqlite_makes_anew_keeps_all_that_it_had(bare: str, tmp_path: Path) -> None:
    """PostgreSQL makes none anew: each revision leaves the same checks, keys, indexes and triggered tables on both."""
    embedded = f"sqlite:///{tmp_path}/cortez.db"
    for revision in revisions():
        upgrade(embedded, revision)
        upgrade(bare, revision)
        assert look(embedded, stored) == look(bare, named)


def named(connection: Connection) -> set[tuple[str, str]]:
    """Table and name of each constraint and index, and which tables have triggers: those differ in number."""
    return {(table, name) for table, name in connection.execute(text(NAMED)) if table != "alembic_version"}


def stored(connection: Connection) -> set[tuple[str, str]]:
    found = set[tuple[str, str]]()
    for table, kind, name, sql in connection.execute(text(STORED)):
        own = {"index": [name], "trigger": ["trigger"]}
        found |= {(table, one) for one in own.get(kind) or re.findall(r"CONSTRAINT (\w+)", sql)}
    return {(table, name) for table, name in found if table != "alembic_version"}


@pytest.mark.requirement("G1")
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_what_revisions_work_out_of_older_rows(bare: str, tmp_path: Path, backend: str) -> None:
    """0014: the authors of a subject's units look after it; the erased are former students. 0015: a plan's course."""
    url = bare if backend == "postgresql" else f"sqlite:///{tmp_path}/old.db"
    upgrade(url, "0013")
    author, other = UUID(int=1), UUID(int=2)
    look(url, lambda connection: fill(connection, author, other))
    upgrade(url)
    found = look(url, worked_out)
    assert found["teachers"] == [("PROG2", author.hex)]
    assert found["former"] == [(b"first", None), (b"second", None)]
    assert found["plans"] == [("in a course", "c"), ("in none", None), ("nowhere", None)]
    assert found["events"] == ["insert"] * 3  # those of the rows themselves: a revision changes no history


EMPTY: dict[type[Any], Any] = {str: "", int: 1, float: 0.0, bool: True, object: []}  # object: a column of JSON


def adding(connection: Connection) -> Callable[..., None]:
    """What adds a row to a table as it is, each a second later than the one before."""
    tables, number = MetaData(), count(100)

    def add(kind: str, /, **values: Any) -> None:
        place = next(number)
        now = utc_now() + timedelta(seconds=place)
        table = Table(kind, tables, autoload_with=connection)
        is_hex = connection.dialect.name == "sqlite"
        given = {"id": UUID(int=place), "created_at": now, "updated_at": now} | values
        needed = [one for one in table.columns if not (one.nullable or one.server_default is not None)]
        given = {one.name: EMPTY[one.type.python_type] for one in needed if one.name not in given} | given
        fitting = {key: value.hex if is_hex and isinstance(value, UUID) else value for key, value in given.items()}
        connection.execute(table.insert().values(fitting))

    return add


def fill(connection: Connection, author: UUID, other: UUID) -> None:
    """Rows as version 0013 had them."""
    add, now = adding(connection), utc_now()
    person = {"hashed_password": "!", "roles": ["teacher"]}
    for id_, name in ((author, "ana"), (other, "eva")):
        add("users", id=id_, email=f"{name}@example.edu", username=name, **person)
    for code in ("PROG2", "ALONE"):
        add("subjects", code=code, name=code, language="python")
    for place, by in enumerate((author, author)):
        add("unidades", materia_code="PROG2", titulo="x", numero=place + 1, orden=place + 1, created_by=str(by))
    add("courses", course_id="c", title="x")
    places: dict[str, str | None] = {"there": "c", "loose": None}
    for activity_id, course_id in places.items():
        add("activities", activity_id=activity_id, title="x", instructions="x", course_id=course_id, status="active")
    dates = {"start_date": now, "target_completion_date": now}
    plan = {"student_id": "s", "plan_type": "tutoring", "status": "pending"} | dates
    about: dict[str, str | None] = {"in a course": "there", "in none": "loose", "nowhere": None}
    for description, place_of in about.items():
        add("remediation_plans", description=description, activity_id=place_of, **plan)
    for digest in (b"first", b"first", b"second"):
        add("erasures", actor_id=other, student_digest=digest, tables={})


def worked_out(connection: Connection) -> dict[str, list[Any]]:
    def rows(sql: str) -> list[Any]:
        return [tuple(row) for row in connection.execute(text(sql))]

    teachers = rows("SELECT subject_code, user_id FROM subject_teachers")
    return {
        "teachers": [(code, UUID(str(user_id)).hex) for code, user_id in teachers],
        "former": [(bytes(one), key) for one, key in rows("SELECT digest, key_id FROM former_students ORDER BY 1")],
        "plans": rows("SELECT description, course_id FROM remediation_plans ORDER BY 1"),
        "events": [one for (one,) in rows("SELECT operation FROM audit_log WHERE table_name = 'remediation_plans'")],
    }


ACCOUNTS = (
    ("Kim", "kim@example.edu"),
    ("kim", "KIM@example.edu"),
    ("KIM", "kim.lee@example.edu"),
    ("eva", "eva@example.edu"),
    ("Ñandú", "ñandú@example.edu"),
)
REPORT = r"The (\w+) of account [\w-]+ differs from that of the older account [\w-]+ in case alone"


@pytest.mark.requirement("G1")
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
@pytest.mark.parametrize("is_printed", [False, True])
def test_names_that_differ_in_case_neither_stop_0017_nor_lose_an_account(
    bare: str, tmp_path: Path, backend: str, is_printed: bool
) -> None:
    """The oldest has the key. Names beyond ASCII are left to the service, as the databases fold them differently."""
    url = bare if backend == "postgresql" else f"sqlite:///{tmp_path}/old.db"
    upgrade(url, "0016")
    look(url, add_accounts)
    before, said = look(url, accounts), list[str]()
    if not is_printed:
        runner.upgrade(Settings(database_url=url), say=said.append)
    elif backend == "postgresql":
        apply(url, printed(url, "upgrade", "0016:0017"))
    else:
        with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
            connection.executescript(printed(url, "upgrade", "0016:0017"))
    assert look(url, keys) == [
        ("Kim", "kim", "kim@example.edu"),
        ("kim", None, None),
        ("KIM", None, "kim.lee@example.edu"),
        ("eva", "eva", "eva@example.edu"),
        ("Ñandú", None, None),
    ]
    assert sorted(re.findall(REPORT, "\n".join(said))) == ([] if is_printed else ["email", "username", "username"])
    assert "example.edu" not in "".join(said)  # where migrations run, others may read along
    assert look(url, accounts) == before
    if backend == "postgresql":  # what a run has left that was killed in the end; SQLite has one transaction
        found = look(url, keys)
        look(url, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '0016'")))
        upgrade(url)
        assert look(url, keys) == found
    downgrade(url, "0016", lose_data=True)
    assert look(url, accounts) == before
    upgrade(url)
    look(url, add_by_older_code)


def add_accounts(connection: Connection) -> None:
    add = adding(connection)
    for username, email in ACCOUNTS:
        add("users", username=username, email=email, hashed_password="!", roles=["student"])


def add_by_older_code(connection: Connection) -> None:
    """What does not know of keys may still make and rename accounts, alike or not."""
    add = adding(connection)
    add("users", id=UUID(int=7), username="EVA", email="Eva@example.edu", hashed_password="!", roles=["student"])
    connection.execute(text("UPDATE users SET username = 'eVA' WHERE username = 'Kim'"))


def accounts(connection: Connection) -> set[Any]:
    """All that version 0016 knows of them, and what is in the audit log."""
    users = connection.execute(text("SELECT id, username, email, created_at, updated_at FROM users"))
    entries = connection.execute(text("SELECT position, operation FROM audit_log"))
    return {tuple(map(str, row)) for row in (*users, *entries)}


def keys(connection: Connection) -> list[Any]:
    rows = connection.execute(text("SELECT username, username_key, email_key FROM users ORDER BY created_at"))
    return [tuple(row) for row in rows]

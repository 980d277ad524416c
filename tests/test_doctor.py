"""`cortez migrate`, `cortez doctor` and readiness: what each says of a database that is not as it should be."""

import asyncio
import os
import re
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from alembic import command
from alembic.config import main as alembic
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, inspect, text

from conftest import POSTGRES
from cortez.clock import utc_now
from cortez.commands.cli import cli
from cortez.content.models import Subject
from cortez.content.storage import Storage
from cortez.core.db import diagnostics
from cortez.core.db.engine import Database
from cortez.core.migrations import runner
from cortez.core.migrations.revisions import CHECKOUT, revision_of, revisions
from cortez.ops.doctor import BAD, GOOD, glance, of_clocks, of_sqlite
from cortez.ops.readiness import condition_of, hindrances_of
from cortez.settings import Settings
from factory import Make
from postgres import create_database
from running import SECRET, settings_for

pytestmark = pytest.mark.requirement("G5")

READY = "http://test/health/ready"
AHEAD = (
    "The database is at revision 9999, which this version does not know: a newer version has migrated it. "
    "Deploy that version."
)


@pytest.fixture
async def fresh(settings: Settings, worker: str, tmp_path: Path) -> Settings:
    """Of a database without any schema."""
    url = f"sqlite:///{tmp_path / 'cortez.db'}"
    if settings.url.get_backend_name() == "postgresql":
        url = await create_database(os.environ[POSTGRES], f"fresh_{worker}")
    return settings_for(url, files=str(tmp_path / "files"), db_lock_timeout=0.2)


@pytest.fixture
def nowhere(tmp_path: Path) -> Settings:
    """Without a database, for what needs none."""
    return settings_for(f"sqlite:///{tmp_path}/none.db", files=str(tmp_path / "files"))


def environment(settings: Settings, **more: str) -> Mapping[str, str]:
    return {
        "DATABASE_URL": settings.database_url,
        "CORTEZ_SECRET_KEY": SECRET,
        "CORTEZ_FILES": settings.files,
        "DB_LOCK_TIMEOUT": str(settings.db_lock_timeout),
        **more,
    }


async def run(settings: Settings, *arguments: str, **more: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=environment(settings, **more))


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Database]:
    made = Database(settings)
    yield made
    await made.close()


async def execute(settings: Settings, *statements: str) -> None:
    async with opened(settings) as database, database.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


@pytest.fixture
async def ahead(settings: Settings, database: Database) -> AsyncGenerator[Settings]:
    """A database that a newer version has migrated."""
    head = revisions().head
    await execute(settings, "UPDATE alembic_version SET version_num = '9999'")
    yield settings
    await execute(settings, f"UPDATE alembic_version SET version_num = '{head}'")


async def test_migrate_tells_each_revision_once_and_check_says_whether_all_is_there(fresh: Settings) -> None:
    before = await run(fresh, "migrate", "--check")
    assert before.exit_code == 1
    assert "Run: cortez migrate" in before.output
    done = await run(fresh, "migrate")
    assert done.exit_code == 0, done.output
    *applied, end = done.output.splitlines()
    assert [line.partition(" ")[0] for line in applied] == sorted(revisions().known)
    assert all(re.fullmatch(r"\w+ .*  \d+\.\d s", line) for line in applied)
    assert re.fullmatch(r"The schema of .* is up to date\.", end)
    again = await run(fresh, "migrate")
    assert (again.exit_code, again.output) == (0, end + "\n")
    check = await run(fresh, "migrate", "--check")
    assert check.exit_code == 0
    assert check.output.startswith(f"✓ schema: at revision {revisions().head}")

    await execute(fresh, "DROP INDEX idx_report_course", "CREATE INDEX mine ON users (full_name)")
    for words in (("migrate", "--check"), ("doctor",)):
        found = await run(fresh, *words)
        assert found.exit_code == 1
        assert "✗ schema: index idx_report_course on course_reports is missing. Run: CREATE INDEX" in found.output
        assert "· schema: index mine on users is not of this version; it does no harm." in found.output
        assert found.output.count("✗") == 1
    await execute(fresh, "CREATE INDEX idx_report_course ON course_reports (course_id, created_at, id)")
    assert (await run(fresh, "migrate", "--check")).exit_code == 0


async def test_a_migration_that_fails_leaves_whole_revisions_and_on_sqlite_none(fresh: Settings) -> None:
    await execute(fresh, "CREATE TABLE erasures (mine integer)")
    failed = await run(fresh, "migrate")
    assert failed.exit_code == 1
    *applied, line = failed.output.splitlines()
    assert line.startswith("Error: ")
    assert "erasures" in line
    async with opened(fresh) as database, database.engine.connect() as connection:
        kept = await connection.run_sync(revision_of)
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    if database.is_sqlite:
        assert (applied, kept, tables) == ([], None, ["erasures"])
    else:
        assert (applied[-1][:5], kept) == ("0007 ", "0007")


async def test_a_lock_that_is_not_given_is_one_line_and_changes_nothing(
    fresh: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortez.core.migrations.operations.TRIES", 2)
    monkeypatch.setattr("cortez.core.migrations.operations.EMBEDDED_PATIENCE", 0.2)
    await asyncio.to_thread(command.upgrade, runner.configuration(fresh), "0008")
    async with opened(fresh) as database, database.session(writes=True) as session:
        lock = "SELECT 1" if database.is_sqlite else "LOCK TABLE api_keys IN ACCESS SHARE MODE"
        await session.execute(text(lock))
        refused = await run(fresh, "migrate")
    assert refused.exit_code == 1
    said = "holds a lock that was not given in time" if fresh.url.get_backend_name() == "sqlite" else "was not free"
    assert [line for line in refused.output.splitlines() if said in line] == refused.output.splitlines()[-1:]
    assert "Traceback" not in refused.output
    assert "is at revision 0008, this version needs" in (await run(fresh, "doctor")).output
    assert (await run(fresh, "migrate")).exit_code == 0


async def test_an_older_version_does_not_migrate_and_still_serves(ahead: Settings, client: httpx.AsyncClient) -> None:
    refused = await run(ahead, "migrate")
    assert (refused.exit_code, refused.output) == (1, f"Error: {AHEAD}\n")
    check = await run(ahead, "migrate", "--check")
    assert (check.exit_code, check.output) == (1, f"! schema: {AHEAD}\n")
    doctor = await run(ahead, "doctor")
    assert doctor.exit_code == 0, doctor.output
    assert f"! schema: {AHEAD}" in doctor.output
    ready = await client.get(READY)
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "reasons": [f"{AHEAD}"]})


async def test_a_newer_schema_that_no_longer_fits_is_not_served(ahead: Settings, client: httpx.AsyncClient) -> None:
    await execute(ahead, "ALTER TABLE erasures RENAME COLUMN tables TO counts")
    ready = await client.get(READY)
    doctor = await run(ahead, "doctor")
    await execute(ahead, "ALTER TABLE erasures RENAME COLUMN counts TO tables")
    assert ready.status_code == 503
    assert ready.json()["reasons"] == [f"{AHEAD} It has no erasures.tables any more."]
    assert doctor.exit_code == 1
    assert f"✗ schema: {AHEAD} It has no erasures.tables any more." in doctor.output


async def test_a_newer_schema_may_add_what_need_not_be_written(database: Database) -> None:
    for type_, said in {
        "varchar(5)": [],
        "varchar(5) DEFAULT 'x' NOT NULL": [],
        "varchar(5) NOT NULL": ["It wants erasures.more, which this version does not write."],
    }.items():
        async with database.session(writes=True) as session:
            await session.execute(text(f"ALTER TABLE erasures ADD COLUMN more {type_}"))
            assert await (await session.connection()).run_sync(hindrances_of) == said


async def test_a_schema_that_is_behind_is_not_served(settings: Settings, client: httpx.AsyncClient) -> None:
    head = revisions().head
    await execute(settings, "UPDATE alembic_version SET version_num = '0005'")
    ready = await client.get(READY)
    await execute(settings, f"UPDATE alembic_version SET version_num = '{head}'")
    said = f"The schema is at revision 0005, this version needs {head}. Run: cortez migrate"
    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "reasons": [said]})


async def test_alembic_s_own_command_says_the_same(
    ahead: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(ahead).items():
        monkeypatch.setenv(name, value)
    argv = ["--config", str(CHECKOUT / "alembic.ini"), "upgrade", "head"]
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(alembic, argv)
    assert ended.value.code not in (0, None)
    assert f"FAILED: {AHEAD}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("migrate",), ("migrate", "--check"), ("doctor",)], ids=" ".join)
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://cortez:hidden@127.0.0.1:1/cortez", "cannot be reached (Connection refused). Check that the"),
        ("{server}/nowhere", "is not on that server. Make it with CREATE DATABASE"),
        ("sqlite:///{folder}/file/cortez.db", "/file/cortez.db"),
        ("sqlite:///{folder}/file", "/file is damaged. Restore the latest backup."),
    ],
)
async def test_a_database_that_is_not_there_is_one_line(
    address: str, said: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    server = os.environ[POSTGRES].rpartition("/")[0]
    (tmp_path / "file").write_text("This is no database, and no folder either.")
    settings = settings_for(address.format(server=server, folder=tmp_path), files=str(tmp_path))
    done = await run(settings, *words)
    assert done.exit_code == 1
    wrong = [line for line in done.output.splitlines() if not line.startswith(GOOD)]
    assert len(wrong) == 1
    assert said in wrong[0]
    assert "hidden" not in done.output


@pytest.mark.parametrize(
    "address",
    ["postgresql://cortez:hidden@127.0.0.1:1/cortez", "{server}/nowhere", "sqlite:///{folder}/file"],
)
async def test_readiness_and_a_start_say_the_same_and_only_the_start_says_where(address: str, tmp_path: Path) -> None:
    server = os.environ[POSTGRES].rpartition("/")[0]
    (tmp_path / "file").write_text("This is no database.")
    settings = settings_for(address.format(server=server, folder=tmp_path), files=str(tmp_path))
    async with opened(settings) as database:
        (reason,) = (await condition_of(database)).shortcomings
    (finding,) = await glance(settings)
    assert str(finding) == f"✗ database: {diagnostics.name_of(settings.url)} {reason.removeprefix('The database ')}"


async def test_a_start_looks_at_the_server_and_the_revision_as_doctor_does(
    settings: Settings, ahead: Settings, client: httpx.AsyncClient
) -> None:
    found = [str(one) for one in await glance(ahead)]
    assert f"! schema: {AHEAD}" in found
    assert found == [line for line in (await run(ahead, "doctor")).output.splitlines() if line[0] in "!✗"]
    await execute(settings, "DELETE FROM alembic_version")
    (reason,) = (await client.get(READY)).json()["reasons"]
    await execute(settings, "INSERT INTO alembic_version VALUES ('9999')")
    assert reason == f"There is no schema yet, this version needs {revisions().head}. Run: cortez migrate"


async def test_doctor_misses_files_that_rows_name(settings: Settings, make: Make) -> None:
    await make.add(Subject(code="S", name="A subject", language="python"))
    teacher = await make.teacher()
    unit = (await teacher.post("/subjects/S/unidades", json={"numero": 1, "titulo": "Loops"})).json()
    sent = await teacher.post(f"/unidades/{unit['id']}/archivos", files={"file": ("notes.txt", b"Loops.")})
    assert sent.status_code == 201
    assert f"✓ files: all 1 are in {settings.files}" in (await run(settings, "doctor")).output
    kept = Storage(settings.files).place(sent.json()["checksum_sha256"])
    kept.unlink()
    wrong = await run(settings, "doctor")
    assert f"✗ files: 1 of 1 are not in {settings.files}, such as {kept.parent.name}/{kept.name}." in wrong.output
    assert wrong.exit_code == 1


class Distrust(ssl.SSLCertVerificationError):
    reason = "CERTIFICATE_VERIFY_FAILED"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (asyncpg.InvalidPasswordError("password authentication failed"), "refused the password. Check the user"),
        (asyncpg.InvalidAuthorizationSpecificationError("no pg_hba.conf entry"), "pg_hba.conf"),
        (asyncpg.TooManyConnectionsError("sorry"), "raise max_connections"),
        (TimeoutError(), "no answer in time"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 5432, 0, 0)"), "(Connection refused)"),
        (Distrust(1, "it is self-signed"), "(certificate verify failed)"),
        (ValueError("ours"), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_keeps_us_from_the_server_is_told_apart(error: Exception, said: str | None) -> None:
    line = diagnostics.told(error, settings_for("postgresql://cortez:hidden@db/cortez").url)
    assert line is None or "hidden" not in line
    assert line == said or (said and said in str(line))


async def test_behind_pgbouncer_the_role_must_bring_the_timeouts(fresh: Settings) -> None:
    await asyncio.to_thread(runner.upgrade, fresh)
    if fresh.url.get_backend_name() == "sqlite":
        return
    pooled = {"DB_PGBOUNCER": "1", "DATABASE_DIRECT_URL": fresh.database_url}
    without = await run(fresh, "doctor", **pooled)
    assert without.exit_code == 1
    assert "✗ timeouts: there is no lock_timeout. Run: ALTER ROLE " in without.output
    assert without.output.count("✗") == 3
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    role, name = fresh.url.username, fresh.url.database
    await execute(fresh, *[f"ALTER ROLE {role} IN DATABASE {name} SET {one} = '7s'" for one in names])
    with_them = await run(fresh, "doctor", **pooled)
    assert with_them.exit_code == 0, with_them.output
    assert "✓ timeouts: statement_timeout 7s, lock_timeout 7s" in with_them.output


async def test_doctor_asks_for_a_way_around_pgbouncer(nowhere: Settings) -> None:
    assert "✗ settings: migrations need the server itself" in (await run(nowhere, "doctor", DB_PGBOUNCER="1")).output


async def test_doctor_says_where_the_server_may_lose_what_was_stored(settings: Settings, database: Database) -> None:
    said = (await run(settings, "doctor")).output
    assert f"✓ database: {'SQLite' if database.is_sqlite else 'PostgreSQL'} " in said
    if not database.is_sqlite:
        async with database.engine.connect() as connection:
            fsync = await connection.scalar(text("SHOW fsync"))
        assert ("! database: fsync is off: a crash may damage the database" in said) == (fsync == "off")


async def test_doctor_tries_the_folder_of_files(nowhere: Settings, tmp_path: Path) -> None:
    there = tmp_path / "files"
    good = await run(nowhere, "doctor", CORTEZ_FILES=str(there))
    assert f"✓ storage: {there} has " in good.output
    assert not there.exists()
    there.write_text("no folder")
    wrong = await run(nowhere, "doctor", CORTEZ_FILES=str(there))
    assert wrong.exit_code == 1
    assert f"✗ storage: {there} cannot be written (Not a directory)" in wrong.output
    full = await run(nowhere, "doctor", CORTEZ_FILES=str(tmp_path), CORTEZ_MAX_UPLOAD=str(10**18))
    assert "less than one upload may have" in full.output


async def test_doctor_looks_who_may_read_the_development_key(
    nowhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "✓ secrets: for development only" in (await run(nowhere, "doctor", CORTEZ_SECRET_KEY="")).output
    (tmp_path / "var" / "secret.key").chmod(0o644)
    assert "✗ secrets: others may read var/secret.key (044)" in (await run(nowhere, "doctor")).output


async def test_doctor_looks_who_may_read_what_is_kept(nowhere: Settings, tmp_path: Path) -> None:
    """By umask 022 every account of the machine read the database, with all hashes of passwords, and the uploads."""
    assert (await run(nowhere, "migrate")).exit_code == 0
    database, files = nowhere.url.database, tmp_path / "files"
    kept = tmp_path / str(database)
    assert kept.stat().st_mode & 0o777 == 0o600
    files.mkdir(0o700)
    assert "others may" not in (await run(nowhere, "doctor", CORTEZ_FILES=str(files))).output
    kept.chmod(0o644)
    files.chmod(0o755)
    output = (await run(nowhere, "doctor", CORTEZ_FILES=str(files))).output
    assert f"! database: others may read {database} (044). Run: chmod -R go= {database}" in output
    assert f"! storage: others may read {files} (055)" in output


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("::", True), ("127.0.0.1", False), ("::1", False)])  # noqa: S104
async def test_doctor_says_what_development_opens(nowhere: Settings, host: str, warned: bool) -> None:
    for name, odd in (("development", warned), ("production", False)):
        output = (await run(nowhere, "doctor", CORTEZ_ENV=name, CORTEZ_HOST=host)).output
        assert (f"! settings: development on {host}: anybody may register; anybody may read /metrics" in output) is odd


async def test_doctor_says_no_more_than_development_opens(nowhere: Settings) -> None:
    closed = {"CORTEZ_REGISTRATION": "no", "CORTEZ_METRICS_TOKEN": "a token of theirs", "CORTEZ_HOST": "::"}
    output = (await run(nowhere, "doctor", **closed)).output
    assert "! settings: development on ::: the passwords of the demo course are known. Set CORTEZ_ENV" in output


def test_clocks_may_lie_a_little_apart() -> None:
    now = utc_now()
    assert of_clocks(now + timedelta(seconds=4), now).mark == GOOD
    wrong = of_clocks(now - timedelta(seconds=61), now)
    assert str(wrong) == "✗ clock: the server's and ours are 61.0 s apart. Let NTP set both"


def test_a_database_without_a_write_ahead_log_is_told() -> None:
    with create_engine("sqlite://").connect() as connection:
        found = list(of_sqlite(connection))
    assert [one.mark for one in found][:1] == [BAD]
    assert "keeps no write-ahead log here (memory)" in found[0].said

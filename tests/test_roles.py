"""Two roles, as docs/deploy sets them up: one owns the tables and migrates, the other serves and cannot change them."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from click.testing import CliRunner

from cortez.commands.cli import cli
from postgres import Cluster, binaries, cluster
from running import SECRET
from serving import serving

ROLES = Path(__file__).parents[1] / "docs" / "deploy" / "roles.sql"
OWNER, SERVICE = "cortez_owner", "cortez_service"
PASSWORDS = {"OWNER_PASSWORD": "of the owner", "SERVICE_PASSWORD": "of the service"}
REFUSED = (
    "ALTER TABLE users ADD COLUMN mine text",
    "DROP TABLE access_log",
    "CREATE TABLE mine (id int)",
    "TRUNCATE sessions",
    "ALTER TABLE sessions DISABLE TRIGGER ALL",
    "CREATE TRIGGER mine BEFORE UPDATE ON users EXECUTE FUNCTION cortez_append_only()",
    "INSERT INTO audit_log SELECT * FROM audit_log",
    "UPDATE audit_log SET operation = 'delete'",
    "DELETE FROM audit_log",
    "DELETE FROM audit_leaves",
    "UPDATE audit_seals SET number = 5",
    "UPDATE subject_keys SET alias = 'x'",
    "UPDATE alembic_version SET version_num = '0001'",
    "SELECT nextval('audit_log_position')",
    "SET session_replication_role = replica",
    "SET ROLE cortez_owner",
)


def url(server: Cluster, role: str, database: str = "cortez") -> str:
    return f"postgresql://{role}@127.0.0.1:{server.port}/{database}"


def cortez(folder: Path, address: str, *words: str) -> str:
    own = {"DATABASE_URL": address, "CORTEZ_SECRET_KEY": SECRET, "CORTEZ_FILES": f"{folder}/files"}
    done = CliRunner().invoke(cli, words, env=own)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With the roles as the image makes them at its first start, and migrated as compose does it."""
    folder = tmp_path_factory.mktemp("roles")
    with cluster(folder) as made:
        command = [str(binaries() / "psql"), "--no-psqlrc", "--dbname", made.url, "--file", str(ROLES)]
        subprocess.run(command, env=os.environ | PASSWORDS, check=True, capture_output=True)
        cortez(folder, url(made, OWNER), "migrate", "--grant-to", SERVICE)
        yield made


async def test_neither_is_a_superuser_and_each_has_its_password(server: Cluster) -> None:
    connection = await asyncpg.connect(server.url)
    found = await connection.fetch("SELECT * FROM pg_authid WHERE rolname LIKE 'cortez\\_%'")
    assert {row["rolname"] for row in found} == {OWNER, SERVICE}
    for row in found:
        assert not any(row[right] for right in ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication"))
        assert row["rolpassword"].startswith("SCRAM-SHA-256$")
    owners = await connection.fetch("SELECT pg_get_userbyid(datdba) AS name FROM pg_database WHERE datname = 'cortez'")
    assert [row["name"] for row in owners] == [OWNER]
    await connection.close()


async def test_the_serving_role_works_and_changes_neither_tables_nor_the_log(server: Cluster, tmp_path: Path) -> None:
    address = url(server, SERVICE)
    await asyncio.to_thread(cortez, tmp_path, address, "admin", "create", "ana@example.edu")
    environment = {"DATABASE_URL": address, "CORTEZ_SECRET_KEY": SECRET}
    account = {"email": "eva@example.edu", "username": "eva", "password": "correct horse battery"}
    with serving(tmp_path, environment) as running:
        async with httpx.AsyncClient(base_url=f"{running.address}/api/v1") as client:
            assert (await client.post("/auth/register", json=account)).status_code == 201
            login = {"login": "eva", "password": account["password"]}
            assert (await client.post("/auth/login", json=login)).status_code == 200
    connection = await asyncpg.connect(address)
    assert await connection.fetchval("SELECT count(*) FROM audit_log WHERE table_name = 'users'") == 2
    for statement in REFUSED:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()
    assert "✓ schema: at revision" in await asyncio.to_thread(cortez, tmp_path, address, "doctor")
    assert "0 wait" in await asyncio.to_thread(cortez, tmp_path, address, "audit", "verify")


async def test_the_serving_role_is_granted_what_later_revisions_make(server: Cluster, tmp_path: Path) -> None:
    owner, service = await asyncpg.connect(url(server, OWNER)), await asyncpg.connect(url(server, SERVICE))
    await owner.execute("CREATE TABLE later (id int)")
    await service.execute("INSERT INTO later VALUES (1)")
    await owner.execute(f"DROP TABLE later; REVOKE ALL ON users FROM {SERVICE}; GRANT INSERT ON audit_log TO {SERVICE}")
    await asyncio.to_thread(cortez, tmp_path, url(server, OWNER), "migrate", "--grant-to", SERVICE)
    await service.execute("SELECT * FROM users")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.execute("INSERT INTO audit_log SELECT * FROM audit_log")
    for connection in (owner, service):
        await connection.close()


async def test_tables_of_a_serving_role_are_handed_over(server: Cluster, tmp_path: Path) -> None:
    """As docs/deployment.md has it, where one role was owner and served."""
    superuser = await asyncpg.connect(server.url)
    await superuser.execute("DROP ROLE IF EXISTS only_role; CREATE ROLE only_role LOGIN")
    await superuser.execute("CREATE DATABASE old OWNER only_role")
    before, after = (url(server, role, "old") for role in ("only_role", OWNER))
    await asyncio.to_thread(cortez, tmp_path, before, "migrate")
    there = await asyncpg.connect(url(server, "cortez", "old"))
    await there.execute(f"REASSIGN OWNED BY only_role TO {OWNER}")
    await there.close()
    await asyncio.to_thread(cortez, tmp_path, after, "migrate", "--grant-to", "only_role")
    await asyncio.to_thread(cortez, tmp_path, before, "admin", "create", "ana@example.edu")
    service = await asyncpg.connect(before)
    for statement in REFUSED:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(statement)
    for connection in (service, superuser):
        await connection.close()


def test_the_serving_role_can_be_backed_up(server: Cluster, tmp_path: Path) -> None:
    """`backup.sh` runs as the service does."""
    command = [str(binaries() / "pg_dump"), "--format=custom", f"--file={tmp_path}/dump", url(server, SERVICE)]
    subprocess.run(command, check=True, capture_output=True)


def test_the_serving_role_cannot_migrate(server: Cluster, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="Error: Rights are granted by the role that owns the tables"):
        cortez(tmp_path, url(server, SERVICE), "migrate", "--grant-to", SERVICE)


def test_rights_are_not_taken_from_those_that_own_the_tables(server: Cluster, tmp_path: Path) -> None:
    """The triggers write the audit log with the owner's."""
    for role in (OWNER, "cortez"):
        with pytest.raises(AssertionError, match=f"Error: The role {role} may do what the owner"):
            cortez(tmp_path, url(server, OWNER), "migrate", "--grant-to", role)


def test_a_role_that_is_not_there_is_one_line(server: Cluster, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r'Error: .* answered: role "nobody" does not exist'):
        cortez(tmp_path, url(server, OWNER), "migrate", "--grant-to", "nobody")
    with pytest.raises(AssertionError, match="Error: SQLite has no roles"):
        cortez(tmp_path, f"sqlite:///{tmp_path}/x.db", "migrate", "--grant-to", "nobody")


def test_the_printed_sql_has_the_grants(tmp_path: Path) -> None:
    printed = cortez(tmp_path, "postgresql://nobody@nowhere/x", "migrate", "--sql", "--grant-to", 'a "role"')
    assert 'REVOKE INSERT, UPDATE, DELETE ON audit_log, alembic_version FROM "a ""role""";' in printed

"""Connections: pool settings, the lazily made engine, and what every connection is told."""

import asyncio
import os
from pathlib import Path

import pytest
from sqlalchemy import text

from conftest import POSTGRES
from cortez.core.db.engine import Database
from cortez.core.web.problems import answer_to
from cortez.ops.doctor import glance
from cortez.settings import Settings, SettingsError, load
from running import settings_for


@pytest.mark.requirement("C1")
def test_the_defaults_are_the_audit_s() -> None:
    settings = Settings()
    pool = (settings.db_pool_size, settings.db_max_overflow, settings.db_pool_timeout, settings.db_pool_recycle)
    assert pool == (20, 40, 30, 3600)
    assert (settings.db_statement_timeout, settings.db_connect_timeout, settings.db_pre_ping_idle) == (30, 10, 1)


@pytest.mark.requirement("C1")
def test_each_setting_is_read_from_the_environment_and_from_dotenv(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("DB_POOL_SIZE=7\nDB_MAX_OVERFLOW=3\nCORTEZ_SECRET_KEY=x\n")
    settings = load({"DB_MAX_OVERFLOW": "4", "DB_POOL_TIMEOUT": "2.5"}, file)
    assert (settings.db_pool_size, settings.db_max_overflow, settings.db_pool_timeout) == (7, 4, 2.5)


@pytest.mark.requirement("C1")
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"DB_POOL_SIZE": "many"}, "DB_POOL_SIZE"),
        ({"DB_POOL_SIZE": "0"}, "DB_POOL_SIZE"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL"),
        ({"DATABASE_READ_URL": "postgresql://db/cortez"}, "DATABASE_READ_URL"),
        ({"DATABASE_URL": "postgresql://db/cortez", "DATABASE_READ_URL": "sqlite:///copy.db"}, "DATABASE_READ_URL"),
        ({"CORTEZ_ENV": "staging"}, "CORTEZ_ENV"),
        ({"CORTEZ_PORT": "70000"}, "CORTEZ_PORT"),
        ({"CORTEZ_ENV": "production"}, "CORTEZ_SECRET_KEY"),
        ({"CORTEZ_ENV": "production", "CORTEZ_SECRET_KEY": "short"}, "CORTEZ_SECRET_KEY"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(environment: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=said) as error:
        load(
            {"CORTEZ_SECRET_KEY": "x", **environment} if "ENV" not in said + str(environment) else environment,
            tmp_path / "none",
        )
    assert "\n" not in str(error.value)


@pytest.mark.requirement("C1")
def test_a_port_that_is_no_number_is_one_line() -> None:
    with pytest.raises(SettingsError, match=r"^DATABASE_URL has a port"):
        _ = Settings(database_url="postgresql://u@db:x/cortez").url


@pytest.mark.requirement("C1")
async def test_an_address_may_say_sslmode_as_other_programs_want_it() -> None:
    for mode, said in {"prefer": "", "require": "cannot be reached (it does not speak TLS)"}.items():
        found = await glance(settings_for(f"{os.environ[POSTGRES]}?sslmode={mode}", files="."))
        assert said in " ".join(map(str, found))
        assert any("reached" in str(one) for one in found) == bool(said)


@pytest.mark.requirement("C1")
async def test_the_pool_is_made_as_it_is_set(database: Database) -> None:
    pool = database.engine.pool
    assert pool.size() == 20  # type: ignore[attr-defined]
    assert pool._max_overflow == 40  # type: ignore[attr-defined]
    assert pool._pool.use_lifo  # type: ignore[attr-defined]
    if database.is_sqlite:
        return
    async with database.engine.connect() as connection:
        shown = [await connection.scalar(text(f"SHOW {name}")) for name in ("statement_timeout", "lock_timeout")]
    assert shown == ["30s", "2s"]


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("idle", [0, 60])
async def test_a_connection_that_died_while_idle_is_not_handed_out(settings: Settings, idle: int) -> None:
    database = Database(settings)
    if database.is_sqlite:
        return
    database = Database(Settings(database_url=settings.database_url, db_pre_ping_idle=idle, db_pool_size=1))
    async with database.engine.connect() as connection:
        backend = await connection.scalar(text("SELECT pg_backend_pid()"))
    other = Database(settings)
    async with other.unit() as session:
        await session.execute(text("SELECT pg_terminate_backend(:backend)"), {"backend": backend})
    await asyncio.sleep(0.05)
    async with database.engine.connect() as connection:
        assert await connection.scalar(text("SELECT pg_backend_pid()")) != backend
    await database.close()
    await other.close()


@pytest.mark.requirement("C2")
def test_the_engine_connects_only_when_it_is_used(tmp_path: Path) -> None:
    database = Database(Settings(database_url=f"sqlite:///{tmp_path / 'not-yet.db'}"))
    assert not (tmp_path / "not-yet.db").exists()
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


@pytest.mark.requirement("C3")
async def test_every_sqlite_connection_keeps_foreign_keys_and_full_durability(tmp_path: Path) -> None:
    database = Database(Settings(database_url=f"sqlite:///{tmp_path / 'own.db'}"))

    async def pragmas() -> list[object]:
        async with database.engine.connect() as connection:
            await asyncio.sleep(0.05)
            names = ("foreign_keys", "journal_mode", "synchronous", "recursive_triggers")
            return [await connection.scalar(text(f"PRAGMA {name}")) for name in names]

    assert await asyncio.gather(*[pragmas() for _ in range(5)]) == [[1, "wal", 2, 1]] * 5
    await database.close()


def test_an_error_that_a_cleanup_has_wrapped_is_answered_as_itself() -> None:
    wrapped = ExceptionGroup("Exceptions occurred during cleanup of dependencies", [ConnectionResetError()])
    assert answer_to(wrapped, {}).code == "DATABASE_UNAVAILABLE"
    assert answer_to(ExceptionGroup("x", [ValueError()]), {}).code == "INTERNAL_ERROR"

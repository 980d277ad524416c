"""Every data test runs on SQLite and on a real PostgreSQL, through the application as it is wired."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from cortez import migrations, tables
from cortez.app import create_app
from cortez.database import Database
from cortez.settings import Settings
from factory import Make
from postgres import create_database, server

POSTGRES = "CORTEZ_TEST_POSTGRES"
SECRET = "a secret that only the tests know, long enough"
held = ExitStack()

# The README's tour is made of curl; the rest of the suite needs nothing but Python.
collect_ignore = [] if shutil.which("curl") else ["test_readme.py"]


def pytest_configure(config: pytest.Config) -> None:
    """One PostgreSQL for all workers, started by the process that starts them."""
    if not hasattr(config, "workerinput"):
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="cortez-"))
        os.environ[POSTGRES] = held.enter_context(server(Path(folder)))


def pytest_unconfigure(config: pytest.Config) -> None:
    held.close()


def settings_for(url: str, **changes: Any) -> Settings:
    """Cheap passwords, short locks."""
    values: dict[str, Any] = {
        "secret_key": SECRET,
        "password_time_cost": 1,
        "password_memory_kib": 64,
        "db_lock_timeout": 2.0,
    }
    return Settings(database_url=url, **(values | changes))


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
async def settings(request: pytest.FixtureRequest, worker: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of a migrated database of this worker's own."""
    folder = tmp_path_factory.mktemp(request.param)
    url = f"sqlite:///{folder / 'cortez.db'}"
    if request.param == "postgresql":
        url = await create_database(os.environ[POSTGRES], f"test_{worker}")
    made = settings_for(url, files=str(folder / "files"), max_upload=100_000, file_quota=250_000)
    await asyncio.to_thread(migrations.upgrade, made)
    return made


@asynccontextmanager
async def live(app: Litestar) -> AsyncIterator[Litestar]:
    """The application with its lifespan held open in a task of its own, on this very loop."""
    up, stop = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with app.lifespan():
            up.set()
            await stop.wait()

    task = asyncio.create_task(run())
    waiting = asyncio.create_task(up.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    yield app
    stop.set()
    await task


@pytest.fixture(scope="session")
async def running_app(settings: Settings) -> AsyncGenerator[Litestar]:
    async with live(create_app(settings)) as app:
        yield app


@pytest.fixture
async def app(running_app: Litestar) -> AsyncGenerator[Litestar]:
    """The application on an empty database."""
    yield running_app
    await empty(running_app.state.database)


async def empty(database: Database) -> None:
    """Delete every row, without the cascades and triggers that an ordinary delete would run."""
    names = [table.name for table in reversed(tables.metadata.sorted_tables)]
    async with database.engine.connect() as connection:
        if database.is_sqlite:
            for name in names:
                await connection.execute(text(f"DELETE FROM {name}"))
            await connection.commit()
        else:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver
            deletes = ";".join(f"DELETE FROM {name}" for name in names)
            await driver.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {deletes}; COMMIT")


@pytest.fixture
def database(app: Litestar) -> Database:
    found: Database = app.state.database
    return found


def client_of(app: Litestar, token: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://test/api/v1", headers=headers, timeout=30)


@pytest.fixture
async def client(app: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    """Nobody in particular."""
    async with client_of(app) as made:
        yield made


@pytest.fixture
async def make(app: Litestar) -> AsyncGenerator[Make]:
    """Makes what a test needs; `make.teacher()` and its like also give a client that is signed in."""
    async with Make(app, client_of) as made:
        yield made

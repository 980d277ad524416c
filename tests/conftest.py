"""Every data test runs on SQLite and on a real PostgreSQL, through the application as it is wired."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from cortez.app import create_app
from cortez.core.db.engine import Database
from cortez.core.migrations import runner
from cortez.server.worker import settle
from cortez.settings import Settings
from factory import Make
from postgres import create_database, server
from running import client_of, empty, keep_empty, live, relax, settings_for

POSTGRES = "CORTEZ_TEST_POSTGRES"
held = ExitStack()

# What people are told to type is mostly curl; the rest of the suite needs nothing but Python.
collect_ignore = [] if shutil.which("curl") else ["test_pages.py"]


def pytest_configure(config: pytest.Config) -> None:
    """One PostgreSQL for all workers, started by the process that starts them."""
    if not hasattr(config, "workerinput"):
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="cortez-"))
        os.environ[POSTGRES] = held.enter_context(server(Path(folder)))


def pytest_collection_finish() -> None:
    settle()  # as a worker does: thousands of tests are no garbage to look through again and again


def pytest_unconfigure(config: pytest.Config) -> None:
    held.close()


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
    await asyncio.to_thread(runner.upgrade, made)
    await asyncio.to_thread(keep_empty, made)
    return made


@pytest.fixture(scope="session")
async def running_app(settings: Settings) -> AsyncGenerator[Litestar]:
    made = create_app(settings)
    relax(made.state.database)
    async with live(made) as app:
        yield app


@pytest.fixture
async def app(running_app: Litestar) -> AsyncGenerator[Litestar]:
    """The application on an empty database."""
    yield running_app
    running_app.state.upkeep.journal.forget()
    running_app.state.refusals.clear()
    running_app.state.callers.homes.clear()
    await empty(running_app.state.database)


@pytest.fixture
def database(app: Litestar) -> Database:
    found: Database = app.state.database
    return found


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

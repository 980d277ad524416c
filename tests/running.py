"""The application as the tests run it: its settings, its lifespan, its clients, and an empty database."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import httpx
import msgspec
from litestar import Litestar
from sqlalchemy import event

from cortez import tables
from cortez.app import create_app
from cortez.core.db.engine import Database
from cortez.settings import Settings

SECRET = "a secret that only the tests know, long enough"


def settings_for(url: str, **changes: Any) -> Settings:
    """Cheap passwords, short locks."""
    values: dict[str, Any] = {
        "secret_key": SECRET,
        "password_time_cost": 1,
        "password_memory_kib": 64,
        "db_lock_timeout": 2.0,
        "access_log_interval": 3600.0,  # a test flushes when it looks
    }
    return Settings(database_url=url, **(values | changes))


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


def client_of(app: Litestar, token: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://test/api/v1", headers=headers, timeout=30)


@asynccontextmanager
async def limited(app: Litestar, token: str, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client at another worker of the same database, with these settings changed."""
    other = create_app(msgspec.structs.replace(app.state.settings, **changes))
    async with live(other), client_of(other, token) as client:
        yield client


def relax(database: Database) -> None:
    """As the tests' PostgreSQL is: no commit waits for the disk. What a crash leaves is looked at by `reliability`."""
    if database.is_sqlite:
        event.listen(database.engine.sync_engine, "connect", wait_for_no_disk)


def wait_for_no_disk(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")


async def empty(database: Database) -> None:
    """Delete every row, without the cascades and triggers that an ordinary delete would run."""
    if database.is_sqlite:
        await asyncio.to_thread(restore, database.settings)
        return
    async with database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver
        deletes = ";".join(f"DELETE FROM {table.name}" for table in reversed(tables.metadata.sorted_tables))
        await driver.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {deletes}; COMMIT")


def keep_empty(settings: Settings) -> None:
    """Keep a copy of an embedded database while it is empty: nothing else removes what is in the audit log."""
    if path := embedded(settings):
        copy(path, path + ".empty")


def restore(settings: Settings) -> None:
    path = embedded(settings)
    copy(path + ".empty", path)


def embedded(settings: Settings) -> str:
    """The file of an embedded database, else an empty text."""
    return settings.url.database or "" if settings.url.get_backend_name() == "sqlite" else ""


def copy(source: str, target: str) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)

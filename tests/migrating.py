"""Runs alembic on a database as the command line does, and looks at what is there."""

import asyncio
import os
import signal
import subprocess
from argparse import Namespace
from collections.abc import Callable
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from cortez.core.db.sqlite import begin_each, prepare_sqlite
from cortez.core.migrations.runner import configuration
from cortez.settings import Settings
from postgres import binaries

processes = get_context("forkserver")  # what is imported already need not be imported by each
processes.set_forkserver_preload(["migrating", "cortez.tables"])

T = TypeVar("T")
ASKS = {"SELECT", "PRAGMA", "SHOW", "SET", "RESET", "BEGIN"}


def config_of(url: str, *, versions: Path | None = None, lose_data: bool = False) -> Config:
    """`versions`: a folder of revisions that stand in place of ours."""
    config = configuration(Settings(database_url=url))
    config.cmd_opts = Namespace(x=["lose-data=yes"] if lose_data else [])
    if versions:
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_locations", str(versions))
    return config


def upgrade(url: str, revision: str = "head", versions: Path | None = None) -> None:
    command.upgrade(config_of(url, versions=versions), revision)


def downgrade(url: str, revision: str, versions: Path | None = None, *, lose_data: bool = False) -> None:
    command.downgrade(config_of(url, versions=versions, lose_data=lose_data), revision)


def printed(url: str, verb: str, revision: str, versions: Path | None = None) -> str:
    """The SQL of an `upgrade` or `downgrade`."""
    config = config_of(url, versions=versions)
    config.output_buffer = StringIO()
    getattr(command, verb)(config, revision, sql=True)
    return config.output_buffer.getvalue()


def apply(url: str, sql: str) -> None:
    """As an administrator would, by psql."""
    command = [str(binaries() / "psql"), "-q", "-v", "ON_ERROR_STOP=1", url]
    subprocess.run(command, input=sql, text=True, check=True, capture_output=True)


def revisions(config: Config | None = None) -> list[str]:
    """Oldest first."""
    script = ScriptDirectory.from_config(config or configuration(Settings()))
    return [one.revision for one in script.walk_revisions()][::-1]


def look(url: str, function: Callable[[Connection], T]) -> T:
    """In a transaction of its own. Not from within a running event loop."""

    async def run() -> T:
        address = Settings(database_url=url).url
        engine = create_async_engine(address, poolclass=NullPool)
        if address.get_backend_name() == "sqlite":
            prepare_sqlite(engine)
            begin_each(engine)
        async with engine.begin() as connection:
            found = await connection.run_sync(function)
        await engine.dispose()
        return found

    return asyncio.run(run())


class Stopped(Exception):
    """In the middle of a revision."""


def stop() -> None:
    raise Stopped


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Changes:
    """Counts the statements that change something, and the commits after them; ends the run before one of them."""

    def __init__(self, last: int = 0, end: Callable[[], None] = stop) -> None:
        self.last, self.end, self.seen = last, end, 0

    def __enter__(self) -> "Changes":
        event.listen(Engine, "before_cursor_execute", self.execute)
        event.listen(Engine, "commit", self.commit)
        return self

    def __exit__(self, *error: object) -> None:
        event.remove(Engine, "before_cursor_execute", self.execute)
        event.remove(Engine, "commit", self.commit)

    def execute(self, connection: Any, cursor: Any, statement: str, *more: object) -> None:
        if statement.split()[0].upper() not in ASKS:
            self.count()

    def commit(self, connection: Any) -> None:
        if self.seen:
            self.count()

    def count(self) -> None:
        self.seen += 1
        if self.seen == self.last:
            self.end()


def upgrade_and_die(url: str, revision: str, place: int) -> None:
    with Changes(place, die):
        upgrade(url, revision)


def upgrade_at_once(url: str, start: Any, versions: Path | None = None) -> None:
    """Once everybody has come to the barrier."""
    start.wait()
    upgrade(url, versions=versions)

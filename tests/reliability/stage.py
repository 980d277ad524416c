"""Where a scenario plays: an own database, freshly migrated, and the service on it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar

from cortez.app import create_app
from cortez.core.migrations import runner
from cortez.settings import Settings
from postgres import create_database
from running import SECRET, live, settings_for
from serving import Server, serving

SQLITE, POSTGRESQL = "sqlite", "postgresql"


class Outcome(msgspec.Struct, frozen=True):
    """What was measured, in the words of the table, and whether it is what was promised (None: it was not tried)."""

    measured: str
    kept: bool | None


class Stage(msgspec.Struct, frozen=True):
    """One scenario on one database. `quick` asks for the short form: the same promise, less traffic."""

    database: str
    settings: Settings
    folder: Path
    quick: bool

    @classmethod
    async def make(cls, database: str, name: str, folder: Path, postgres: str, quick: bool) -> "Stage":
        await asyncio.to_thread(folder.mkdir)
        url = f"sqlite:///{folder / 'cortez.db'}"
        if database == POSTGRESQL:
            url = await create_database(postgres, name.lower())
        settings = settings_for(url, files=str(folder / "files"))
        await asyncio.to_thread(runner.upgrade, settings)
        return cls(database, settings, folder, quick)

    @asynccontextmanager
    async def app(self, **changes: Any) -> AsyncIterator[Litestar]:
        """The application in this process, with its lifespan open."""
        async with live(create_app(msgspec.structs.replace(self.settings, **changes))) as running:
            yield running

    @contextmanager
    def server(self, **environment: str) -> Iterator[Server]:
        """The service as people start it, in processes of its own."""
        own = {"DATABASE_URL": self.settings.database_url, "CORTEZ_SECRET_KEY": SECRET}
        with serving(self.folder, {**own, "CORTEZ_FILES": self.settings.files, **environment}) as server:
            yield server

    @contextmanager
    def served(self, **environment: str) -> Iterator[str]:
        """The same; its address."""
        with self.server(**environment) as server:
            yield server.address

"""What the service does beside its requests: it writes the access log, seals the audit log, removes what is spent.

Where an older version has filled the database, it also works out what this one keeps besides: figures by place, and
the keys by which accounts are found.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Coroutine

from cortez.accounts.keys import complete_keys
from cortez.audit.access_log import Journal
from cortez.audit.seals import seal_all
from cortez.core.db.engine import Database
from cortez.core.db.errors import described
from cortez.privacy.retention import sweep
from cortez.profiles.updates import complete as complete_figures

logger = logging.getLogger(__name__)

# What is worked out of rows of an older version; each says whether more may be left. All of it is looked at once more
# when the processes of that version have surely gone.
LOOK_AGAIN = 600.0  # seconds
COMPLETING = {"figures by course": complete_figures, "keys of accounts": complete_keys}


@contextlib.asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Work that goes on until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Upkeep:
    """Flushes the journal every second, seals and sweeps every minute, unless set otherwise; flushes again on stop."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self.database = database
        self.journal = journal
        self.sealed_at = time.monotonic()
        self.unfinished = dict(COMPLETING)
        self.look_again_at = time.monotonic() + LOOK_AGAIN

    @contextlib.asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        try:
            async with beside(self.run()):
                yield
        finally:
            await self.attempt(seal=False)

    async def run(self) -> None:
        settings = self.database.settings
        while True:
            await asyncio.sleep(settings.access_log_interval)
            due = time.monotonic() - self.sealed_at >= settings.seal_interval
            await self.attempt(seal=due)

    async def fold(self) -> None:
        """Bring SQLite's journal home and cut it to nothing: what was erased must not lie on in it."""
        if self.database.is_sqlite:
            async with self.database.engine.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                if driver:
                    await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def attempt(self, *, seal: bool) -> None:
        """What fails now is tried again the next time."""
        try:
            await self.journal.flush()
            if seal:
                self.sealed_at = time.monotonic()
                await seal_all(self.database)
                await sweep(self.database)
                await self.fold()
        except Exception as error:
            logger.warning("upkeep is behind: %s", described(error))
        if time.monotonic() > self.look_again_at:
            self.look_again_at = math.inf
            self.unfinished |= COMPLETING
        for what, complete in [*self.unfinished.items()]:
            try:
                if not await complete(self.database):
                    del self.unfinished[what]
            except Exception as error:
                logger.warning("%s are behind: %s", what, described(error))

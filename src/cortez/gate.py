"""The admission gate: as many requests at work as there are connections; the others wait a moment, or are told to."""

import asyncio
from collections.abc import Callable

from cortez.errors import Unavailable
from cortez.metrics import POOL_TIMEOUTS, POOL_WAIT_SECONDS

PATIENCE = 0.75  # seconds: an answer within one, also where it is a refusal among many


class Gate:
    """Stands before authentication, so that nobody waits in the pool itself, with one connection in want of another.

    A request may need a second connection for a moment (a guess is counted in a unit of work of its own). One in ten,
    at least one, is kept for that, for streams, for health and for upkeep.
    """

    def __init__(self, connections: int, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.waiting = 0
        self.places = asyncio.Semaphore(max(1, connections - max(1, connections // 10)))

    async def admit(self) -> Callable[[], None]:
        """A place, until what this gives is called; called again, it does nothing.

        Raises Unavailable (POOL_EXHAUSTED) where none becomes free in time.
        """
        if self.places.locked():
            await self._wait()
        else:
            await self.places.acquire()
        inside = True

        def leave() -> None:
            nonlocal inside
            if inside:
                inside = False
                self.places.release()

        return leave

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            with POOL_WAIT_SECONDS.time():
                async with asyncio.timeout(self.patience):
                    await self.places.acquire()
        except TimeoutError:
            POOL_TIMEOUTS.labels("gate").inc()
            raise Unavailable("POOL_EXHAUSTED", "All database connections are busy; try again.") from None
        finally:
            self.waiting -= 1

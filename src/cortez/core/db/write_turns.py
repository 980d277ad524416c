"""The order in which the writers of this process take SQLite's one write lock: one principal after the other.

In front of its lock SQLite only asks again, later and later. A writer that has waited too long for a turn goes on to
ask SQLite, which says so. Other processes are met there, as ever.

While other principals write, a person pauses after each write for as long as it took. Without that, a client that
writes in a loop takes every other turn, and each other writer has to wait for one of its writes.
"""

import time
from contextlib import suppress

from cortez.core.concurrency.admission import ADMISSION, MOST_WAITING, PERSON
from cortez.core.concurrency.fair_queue import Company, Crowded, Turns


class WriteTurns:
    """The queue of those who want to write."""

    def __init__(self, patience: float) -> None:
        """`patience`: for how many seconds a writer waits for its turn."""
        self.turns, self.company = Turns(1, MOST_WAITING), Company()
        self.patience = patience

    async def take(self) -> "Turn | None":
        """The turn of the principal whose request this is; None where it did not come in time."""
        admission = ADMISSION.get()
        whose = admission.whose if admission else ""
        self.company.note(whose)
        with suppress(TimeoutError, Crowded):
            await self.turns.take(whose, 1, self.patience)
            return Turn(self, whose)
        return None


class Turn:
    """A writer's turn, until it ends it."""

    def __init__(self, among: WriteTurns, whose: str) -> None:
        self.among = among
        self.whose = whose
        self.since: float | None = None

    def begin(self) -> None:
        """Note that the write lock is there."""
        self.since = time.monotonic()

    def end(self) -> None:
        """Let the next writer go; a person in company pauses for as long as this write took."""
        took = 0.0 if self.since is None else time.monotonic() - self.since
        rests = self.whose.startswith(PERSON) and self.among.company.is_shared(self.whose)
        self.among.turns.release(self.whose, took if rests else 0.0)

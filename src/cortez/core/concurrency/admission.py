"""The admission gate: as many requests at work as there are connections; the others wait a moment, or are told to."""

import asyncio
import time
from contextvars import ContextVar

from cortez.core.concurrency.fair_queue import Company, Crowded, Turns
from cortez.core.observability.metrics import POOL_TIMEOUTS, POOL_WAIT_SECONDS
from cortez.errors import Unavailable

PATIENCE = 0.75  # seconds: an answer within one, also where it is a refusal among many
OWN_PATIENCE = 5.0  # seconds, for a request that waits for others of its own principal only
SHARE = 6  # of the places one principal, or one network that has not signed in, has at most a sixth at once
LEAST = 8  # places, where there are so many
AMONG_OTHERS = 2  # places of a person while others ask too, one of a flood: the more work, the longer each takes
STRANGERS_PAUSE = 0.02  # seconds between two requests of networks unknown here, all together, while principals ask
MANY = 8  # requests of a person that wait: more than a page asks for at once
MOST_WAITING, MOST_OF_ONE = 10_000, 500
# Prefixes of names: API keys, which serve whole classes; accounts; networks, without a sign-in and with one lately.
KEY, PERSON, NETWORK, HOME = "key:", "person:", "network:", "home:"


class Gate:
    """Stands before authentication, so that nobody waits in the pool itself, with one connection in want of another.

    A request may need a second connection for a moment (a guess is counted in a unit of work of its own). One in ten,
    at least one, is kept for that, for streams, for health and for upkeep. Nobody has all places: those who wait are
    served in turn, one principal after the other.
    """

    def __init__(self, connections: int, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.places = max(1, connections - max(1, connections // 10))
        self.turns = Turns(self.places, MOST_WAITING, MOST_OF_ONE)
        self.strangers = Turns(1, MOST_WAITING, MOST_OF_ONE)
        self.company = Company()

    @property
    def waiting(self) -> int:
        return self.turns.waiting

    async def pace(self, whose: str) -> None:
        """While principals ask, admit networks without a recent sign-in at fifty requests a second, all together.

        They are served network by network. An attacker has any number of addresses, so that no share of one limits
        guesses at passwords; and the cheaper a guess is to refuse, the more are sent. Raises Unavailable.
        """
        if not (whose.startswith(NETWORK) and self.company.is_shared(NETWORK)):
            return
        try:
            await self.strangers.take(whose, 1, OWN_PATIENCE)
        except (TimeoutError, Crowded):
            raise refused("strangers") from None
        asyncio.get_running_loop().call_later(STRANGERS_PAUSE, self.strangers.release, whose)

    def share(self, whose: str) -> int:
        """How many requests of this name may be at work."""
        if self.is_flood(whose):
            return 1
        if self.is_among_others(whose):
            return min(self.places, AMONG_OTHERS)
        parts = 2 if whose.startswith(KEY) else 1
        return min(self.places, max(LEAST * parts, self.places * parts // SHARE))

    def rest(self, whose: str, seconds: float) -> float:
        """For how many seconds a person gets no place after a request of so many.

        As long again, where many more of the same person wait and others ask too: others then have half of the time.
        """
        return seconds if self.is_flood(whose) else 0.0

    def is_among_others(self, whose: str) -> bool:
        """Whether this is a person while others ask too."""
        return whose.startswith(PERSON) and self.company.is_shared(whose)

    def is_flood(self, whose: str) -> bool:
        """The same, and more of the person's requests wait than a page sends."""
        return self.turns.waiting_of(whose) > MANY and self.is_among_others(whose)

    async def admit(self, whose: str = "") -> "Admission":
        """Raises Unavailable (POOL_EXHAUSTED) where no place becomes free in time."""
        admission = Admission(self, whose)
        await admission.enter(self.patience)
        return admission


class Admission:
    """A place at the gate, until it is left. Who works without a connection leaves it, and enters again afterwards."""

    def __init__(self, gate: Gate, whose: str) -> None:
        self.gate = gate
        self.whose = whose
        self.inside = False
        self.since = 0.0
        self.is_kept = False  # while a connection is held

    async def enter(self, patience: float | None = None) -> None:
        """A request that did its work outside waits as long as it may take, so that the work is not lost."""
        gate, whose = self.gate, self.whose
        gate.company.note(NETWORK if whose.startswith(NETWORK) else whose)
        if patience is not None:
            await gate.pace(whose)
        turns, share = gate.turns, gate.share(whose)
        if patience is not None and whose.startswith(PERSON) and turns.waits_for_itself(whose, share):
            patience = max(patience, OWN_PATIENCE)
        try:
            if turns.has_room(whose, share):
                await turns.take(whose, share, patience)
            else:
                with POOL_WAIT_SECONDS.time():
                    await turns.take(whose, share, patience)
        except (TimeoutError, Crowded):
            raise refused("gate") from None
        self.inside, self.since = True, time.monotonic()

    def leave(self) -> bool:
        """Whether it was inside."""
        was_inside, self.inside = self.inside, False
        if was_inside:
            self.gate.turns.release(self.whose, self.gate.rest(self.whose, time.monotonic() - self.since))
        return was_inside


def refused(where: str) -> Unavailable:
    POOL_TIMEOUTS.labels(where).inc()
    return Unavailable("POOL_EXHAUSTED", "All database connections are busy; try again.")


ADMISSION: ContextVar[Admission | None] = ContextVar("admission", default=None)  # of the request at work

"""Turns: so many at once, of one name no more than its share, and those who wait are served name by name."""

import asyncio
import time
from collections import Counter, OrderedDict, deque

LATELY = 1.0  # seconds
LONGEST_REST = 1.0  # seconds


class Crowded(Exception):
    """So many wait already that waiting makes no sense."""


class Turns:
    """Places that are taken under names. A name that asks a thousand times waits behind itself, not before others."""

    def __init__(self, places: int, most_waiting: int, of_one: int | None = None) -> None:
        self.free = places
        self.most_waiting = most_waiting  # of all names together
        self.most_of_one = max(1, most_waiting // 2) if of_one is None else of_one
        self.waiting = 0
        self.held: Counter[str] = Counter()
        self.queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # the one to be served next first
        self.shares: dict[str, int] = {}  # of the names that wait
        self.resting: Counter[str] = Counter()  # how many rests of each name have not ended

    async def take(self, name: str, share: int, patience: float | None = None) -> None:
        """A place, until `release`. Of those with this name at most `share` have one.

        A share may differ from call to call; who waits already has the latest one, and goes first.
        Raises Crowded at once, or TimeoutError after so many seconds.
        """
        if name in self.queues:
            self.shares[name] = share
            self._serve_all()
        if self.has_room(name, share):  # a free place is never kept from a waiting name that may have it
            self._give(name)
            return
        if self.waiting >= self.most_waiting or self.waiting_of(name) >= self.most_of_one:
            raise Crowded
        await self._wait(name, share, patience)

    def release(self, name: str, rest: float = 0.0) -> None:
        """Give the place back. For `rest` seconds, one at most, the name gets no other, even if one is free."""
        self.held[name] -= 1
        if not self.held[name]:
            del self.held[name]
        self.free += 1
        if rest:
            asyncio.get_running_loop().call_later(min(rest, LONGEST_REST), self._wake, name)
            self.resting[name] += 1
        self._serve_all()

    def waiting_of(self, name: str) -> int:
        return len(self.queues.get(name, ()))

    def has_room(self, name: str, share: int) -> bool:
        """Whether a place is free for one more of this name."""
        return self.free > 0 and self.held[name] < share and name not in self.resting and name not in self.queues

    def waits_for_itself(self, name: str, share: int) -> bool:
        """Whether one more of this name waits for others of it, whatever else is at work."""
        return self.held[name] >= share or name in self.resting or name in self.queues

    def _wake(self, name: str) -> None:
        self.resting[name] -= 1
        if not self.resting[name]:
            del self.resting[name]
        self._serve_all()

    def _serve_all(self) -> None:
        while self.free and self._serve():
            pass

    def _give(self, name: str) -> None:
        self.free -= 1
        self.held[name] += 1

    async def _wait(self, name: str, share: int, patience: float | None) -> None:
        turn = asyncio.get_running_loop().create_future()
        self.queues.setdefault(name, deque()).append(turn)
        self.shares[name] = share
        self.waiting += 1
        try:
            async with asyncio.timeout(patience):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # it came, and nobody was there any more
                self.release(name)
            else:
                self._leave_queue(name, turn)
            raise
        finally:
            self.waiting -= 1

    def _leave_queue(self, name: str, turn: "asyncio.Future[None]") -> None:
        queue = self.queues[name]
        queue.remove(turn)
        if not queue:
            del self.queues[name], self.shares[name]

    def _serve(self) -> bool:
        """Give a place to the next name that may have one; whether there was one."""
        for name, queue in self.queues.items():
            if self.held[name] < self.shares[name] and name not in self.resting:
                turn = next((one for one in queue if not one.done()), None)
                if turn:
                    self._leave_queue(name, turn)
                    if name in self.queues:
                        self.queues.move_to_end(name)
                    self._give(name)
                    turn.set_result(None)
                    return True
        return False


class Company:
    """Tracks which principals have sent requests to this process, to tell if one of them is alone."""

    def __init__(self) -> None:
        self.latest = ""
        self.asked_at = self.others_at = -LATELY  # when the latest did, and when anybody else

    def note(self, name: str) -> None:
        """This name asks now; work of the service itself has no name, and is nobody's company."""
        if not name:
            return
        if name != self.latest:
            self.latest, self.others_at = name, self.asked_at
        self.asked_at = time.monotonic()

    def is_shared(self, name: str) -> bool:
        """Whether another than this name has asked within a second."""
        return time.monotonic() - (self.others_at if name == self.latest else self.asked_at) < LATELY

"""Work that is not the database's: hashing, parsing, checking, done beside the event loop, in bounded pools.

Who waits for a processor holds no place at the gate, and waits in turn, one principal after the other; where too many
wait, the answer is 503 at once. Work that holds the interpreter is done in processes of their own, each of which may
take so much memory and time, and is ended alone.
"""

import asyncio
import os
import resource
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, TypeVar, TypeVarTuple

from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from cortez.core.concurrency.admission import ADMISSION
from cortez.core.concurrency.fair_queue import Crowded, Turns
from cortez.errors import Invalid, Unavailable

T = TypeVar("T")
Args = TypeVarTuple("Args")

PROCESSES = min(2, max(1, (os.cpu_count() or 1) - 1))  # at once; one processor stays free for the event loop
MEMORY, SECONDS = 512_000_000, 30.0  # what each may take
WAITING = 200  # for one pool
NICENESS = 10

Call = Callable[..., Awaitable[Any]]


class Pool:
    """So many calls at once; `call` makes one of them."""

    def __init__(self, at_once: int, call: Call, most_waiting: int = WAITING) -> None:
        self.turns = Turns(at_once, most_waiting)
        self.share = at_once
        self.call = call

    async def run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        """What the function returns or raises. Raises Unavailable (POOL_BUSY) where too many wait.

        The request's place at the gate is left meanwhile, unless a connection is held.
        """
        async with away(), self.turn():
            found: T = await self.call(function, *args)
        return found

    async def run_on(self, load: Callable[[], Awaitable[tuple[*Args]]], function: Callable[[*Args], T]) -> T:
        """The same, with arguments that are loaded when it is the request's turn: what waits holds nothing in memory.

        Loading takes a connection, and so the place at the gate.
        """
        async with away(), self.turn():
            async with inside():
                args = await load()
            found: T = await self.call(function, *args)
        return found

    def turn(self) -> AbstractAsyncContextManager[None]:
        return turn_of(self.turns, self.share, "Too many wait for the same work; try again.")


@asynccontextmanager
async def turn_of(turns: Turns, share: int, busy: str) -> AsyncGenerator[None]:
    """A turn of the principal whose request this is. Raises Unavailable (POOL_BUSY, `busy`) where too many wait."""
    admission = ADMISSION.get()
    whose = admission.whose if admission else ""
    try:
        await turns.take(whose, share)
    except Crowded:
        raise Unavailable("POOL_BUSY", busy) from None
    try:
        yield
    finally:
        turns.release(whose)


@asynccontextmanager
async def away() -> AsyncGenerator[None]:
    """Without the place at the gate, which is taken again where the block ends well."""
    admission = ADMISSION.get()
    was_inside = admission is not None and not admission.is_kept and admission.leave()
    yield
    if admission and was_inside:
        await admission.enter()


@asynccontextmanager
async def inside() -> AsyncGenerator[None]:
    """With a place at the gate, in a block that has none."""
    admission = ADMISSION.get()
    if admission is None or admission.inside:
        yield
        return
    await admission.enter()
    try:
        yield
    finally:
        admission.leave()


def threads(executor: Executor, at_once: int) -> Pool:
    """For what lets the interpreter go."""

    async def call(function: Callable[[*Args], T], *args: *Args) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, function, *args)

    return Pool(at_once, call)


async def in_process(function: Callable[[*Args], T], *args: *Args) -> T:
    """The function, which stands in a module, in another process; the arguments and what it returns are copied.

    Raises Invalid (TOO_MUCH_WORK) where it takes more than its bounds allow.
    """
    try:
        async with asyncio.timeout(SECONDS) as deadline:
            for _ in range(2):  # a process that waited for work may have died while it did
                with suppress(BrokenWorkerProcess):
                    limiter = CapacityLimiter(1)  # nobody waits here: the pool has let in as many as there are
                    return await to_process.run_sync(bounded, function, args, cancellable=True, limiter=limiter)
    except TimeoutError:
        if not deadline.expired():
            raise
    except MemoryError:
        pass
    bounds = f"{SECONDS:g} seconds, or {MEMORY // 1_000_000} MB of memory"
    raise Invalid("TOO_MUCH_WORK", f"To read this takes more than {bounds}. Send less of it.")


def bounded(function: Callable[[*Args], T], args: tuple[*Args]) -> T:
    """In the process: everybody else goes first, and a call that wants more memory fails."""
    if sys.platform != "linux":
        return function(*args)
    be_nice()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, before[1]))  # what is imported between calls is ours
    try:
        return function(*args)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def be_nice() -> None:
    """Let every other thread go first, so that many logins slow nobody down but each other; Linux can, per thread."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


BESIDE = Pool(PROCESSES, in_process)  # for all that holds the interpreter, so that no more processes are at work

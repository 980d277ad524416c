"""The parent of the workers: it owns the socket, keeps so many of them alive, and loses no request when they change.

    SIGTERM, SIGINT   stop: the workers finish what they have begun; asked again, they are killed
    SIGHUP            roll: as many new workers, with the code and settings of now, then the old ones stop

It runs `python -m cortez.worker` and knows nothing of the service, so that it stays small and never has to be
changed while it runs.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

logger = logging.getLogger("cortez.server.supervisor")

# As the workers print: our messages hold nothing that JSON would have to escape.
FORMATS = {
    "text": "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s",
    "json": '{"time":"%(asctime)s.%(msecs)03dZ","level":"%(levelname)s","logger":"%(name)s","message":"%(message)s"}',
}
GRACE = 1.0  # seconds for which a stopping worker still answers, and says that it closes
SETTLED = 0.5  # of these, after how many the parent closes the door
CLOSING = 0.15  # the longest that it waits for the workers to take whoever stands in it
START_LIMIT = 60.0
KILL_AFTER = 2.0  # beyond the time that a worker has to stop
# Left to itself, the allocator of glibc takes a large buffer as a sign that more will come, and keeps its memory.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000"}
LONG_LIVED = 5.0  # a worker that lived so long is replaced at once
PAUSE = 1.0


class Places:
    """Where workers keep their figures: files in a folder, named by a number that no other living worker has.

    What is true of a living worker only goes with it; whoever has the number next goes on counting from what is left.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: set[int] = set()

    def take(self) -> int:
        place = next(number for number in itertools.count() if number not in self.taken)
        self.taken.add(place)
        return place

    def leave(self, place: int) -> None:
        for file in self.folder.glob(f"gauge_live*_{place}.db"):
            file.unlink()
        self.taken.discard(place)


class Worker:
    """One process. Its end of `link` tells us that it is ready; ours, closed, tells it that we are gone."""

    def __init__(self, process: asyncio.subprocess.Process, link: socket.socket, place: int) -> None:
        self.process = process
        self.link = link
        self.place = place
        self.asked = False
        self.begun = time.monotonic()

    @classmethod
    async def start(cls, listener: socket.socket, stop_timeout: float, places: Places, *, looks: bool) -> "Worker":
        """`looks`: it says what it finds wrong with what it serves from."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = (listener.fileno(), theirs.fileno())
            told = [*map(str, descriptors), str(stop_timeout), *(["look"] if looks else [])]
            command = [sys.executable, "-m", "cortez.worker", *told]
            place = places.take()
            figures = {"PROMETHEUS_MULTIPROC_DIR": str(places.folder), "CORTEZ_WORKER_PLACE": str(place)}
            process = await asyncio.create_subprocess_exec(
                *command, pass_fds=descriptors, start_new_session=True, env=MEMORY | os.environ | figures
            )
        ours.setblocking(False)
        return cls(process, ours, place)

    async def is_ready(self) -> bool:
        """Whether it came to serve; False where it ended, or is still not there after a minute."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(START_LIMIT):
                return await loop.sock_recv(self.link, 1) != b""
        return False

    def ask(self, name: signal.Signals) -> None:
        self.asked = True
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(name)

    async def end(self, limit: float) -> None:
        """Wait for it; kill it where it takes too long."""
        try:
            async with asyncio.timeout(limit):
                await self.process.wait()
        except TimeoutError:
            logger.warning("worker %d does not stop; killing it", self.process.pid)
            self.ask(signal.SIGKILL)
            await self.process.wait()


class Supervisor:
    """Keeps `count` workers alive on one listening socket."""

    def __init__(self, listener: socket.socket, count: int, stop_timeout: float, places: Places) -> None:
        self.listener = listener
        self.places = places
        self.count = count
        self.stop_timeout = stop_timeout
        self.workers: set[Worker] = set()
        self.tending: set[asyncio.Task[None]] = set()
        self.wishes: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self.stopping = False

    async def run(self) -> int:
        """Until it is told to stop; the exit code."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(name, self.wishes.put_nowait, name)
        if not await self.add(self.count):
            return 1
        while await self.wishes.get() == signal.SIGHUP:
            await self.roll()
        await self.stop()
        return 0

    async def add(self, count: int) -> bool:
        """So many new workers, all of them or none; one of them looks around."""
        new = [
            await Worker.start(self.listener, self.stop_timeout, self.places, looks=not number)
            for number in range(count)
        ]
        if all(await asyncio.gather(*[worker.is_ready() for worker in new])):
            for worker in new:
                self.tend(worker)
            return True
        for worker in new:
            worker.ask(signal.SIGTERM)
        await asyncio.gather(*[worker.end(KILL_AFTER) for worker in new])
        for worker in new:
            self.places.leave(worker.place)
        logger.error("a worker did not come up")  # and none of the new ones is left
        return False

    def tend(self, worker: Worker) -> None:
        """Replace it should it die."""
        self.workers.add(worker)
        task = asyncio.create_task(self.replace(worker))
        self.tending.add(task)
        task.add_done_callback(self.tending.discard)

    async def replace(self, worker: Worker) -> None:
        code = await worker.process.wait()
        worker.link.close()
        self.places.leave(worker.place)
        self.workers.discard(worker)
        if worker.asked:
            return
        logger.error("worker %d ended with %d; starting another", worker.process.pid, code)
        while not self.stopping:
            if time.monotonic() - worker.begun < LONG_LIVED:
                await asyncio.sleep(PAUSE)
            if await self.add(1):
                return

    async def roll(self) -> None:
        """New workers beside the old ones, which stop when these serve; where they do not come up, nothing changes."""
        old = set(self.workers)
        if await self.add(self.count):
            await self.end(old)
            logger.info("rolled %d workers", self.count)

    async def end(self, workers: set[Worker]) -> None:
        for worker in workers:
            worker.ask(signal.SIGTERM)
        limit = GRACE + self.stop_timeout + KILL_AFTER
        await asyncio.gather(*[worker.end(limit) for worker in workers])

    async def stop(self) -> None:
        """Answer what comes in while the clients are told, then close the door, then let the workers finish."""
        self.stopping = True
        ending = asyncio.create_task(self.end(set(self.workers)))
        await asyncio.sleep(SETTLED)
        self.listener.listen(0)
        let_in(self.listener)
        self.listener.shutdown(socket.SHUT_RDWR)
        again = asyncio.create_task(self.wishes.get())
        await asyncio.wait([ending, again], return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        for worker in self.workers:
            worker.ask(signal.SIGKILL)
        await ending


def let_in(listener: socket.socket) -> None:
    """Wait for the workers to take the connections that the kernel has made: the rest is reset. Linux says how many."""
    until = time.monotonic() + CLOSING
    while sys.platform == "linux" and time.monotonic() < until:
        waiting = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)[24:]  # tcpi_unacked
        if not any(waiting):
            return
        time.sleep(0.0005)


def listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family, backlog=2048)


def main() -> None:
    host, port, count, stop_timeout, level, form = sys.argv[1:]
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(level=level.upper(), format=FORMATS[form], datefmt="%Y-%m-%dT%H:%M:%S")
    try:
        listener = listen(host, int(port))
    except OSError as error:
        sys.exit(
            f"Cannot listen on {host}, port {port}: {os.strerror(error.errno or 0)}. Set CORTEZ_HOST, CORTEZ_PORT."
        )
    with listener, tempfile.TemporaryDirectory(prefix="cortez-figures-") as folder:
        sys.exit(asyncio.run(Supervisor(listener, int(count), float(stop_timeout), Places(Path(folder))).run()))


if __name__ == "__main__":
    main()

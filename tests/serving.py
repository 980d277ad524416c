"""The service as people start it: a supervisor and its workers, processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from postgres import free_port

PATIENCE = 60.0


def children(pid: int) -> list[int]:
    """The processes of this one. A thread that ends meanwhile leaves its own to another, so all are read again."""
    for _ in range(10):
        with suppress(FileNotFoundError):
            tasks = Path(f"/proc/{pid}/task").iterdir()
            return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    raise ProcessLookupError(pid)


class Server:
    """`cortez serve` in a folder, started by another command where one is given; it prints to `server.log` there."""

    def __init__(self, folder: Path, environment: Mapping[str, str], behind: Sequence[str] = ()) -> None:
        self.folder = folder
        self.behind = behind
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self.environment = {**os.environ, **environment, "CORTEZ_PORT": str(port)}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it is ready."""
        command = [*self.behind, sys.executable, "-m", "cortez", "serve"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE
        while self.readiness() != {"status": "ok", "reasons": []}:
            assert time.monotonic() < until, (self.folder / "server.log").read_text()[-2000:]
            time.sleep(0.05)

    def readiness(self) -> object:
        try:
            return httpx.get(f"{self.address}/health/ready").json()
        except httpx.TransportError as error:
            return error

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def workers(self) -> list[int]:
        """Their process ids."""
        return children(self.pid)

    def memory(self) -> float:
        """Resident memory of all workers, in MB."""
        found = [Path(f"/proc/{pid}/status").read_text() for pid in self.workers()]
        return sum(int(status.split("VmRSS:")[1].split()[0]) for status in found) / 1024

    def tell(self, name: signal.Signals) -> None:
        os.kill(self.pid, name)

    def roll(self) -> None:
        """Returns once the workers of before are gone."""
        old = set(self.workers())
        self.tell(signal.SIGHUP)
        until = time.monotonic() + PATIENCE
        while old & set(self.workers()):
            assert time.monotonic() < until, (self.folder / "server.log").read_text()[-2000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """All of it, as a crash of the machine would, but for what the kernel has."""
        for pid in [self.pid, *self.workers()]:
            os.kill(pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Its exit code."""
        assert self.process
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def stop(self) -> None:
        if self.process:
            self.tell(signal.SIGTERM)
            self.wait()


@contextmanager
def serving(folder: Path, environment: Mapping[str, str], behind: Sequence[str] = ()) -> Iterator[Server]:
    """A server that is ready, and stopped afterwards."""
    server = Server(folder, environment, behind)
    try:
        server.start()
        yield server
    finally:
        server.stop()

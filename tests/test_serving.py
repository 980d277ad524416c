"""The supervisor and its workers: real processes, real signals, raw sockets."""

import asyncio
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import msgspec
import pytest

from cortez.core.migrations import runner
from cortez.server.supervisor import Places
from running import SECRET, settings_for
from serving import Server, serving

MANY = {"CORTEZ_WORKERS": "2", "CORTEZ_SECRET_KEY": SECRET}
NO_FOLDER = "/dev/null"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a migrated database in it."""
    made = tmp_path_factory.mktemp("served")
    runner.upgrade(settings_for(f"sqlite:///{made}/cortez.db"))
    return made


@pytest.fixture(scope="module")
def lasting(folder: Path) -> Iterator[Server]:
    """For tests after which it serves as before."""
    own = {"DATABASE_URL": f"sqlite:///{folder}/cortez.db", "CORTEZ_FILES": NO_FOLDER, "TMPDIR": str(folder)}
    with serving(folder, MANY | own) as made:
        yield made


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[Server]:
    """Of its own, with a log of its own."""
    with serving(tmp_path, {**MANY, "DATABASE_URL": f"sqlite:///{folder}/cortez.db"}) as made:
        yield made


def figure(server: Server, sample: str) -> float:
    """One line of the metrics."""
    lines = httpx.get(f"{server.address}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"cortez_{sample} "))


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
    return printed(server).count("Application startup complete")


def printed(server: Server) -> str:
    return (server.folder / "server.log").read_text()


def test_a_worker_that_dies_is_replaced_and_all_of_it_is_logged_in_one_form(server: Server) -> None:
    until(lambda: started(server) == 2)
    before = server.workers()
    os.kill(before[0], signal.SIGKILL)
    until(lambda: started(server) == 3)
    assert len(set(server.workers()) - set(before)) == 1
    address = f"{server.address}/health/live?name=planted"
    assert httpx.get(address, headers={"X-Request-ID": "told"}).status_code == 200
    until(lambda: '"told"' in printed(server))
    said = printed(server)
    lines = [msgspec.json.decode(line) for line in said.splitlines() if line.startswith("{")]
    assert len(lines) == len(said.splitlines()) - 2  # what `serve` tells a person first
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (request,) = [line for line in lines if line.get("client_request_id") == "told"]
    assert (request["route"], request["status"], request["statements"]) == ("/health/live", 200, 0)
    (death,) = [line for line in lines if "starting another" in line["message"]]
    assert (death["level"], death["logger"]) == ("ERROR", "cortez.server.supervisor")
    assert "planted" not in said


def test_a_process_beside_a_worker_does_not_become_one() -> None:
    """It loads the main module of the worker under this name, and would begin to serve in place of its work."""
    assert "main" not in runpy.run_module("cortez.worker.__main__", run_name="__mp_main__")


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
        until(lambda: "did not come up" in printed(lasting))
    finally:
        dotenv.unlink()
    assert set(lasting.workers()) == before
    assert httpx.get(f"{lasting.address}/health/live").status_code == 200


def test_workers_count_as_one_and_a_roll_forgets_nothing(lasting: Server) -> None:
    live = 'requests_total{method="GET",route="/health/live",status="200"}'
    until(lambda: figure(lasting, 'pool_limit{server="primary"}') == 120)  # both are there
    before, starts = figure(lasting, live), figure(lasting, "worker_starts_total")
    for _ in range(40):  # each on a connection of its own: both workers get some
        httpx.get(f"{lasting.address}/health/live")
    assert figure(lasting, live) == before + 40
    lasting.roll()
    assert figure(lasting, live) == before + 40
    assert figure(lasting, "worker_starts_total") == starts + 2
    until(lambda: figure(lasting, 'pool_limit{server="primary"}') == 120)
    assert figure(lasting, f'build_info{{version="{version("cortez")}"}}') == 2


def test_who_takes_the_place_of_a_worker_goes_on_with_what_it_counted(tmp_path: Path) -> None:
    places = Places(tmp_path)
    assert [places.take(), places.take()] == [0, 1]
    for name in ("counter_0", "gauge_livesum_0", "gauge_livemostrecent_0", "gauge_livesum_1"):
        (tmp_path / f"{name}.db").touch()
    places.leave(0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["counter_0.db", "gauge_livesum_1.db"]
    assert [places.take(), places.take()] == [0, 2]


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


def test_the_figures_go_with_the_server(lasting: Server) -> None:
    """It has one folder of them, which only it can read."""
    (folder,) = lasting.folder.glob("cortez-figures-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    lasting.stop()
    assert not folder.exists()

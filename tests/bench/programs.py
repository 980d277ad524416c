"""The programs that are measured: each a server of its own on the same database, all up, one asked at a time."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import msgspec

from postgres import free_port
from running import SECRET
from serving import Server, serving

ROOT = Path(__file__).parents[2]
OURS = "cortez"
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PATIENCE = 60.0
# Large enough that what a benchmark stores has room: a step that is refused costs little.
QUOTAS = {f"CORTEZ_{whose}_{what}": str(10**12) for whose in ("SESSION", "STUDENT") for what in ("STEPS", "BYTES")}


class Program(msgspec.Struct, frozen=True):
    """A module of `contenders` with an ASGI application named app, and the Python that has its libraries."""

    name: str
    module: str
    python: Path = Path(sys.executable)


FLOOR = Program("floor: asyncpg, msgspec", "floor")
FLOOR_SQLITE = Program("floor: aiosqlite, msgspec", "floor_sqlite")
OLD = Program("old way: FastAPI, psycopg2", "old_way", PEERS_PYTHON)
FASTAPI = Program("FastAPI, async SQLAlchemy", "fastapi_async", PEERS_PYTHON)
ADVANCED = Program("Litestar, advanced-alchemy", "advanced", PEERS_PYTHON)


@contextmanager
def started(program: Program, folder: Path, url: str) -> Iterator[str]:
    """Its address, once it answers."""
    port = free_port()
    own = ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    command = [str(program.python), "-m", "uvicorn", *own, f"bench.contenders.{program.module}:app"]
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(ROOT / "tests")}
    with (folder / f"{program.module}.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(address, process, folder / f"{program.module}.log")
        yield address
    finally:
        process.terminate()
        process.wait(PATIENCE)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(address)
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"A program did not start:\n{log.read_text()[-3000:]}")


@contextmanager
def ours(folder: Path, url: str, **environment: str) -> Iterator[Server]:
    """The service as people start it, with one worker where nothing else is said."""
    own = {"DATABASE_URL": url, "CORTEZ_SECRET_KEY": SECRET, "CORTEZ_FILES": str(folder / "files")}
    with serving(folder, {**own, **QUOTAS, "CORTEZ_WORKERS": "1", **environment}) as server:
        yield server


@contextmanager
def all_up(programs: Sequence[Program], folder: Path, url: str) -> Iterator[Mapping[str, str]]:
    """Ours and these, by name; their addresses."""
    with ExitStack() as stack:
        addresses = {OURS: stack.enter_context(ours(folder, url)).address}
        for program in programs:
            addresses[program.name] = stack.enter_context(started(program, folder, url))
        yield addresses

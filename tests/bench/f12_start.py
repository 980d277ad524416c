"""F12: from the start of the process to the first answer, and the memory of a worker that has answered once."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from bench.programs import ROOT
from bench.stage import Bench, Line
from postgres import free_port
from running import SECRET
from serving import children

FIGURES = ("F12",)
PATIENCE = 60.0


def run(bench: Bench) -> Iterator[Line]:
    scene = bench.scene("start", 1)
    own = {"CORTEZ_SECRET_KEY": SECRET, "CORTEZ_FILES": str(scene.folder / "files"), "CORTEZ_WORKERS": "1"}
    environment = {**os.environ, "DATABASE_URL": scene.url, "PYTHONPATH": str(ROOT / "tests"), **own}
    environment["PYTHONPYCACHEPREFIX"] = str(scene.folder)  # compiled by a first start, as pip does what it installs
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    served = [sys.executable, "-m", "cortez", "serve"]
    bare = [sys.executable, "-m", "uvicorn", "--log-level", "warning", "bench.contenders.bare:app", "--port"]
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for command in (bare, served):
        once(command, environment, scene.folder)
    for _ in range(bench.rounds):
        theirs.append(once(bare, environment, scene.folder))
        ours.append(once(served, environment, scene.folder))
    for place, what, unit, target in ((0, "start to first answer", "s", 1.5), (1, "idle worker", "MB", 1.6)):
        mine, other = (statistics.median(one[place] for one in found) for found in (ours, theirs))
        told = f"{what}: {mine:,.2f} {unit}, a bare Litestar with SQLAlchemy {other:,.2f} {unit}"
        yield Line("F12", told, f"**{mine / other:.2f}**", f"≤ {target}", mine / other <= target)


def once(command: list[str], environment: Mapping[str, str], folder: Path) -> tuple[float, float]:
    """Seconds until `/health/ready` answers 200, and then MB of the process that answered."""
    port = str(free_port())
    given = [*command, port] if command[-1] == "--port" else command
    begun = time.perf_counter()
    with (folder / "start.log").open("ab") as log:
        process = subprocess.Popen(given, env={**environment, "CORTEZ_PORT": port}, cwd=folder, stdout=log, stderr=log)
    try:
        while not answered(port):
            assert time.perf_counter() - begun < PATIENCE, (folder / "start.log").read_text()[-2000:]
            time.sleep(0.005)
        return time.perf_counter() - begun, max(map(resident, [process.pid, *children(process.pid)]))
    finally:
        process.terminate()
        process.wait(PATIENCE)


def answered(port: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024

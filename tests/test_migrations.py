"""Migrations, as commands and from a wheel."""

import asyncio
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest
from alembic.script import ScriptDirectory

from conftest import POSTGRES
from cortez.migrations import CHECKOUT, location
from postgres import create_database
from serving import serving


@pytest.mark.requirement("G1")
def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(location()).get_heads()) == 1


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked as pip would, outside the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(CHECKOUT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    target = folder / "site"
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(target)
    return target


@pytest.mark.requirement("G1")
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_the_wheel_alone_migrates_and_serves(installed: Path, tmp_path: Path, backend: str, worker: str) -> None:
    url = f"sqlite:///{tmp_path}/cortez.db"
    if backend == "postgresql":
        url = asyncio.run(create_database(os.environ[POSTGRES], f"wheel_{worker}"))
    own = {"DATABASE_URL": url, "PYTHONPATH": str(installed)}
    environment = {**os.environ, **own}

    where = [sys.executable, "-c", "import cortez; print(cortez.__file__)"]
    shown = subprocess.run(where, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert str(installed) in shown.stdout
    for command in ("migrate", "doctor"):
        call = [sys.executable, "-m", "cortez", command]
        done = subprocess.run(call, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    with serving(tmp_path, own) as server:
        assert httpx.get(f"{server.address}/").status_code == 200

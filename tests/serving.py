"""The service as a process of its own, as people start it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from postgres import free_port


@contextmanager
def serving(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """`cortez serve` in the folder; its address, once it is ready. What it prints is in `server.log` there."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    own = {**os.environ, **environment, "CORTEZ_PORT": str(port)}
    command = [sys.executable, "-m", "cortez", "serve"]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=own, cwd=folder, stdout=log, stderr=log)
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
            assert client.get(f"{address}/health/ready").json() == {"status": "ok", "reasons": []}
        yield address
    finally:
        process.terminate()
        process.wait(10)

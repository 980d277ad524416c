"""Uploads that try something: all refused or harmless, nothing left behind, no memory eaten."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from cortez.accounts.models import Role
from cortez.app import create_app
from cortez.content.models import ArchivoAdjunto, Subject, Unidad
from factory import Make
from reliability.stage import SQLITE, Outcome, Stage
from running import client_of, live
from test_files import BAD, GIF, PDF, PNG

FIGURE = "S5"
QUICK = (SQLITE,)
CLAIM = "path tricks, polyglots, one byte over the limit without a length, wrong types, bombs, endless parts"
TARGET = "all refused; memory growth < 5 MB"
LIMIT = 20_000_000
GROWTH = 5.0  # MB
FORM = "multipart/form-data; boundary=b"
NAMED = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
# Names that must not lead anywhere: taken, as the last part of them.
TRICKS = ["../../../../tmp/x.txt", "/etc/cron.d/x.txt", "C:\\windows\\x.txt", "..%2f..%2fx.txt", "a/../../b.txt"]
POLYGLOTS = {
    "script.gif": b"GIF89a/*" + b"\0" * 8 + b"*/=1;alert(1)",
    "archive.pdf": PDF,
    "page.png": PNG + b"<script>alert(1)</script>",
    "tail.gif": GIF + b"PK\x03\x04",
    "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "page.html": b"<script>alert(1)</script>",
    "run.exe": b"MZ" + b"\0" * 64,
    "macro.docm": b"PK\x03\x04",
}


class Site:
    """The unit to upload to, with a client that may."""

    def __init__(self, address: str, unit: str, token: str) -> None:
        self.client = httpx.Client(base_url=f"{address}/api/v1", timeout=60)
        self.client.headers["Authorization"] = f"Bearer {token}"
        self.path = f"/unidades/{unit}/archivos"

    def send(self, name: str, content: bytes) -> httpx.Response:
        return self.client.post(self.path, files={"file": (name, content)})

    def stream(self, pieces: Iterator[bytes]) -> int:
        """The status of a body without a length; 413 too where the server hangs up on it."""
        try:
            return self.client.post(self.path, content=pieces, headers={"content-type": FORM}).status_code
        except httpx.TransportError:
            return 413


def too_long() -> Iterator[bytes]:
    yield NAMED + b"\r\n"
    for _ in range(LIMIT // 100_000):
        yield b"x" * 100_000
    yield b"y"
    yield b"\r\n--b--\r\n"


def endless_header() -> Iterator[bytes]:
    yield b"--b\r\nContent-Disposition: form-data; "
    for _ in range(200):
        yield b"x" * 10_000


def many_parts() -> Iterator[bytes]:
    for number in range(20_000):
        yield f'--b\r\nContent-Disposition: form-data; name="p{number}"\r\n\r\nx\r\n'.encode()
    yield b"--b--\r\n"


def bomb(name: str) -> bytes:
    """50 MB of nothing in 50 kB, under this name in an archive."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, b"\0" * 50_000_000)
    return held.getvalue()


async def run(stage: Stage) -> Outcome:
    unit, token = await prepare(stage)
    with stage.server(CORTEZ_MAX_UPLOAD=str(LIMIT)) as server:
        site = Site(server.address, unit, token)
        warm = [site.send("a.txt", b"text").status_code for _ in range(3)]
        refusals(site, 1)  # what a process makes once is made: what grows from here on would go on growing
        before = server.memory()
        refused = refusals(site, 1 if stage.quick else 10)
        tricked = [tricks(site, name) for name in TRICKS]
        harmless = [served(site, "bomb.zip", bomb("x")), served(site, "script.txt", b"<script>alert(1)</script>")]
        growth = server.memory() - before
    left = strays(Path(stage.settings.files))
    wrong = [name for name, status in refused.items() if status not in {400, 413, 422}]
    said = f"{len(refused) - len(wrong)} of {len(refused)} refused, {sum(tricked)} of {len(TRICKS)} names disarmed"
    more = f"{sum(harmless)} of 2 sent as attachments, {len(left)} left behind, {growth:+.1f} MB"
    kept = not wrong and all(tricked) and all(harmless) and not left and growth < GROWTH
    return Outcome(f"{said}, {more}{f' {wrong}' if wrong else ''}", kept and set(warm) == {201})


def strays(files: Path) -> list[Path]:
    """Files that are not under the digest of their content."""
    return [file for file in files.rglob("*") if file.is_file() and len(file.name) != 64]


def refusals(site: Site, times: int) -> dict[str, int]:
    """What must be refused, and the status that it got."""
    found = {name: site.send(name, content).status_code for name, content in BAD.items()}
    found |= {name: site.send(name, data).status_code for name, data in POLYGLOTS.items() if name != "archive.pdf"}
    found["bomb.docx"] = site.send("bomb.docx", bomb("xl/x")).status_code
    found["deep.ipynb"] = site.send("deep.ipynb", b'{"cells":' + b"[" * 100_000).status_code
    notebook = json.dumps({"cells": [{"source": ["x" * 50] * 20}] * 15_000}).encode()
    found["cut.ipynb"] = site.send("cut.ipynb", notebook[:-1]).status_code
    for number in range(times):
        found[f"too long {number}"] = site.stream(too_long())
        found[f"endless header {number}"] = site.stream(endless_header())
        found[f"many parts {number}"] = site.stream(many_parts())
    return found


def tricks(site: Site, name: str) -> bool:
    body = NAMED.replace(b"a.txt", name.encode()) + b"\r\ntext\r\n--b--\r\n"
    answer = site.client.post(site.path, content=body, headers={"content-type": FORM})
    return answer.status_code == 422 or (answer.status_code == 201 and "/" not in answer.json()["nombre_original"])


def served(site: Site, name: str, content: bytes) -> bool:
    """What cannot be told from the real thing is never shown in a browser."""
    made = site.send(name, content).json()
    answer = site.client.get(f"/archivos/{made['id']}/content")
    headers = answer.headers
    return headers["content-disposition"].startswith("attachment") and headers["x-content-type-options"] == "nosniff"


async def prepare(stage: Stage) -> tuple[str, str]:
    """A unit, and a teacher's token."""
    async with live(create_app(stage.settings)) as app, Make(app, client_of) as make:
        teacher = await make.user(Role.TEACHER)
        unit = Unidad(materia_code="PY", numero=1, titulo="U", esta_publicada=True)
        await make.add(Subject(code="PY", name="Python", language="python"), unit)
        assert await make.all(ArchivoAdjunto) == []
        token: Any = teacher.client.headers["Authorization"]
        return str(unit.id), token.removeprefix("Bearer ")

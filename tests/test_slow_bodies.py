"""How long a body may take, over real sockets: an honest slow one arrives, a byte now and then is cut off."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import pytest

from cortez.content.models import Subject, Unidad
from cortez.core.web.request_body import LEAST_RATE
from cortez.settings import Settings
from factory import Make
from running import SECRET
from serving import Server, serving

SECONDS = 1  # CORTEZ_BODY_TIMEOUT
PART = LEAST_RATE // 2  # bytes every quarter of a second: twice the least rate
HEAD = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
FOOT = b"\r\n--b--\r\n"


class Place(NamedTuple):
    server: Server
    token: str
    unit: str
    session: str

    @property
    def incoming(self) -> list[Path]:
        return [*(self.server.folder / "files" / "incoming").iterdir()]

    def send(self, path: str, media: str, length: int, parts: Iterator[bytes], pause: float) -> tuple[int, float]:
        """The status of the answer, or 0 where there is none within 20 seconds, and after how many it came."""
        host, port = self.server.address.removeprefix("http://").split(":")
        own = f"host: x\r\nauthorization: {self.token}\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n"
        begun = time.monotonic()
        with socket.create_connection((host, int(port)), timeout=pause) as line:
            line.sendall(f"POST /api/v1{path} HTTP/1.1\r\n{own}".encode())
            while time.monotonic() < begun + 20:
                if part := next(parts, b""):
                    line.sendall(part)
                try:
                    return int(line.recv(1_000).split()[1]), time.monotonic() - begun
                except TimeoutError:
                    continue
        return 0, time.monotonic() - begun


@pytest.fixture
async def place(settings: Settings, make: Make, tmp_path: Path) -> AsyncIterator[Place]:
    subject = Subject(code="S", name="A subject", language="python")
    unit = Unidad(materia_code="S", numero=1, titulo="A unit")
    await make.add(subject, unit)
    admin, session = await make.admin(), await make.session()
    environment = {"DATABASE_URL": settings.database_url, "CORTEZ_SECRET_KEY": SECRET}
    own = {"CORTEZ_BODY_TIMEOUT": str(SECONDS), "CORTEZ_FILES": str(tmp_path / "files")}
    (tmp_path / "files" / "incoming").mkdir(parents=True)
    with serving(tmp_path, environment | own) as server:
        yield Place(server, admin.client.headers["authorization"], str(unit.id), str(session.id))


async def test_a_body_that_drips_is_cut_off_wherever_it_goes(place: Place) -> None:
    sent = {
        f"/unidades/{place.unit}/archivos": ("multipart/form-data; boundary=b", iter([HEAD, *[b"x"] * 200])),
        f"/sessions/{place.session}/traces": ("application/json", repeat(b" ")),
        f"/sessions/{place.session}/traces/batch": ("application/x-ndjson", repeat(b" ")),
    }
    for path, (media, parts) in sent.items():
        status, seconds = await asyncio.to_thread(place.send, path, media, 100_000, parts, 0.1)
        assert status == 408, path
        assert SECONDS <= seconds < 5 * SECONDS, path
    assert place.incoming == []


async def test_what_came_fast_buys_no_long_silence(place: Place) -> None:
    path, media = f"/unidades/{place.unit}/archivos", "multipart/form-data; boundary=b"
    fast = iter([HEAD, b"x" * 50 * LEAST_RATE, b"x" * 50 * LEAST_RATE])
    status, seconds = await asyncio.to_thread(place.send, path, media, 200 * LEAST_RATE, fast, 0.1)
    assert status == 408
    assert seconds < 5 * SECONDS
    assert place.incoming == []


async def test_an_upload_at_twice_the_least_rate_takes_as_long_as_it_needs(place: Place) -> None:
    parts = [HEAD, *[b"x" * PART] * (12 * SECONDS), FOOT]
    path, media, length = f"/unidades/{place.unit}/archivos", "multipart/form-data; boundary=b", sum(map(len, parts))
    status, seconds = await asyncio.to_thread(place.send, path, media, length, iter(parts), 0.25)
    assert (status, seconds > 3 * SECONDS) == (201, True)

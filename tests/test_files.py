"""Files: taken by content, on disk before their row, sent whole or in part, and only as attachments."""

import asyncio
import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar

from cortez.content.models import Apuntes, ArchivoAdjunto, Subject, Unidad
from cortez.content.storage import Storage
from factory import Make, Someone
from running import client_of

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40 + b"IEND\xaeB`\x82"
GIF = b"GIF89a" + b"\0" * 20 + b";"
JPG = b"\xff\xd8\xff\xe0" + b"\0" * 20 + b"\xff\xd9"
PDF = b"%PDF-1.7\n1 0 obj\n%%EOF\n"
WEBP = b"RIFF" + (20).to_bytes(4, "little") + b"WEBP" + b"\0" * 16


def archive(*names: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return held.getvalue()


GOOD = {
    "a.png": PNG,
    "b.gif": GIF,
    "c.jpg": JPG,
    "d.pdf": PDF,
    "e.webp": WEBP,
    "f.docx": archive("word/document.xml"),
    "g.zip": archive("anything"),
    "h.ipynb": json.dumps({"cells": []}).encode(),
    "i.py": b"print('a')\n",
    "j.csv": "a,b\n1,ñ\n".encode(),
}
BAD = {
    "a.exe": b"MZ",
    "noextension": b"x",
    "a.png": GIF,
    "b.png": PNG + b"<script>",
    "c.gif": GIF + archive("x"),
    "d.pdf": b"x" + PDF,
    "e.docx": archive("xl/x"),
    "f.zip": b"PK" + b"\0" * 30,
    "g.zip": archive("x") + b"tail",
    "h.ipynb": b"{}",
    "i.py": b"a\0b",
    "j.txt": b"\xff\xfe",
    "k.txt": b"",
    "l.svg": b"<svg/>",
}


class Place:
    teacher: Someone
    unit: str
    note: str
    files: Path


@pytest.fixture
async def place(make: Make, app: Litestar) -> Place:
    made = Place()
    made.teacher = await make.teacher()
    unit = Unidad(materia_code="PY", numero=1, titulo="U", esta_publicada=True)
    await make.add(Subject(code="PY", name="Python", language="python"), unit)
    note = Apuntes(unidad_id=unit.id, titulo="N", contenido_markdown="x")
    await make.add(note)
    made.unit, made.note = f"/unidades/{unit.id}/archivos", f"/apuntes/{note.id}/archivos"
    made.files = Path(app.state.settings.files)
    await asyncio.to_thread(shutil.rmtree, made.files, ignore_errors=True)
    return made


async def send(someone: Someone, path: str, name: str, content: bytes, **more: Any) -> Any:
    return await someone.post(path, files={"file": (name, content)}, **more)


@pytest.mark.parametrize("name", GOOD)
async def test_a_file_comes_back_as_it_went(make: Make, place: Place, name: str) -> None:
    made = await send(place.teacher, place.unit, name, GOOD[name], data={"descripcion": "For week 1"})
    assert made.status_code == 201, made.text
    found = made.json()
    assert (found["nombre_original"], found["descripcion"], found["orden"]) == (name, "For week 1", 1)
    assert (found["tamano_bytes"], found["apuntes_id"]) == (len(GOOD[name]), None)
    student = await make.student()
    content = await student.get(f"/archivos/{found['id']}/content")
    assert content.content == GOOD[name]
    assert content.headers["content-disposition"].startswith("attachment;")
    assert content.headers["x-content-type-options"] == "nosniff"
    assert content.headers["content-type"].startswith(found["mime_type"])


@pytest.mark.parametrize("name", BAD)
async def test_a_file_that_is_not_what_it_says_is_refused(make: Make, place: Place, name: str) -> None:
    refused = await send(place.teacher, place.unit, name, BAD[name])
    assert (refused.status_code, refused.json()["code"]) == (422, "FILE_TYPE_NOT_ALLOWED")
    assert await make.all(ArchivoAdjunto) == []
    assert [one for one in place.files.glob("**/*") if one.is_file()] == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\temp\\a.txt", "a.txt"),
        ("..a.txt", "a.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ],
)
async def test_a_name_is_only_a_name(place: Place, given: str, kept: str) -> None:
    made = await send(place.teacher, place.unit, given, b"text")
    assert made.json()["nombre_original"] == kept
    assert {one.parent.name for one in place.files.glob("*/*")} <= {made.json()["checksum_sha256"][:2]}


async def test_one_byte_too_many_is_too_many_with_or_without_a_length(app: Litestar, place: Place) -> None:
    limit = app.state.settings.max_upload
    assert (await send(place.teacher, place.unit, "a.txt", b"x" * limit)).status_code == 201
    assert (await send(place.teacher, place.unit, "a.txt", b"x" * (limit + 1))).status_code == 413

    async def stream() -> Any:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        for _ in range(limit // 1000 + 1):
            yield b"x" * 1000
        yield b"\r\n--b--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert (await place.teacher.post(place.unit, content=stream(), headers=headers)).status_code == 413
    assert list((place.files / "incoming").iterdir()) == []


def form(disposition: str, end: str = "\r\n--b--\r\n") -> bytes:
    return f"--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\nx{end}".encode()


FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", FORM, 400),
        (b"--b--\r\n", FORM, 422),
        (b"x", "multipart/form-data", 422),
        (b"--c\r\n", FORM, 400),
        (form('name="file"; filename="a.txt"', end=""), FORM, 400),
        (form('name="other"; filename="a.txt"'), FORM, 422),
        (form('name="file"'), FORM, 422),
        (b"{}", "application/json", 415),
    ],
)
async def test_a_body_that_is_no_upload_is_refused(place: Place, body: bytes, content_type: str, status: int) -> None:
    refused = await place.teacher.post(place.unit, content=body, headers={"content-type": content_type})
    assert refused.status_code == status, refused.text
    assert [one for one in place.files.glob("**/*") if one.is_file()] == []


async def test_who_may_not_upload_sends_nothing_to_the_disk(app: Litestar, make: Make, place: Place) -> None:
    for someone in (await make.student(), await make.tutor(), await make.key("read")):
        assert (await send(someone, place.unit, "a.txt", b"x")).status_code == 403
    async with client_of(app) as nobody:
        assert (await nobody.post(place.unit, files={"file": ("a.txt", b"x")})).status_code == 401
    assert (await send(place.teacher, f"/unidades/{uuid4()}/archivos", "a.txt", b"x")).status_code == 404
    assert (await send(place.teacher, place.unit, "a.txt", b"x", data={"unknown": "x"})).status_code == 422
    assert await make.all(ArchivoAdjunto) == []
    assert not (place.files / "incoming").exists() or list((place.files / "incoming").iterdir()) == []


async def test_the_same_key_stores_an_upload_once(make: Make, place: Place) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await send(place.teacher, place.unit, "a.txt", b"text", headers=headers)
    again = await send(place.teacher, place.unit, "a.txt", b"text", headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert (await send(place.teacher, place.unit, "a.txt", b"other", headers=headers)).status_code == 422
    assert len(await make.all(ArchivoAdjunto)) == 1


async def test_the_same_content_lies_on_disk_once(place: Place) -> None:
    answers = await asyncio.gather(*[send(place.teacher, place.unit, f"{n}.txt", b"same") for n in range(5)])
    assert sorted(answer.json()["orden"] for answer in answers) == [1, 2, 3, 4, 5]
    assert len([one for one in place.files.glob("*/*") if one.parent.name != "incoming"]) == 1


async def test_the_files_of_a_unit_have_a_quota_together(place: Place) -> None:
    for letter in (b"a", b"b"):
        assert (await send(place.teacher, place.unit, "a.txt", letter * 90_000)).status_code == 201
    before = sorted(place.files.rglob("*"))
    full = await send(place.teacher, place.note, "a.txt", b"c" * 90_000)
    assert (full.status_code, full.json()["code"]) == (409, "QUOTA_EXCEEDED")
    nowhere = await send(place.teacher, f"/unidades/{UUID(int=1)}/archivos", "a.txt", b"d")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "UNIT_NOT_FOUND")
    assert sorted(place.files.rglob("*")) == before  # what is refused is not kept


async def test_a_sweep_removes_what_no_row_names(make: Make, place: Place) -> None:
    kept = (await send(place.teacher, place.unit, "a.txt", b"kept")).json()
    for letter in (b"a", b"b"):
        await send(place.teacher, place.unit, "a.txt", letter * 90_000)
    loose = place.files / "00" / ("0" * 64)  # whose row a restored database lacks
    loose.parent.mkdir()
    loose.write_bytes(b"x")
    (place.files / "incoming" / "cut short").write_bytes(b"x")
    storage = Storage(str(place.files))
    known = {row.nombre_almacenado for row in await make.all(ArchivoAdjunto)}
    assert storage.sweep(known, 3600) == 0
    assert storage.sweep(known, -1) == 2
    assert (await place.teacher.get(f"/archivos/{kept['id']}/content")).content == b"kept"


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=4-", 206, b"456789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=8-100", 206, b"89"),
        ("bytes=0-9", 200, b"0123456789"),
        ("bytes=10-", 416, None),
        ("bytes=5-2", 416, None),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("bytes=-", 200, b"0123456789"),
        pytest.param(f"bytes={'9' * 5000}-", 416, None, id="from a number that Python does not read"),
        pytest.param(f"bytes=0-{'9' * 5000}", 200, b"0123456789", id="to such a number"),
        pytest.param(f"bytes=-{'9' * 5000}", 200, b"0123456789", id="the last so many"),
        (f"bytes={'0' * 5000}2-3", 206, b"23"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
async def test_a_part_of_a_file_is_sent_where_it_is_asked_for(
    place: Place, asked: str, status: int, expected: bytes | None
) -> None:
    made = (await send(place.teacher, place.unit, "a.txt", b"0123456789")).json()
    path = f"/archivos/{made['id']}/content"
    answer = await place.teacher.get(path, headers={"Range": asked})
    assert answer.status_code == status
    if expected is not None:
        assert (answer.content, answer.headers["content-length"]) == (expected, str(len(expected)))
    changed = await place.teacher.get(path, headers={"Range": asked, "If-Range": '"another"'})
    assert changed.status_code == 200


@pytest.mark.requirement("M7")
async def test_files_are_seen_deleted_and_restored_with_their_note(make: Make, place: Place) -> None:
    student = await make.student()
    made = (await send(place.teacher, place.note, "a.txt", b"x")).json()
    path, note = f"/archivos/{made['id']}", place.note.removesuffix("/archivos")
    assert (await student.get(f"{path}/content")).status_code == 404
    await place.teacher.post(f"{note}/publish")
    assert (await student.get(path)).status_code == 200
    assert [one["id"] for one in (await student.get(place.note)).json()["items"]] == [made["id"]]
    await place.teacher.delete(note)
    assert (await place.teacher.get(path)).status_code == 404
    assert (await place.teacher.post(f"{path}/restore")).status_code == 404
    await place.teacher.post(f"{note}/restore")
    assert (await student.get(path)).status_code == 200
    assert (await place.teacher.delete(path)).status_code == 204
    assert [one["id"] for one in (await place.teacher.get(f"{place.note}?deleted=true")).json()["items"]] == [
        made["id"]
    ]
    assert (await student.get(f"{place.note}?deleted=true")).status_code == 403
    assert (await student.post(f"{path}/restore")).status_code == 403
    assert (await place.teacher.post(f"{path}/restore")).json()["deleted_at"] is None


async def test_a_file_is_renamed_but_stays_what_it_is(make: Make, place: Place) -> None:
    made = (await send(place.teacher, place.unit, "a.txt", b"x")).json()
    path = f"/archivos/{made['id']}"
    renamed = await place.teacher.patch(path, json={"nombre_original": "ñ b.txt", "descripcion": None})
    assert renamed.json()["nombre_original"] == "ñ b.txt"
    shown = (await place.teacher.get(f"{path}/content")).headers["content-disposition"]
    assert shown == "attachment; filename*=UTF-8''%C3%B1%20b.txt"
    for wrong in ("a.exe", "../a.txt", "a\nb.txt", ""):
        assert (await place.teacher.patch(path, json={"nombre_original": wrong})).status_code == 422
    assert (await (await make.student()).patch(path, json={})).status_code == 403
    assert (await place.teacher.get(f"/archivos/{uuid4()}")).status_code == 404

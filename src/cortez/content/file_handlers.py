"""`/archivos`: files beside units and notes. A file is on disk before its row, and only ever sent as attachment."""

import asyncio
import re
from collections.abc import AsyncGenerator
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.clock import utc_now
from cortez.content.access import may_restore, readers
from cortez.content.attachments import Taken, beside, kept, placed, require_room
from cortez.content.dependencies import Notes, Unidades, provide_notes, provide_unidades
from cortez.content.models import ArchivoAdjunto
from cortez.content.repository import MAX_FILES, ApuntesRepository, ArchivoRepository, UnidadRepository
from cortez.content.schemas import ArchivoOut, ArchivoPatch
from cortez.content.storage import Storage
from cortez.content.types import safe_name
from cortez.core.db.engine import Database
from cortez.core.db.pagination import Listing, Page
from cortez.core.security.principal import Principal
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import teachers
from cortez.core.web.preconditions import Match
from cortez.core.web.requests import StrictRequest
from cortez.core.web.responses import Answer
from cortez.core.web.route_options import route
from cortez.core.web.uploads import MEDIA
from cortez.errors import CortezError, Invalid, NotFound
from cortez.settings import Settings

FORM = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
        "descripcion": {"type": "string", "maxLength": 500},
    },
    "required": ["file"],
    "additionalProperties": False,
}
BYTES = {"application/octet-stream": {"type": "string", "contentMediaType": "application/octet-stream"}}
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
CHUNK = 256 * 1024


provide_files = provided(ArchivoRepository)
Files = NamedDependency[ArchivoRepository]


@get("/unidades/{unidad_id:uuid}/archivos", guards=[readers])
async def list_unit_files(
    unidad_id: FromPath[UUID],
    unidades: Unidades,
    files: Files,
    page: NamedDependency[Page],
    deleted: FromQuery[bool] = False,
) -> Listing[ArchivoOut]:
    """Of the unit itself; `deleted` lists what may be restored."""
    may_restore(files.principal, deleted)
    await unidades.get(unidad_id)
    statement = files.listed(deleted=deleted).where(ArchivoAdjunto.unidad_id == unidad_id)
    return await files.page(statement, page, ArchivoOut.of)


@get("/apuntes/{note_id:uuid}/archivos", guards=[readers])
async def list_note_files(
    note_id: FromPath[UUID],
    notes: Notes,
    files: Files,
    page: NamedDependency[Page],
    deleted: FromQuery[bool] = False,
) -> Listing[ArchivoOut]:
    """Of the note; `deleted` lists what may be restored."""
    may_restore(files.principal, deleted)
    await notes.get(note_id)
    statement = files.listed(deleted=deleted).where(ArchivoAdjunto.apuntes_id == note_id)
    return await files.page(statement, page, ArchivoOut.of)


async def taken(scope: Any, body: bytes, database: Database) -> Taken:
    """The file, where its unit is there and has room for it; before the unit of work begins."""
    async with database.reading() as session:
        unidad_id = await unit_of(session, scope["user"], scope["path_params"])
        await require_room(session, unidad_id, scope["state"]["upload"].size, database.settings)
    return await placed(scope["state"]["upload"], database.settings)


async def unit_of(session: AsyncSession, principal: Principal, places: dict[str, Any]) -> UUID:
    """The unit that the file will belong to, by itself or by its note. Raises NotFound."""
    unidad_id = places.get("unidad_id")
    if unidad_id is None:
        unidad_id = (await ApuntesRepository(session, principal).get(places["note_id"])).unidad_id
    found: UUID = (await UnidadRepository(session, principal).get(unidad_id)).id
    return found


UPLOAD = route(upload=True, bodies={MEDIA: FORM}, before=taken)


@post("/unidades/{unidad_id:uuid}/archivos", guards=[teachers], opt=UPLOAD)
async def upload_to_unit(
    unidad_id: FromPath[UUID],
    request: StrictRequest,
    unidades: Unidades,
    files: Files,
    settings: NamedDependency[Settings],
) -> Answer[ArchivoOut]:
    """A multipart form with the part `file` and, if wanted, the field `descripcion`."""
    archivo = request.state.prepared.row()
    unidad = await unidades.get(unidad_id, lock=True)
    archivo.unidad_id = unidad.id
    return await kept(archivo, unidad.id, files, settings)


@post("/apuntes/{note_id:uuid}/archivos", guards=[teachers], opt=UPLOAD)
async def upload_to_note(
    note_id: FromPath[UUID],
    request: StrictRequest,
    unidades: Unidades,
    notes: Notes,
    files: Files,
    settings: NamedDependency[Settings],
) -> Answer[ArchivoOut]:
    """A multipart form with the part `file` and, if wanted, the field `descripcion`."""
    archivo = request.state.prepared.row()
    note = await notes.get(note_id)
    await unidades.get(note.unidad_id, lock=True)
    archivo.apuntes_id = note.id
    return await kept(archivo, note.unidad_id, files, settings)


@get("/archivos/{file_id:uuid}", guards=[readers])
async def read_file(file_id: FromPath[UUID], files: Files) -> ArchivoOut:
    return ArchivoOut.of(await files.get(file_id))


@patch("/archivos/{file_id:uuid}", guards=[teachers])
async def change_file(
    file_id: FromPath[UUID], data: JSONBody[ArchivoPatch], files: Files, match: NamedDependency[Match]
) -> ArchivoOut:
    """The name keeps its extension: the content does not change."""
    archivo = await files.get(file_id, lock=True)
    match.check(archivo.updated_at)
    changes = data.changes()
    if "nombre_original" in changes:
        changes["nombre_original"] = safe_name(changes["nombre_original"])
        if changes["nombre_original"].rpartition(".")[2].lower() != archivo.tipo_archivo:
            raise Invalid.at("/nombre_original", f"The name must end with .{archivo.tipo_archivo}.")
    return ArchivoOut.of(await files.change(archivo, changes))


@delete("/archivos/{file_id:uuid}", guards=[teachers])
async def delete_file(file_id: FromPath[UUID], files: Files, match: NamedDependency[Match]) -> None:
    """It can be restored."""
    archivo = await files.get(file_id, lock=True)
    match.check(archivo.updated_at)
    await files.change(archivo, {"deleted_at": utc_now()})


@post("/archivos/{file_id:uuid}/restore", guards=[teachers], status_code=HTTP_200_OK)
async def restore_file(file_id: FromPath[UUID], files: Files, unidades: Unidades, notes: Notes) -> ArchivoOut:
    """Its unit or note must be there, and have room."""
    archivo = await files.get_deleted(file_id)
    if archivo.unidad_id:
        await unidades.get(archivo.unidad_id, lock=True)
    if archivo.apuntes_id:
        await notes.get(archivo.apuntes_id, lock=True)
    await files.limit_parts(beside(archivo), MAX_FILES)
    return ArchivoOut.of(await files.change(archivo, {"deleted_at": None}))


@get("/archivos/{file_id:uuid}/content", guards=[readers], opt=route(answers=BYTES, also=(206,)))
async def download_file(
    file_id: FromPath[UUID], request: StrictRequest, files: Files, settings: NamedDependency[Settings]
) -> Stream:
    """The bytes, whole or by `Range`, always as an attachment."""
    archivo = await files.get(file_id)
    await files.session.close()  # the connection goes back before the first byte is sent
    path = Storage(settings.files).place(str(archivo.checksum_sha256))
    if not path.exists():
        raise NotFound("file", file_id)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(archivo.nombre_original)}",
        "ETag": f'"{archivo.checksum_sha256}"',
        "Accept-Ranges": "bytes",
        "Last-Modified": formatdate(archivo.created_at.timestamp(), usegmt=True),
    }
    start, end = wanted(request, archivo.tamano_bytes, headers["ETag"])
    headers["Content-Length"] = str(end - start)
    partial = (start, end) != (0, archivo.tamano_bytes)
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{archivo.tamano_bytes}"
    status = 206 if partial else HTTP_200_OK
    return Stream(part(path, start, end), status_code=status, headers=headers, media_type=archivo.mime_type)


def wanted(request: StrictRequest, size: int, tag: str) -> tuple[int, int]:
    """The bytes from and up to that are asked for; all of them for several ranges, or another version's."""
    found = RANGE.fullmatch(request.headers.get("range", ""))
    if not found or found.group() == "bytes=-" or request.headers.get("if-range", tag) != tag:
        return 0, size
    first, last = (number(digits, size) if digits else None for digits in found.groups())
    start = first if first is not None else max(0, size - (last or 0))
    end = min(last + 1, size) if first is not None and last is not None else size
    if start >= size or start >= end:
        error = CortezError("RANGE_NOT_SATISFIABLE", f"The file has {size} bytes.")
        error.status, error.headers = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{size}"}
        raise error
    return start, end


def number(digits: str, most: int) -> int:
    """No more than `most`, however many digits a client sends."""
    significant = digits.lstrip("0")
    return most if len(significant) > len(str(most)) else min(int(significant or "0"), most)


async def part(path: Path, start: int, end: int) -> AsyncGenerator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            chunk = await asyncio.to_thread(file.read, min(CHUNK, end - start))
            start += len(chunk)
            yield chunk


router = Router(
    "/",
    route_handlers=[
        list_unit_files,
        list_note_files,
        upload_to_unit,
        upload_to_note,
        read_file,
        change_file,
        delete_file,
        restore_file,
        download_file,
    ],
    dependencies={
        "files": provide_files,
        "notes": provide_notes,
        "unidades": provide_unidades,
    },
    tags=["content"],
)

"""`/archivos`: files beside units and notes. A file is on disk before its row, and only ever sent as attachment."""

import asyncio
import re
from collections.abc import AsyncGenerator
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.content.handlers import Unidades, may_restore, provide_unidades, readers
from cortez.content.models import Apuntes, ArchivoAdjunto
from cortez.content.note_handlers import Notes, provide_notes
from cortez.content.repository import MAX_FILES, ApuntesRepository, ArchivoRepository, UnidadRepository
from cortez.content.schemas import ArchivoOut, ArchivoPatch
from cortez.content.storage import Storage
from cortez.content.types import KINDS, Kind, extension_of, safe_name
from cortez.database import Database
from cortez.db import utc_now
from cortez.dependencies import provided
from cortez.errors import Conflict, CortezError, Invalid, NotFound
from cortez.paging import Page
from cortez.pools import BESIDE
from cortez.responses import Answer, created
from cortez.schemas import Listing, Match, StrictRequest
from cortez.security import Principal, teachers
from cortez.settings import Settings
from cortez.uploads import MEDIA, Upload

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
MAX_DESCRIPTION = 500
SMALL = 1_000_000  # bytes of a file that is checked in no time


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


class Taken(NamedTuple):
    """What an upload says of its file, which is on disk to stay."""

    name: str
    description: str | None
    kind: Kind
    upload: Upload

    def row(self) -> ArchivoAdjunto:
        sha256 = self.upload.sha256
        return ArchivoAdjunto(
            nombre_original=self.name,
            nombre_almacenado=sha256,
            tipo_archivo=self.kind.extension,
            mime_type=self.kind.mime_type,
            tamano_bytes=self.upload.size,
            ruta_relativa=Storage.relative(sha256),
            descripcion=self.description,
            checksum_sha256=sha256,
        )


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


async def placed(upload: Upload, settings: Settings) -> Taken:
    """The file on disk, to stay, where it is what its name says. Raises Invalid."""
    name = safe_name(upload.filename)
    if unknown := sorted(upload.fields.keys() - {"descripcion"}):
        raise Invalid.at(f"/{unknown[0]}", "This field is not known here.")
    description = upload.fields.get("descripcion")
    if description is not None and (len(description) > MAX_DESCRIPTION or "\0" in description):
        raise Invalid.at("/descripcion", f"A description has at most {MAX_DESCRIPTION} characters, and no NUL.")
    check = BESIDE.run if upload.size > SMALL else asyncio.to_thread
    extension = await check(extension_of, name, upload.path)
    await asyncio.to_thread(Storage(settings.files).adopt, upload)
    return Taken(name, description, KINDS[extension], upload)


UPLOAD: dict[str, Any] = {"upload": True, "bodies": {MEDIA: FORM}, "before": taken}


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


async def require_room(session: AsyncSession, unidad_id: UUID, size: int, settings: Settings) -> None:
    """Raises Conflict (QUOTA_EXCEEDED)."""
    notes = select(Apuntes.id).where(Apuntes.unidad_id == unidad_id)
    of_unit = or_(ArchivoAdjunto.unidad_id == unidad_id, ArchivoAdjunto.apuntes_id.in_(notes))
    held = await session.scalar(select(func.coalesce(func.sum(ArchivoAdjunto.tamano_bytes), 0)).where(of_unit))
    if (held or 0) + size > settings.file_quota:
        raise Conflict("QUOTA_EXCEEDED", f"The files of a unit may have {settings.file_quota} bytes together.")


def beside(archivo: ArchivoAdjunto) -> ColumnElement[bool]:
    """The files of the same unit or note."""
    if archivo.unidad_id:
        return ArchivoAdjunto.unidad_id == archivo.unidad_id
    return ArchivoAdjunto.apuntes_id == archivo.apuntes_id


async def kept(
    archivo: ArchivoAdjunto, unidad_id: UUID, files: ArchivoRepository, settings: Settings
) -> Answer[ArchivoOut]:
    """Store the row; the unit is locked. Raises Conflict (QUOTA_EXCEEDED, TOO_MANY_PARTS)."""
    await require_room(files.session, unidad_id, archivo.tamano_bytes, settings)
    siblings = beside(archivo)
    await files.limit_parts(siblings, MAX_FILES)
    last = await files.session.scalar(select(func.max(ArchivoAdjunto.orden)).where(siblings))
    archivo.orden = (last or 0) + 1
    await files.add(archivo)
    return created(ArchivoOut.of(archivo), f"/archivos/{archivo.id}")


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


@get("/archivos/{file_id:uuid}/content", guards=[readers], opt={"answers": BYTES, "also": (206,)})
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

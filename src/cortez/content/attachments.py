"""Uploaded files of a unit or a note: checked, bounded, stored."""

import asyncio
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.content.models import Apuntes, ArchivoAdjunto
from cortez.content.repository import MAX_FILES, ArchivoRepository
from cortez.content.schemas import ArchivoOut
from cortez.content.storage import Storage
from cortez.content.types import KINDS, Kind, extension_of, safe_name
from cortez.core.concurrency.worker_pools import BESIDE
from cortez.core.web.responses import Answer, created
from cortez.core.web.uploads import Upload
from cortez.errors import Conflict, Invalid
from cortez.settings import Settings

MAX_DESCRIPTION = 500
SMALL = 1_000_000  # bytes of a file that is checked in no time


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

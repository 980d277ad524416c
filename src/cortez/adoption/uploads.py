"""The predecessor's uploaded files: copied under the digest of their content, or kept out with the reason."""

import os
from pathlib import Path
from uuid import uuid4

from cortez.adoption.rows import Making
from cortez.adoption.values import Fit, Old
from cortez.content.storage import Storage
from cortez.content.types import KINDS, extension_of, safe_name
from cortez.core.web.uploads import Upload
from cortez.errors import Invalid

CHUNK = 1_000_000


def take_file(row: Making, folder: Path | None, storage: Storage) -> None:
    """File first, on disk to stay; then the row speaks of it. Without its file a row goes to the quarantine."""
    if folder is None:
        row.refuse("its file was not taken over: give --files")
        return
    place = (folder / str(row.old.get("ruta_relativa"))).resolve()
    if not place.is_relative_to(folder.resolve()) or not place.is_file():
        row.refuse("its file is not in the folder of --files")
        return
    try:
        name = safe_name(str(row.old.get("nombre_original")))
        kind = KINDS[extension_of(name, place)]
    except Invalid as error:
        row.refuse(f"its file is refused: {error.errors[0].detail if error.errors else error.detail}")
        return
    upload = copied(place, storage)
    storage.adopt(upload)
    if row.old.get("checksum_sha256") not in (None, upload.sha256):
        row.lose("checksum_sha256", "not that of the file", upload.sha256, row.old["checksum_sha256"])
    values: dict[str, Old] = {
        "nombre_original": name,
        "nombre_almacenado": upload.sha256,
        "tipo_archivo": kind.extension,
        "mime_type": kind.mime_type,
        "tamano_bytes": upload.size,
        "ruta_relativa": storage.relative(upload.sha256),
        "checksum_sha256": upload.sha256,
    }
    for column, value in values.items():
        row.put(column, Fit(value))
    row.changes.append("nombre_almacenado, ruta_relativa: under the digest of the content")


def copied(place: Path, storage: Storage) -> Upload:
    storage.incoming.mkdir(parents=True, exist_ok=True)
    upload = Upload(storage.incoming / uuid4().hex)
    with place.open("rb") as source, upload.path.open("xb") as target:
        while chunk := source.read(CHUNK):
            upload.digest.update(chunk)
            upload.size += len(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    return upload

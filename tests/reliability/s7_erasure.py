"""What is said of a student in every kind of place is in their archive, and after erasure it is nowhere."""

import io
from pathlib import Path
from zipfile import ZipFile

from cortez.audit.seals import seal_all, verify
from cortez.core.db.base import Base
from cortez.core.db.classification import STAMPS
from factory import Make
from planted import WORDS, everything, figures, plant
from reliability.stage import Outcome, Stage
from running import client_of

FIGURE = "S7"
CLAIM = f"erasure of a student with {len(WORDS)} strings planted in every kind of place"
TARGET = "the archive held all; 0 left; statistics and audit chain whole; 0 unclassified columns"


async def run(stage: Stage) -> Outcome:
    async with stage.app() as app, Make(app, client_of) as make:
        group, admin = await make.group(), await make.admin()
        await plant(make, group)
        await group.teacher.get(group.path)
        await app.state.upkeep.journal.flush()
        place = f"/students/{group.student.student_id}/data"
        archive = ZipFile(io.BytesIO((await group.student.get(place)).content))
        whole = b"".join(archive.read(name) for name in archive.namelist()).decode()
        held = sum(word in whole for word in WORDS)
        before = await figures(make)
        await seal_all(make.database)
        assert (await admin.delete(place)).status_code == 200
        await seal_all(make.database)
        async with make.database.reading() as session:
            chain = (await verify(session)).intact
        same = await figures(make) == before
        names = [*WORDS, group.student.student_id, str(group.student.id), group.student.id.hex]
        rows = await everything(make)
        left = {name for name in names if name in rows}
        await app.state.upkeep.fold()
    left |= {name for name in names if name.encode() in raw(stage.folder)}
    models = [mapper.class_ for mapper in Base.registry.mappers]
    named = {model: {*STAMPS, *model.privacy.columns()} for model in models}
    columns = sum(len(set(model.__table__.columns.keys()) - named[model]) for model in models)
    said = f"archive {held} of {len(WORDS)}, {len(left)} left, statistics {'equal' if same else 'CHANGED'}"
    more = f"chain {'intact' if chain else 'BROKEN'}, {columns} unclassified"
    return Outcome(f"{said}, {more}", held == len(WORDS) and not left and same and chain and not columns)


def raw(folder: Path) -> bytes:
    """Every file of the service, as it lies on disk: the database, its journal, uploads."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())

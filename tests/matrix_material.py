"""What belongs to no course: material and exercises, published, hidden and deleted; accounts and keys."""

import hashlib
from typing import Any
from uuid import UUID

from cortez.clock import utc_now
from cortez.content.models import Apuntes, ArchivoAdjunto, Subject, Unidad
from cortez.content.storage import Storage
from cortez.core.db.base import Base
from cortez.exercises.models import ExerciseHint, ExerciseTest, HintReveal, RubricCriterion, RubricLevel
from factory import Make

MARK = "qzjxmark"


async def keep(make: Make, at: dict[str, str], rows: dict[str, Base]) -> None:
    """Store those that are not stored yet, and note where each is."""
    await make.add(*(row for row in rows.values() if row.id is None))
    at |= {place: str(row.id) for place, row in rows.items()}


async def material(make: Make, files: str, at: dict[str, str]) -> None:
    """What belongs to no course: published, hidden and deleted."""
    now = utc_now()
    await make.add(
        Subject(code="S-1", name="Subject", language="python"),
        Subject(code="S-retired", name=MARK, language="python", is_active=False),
        Subject(code="S-2", name="Unused", language="python"),
    )
    at |= {"{code}": "S-1", "{code@retired}": "S-retired", "{code@unused}": "S-2"}
    shown = {"esta_publicada": True, "requiere_unidad_anterior": False}
    rows: dict[str, Base] = {
        "{unidad_id}": Unidad(materia_code="S-1", numero=1, titulo="Unit", **shown),
        "{unidad_id@hidden}": Unidad(materia_code="S-1", numero=2, titulo=MARK),
        "{unidad_id@deleted}": Unidad(materia_code="S-1", numero=3, titulo=MARK, deleted_at=now, **shown),
    }
    await keep(make, at, rows)
    unit = UUID(at["{unidad_id}"])
    note: dict[str, Any] = {"unidad_id": unit, "contenido_markdown": ""}
    rows = {
        "{note_id}": Apuntes(**note, titulo="Note", orden=1, esta_publicado=True),
        "{note_id@hidden}": Apuntes(**note, titulo=MARK, orden=2),
        "{note_id@unit}": Apuntes(contenido_markdown="", titulo=MARK, unidad_id=UUID(at["{unidad_id@hidden}"])),
        "{note_id@deleted}": Apuntes(**note, titulo=MARK, orden=3, esta_publicado=True, deleted_at=now),
    }
    await keep(make, at, rows)
    note_id, hidden = UUID(at["{note_id}"]), UUID(at["{unidad_id@hidden}"])
    rows = {
        "{file_id}": file(files, "open", unidad_id=unit),
        "{file_id@note}": file(files, "open", apuntes_id=note_id),
        "{file_id@hidden}": file(files, MARK, unidad_id=hidden),
        "{file_id@hidden_note}": file(files, MARK, apuntes_id=UUID(at["{note_id@hidden}"])),
        "{file_id@deleted}": file(files, MARK, unidad_id=unit, orden=2, deleted_at=now),
        "{file_id@below}": file(files, MARK, unidad_id=UUID(at["{unidad_id@deleted}"]), deleted_at=now),
        "{file_id@below_note}": file(files, MARK, apuntes_id=UUID(at["{note_id@deleted}"]), deleted_at=now),
        "{file_id@notes}": file(files, MARK, apuntes_id=note_id, orden=2, deleted_at=now),
    }
    await keep(make, at, rows)
    await exercises(make, at)
    spare, key = await make.student(full_name=MARK), await make.key()
    at |= {"{user_id}": str(spare.id), "{key_id}": str(key.id)}


def file(files: str, name: str, **values: Any) -> ArchivoAdjunto:
    content = f"the file {name}".encode()
    sha = hashlib.sha256(content).hexdigest()
    place = Storage(files).place(sha)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    values |= {"nombre_original": f"{name}.txt", "tamano_bytes": len(content), "checksum_sha256": sha}
    return ArchivoAdjunto(
        nombre_almacenado=sha, tipo_archivo="txt", mime_type="text/plain", ruta_relativa=Storage.relative(sha), **values
    )


async def exercises(make: Make, at: dict[str, str]) -> None:
    secret = {"subject_code": "S-1", "solution_code": MARK}
    shown, unused = await make.exercise(**secret), await make.exercise(**secret, is_active=False, title=MARK)
    rows: dict[str, Any] = {
        "{exercise_id}": shown,
        "{exercise_id@hidden}": unused,
        "{exercise_id@deleted}": await make.exercise(**secret, deleted_at=utc_now(), title=MARK),
        "{hint_id@hidden}": ExerciseHint(exercise_id=unused.id, hint_number=1, content=MARK),
        "{test_id@hidden}": ExerciseTest(exercise_id=unused.id, test_number=1, input=MARK, expected="x"),
        "{hint_id}": ExerciseHint(exercise_id=shown.id, hint_number=1, content=MARK),
        "{test_id}": ExerciseTest(exercise_id=shown.id, test_number=1, input=MARK, expected="x", is_hidden=True),
    }
    await keep(make, at, rows)
    criterion = RubricCriterion(exercise_id=shown.id, criterion_name="x", weight=1.0, display_order=1)
    await make.add(criterion)
    level = {"level_name": "Bueno", "description": "x", "min_score": 0.0, "max_score": 10.0, "points": 100}
    await make.add(RubricLevel(criterion_id=criterion.id, **level))
    learner = HintReveal(student_id="somebody", exercise_id=shown.id, hint_id=UUID(at["{hint_id}"]), penalty=0)
    await make.add(learner)

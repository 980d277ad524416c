"""What the demo class learns from: a subject with a unit for each assignment, its notes and files, and exercises."""

import hashlib
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from cortez.clock import utc_now
from cortez.content.attachments import kept, placed
from cortez.content.models import Apuntes, Subject, Unidad
from cortez.content.repository import ApuntesRepository, ArchivoRepository, SubjectRepository, UnidadRepository
from cortez.content.storage import Storage
from cortez.core.security.principal import Principal
from cortez.core.web.uploads import Upload
from cortez.demo.material import ASSIGNMENTS, CRITERIA, LEVELS, Assignment
from cortez.demo.model import NAMESPACE
from cortez.exercises.models import Exercise, ExerciseDifficulty
from cortez.exercises.repository import CriterionRepository, ExerciseRepository, HintRepository, TestRepository
from cortez.exercises.schemas import BandIn, CriterionIn, RubricIn
from cortez.settings import Settings

SUBJECT = "PROG2"
DIFFICULTIES = {"INICIAL": ExerciseDifficulty.EASY, "INTERMEDIO": ExerciseDifficulty.MEDIUM}
GIVEN = [assignment for assignment in ASSIGNMENTS if assignment.status == "active"]


def exercise_id(assignment: Assignment) -> UUID:
    return uuid5(NAMESPACE, f"exercise:{assignment.activity_id}")


async def furnish(session: AsyncSession, teacher: Principal, settings: Settings) -> None:
    """Subject, units, notes, files and exercises, published."""
    subjects = SubjectRepository(session, teacher)
    await subjects.create(Subject(code=SUBJECT, name="Programación 2", language="python"))
    for number, assignment in enumerate(GIVEN, start=1):
        await unit(session, teacher, number, assignment, settings)
        await exercise(session, teacher, number, assignment)


async def unit(
    session: AsyncSession, teacher: Principal, number: int, assignment: Assignment, settings: Settings
) -> None:
    now = utc_now()
    unidad = await UnidadRepository(session, teacher).create(
        Unidad(
            materia_code=SUBJECT,
            numero=number,
            orden=number,
            titulo=assignment.title,
            objetivos_aprendizaje=assignment.tags,
            esta_publicada=True,
            published_at=now,
            created_by=str(teacher.id),
        )
    )
    note = f"# {assignment.concept.capitalize()}\n\nConviene {assignment.step}. Un error común: {assignment.trap}.\n"
    await ApuntesRepository(session, teacher).add(
        Apuntes(
            unidad_id=unidad.id,
            titulo=f"Sobre {assignment.concept}",
            contenido_markdown=note,
            esta_publicado=True,
            published_at=now,
            created_by=str(teacher.id),
        )
    )
    code = "\n\n\n".join(assignment.snippets) + "\n"
    archivo = (await placed(upload(f"{assignment.activity_id}.py", code.encode(), settings), settings)).row()
    archivo.unidad_id = unidad.id
    await kept(archivo, unidad.id, ArchivoRepository(session, teacher), settings)


def upload(name: str, content: bytes, settings: Settings) -> Upload:
    """A file as if it had just been sent."""
    incoming = Storage(settings.files).incoming
    incoming.mkdir(parents=True, exist_ok=True)
    sent = Upload(incoming / name)
    sent.path.write_bytes(content)
    sent.filename, sent.size, sent.digest = name, len(content), hashlib.sha256(content)
    return sent


async def exercise(session: AsyncSession, teacher: Principal, number: int, assignment: Assignment) -> None:
    """With three hints, a visible and two hidden tests, and a rubric."""
    made = await ExerciseRepository(session, teacher).add(
        Exercise(
            id=exercise_id(assignment),
            subject_code=SUBJECT,
            title=assignment.title,
            difficulty=DIFFICULTIES.get(assignment.difficulty, ExerciseDifficulty.HARD).value,
            time_min=assignment.minutes,
            unit=number,
            language="python",
            mission_markdown=assignment.instructions,
            starter_code="",
            solution_code=assignment.snippets[0],
            tags=assignment.tags,
        )
    )
    hints = HintRepository(session, teacher)
    texts = (f"Pensá en {assignment.concept}.", f"Cuidado: {assignment.trap}.", f"Probá {assignment.step}.")
    for text in texts:
        values = {"content": text, "title": None, "hint_number": None, "penalty_points": None}
        await hints.create(made, values)
    tests = TestRepository(session, teacher)
    for place, (given, expected) in enumerate(assignment.cases):
        await tests.create(made, {"input": given, "expected": expected, "test_number": None, "is_hidden": place > 0})
    await CriterionRepository(session, teacher).replace(made, rubric())


def rubric() -> RubricIn:
    def levels(weight: float) -> list[BandIn]:
        return [
            BandIn(level_name=name, description=text, min_score=low, max_score=high, points=round(100 * weight * share))
            for name, text, low, high, share in LEVELS
        ]

    return RubricIn(
        criteria=[CriterionIn(criterion_name=name, weight=weight, levels=levels(weight)) for name, weight in CRITERIA]
    )

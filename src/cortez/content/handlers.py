"""`/subjects` and `/unidades`: what is taught, unit by unit."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Router, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter
from litestar.status_codes import HTTP_200_OK

from cortez.clock import utc_now
from cortez.content.access import may_restore, readers
from cortez.content.dependencies import Staff, Subjects, Unidades, provide_staff, provide_subjects, provide_unidades
from cortez.content.models import Subject, SubjectTeacher, Unidad
from cortez.content.repository import UnidadRepository
from cortez.content.schemas import (
    ApuntesOut,
    ArchivoOut,
    SubjectIn,
    SubjectOut,
    SubjectPatch,
    SubjectTeacherOut,
    UnidadIn,
    UnidadOut,
    UnidadPatch,
    UnidadView,
)
from cortez.core.db.pagination import Listing, Page
from cortez.core.web.guards import admins, teachers, teaching
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.core.web.schemas import KEY_PATTERN
from cortez.errors import Conflict

PathCode = Annotated[str, PathParameter(pattern=KEY_PATTERN, min_length=1, max_length=50)]


def toggled(entity: Any, flag: str, publish: bool) -> dict[str, Any]:
    """What changes when something is published or taken back. Raises Conflict where it is so already."""
    if getattr(entity, flag) is publish:
        raise Conflict("ILLEGAL_TRANSITION", f"It is {'published' if publish else 'unpublished'} already.")
    return {flag: publish, "published_at": utc_now() if publish else None}


@get("/", guards=[readers])
async def list_subjects(subjects: Subjects, page: NamedDependency[Page]) -> Listing[SubjectOut]:
    """Retired ones are shown to those who teach."""
    return await subjects.page(subjects.select(), page, SubjectOut.of)


@post("/", guards=[teachers])
async def create_subject(data: JSONBody[SubjectIn], subjects: Subjects) -> Answer[SubjectOut]:
    """A teacher looks after the subject they make: they, and those they add, change its exercises."""
    subject = await subjects.create(Subject(**data.changes()))
    return created(SubjectOut.of(subject), f"/subjects/{subject.code}")


@get("/{code:str}", guards=[readers])
async def read_subject(code: PathCode, subjects: Subjects) -> SubjectOut:
    return SubjectOut.of(await subjects.by_code(code))


@patch("/{code:str}", guards=[teachers])
async def change_subject(
    code: PathCode, data: JSONBody[SubjectPatch], subjects: Subjects, match: NamedDependency[Match]
) -> SubjectOut:
    """To retire a subject takes its exercises from every student: only its teachers and admins change `is_active`."""
    subject = await subjects.by_code(code, lock=True)
    changes = data.changes()
    if changes.get("is_active", subject.is_active) != subject.is_active:
        await subjects.require_teacher(code)
    match.check(subject.updated_at)
    return SubjectOut.of(await subjects.change(subject, changes))


@delete("/{code:str}", guards=[admins])
async def delete_subject(code: PathCode, subjects: Subjects) -> None:
    """With its units and exercises, for good; 409 SUBJECT_IN_USE once a student has tried one of them."""
    await subjects.remove(code)


@get("/{code:str}/teachers", guards=[teaching])
async def list_subject_teachers(
    code: PathCode, subjects: Subjects, staff: Staff, page: NamedDependency[Page]
) -> Listing[SubjectTeacherOut]:
    """Who changes the subject's exercises, beside admins."""
    await subjects.by_code(code)
    return await staff.page(staff.select().where(SubjectTeacher.subject_code == code), page, SubjectTeacherOut.of)


@put("/{code:str}/teachers/{user_id:uuid}", guards=[teachers])
async def put_subject_teacher(code: PathCode, user_id: FromPath[UUID], subjects: Subjects) -> SubjectTeacherOut:
    """Let another teacher look after the subject, which its teachers and admins may; 404 for who is no teacher."""
    await subjects.by_code(code, lock=True)
    await subjects.require_teacher(code)
    return SubjectTeacherOut.of(await subjects.add_teacher(code, user_id))


@delete("/{code:str}/teachers/{user_id:uuid}", guards=[teachers])
async def delete_subject_teacher(code: PathCode, user_id: FromPath[UUID], subjects: Subjects, staff: Staff) -> None:
    """The exercises of a subject that has no teacher left are changed by admins only."""
    await subjects.by_code(code, lock=True)
    await subjects.require_teacher(code)
    await staff.delete(staff.present(await staff.of(code, user_id), user_id))


@get("/{code:str}/unidades", guards=[readers])
async def list_unidades(
    code: PathCode,
    subjects: Subjects,
    unidades: Unidades,
    page: NamedDependency[Page],
    deleted: FromQuery[bool] = False,
) -> Listing[UnidadOut]:
    """`deleted` lists what may be restored."""
    may_restore(unidades.principal, deleted)
    await subjects.by_code(code)
    statement = unidades.listed(deleted=deleted).where(Unidad.materia_code == code)
    return await unidades.page(statement, page, UnidadOut.of)


@post("/{code:str}/unidades", guards=[teachers])
async def create_unidad(
    code: PathCode, data: JSONBody[UnidadIn], subjects: Subjects, unidades: Unidades
) -> Answer[UnidadOut]:
    await subjects.by_code(code, lock=True)
    author = str(unidades.principal.id)
    unidad = Unidad(**data.changes(), materia_code=code, orden=data.numero, created_by=author)
    await unidades.create(unidad)
    return created(UnidadOut.of(unidad), f"/unidades/{unidad.id}")


@get("/{unidad_id:uuid}", guards=[readers])
async def read_unidad(unidad_id: FromPath[UUID], unidades: Unidades) -> UnidadView:
    """With its notes and files, as far as one may see them."""
    unidad = await unidades.whole(unidad_id)
    notes = [ApuntesOut.of(note) for note in unidad.apuntes]
    return UnidadView.of(unidad, apuntes=notes, archivos=[ArchivoOut.of(file) for file in unidad.archivos])


async def locked(unidades: UnidadRepository, unidad_id: UUID, match: Match) -> Unidad:
    unidad: Unidad = await unidades.get(unidad_id, lock=True)
    match.check(unidad.updated_at)
    return unidad


@patch("/{unidad_id:uuid}", guards=[teachers])
async def change_unidad(
    unidad_id: FromPath[UUID], data: JSONBody[UnidadPatch], unidades: Unidades, match: NamedDependency[Match]
) -> UnidadOut:
    unidad = await locked(unidades, unidad_id, match)
    changes = data.changes()
    changes["orden"] = changes.get("numero", unidad.numero)
    return UnidadOut.of(await unidades.change(unidad, changes))


@delete("/{unidad_id:uuid}", guards=[teachers])
async def delete_unidad(unidad_id: FromPath[UUID], unidades: Unidades, match: NamedDependency[Match]) -> None:
    """With its notes and files; it can be restored."""
    await unidades.erase(await locked(unidades, unidad_id, match))


@post("/{unidad_id:uuid}/restore", guards=[teachers], status_code=HTTP_200_OK)
async def restore_unidad(unidad_id: FromPath[UUID], unidades: Unidades) -> UnidadOut:
    """With what was deleted together with it, and nothing else."""
    return UnidadOut.of(await unidades.restore(await unidades.get_deleted(unidad_id)))


@post("/{unidad_id:uuid}/publish", guards=[teachers], status_code=HTTP_200_OK)
async def publish_unidad(unidad_id: FromPath[UUID], unidades: Unidades, match: NamedDependency[Match]) -> UnidadOut:
    unidad = await locked(unidades, unidad_id, match)
    return UnidadOut.of(await unidades.change(unidad, toggled(unidad, "esta_publicada", True)))


@post("/{unidad_id:uuid}/unpublish", guards=[teachers], status_code=HTTP_200_OK)
async def unpublish_unidad(unidad_id: FromPath[UUID], unidades: Unidades, match: NamedDependency[Match]) -> UnidadOut:
    unidad = await locked(unidades, unidad_id, match)
    return UnidadOut.of(await unidades.change(unidad, toggled(unidad, "esta_publicada", False)))


DEPENDENCIES = {"subjects": provide_subjects, "staff": provide_staff, "unidades": provide_unidades}

subjects_router = Router(
    "/subjects",
    route_handlers=[
        list_subjects,
        create_subject,
        read_subject,
        change_subject,
        delete_subject,
        list_subject_teachers,
        put_subject_teacher,
        delete_subject_teacher,
        list_unidades,
        create_unidad,
    ],
    dependencies=DEPENDENCIES,
    tags=["content"],
)

unidades_router = Router(
    "/unidades",
    route_handlers=[
        read_unidad,
        change_unidad,
        delete_unidad,
        restore_unidad,
        publish_unidad,
        unpublish_unidad,
    ],
    dependencies=DEPENDENCIES,
    tags=["content"],
)

"""`/apuntes`: the lecture notes of a unit, in their order."""

from typing import Any
from uuid import UUID

from litestar import Router, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK

from cortez.content.access import may_restore, readers
from cortez.content.dependencies import Notes, Unidades, provide_notes, provide_unidades
from cortez.content.handlers import toggled
from cortez.content.models import Apuntes
from cortez.content.repository import ApuntesRepository, UnidadRepository
from cortez.content.schemas import ApuntesIn, ApuntesOut, ApuntesPatch, Order
from cortez.core.db.pagination import Listing, Page
from cortez.core.web.guards import teachers
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created


@get("/unidades/{unidad_id:uuid}/apuntes", guards=[readers])
async def list_notes(
    unidad_id: FromPath[UUID],
    unidades: Unidades,
    notes: Notes,
    page: NamedDependency[Page],
    deleted: FromQuery[bool] = False,
) -> Listing[ApuntesOut]:
    """By creation; `orden` is the place among the unit's notes. `deleted` lists what may be restored."""
    may_restore(notes.principal, deleted)
    await unidades.get(unidad_id)
    statement = notes.listed(deleted=deleted).where(Apuntes.unidad_id == unidad_id)
    return await notes.page(statement, page, ApuntesOut.of)


@post("/unidades/{unidad_id:uuid}/apuntes", guards=[teachers])
async def create_note(
    unidad_id: FromPath[UUID], data: JSONBody[ApuntesIn], unidades: Unidades, notes: Notes
) -> Answer[ApuntesOut]:
    """At the place that is given, or last; the notes behind it move down."""
    unidad = await unidades.get(unidad_id, lock=True)
    values = data.changes()
    place = values.pop("orden")
    note = Apuntes(**values, unidad_id=unidad_id, created_by=str(notes.principal.id))
    return created(ApuntesOut.of(await notes.insert(unidad, note, place)), f"/apuntes/{note.id}")


@put("/unidades/{unidad_id:uuid}/apuntes/order", guards=[teachers])
async def order_notes(
    unidad_id: FromPath[UUID], data: JSONBody[Order], unidades: Unidades, notes: Notes
) -> list[ApuntesOut]:
    """The ids of all the unit's notes in their new order; the answer is the notes in it."""
    unidad = await unidades.get(unidad_id, lock=True)
    await notes.reorder(unidad, data)
    ordered = notes.select().where(Apuntes.unidad_id == unidad_id).order_by(Apuntes.orden)
    return [ApuntesOut.of(note) for note in await notes.session.scalars(ordered)]


@get("/apuntes/{note_id:uuid}", guards=[readers])
async def read_note(note_id: FromPath[UUID], notes: Notes) -> ApuntesOut:
    return ApuntesOut.of(await notes.get(note_id))


async def held(notes: ApuntesRepository, unidades: UnidadRepository, note: Any) -> Any:
    """The note, with its unit locked: what moves places waits for what moves others."""
    await unidades.get(note.unidad_id, lock=True)
    await notes.session.refresh(note, with_for_update={"key_share": True})
    return note


@patch("/apuntes/{note_id:uuid}", guards=[teachers])
async def change_note(
    note_id: FromPath[UUID], data: JSONBody[ApuntesPatch], notes: Notes, match: NamedDependency[Match]
) -> ApuntesOut:
    note = await notes.get(note_id, lock=True)
    match.check(note.updated_at)
    return ApuntesOut.of(await notes.change(note, data.changes()))


@delete("/apuntes/{note_id:uuid}", guards=[teachers])
async def delete_note(note_id: FromPath[UUID], unidades: Unidades, notes: Notes, match: NamedDependency[Match]) -> None:
    """With its files; the notes behind it move up. It can be restored."""
    note = await held(notes, unidades, await notes.get(note_id))
    match.check(note.updated_at)
    notes.present(None if note.deleted_at else note, note_id)
    await notes.erase(note)


@post("/apuntes/{note_id:uuid}/restore", guards=[teachers], status_code=HTTP_200_OK)
async def restore_note(note_id: FromPath[UUID], unidades: Unidades, notes: Notes) -> ApuntesOut:
    """At its old place, with the files that were deleted together with it; its unit must be there."""
    note = await held(notes, unidades, await notes.get_deleted(note_id))
    notes.present(note if note.deleted_at else None, note_id)
    return ApuntesOut.of(await notes.restore(note))


@post("/apuntes/{note_id:uuid}/publish", guards=[teachers], status_code=HTTP_200_OK)
async def publish_note(note_id: FromPath[UUID], notes: Notes, match: NamedDependency[Match]) -> ApuntesOut:
    note = await notes.get(note_id, lock=True)
    match.check(note.updated_at)
    return ApuntesOut.of(await notes.change(note, toggled(note, "esta_publicado", True)))


@post("/apuntes/{note_id:uuid}/unpublish", guards=[teachers], status_code=HTTP_200_OK)
async def unpublish_note(note_id: FromPath[UUID], notes: Notes, match: NamedDependency[Match]) -> ApuntesOut:
    note = await notes.get(note_id, lock=True)
    match.check(note.updated_at)
    return ApuntesOut.of(await notes.change(note, toggled(note, "esta_publicado", False)))


router = Router(
    "/",
    route_handlers=[
        list_notes,
        create_note,
        order_notes,
        read_note,
        change_note,
        delete_note,
        restore_note,
        publish_note,
        unpublish_note,
    ],
    dependencies={"notes": provide_notes, "unidades": provide_unidades},
    tags=["content"],
)

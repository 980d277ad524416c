"""Queries of subjects, units, notes and files, and which of them a principal may see.

Deleting stamps a row and all below it with one time; restoring takes back exactly that stamp. So every query tests only
its own table's `deleted_at`.
"""

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, true, update
from sqlalchemy.orm import selectinload

from cortez.accounts.models import Role, User
from cortez.clock import utc_now
from cortez.content.access import open_apuntes, open_archivos, open_unidades, own_subjects
from cortez.content.models import Apuntes, ArchivoAdjunto, Subject, SubjectTeacher, Unidad
from cortez.core.db.expressions import holds
from cortez.core.db.repository import M, Repository
from cortez.errors import Conflict, Forbidden, Invalid, NotFound

MAX_NOTES, MAX_FILES = 100, 500  # notes of a unit, which is shown with all of them; files of a unit or a note


class SubjectRepository(Repository[Subject]):
    model = Subject
    noun = "subject"

    def visible(self) -> ColumnElement[bool]:
        """Retired ones for those who teach only."""
        return true() if self.principal.is_teaching else Subject.is_active.is_(True)

    async def by_code(self, code: str, *, lock: bool = False) -> Subject:
        return self.present(await self.one(Subject.code == code, lock=lock), code)

    async def create(self, subject: Subject) -> Subject:
        """The person who makes it is its first teacher; an admin is none."""
        await self.add(subject)
        if not self.principal.is_admin:
            await self.add_teacher(subject.code, self.principal.id)
        return subject

    async def require_teacher(self, code: str) -> None:
        """Raises Forbidden (NOT_SUBJECT_TEACHER) for others than its teachers and admins."""
        mine = own_subjects(self.principal).where(SubjectTeacher.subject_code == code)
        if not self.principal.is_admin and await self.session.scalar(mine) is None:
            raise Forbidden("NOT_SUBJECT_TEACHER", "Only a teacher of the subject may do this.")

    async def add_teacher(self, code: str, user_id: UUID) -> SubjectTeacher:
        """Let a teacher by account look after the subject, which is locked or new. Raises NotFound for others."""
        entitled = (User.id == user_id, holds(User.roles, Role.TEACHER.value), User.is_active.is_(True))
        if await self.session.scalar(select(User.id).where(*entitled)) is None:
            raise NotFound("user", user_id)
        teachers = SubjectTeacherRepository(self.session, self.principal)
        return await teachers.of(code, user_id) or await teachers.add(
            SubjectTeacher(subject_code=code, user_id=user_id)
        )

    async def remove(self, code: str) -> None:
        """Gone with its units and exercises. Raises Conflict while a student has tried one of them.

        The exercises are held first, so that no attempt can begin meanwhile.
        """
        found = await self.session.scalar(self.select().where(Subject.code == code).with_for_update())
        subject = self.present(found, code)
        exercise: Any = Subject.exercises.property.mapper.class_
        held = select(exercise.id).where(exercise.subject_code == code).order_by(exercise.id).with_for_update()
        await self.session.execute(held)
        tried = select(exercise.id).where(exercise.subject_code == code, exercise.attempts.any()).limit(1)
        if await self.session.scalar(tried) is not None:
            raise Conflict("SUBJECT_IN_USE", "Students have tried its exercises; retire it by is_active: false.")
        await self.delete(subject)

    async def count_units(self, code: str) -> None:
        """Under the lock of the subject: a count that waits only when it writes is as old as its statement."""
        await self.one(Subject.code == code, lock=True)
        living = select(func.count()).where(Unidad.materia_code == code, Unidad.deleted_at.is_(None))
        counted = update(Subject).where(Subject.code == code).values(total_units=living.scalar_subquery())
        await self.session.execute(counted.execution_options(synchronize_session=False))


class SubjectTeacherRepository(Repository[SubjectTeacher]):
    model = SubjectTeacher
    noun = "subject teacher"

    def visible(self) -> ColumnElement[bool]:
        return true()

    async def of(self, code: str, user_id: UUID) -> SubjectTeacher | None:
        return await self.one((SubjectTeacher.subject_code == code) & (SubjectTeacher.user_id == user_id))


class Restorable(Repository[M]):
    """Rows that are deleted softly: `select()` sees the living, `deleted()` the others."""

    def visible(self) -> ColumnElement[bool]:
        return and_(self.model.__table__.c.deleted_at.is_(None), self.open())

    @abstractmethod
    def open(self) -> ColumnElement[bool]:
        """What the principal may see of the living."""

    def deleted(self) -> Select[M]:
        """For those who may restore."""
        return select(self.model).where(self.model.__table__.c.deleted_at.is_not(None))

    def listed(self, *, deleted: bool) -> Select[M]:
        return self.deleted() if deleted else self.select()

    async def get_deleted(self, id_: UUID) -> M:
        statement = self.deleted().where(self.model.id == id_).with_for_update(key_share=True)
        return self.present(await self.session.scalar(statement), id_)


class UnidadRepository(Restorable[Unidad]):
    model = Unidad
    noun = "unit"

    def open(self) -> ColumnElement[bool]:
        return open_unidades(self.principal)

    async def whole(self, id_: UUID) -> Unidad:
        """With the notes and files that may be seen, by one query each."""
        notes = Unidad.apuntes.and_(Apuntes.deleted_at.is_(None), open_apuntes(self.principal))
        files = Unidad.archivos.and_(ArchivoAdjunto.deleted_at.is_(None))
        statement = self.select().where(Unidad.id == id_).options(selectinload(notes), selectinload(files))
        return self.present(await self.session.scalar(statement), id_)

    async def create(self, unidad: Unidad) -> Unidad:
        await self.add(unidad)
        await SubjectRepository(self.session, self.principal).count_units(unidad.materia_code)
        return unidad

    async def erase(self, unidad: Unidad) -> None:
        await stamp_unidad(self, unidad, None, utc_now())

    async def restore(self, unidad: Unidad) -> Unidad:
        await stamp_unidad(self, unidad, unidad.deleted_at, None)
        await self.session.refresh(unidad)
        return unidad


async def stamp_unidad(units: UnidadRepository, unidad: Unidad, old: datetime | None, new: datetime | None) -> None:
    """Take the unit with its notes and files from one stamp to another."""
    notes = select(Apuntes.id).where(Apuntes.unidad_id == unidad.id)
    below = or_(ArchivoAdjunto.unidad_id == unidad.id, ArchivoAdjunto.apuntes_id.in_(notes))
    await stamp(units, ArchivoAdjunto, below, old, new)
    await stamp(units, Apuntes, Apuntes.unidad_id == unidad.id, old, new)
    await stamp(units, Unidad, Unidad.id == unidad.id, old, new)
    await SubjectRepository(units.session, units.principal).count_units(unidad.materia_code)


async def stamp(
    repository: Repository[Any], model: Any, which: ColumnElement[bool], old: datetime | None, new: datetime | None
) -> None:
    statement = update(model).where(which, model.deleted_at.is_(None) if old is None else model.deleted_at == old)
    await repository.session.execute(statement.values(deleted_at=new).execution_options(synchronize_session=False))


class ApuntesRepository(Restorable[Apuntes]):
    model = Apuntes
    noun = "note"

    def open(self) -> ColumnElement[bool]:
        return open_apuntes(self.principal)

    async def insert(self, unidad: Unidad, apuntes: Apuntes, place: int | None) -> Apuntes:
        """Into the locked unit, at the place or last. Raises Conflict (TOO_MANY_PARTS)."""
        await self.limit_parts(Apuntes.unidad_id == unidad.id, MAX_NOTES)
        ids = await self._order(unidad.id)
        apuntes.orden = len(ids) + 1
        await self.add(apuntes)
        if place is not None and place <= len(ids):
            ids.insert(place - 1, apuntes.id)
            await self._arrange(unidad.id, ids)
            await self.session.refresh(apuntes)
        return apuntes

    async def reorder(self, unidad: Unidad, ids: Sequence[UUID]) -> None:
        """Raises Invalid where these are not exactly the unit's notes."""
        if sorted(ids) != sorted(await self._order(unidad.id)):
            raise Invalid.at("", "Name each note of the unit once, and nothing else.", "ORDER_INCOMPLETE")
        await self._arrange(unidad.id, ids)

    async def erase(self, apuntes: Apuntes) -> None:
        """With its files; the notes behind it move up. The unit is locked."""
        now = utc_now()
        await stamp(self, ArchivoAdjunto, ArchivoAdjunto.apuntes_id == apuntes.id, None, now)
        await stamp(self, Apuntes, Apuntes.id == apuntes.id, None, now)
        await self._arrange(apuntes.unidad_id, await self._order(apuntes.unidad_id))

    async def restore(self, apuntes: Apuntes) -> Apuntes:
        """At its old place, or last where there are fewer now. The unit is locked. Raises Conflict (TOO_MANY_PARTS)."""
        await self.limit_parts(Apuntes.unidad_id == apuntes.unidad_id, MAX_NOTES)
        ids = await self._order(apuntes.unidad_id)
        ids.insert(min(apuntes.orden, len(ids) + 1) - 1, apuntes.id)
        old = apuntes.deleted_at
        await self.session.execute(
            update(Apuntes).where(Apuntes.id == apuntes.id).values(orden=-1_000_000, deleted_at=None)
        )
        await stamp(self, ArchivoAdjunto, ArchivoAdjunto.apuntes_id == apuntes.id, old, None)
        await self._arrange(apuntes.unidad_id, ids)
        await self.session.refresh(apuntes)
        return apuntes

    async def _order(self, unidad_id: UUID) -> list[UUID]:
        living = select(Apuntes.id).where(Apuntes.unidad_id == unidad_id, Apuntes.deleted_at.is_(None))
        return list(await self.session.scalars(living.order_by(Apuntes.orden)))

    async def _arrange(self, unidad_id: UUID, ids: Sequence[UUID]) -> None:
        """Places 1 to n, by way of negative ones: the uniqueness of a place is checked row by row."""
        if not ids:
            return
        places = case({id_: -place for place, id_ in enumerate(ids, start=1)}, value=Apuntes.id)
        living = update(Apuntes).where(Apuntes.unidad_id == unidad_id, Apuntes.deleted_at.is_(None))
        for orden in (places, -Apuntes.orden):
            await self.session.execute(living.values(orden=orden).execution_options(synchronize_session=False))


class ArchivoRepository(Restorable[ArchivoAdjunto]):
    model = ArchivoAdjunto
    noun = "file"

    def open(self) -> ColumnElement[bool]:
        return open_archivos(self.principal)

"""Who may see and change what."""

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import aliased

from cortez.content.models import Apuntes, ArchivoAdjunto, Subject, SubjectTeacher, Unidad
from cortez.core.security.principal import Principal
from cortez.core.web.guards import allow
from cortez.errors import Forbidden


def active_subjects() -> Select[str]:
    return select(Subject.code).where(Subject.is_active.is_(True))


def own_subjects(principal: Principal) -> Select[str]:
    """The subjects that a person is a teacher of."""
    return select(SubjectTeacher.subject_code).where(SubjectTeacher.user_id == principal.id)


def open_unidades(principal: Principal) -> ColumnElement[bool]:
    """Every unit for those who teach; for others the published ones whose turn has come."""
    if principal.is_teaching:
        return true()
    earlier, last = aliased(Unidad), aliased(Unidad)
    same = (last.materia_code == Unidad.materia_code, last.numero < Unidad.numero, last.deleted_at.is_(None))
    place = select(func.max(last.numero)).where(*same).correlate(Unidad).scalar_subquery()
    blocked = (
        select(earlier.id)
        .where(
            earlier.materia_code == Unidad.materia_code,
            earlier.deleted_at.is_(None),
            earlier.numero == place,
            earlier.esta_publicada.is_(False),
        )
        .exists()
    )
    turn = or_(Unidad.requiere_unidad_anterior.is_(False), ~blocked)
    return and_(Unidad.esta_publicada.is_(True), Unidad.materia_code.in_(active_subjects()), turn)


def open_apuntes(principal: Principal) -> ColumnElement[bool]:
    if principal.is_teaching:
        return true()
    units = select(Unidad.id).where(Unidad.deleted_at.is_(None), open_unidades(principal))
    return and_(Apuntes.esta_publicado.is_(True), Apuntes.unidad_id.in_(units))


def open_archivos(principal: Principal) -> ColumnElement[bool]:
    if principal.is_teaching:
        return true()
    units = select(Unidad.id).where(Unidad.deleted_at.is_(None), open_unidades(principal))
    notes = select(Apuntes.id).where(Apuntes.deleted_at.is_(None), open_apuntes(principal))
    return or_(ArchivoAdjunto.unidad_id.in_(units), ArchivoAdjunto.apuntes_id.in_(notes))


readers = allow("student", "tutor", "teacher", "key:read")


def may_restore(principal: Principal, deleted: bool) -> None:
    """The deleted are shown to those who may restore them. Raises Forbidden."""
    if deleted and not principal.may("teacher"):
        raise Forbidden(None, "Only those who may restore see what is deleted.")

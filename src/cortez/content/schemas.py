"""Subjects, units, notes and files, in and out."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from cortez.content.models import (
    Apuntes,
    ArchivoAdjunto,
    NivelDificultad,
    Subject,
    SubjectTeacher,
    Unidad,
)
from cortez.core.db.types import Items
from cortez.core.web.schemas import KEY_PATTERN, Input, Prose, Resource, Short, Title

Code = Annotated[str, Meta(min_length=1, max_length=50, pattern=KEY_PATTERN)]
Language = Annotated[str, Meta(min_length=1, max_length=20, pattern=r"^[a-z0-9+#.-]+\Z")]
Number = Annotated[int, Meta(ge=1, le=1_000)]
Minutes = Annotated[int, Meta(ge=0, le=10_000)]
Goals = Annotated[list[Annotated[str, Meta(min_length=1, max_length=1_000)]], Meta(max_length=100)]
NoteTitle = Annotated[str, Meta(min_length=1, max_length=300)]
Markdown = Annotated[str, Meta(max_length=200_000)]
ReadingMinutes = Annotated[int, Meta(ge=1, le=1_000)]
FileNote = Annotated[str, Meta(max_length=500)]
FileName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^/\\\x00-\x1f\x7f]+\Z")]
Order = Annotated[list[UUID], Meta(max_length=1_000)]


class SubjectIn(Input):
    code: Code
    name: Short
    language: Language
    description: Prose | None = None


class SubjectPatch(Input):
    """`is_active: false` retires a subject: students no longer see it."""

    name: Short | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    description: Prose | None | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class SubjectOut(Resource):
    """`total_units` counts the units that are not deleted."""

    code: str
    name: str
    description: str | None
    language: str
    total_units: int
    is_active: bool

    @classmethod
    def of(cls, subject: Subject) -> Self:
        return cls(**{name: getattr(subject, name) for name in SubjectOut.__struct_fields__})


class SubjectTeacherOut(Resource):
    """Who may change the exercises of a subject, their hints, tests and rubrics."""

    subject_code: str
    user_id: UUID

    @classmethod
    def of(cls, teacher: SubjectTeacher) -> Self:
        return cls(**{name: getattr(teacher, name) for name in SubjectTeacherOut.__struct_fields__})


class UnidadIn(Input):
    """Times are in minutes."""

    numero: Number
    titulo: Title
    descripcion: Prose | None = None
    objetivos_aprendizaje: Goals = []
    tiempo_teoria_min: Minutes = 60
    tiempo_practica_min: Minutes = 120
    requiere_unidad_anterior: bool = True


class UnidadPatch(Input):
    numero: Number | UnsetType = UNSET
    titulo: Title | UnsetType = UNSET
    descripcion: Prose | None | UnsetType = UNSET
    objetivos_aprendizaje: Goals | UnsetType = UNSET
    tiempo_teoria_min: Minutes | UnsetType = UNSET
    tiempo_practica_min: Minutes | UnsetType = UNSET
    requiere_unidad_anterior: bool | UnsetType = UNSET


class UnidadOut(Resource):
    materia_code: str
    numero: int
    titulo: str
    descripcion: str | None
    objetivos_aprendizaje: Items
    tiempo_teoria_min: int
    tiempo_practica_min: int
    orden: int
    esta_publicada: bool
    requiere_unidad_anterior: bool
    created_by: str | None
    published_at: datetime | None
    deleted_at: datetime | None

    @classmethod
    def of(cls, unidad: Unidad, /, **more: Any) -> Self:
        return cls(**{name: getattr(unidad, name) for name in UnidadOut.__struct_fields__}, **more)


class ExternalResource(Input):
    url: Annotated[str, Meta(max_length=2_000, pattern=r"^https?://")]
    titulo: Title
    tipo: Literal["video", "pdf", "link"] = "link"


Resources = Annotated[list[ExternalResource], Meta(max_length=50)]


class ApuntesIn(Input):
    """`orden` is the place among the unit's notes, 1 the first; without it the note comes last."""

    titulo: NoteTitle
    contenido_markdown: Markdown
    resumen: Prose | None = None
    recursos_externos: Resources = []
    tiempo_lectura_min: ReadingMinutes = 15
    nivel_dificultad: NivelDificultad = NivelDificultad.BASICO
    orden: Number | None = None


class ApuntesPatch(Input):
    titulo: NoteTitle | UnsetType = UNSET
    contenido_markdown: Markdown | UnsetType = UNSET
    resumen: Prose | None | UnsetType = UNSET
    recursos_externos: Resources | UnsetType = UNSET
    tiempo_lectura_min: ReadingMinutes | UnsetType = UNSET
    nivel_dificultad: NivelDificultad | UnsetType = UNSET


class ApuntesOut(Resource):
    unidad_id: UUID
    titulo: str
    contenido_markdown: str
    resumen: str | None
    recursos_externos: Items
    tiempo_lectura_min: int
    nivel_dificultad: NivelDificultad
    orden: int
    esta_publicado: bool
    created_by: str | None
    published_at: datetime | None
    deleted_at: datetime | None

    @classmethod
    def of(cls, apuntes: Apuntes) -> Self:
        return cls(**{name: getattr(apuntes, name) for name in ApuntesOut.__struct_fields__})


class ArchivoPatch(Input):
    nombre_original: FileName | UnsetType = UNSET
    descripcion: FileNote | None | UnsetType = UNSET


class ArchivoOut(Resource):
    """What is known of a file; its bytes are at `/archivos/{id}/content`."""

    apuntes_id: UUID | None
    unidad_id: UUID | None
    nombre_original: str
    tipo_archivo: str
    mime_type: str
    tamano_bytes: int
    descripcion: str | None
    orden: int
    checksum_sha256: str | None
    deleted_at: datetime | None

    @classmethod
    def of(cls, archivo: ArchivoAdjunto) -> Self:
        return cls(**{name: getattr(archivo, name) for name in ArchivoOut.__struct_fields__})


class UnidadView(UnidadOut):
    """With its notes and files, as far as one may see them."""

    apuntes: list[ApuntesOut]
    archivos: list[ArchivoOut]

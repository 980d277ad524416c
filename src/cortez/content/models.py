"""Subjects, their units, the notes of a unit and the files beside them."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.core.db.base import Base, Duplicate, alive, one_of
from cortez.core.db.classification import Audit, Privacy
from cortez.core.db.types import Items
from cortez.enums import Choice

if TYPE_CHECKING:
    from cortez.exercises.models import Exercise


class NivelDificultad(Choice):
    BASICO = "basico"
    INTERMEDIO = "intermedio"
    AVANZADO = "avanzado"


class Subject(Base):
    """A subject (materia). Exercises and units refer to its code."""

    __tablename__ = "subjects"
    duplicates: ClassVar = {
        "code": Duplicate("SUBJECT_ALREADY_EXISTS", "A subject with this code exists already."),
    }
    __table_args__ = (
        CheckConstraint("length(language) BETWEEN 1 AND 20", name="check_subject_language"),
        CheckConstraint("total_units >= 0", name="ck_subject_total_units_valid"),
    )
    privacy = Privacy(keep="code name description language total_units is_active")

    code: Mapped[str] = mapped_column(String(50), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(20))
    total_units: Mapped[int] = mapped_column(default=0)
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())

    exercises: Mapped[list["Exercise"]] = relationship(
        back_populates="subject", cascade="all, delete-orphan", passive_deletes=True, lazy="raise"
    )
    unidades: Mapped[list["Unidad"]] = relationship(
        back_populates="materia", cascade="all, delete-orphan", passive_deletes=True, lazy="raise"
    )


class SubjectTeacher(Base):
    """That a teacher looks after a subject and may change its exercises, hints, tests and rubrics."""

    __tablename__ = "subject_teachers"
    __table_args__ = (
        UniqueConstraint("subject_code", "user_id"),
        Index("idx_subject_teachers_user", "user_id"),
    )
    privacy = Privacy(keep="subject_code user_id")
    audit = Audit(people="user_id", plain="subject_code")

    subject_code: Mapped[str] = mapped_column(String(50), ForeignKey("subjects.code", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))


class Unidad(Base):
    """A unit of a subject."""

    __tablename__ = "unidades"
    duplicates: ClassVar = {
        "materia_code": Duplicate("UNIT_NUMBER_IN_USE", "The subject has a unit with this number already."),
    }
    __table_args__ = (
        CheckConstraint("numero > 0", name="ck_unidad_numero_positivo"),
        CheckConstraint("orden > 0", name="ck_unidad_orden_positivo"),
        CheckConstraint("tiempo_teoria_min >= 0 AND tiempo_practica_min >= 0", name="ck_unidad_tiempos_valid"),
        Index("uq_unidad_materia_numero", "materia_code", "numero", unique=True, **alive),
        Index("idx_unidad_materia", "materia_code"),
        Index("idx_unidades_deleted", "deleted_at"),
    )
    privacy = Privacy(
        keep="""materia_code numero titulo descripcion objetivos_aprendizaje tiempo_teoria_min tiempo_practica_min orden
        esta_publicada requiere_unidad_anterior created_by published_at deleted_at"""
    )

    materia_code: Mapped[str] = mapped_column(String(50), ForeignKey("subjects.code", ondelete="CASCADE"))
    numero: Mapped[int]
    titulo: Mapped[str] = mapped_column(String(200))
    descripcion: Mapped[str | None] = mapped_column(Text)
    objetivos_aprendizaje: Mapped[Items] = mapped_column(default=list)
    tiempo_teoria_min: Mapped[int] = mapped_column(default=60)
    tiempo_practica_min: Mapped[int] = mapped_column(default=120)
    orden: Mapped[int] = mapped_column(default=1)
    esta_publicada: Mapped[bool] = mapped_column(default=False)
    requiere_unidad_anterior: Mapped[bool] = mapped_column(default=True)
    created_by: Mapped[str | None] = mapped_column(String(100))
    published_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    materia: Mapped["Subject"] = relationship(back_populates="unidades", lazy="raise")
    apuntes: Mapped[list["Apuntes"]] = relationship(
        back_populates="unidad",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="Apuntes.orden",
        lazy="raise",
    )
    archivos: Mapped[list["ArchivoAdjunto"]] = relationship(
        back_populates="unidad",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="ArchivoAdjunto.orden",
        lazy="raise",
    )


class Apuntes(Base):
    """Lecture notes of one unit, in Markdown."""

    __tablename__ = "apuntes"
    __table_args__ = (
        one_of("ck_apuntes_nivel_dificultad_valid", "nivel_dificultad", NivelDificultad),
        CheckConstraint("tiempo_lectura_min > 0", name="ck_apuntes_tiempo_lectura_positivo"),
        Index("uq_apuntes_unidad_orden", "unidad_id", "orden", unique=True, **alive),
        Index("idx_apuntes_unidad", "unidad_id"),
        Index("idx_apuntes_deleted", "deleted_at"),
    )
    privacy = Privacy(
        keep="""unidad_id titulo contenido_markdown resumen recursos_externos tiempo_lectura_min nivel_dificultad orden
        esta_publicado created_by published_at deleted_at"""
    )

    unidad_id: Mapped[UUID] = mapped_column(ForeignKey("unidades.id", ondelete="CASCADE"))
    titulo: Mapped[str] = mapped_column(String(300))
    contenido_markdown: Mapped[str] = mapped_column(Text)
    resumen: Mapped[str | None] = mapped_column(Text)
    recursos_externos: Mapped[Items] = mapped_column(default=list)
    tiempo_lectura_min: Mapped[int] = mapped_column(default=15)
    nivel_dificultad: Mapped[str] = mapped_column(String(20), default=NivelDificultad.BASICO.value)
    orden: Mapped[int] = mapped_column(default=1)
    esta_publicado: Mapped[bool] = mapped_column(default=False)
    created_by: Mapped[str | None] = mapped_column(String(100))
    published_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    unidad: Mapped["Unidad"] = relationship(back_populates="apuntes", lazy="raise")
    archivos_adjuntos: Mapped[list["ArchivoAdjunto"]] = relationship(
        back_populates="apuntes",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="ArchivoAdjunto.orden",
        lazy="raise",
    )


class ArchivoAdjunto(Base):
    """What is known of an uploaded file; it belongs to one unit or to one note."""

    __tablename__ = "archivos_adjuntos"
    __table_args__ = (
        CheckConstraint(
            "(apuntes_id IS NOT NULL AND unidad_id IS NULL) OR (apuntes_id IS NULL AND unidad_id IS NOT NULL)",
            name="ck_archivo_has_exactly_one_parent",
        ),
        CheckConstraint("tamano_bytes >= 0", name="ck_archivo_tamano_valid"),
        Index("idx_archivo_apuntes", "apuntes_id"),
        Index("idx_archivo_unidad", "unidad_id"),
        Index("idx_archivos_adjuntos_deleted", "deleted_at"),
    )
    privacy = Privacy(
        keep="""apuntes_id unidad_id nombre_original nombre_almacenado tipo_archivo mime_type tamano_bytes ruta_relativa
        descripcion orden checksum_sha256 deleted_at"""
    )

    apuntes_id: Mapped[UUID | None] = mapped_column(ForeignKey("apuntes.id", ondelete="CASCADE"))
    unidad_id: Mapped[UUID | None] = mapped_column(ForeignKey("unidades.id", ondelete="CASCADE"))
    nombre_original: Mapped[str] = mapped_column(String(255))
    nombre_almacenado: Mapped[str] = mapped_column(String(255))
    tipo_archivo: Mapped[str] = mapped_column(String(50))
    mime_type: Mapped[str] = mapped_column(String(100))
    tamano_bytes: Mapped[int]
    ruta_relativa: Mapped[str] = mapped_column(String(500))
    descripcion: Mapped[str | None] = mapped_column(String(500))
    orden: Mapped[int] = mapped_column(default=1)
    checksum_sha256: Mapped[str | None] = mapped_column(String(64))
    deleted_at: Mapped[datetime | None]

    apuntes: Mapped["Apuntes | None"] = relationship(back_populates="archivos_adjuntos", lazy="raise")
    unidad: Mapped["Unidad | None"] = relationship(back_populates="archivos", lazy="raise")

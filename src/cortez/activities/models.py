"""Activities: what students work on."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.core.db.base import Base, Duplicate, one_of
from cortez.core.db.classification import Privacy
from cortez.core.db.types import Document, Items
from cortez.enums import Choice, aliases

if TYPE_CHECKING:
    from cortez.accounts.models import Course, User
    from cortez.sessions.models import LearningSession


class ActivityStatus(Choice):
    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


@aliases(BASICO="INICIAL")
class ActivityDifficulty(Choice):
    INICIAL = "INICIAL"
    INTERMEDIO = "INTERMEDIO"
    AVANZADO = "AVANZADO"


class HelpLevel(Choice):
    MINIMO = "minimo"
    BAJO = "bajo"
    MEDIO = "medio"
    ALTO = "alto"


class Activity(Base):
    """An assignment with the policies for using AI in it. `activity_id` is the key people see; it never changes."""

    __tablename__ = "activities"
    duplicates: ClassVar = {
        "activity_id": Duplicate("ACTIVITY_ALREADY_EXISTS", "This activity_id is not available."),
    }
    __table_args__ = (
        one_of("ck_activity_difficulty_valid", "difficulty", ActivityDifficulty),
        one_of("ck_activity_status_valid", "status", ActivityStatus),
        CheckConstraint("estimated_duration_minutes > 0", name="ck_activity_duration_positive"),
        Index("idx_activity_teacher", "teacher_id", "created_at", "id"),
        Index("idx_activity_course", "course_id", "created_at", "id"),
    )
    privacy = Privacy(
        keep="""activity_id title description instructions evaluation_criteria teacher_id course_id policies subject
        difficulty estimated_duration_minutes moodle_course_id moodle_course_name moodle_course_label
        moodle_resource_name tags status published_at"""
    )

    activity_id: Mapped[str] = mapped_column(String(100), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    instructions: Mapped[str] = mapped_column(Text)
    evaluation_criteria: Mapped[Items] = mapped_column(default=list)
    teacher_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    course_id: Mapped[str | None] = mapped_column(String(100), ForeignKey("courses.course_id", ondelete="RESTRICT"))
    policies: Mapped[Document] = mapped_column(default=dict)
    subject: Mapped[str | None] = mapped_column(String(100))
    difficulty: Mapped[str | None] = mapped_column(String(20))
    estimated_duration_minutes: Mapped[int | None]
    moodle_course_id: Mapped[str | None] = mapped_column(String(255))
    moodle_course_name: Mapped[str | None] = mapped_column(String(255))
    moodle_course_label: Mapped[str | None] = mapped_column(String(100))
    moodle_resource_name: Mapped[str | None] = mapped_column(String(255))
    tags: Mapped[Items] = mapped_column(default=list)
    status: Mapped[str] = mapped_column(String(20), default=ActivityStatus.DRAFT.value)
    published_at: Mapped[datetime | None]

    teacher: Mapped["User | None"] = relationship(back_populates="activities", lazy="raise")
    course: Mapped["Course | None"] = relationship(back_populates="activities", lazy="raise")
    sessions: Mapped[list["LearningSession"]] = relationship(back_populates="activity", lazy="raise")

"""What adoption leaves behind: the keys of before, what could not be kept as it was, and how far it has come."""

from datetime import datetime

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cortez.core.db.base import Base
from cortez.core.db.classification import Privacy
from cortez.core.db.types import Document


class LegacyId(Base):
    """A key of the predecessor that is written differently here.

    `place` is where it stood (`exercises.id`, `student_id`); `old_key` is shortened to 500 characters and the digest of
    the whole; `student_id` says whose row it led to.
    """

    __tablename__ = "legacy_ids"
    __table_args__ = (UniqueConstraint("place", "old_key"), Index("idx_legacy_ids_student", "student_id"))
    privacy = Privacy("student_id", removed="place old_key new_key student_id")

    place: Mapped[str] = mapped_column(String(100))
    old_key: Mapped[str] = mapped_column(String(600))
    new_key: Mapped[str] = mapped_column(String(100))
    student_id: Mapped[str | None] = mapped_column(String(100))


class Quarantined(Base):
    """A value, or a whole row where `column_name` is null, that the tables have no place for, as it was, and why.

    `new_id` is the row that was made without the value; `old_id` the row's key in the predecessor.
    """

    __tablename__ = "quarantine"
    __table_args__ = (Index("idx_quarantine_student", "student_id"),)
    privacy = Privacy(
        "student_id", removed="table_name column_name old_id new_id reason original student_id", ages=True
    )

    table_name: Mapped[str] = mapped_column(String(63))
    column_name: Mapped[str | None] = mapped_column(String(63))
    old_id: Mapped[str] = mapped_column(String(600))
    new_id: Mapped[str | None] = mapped_column(String(36))
    reason: Mapped[str] = mapped_column(Text)
    original: Mapped[Document]
    student_id: Mapped[str | None] = mapped_column(String(100))


class AdoptionStep(Base):
    """One table of the predecessor: how far its rows have been read, and what became of them.

    The position (time, then key of the last row, as text) is stored in the unit of work that stores the rows, so that
    an adoption that was killed goes on where it was.
    """

    __tablename__ = "adoption_steps"
    privacy = Privacy(
        keep="source table_name after_time after_key rows_read rows_written rows_quarantined changes finished_at"
    )

    source: Mapped[str] = mapped_column(String(500))
    table_name: Mapped[str] = mapped_column(String(63), unique=True)
    after_time: Mapped[str] = mapped_column(Text, default="")
    after_key: Mapped[str] = mapped_column(Text, default="")
    rows_read: Mapped[int] = mapped_column(default=0)
    rows_written: Mapped[int] = mapped_column(default=0)
    rows_quarantined: Mapped[int] = mapped_column(default=0)
    changes: Mapped[Document] = mapped_column(default=dict)
    finished_at: Mapped[datetime | None]

"""Certificates of erasure."""

from uuid import UUID

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from cortez.core.db.base import Base
from cortez.core.db.classification import Privacy
from cortez.core.db.types import Document


class Erasure(Base):
    """That a student was erased, when (`created_at`) and by whom. `student_digest` is keyed: it names nobody."""

    __tablename__ = "erasures"
    privacy = Privacy(keep="actor_id student_digest tables")

    actor_id: Mapped[UUID]
    student_digest: Mapped[bytes] = mapped_column(LargeBinary)
    tables: Mapped[Document]

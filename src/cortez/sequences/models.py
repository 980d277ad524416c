"""Trace sequences: the traces of a session rolled up."""

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.core.db.base import Base, in_range
from cortez.core.db.classification import Privacy
from cortez.core.db.types import Document, Items

if TYPE_CHECKING:
    from cortez.sessions.models import LearningSession


class TraceSequence(Base):
    """One cognitive episode; shares and coherence are 0 to 1."""

    __tablename__ = "trace_sequences"
    __table_args__ = (
        CheckConstraint("total_traces >= 0", name="ck_sequence_total_traces_valid"),
        in_range("ck_sequence_ai_involvement_range", "avg_ai_involvement", 0, 1),
        in_range("ck_sequence_coherence_range", "cognitive_coherence", 0, 1),
        Index("idx_sequence_session", "session_id"),
    )
    privacy = Privacy(
        "student_id",
        keep="session_id activity_id total_traces avg_ai_involvement cognitive_coherence",
        pseudonymise="student_id",
        empty="""detected_risks competencies semantic_summary algorithmic_summary cognitive_summary interaction_summary
        ethics_summary process_summary""",
    )

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    student_id: Mapped[str] = mapped_column(String(100))
    activity_id: Mapped[str] = mapped_column(String(100))
    total_traces: Mapped[int] = mapped_column(default=0)
    avg_ai_involvement: Mapped[float] = mapped_column(default=0.0)
    detected_risks: Mapped[Items] = mapped_column(default=list)
    competencies: Mapped[Document] = mapped_column(default=dict)
    semantic_summary: Mapped[Document] = mapped_column(default=dict)
    algorithmic_summary: Mapped[Document] = mapped_column(default=dict)
    cognitive_summary: Mapped[Document] = mapped_column(default=dict)
    interaction_summary: Mapped[Document] = mapped_column(default=dict)
    ethics_summary: Mapped[Document] = mapped_column(default=dict)
    process_summary: Mapped[Document] = mapped_column(default=dict)
    cognitive_coherence: Mapped[float | None]

    session: Mapped["LearningSession"] = relationship(back_populates="trace_sequences", lazy="raise")

"""Cognitive traces: each step of a student with the tutor, in six dimensions."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.core.db.base import Base, Duplicate, in_range, one_of
from cortez.core.db.classification import Audit, Privacy
from cortez.core.db.types import Document, Items
from cortez.enums import Choice, aliases
from cortez.sessions.models import LearningSession

if TYPE_CHECKING:
    from cortez.sessions.models import LearningSession


@aliases(N1="n1_superficial", N2="n2_tecnico", N3="n3_interaccional", N4="n4_cognitivo")
class TraceLevel(Choice):
    N1 = "n1_superficial"
    N2 = "n2_tecnico"
    N3 = "n3_interaccional"
    N4 = "n4_cognitivo"


@aliases(
    QUESTION="student_prompt",
    RESPONSE="ai_response",
    CODE_SUBMISSION="code_commit",
    HINT_REQUEST="tutor_intervention",
    CLARIFICATION="tutor_intervention",
    VALIDATION="self_correction",
    FEEDBACK="teacher_feedback",
    REFLECTION="strategy_change",
)
class InteractionType(Choice):
    STUDENT_PROMPT = "student_prompt"
    AI_RESPONSE = "ai_response"
    CODE_COMMIT = "code_commit"
    TUTOR_INTERVENTION = "tutor_intervention"
    TEACHER_FEEDBACK = "teacher_feedback"
    STRATEGY_CHANGE = "strategy_change"
    HYPOTHESIS_FORMULATION = "hypothesis_formulation"
    SELF_CORRECTION = "self_correction"
    AI_CRITIQUE = "ai_critique"


@aliases(
    INICIO="exploracion",
    ESTANCAMIENTO="atascado",
    CAMBIO_ESTRATEGIA="planificacion",
    CONFUSED="confusion",
    EXPLORING="exploracion",
    UNDERSTANDING="exploracion",
    IMPLEMENTING="implementacion",
    STUCK="atascado",
    PROGRESSING="progresando",
    VALIDATING="validacion",
    REFLECTING="reflexion",
)
class CognitiveState(Choice):
    EXPLORACION = "exploracion"
    PLANIFICACION = "planificacion"
    IMPLEMENTACION = "implementacion"
    DEPURACION = "depuracion"
    VALIDACION = "validacion"
    REFLEXION = "reflexion"
    CONFUSION = "confusion"
    PROGRESANDO = "progresando"
    ATASCADO = "atascado"


HAS_PARENT = text("parent_trace_id IS NOT NULL")


class CognitiveTrace(Base):
    """One step. `occurred_at` is when it happened, `created_at` when it was stored."""

    __tablename__ = "cognitive_traces"
    duplicates: ClassVar = {
        "id": Duplicate("TRACE_CONFLICT", "A trace with this id exists already.", is_race=True),
    }
    __table_args__ = (
        one_of("ck_trace_level_valid", "trace_level", TraceLevel),
        one_of("ck_trace_interaction_type_valid", "interaction_type", InteractionType),
        one_of("ck_trace_cognitive_state_valid", "cognitive_state", CognitiveState),
        in_range("ck_trace_ai_involvement_range", "ai_involvement", 0, 1),
        Index("idx_trace_created", "created_at", "id"),
        Index("idx_trace_session_created", "session_id", "created_at", "id"),
        Index("idx_trace_student_created", "student_id", "created_at", "id"),
        Index("idx_trace_activity_created", "activity_id", "created_at", "id"),
        Index("idx_trace_parent", "parent_trace_id", postgresql_where=HAS_PARENT, sqlite_where=HAS_PARENT),
    )
    privacy = Privacy(
        "student_id",
        keep="""session_id activity_id trace_level interaction_type cognitive_state ai_involvement parent_trace_id
        agent_id occurred_at late""",
        pseudonymise="student_id",
        empty="""content context trace_metadata cognitive_intent decision_justification alternatives_considered
        strategy_type semantic_understanding algorithmic_evolution cognitive_reasoning interactional_data
        ethical_risk_data process_data ingest_digest""",
    )
    audit = Audit(
        "student_id",
        people="student_id",
        plain=(
            "session_id activity_id trace_level interaction_type cognitive_state ai_involvement "
            "parent_trace_id occurred_at late"
        ),
        masked=(
            "content context trace_metadata cognitive_intent decision_justification "
            "alternatives_considered strategy_type semantic_understanding algorithmic_evolution "
            "cognitive_reasoning interactional_data ethical_risk_data process_data agent_id ingest_digest"
        ),
        by_people="content context trace_metadata decision_justification alternatives_considered ingest_digest",
    )

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    student_id: Mapped[str] = mapped_column(String(100))
    activity_id: Mapped[str] = mapped_column(String(100))
    trace_level: Mapped[str] = mapped_column(String(20), default=TraceLevel.N4.value)
    interaction_type: Mapped[str] = mapped_column(String(50))
    content: Mapped[str] = mapped_column(Text)
    context: Mapped[Document] = mapped_column(default=dict)
    trace_metadata: Mapped[Document] = mapped_column(default=dict)
    cognitive_state: Mapped[str | None] = mapped_column(String(50))
    cognitive_intent: Mapped[str | None] = mapped_column(String(200))
    decision_justification: Mapped[str | None] = mapped_column(Text)
    alternatives_considered: Mapped[Items] = mapped_column(default=list)
    strategy_type: Mapped[str | None] = mapped_column(String(100))
    ai_involvement: Mapped[float] = mapped_column(default=0.0)
    semantic_understanding: Mapped[Document] = mapped_column(default=dict)
    algorithmic_evolution: Mapped[Document] = mapped_column(default=dict)
    cognitive_reasoning: Mapped[Document] = mapped_column(default=dict)
    interactional_data: Mapped[Document] = mapped_column(default=dict)
    ethical_risk_data: Mapped[Document] = mapped_column(default=dict)
    process_data: Mapped[Document] = mapped_column(default=dict)
    parent_trace_id: Mapped[UUID | None] = mapped_column(ForeignKey("cognitive_traces.id", ondelete="SET NULL"))
    agent_id: Mapped[str | None] = mapped_column(String(100))
    occurred_at: Mapped[datetime | None]
    ingest_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    late: Mapped[bool] = mapped_column(default=False, server_default=false())  # after the end, or the judgement

    session: Mapped["LearningSession"] = relationship(back_populates="traces", lazy="raise")
    parent_trace: Mapped["CognitiveTrace | None"] = relationship(
        back_populates="child_traces", remote_side="CognitiveTrace.id", lazy="raise"
    )
    child_traces: Mapped[list["CognitiveTrace"]] = relationship(
        back_populates="parent_trace", passive_deletes=True, lazy="raise"
    )


STUDENT_TYPES = {
    InteractionType.STUDENT_PROMPT,
    InteractionType.CODE_COMMIT,
    InteractionType.STRATEGY_CHANGE,
    InteractionType.HYPOTHESIS_FORMULATION,
    InteractionType.SELF_CORRECTION,
}

"""What goes in and out of the programs on FastAPI, in pydantic."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field


def in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(in_utc)]


class TraceIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    interaction_type: str
    content: str
    id: UUID | None = None
    occurred_at: Instant | None = None
    parent_trace_id: UUID | None = None
    agent_id: str | None = None
    context: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    decision_justification: str | None = None
    alternatives_considered: list[Any] = []
    trace_level: str = "n4_cognitivo"
    cognitive_state: str | None = None
    cognitive_intent: str | None = None
    strategy_type: str | None = None
    ai_involvement: float = 0.0
    semantic_understanding: dict[str, Any] = {}
    algorithmic_evolution: dict[str, Any] = {}
    cognitive_reasoning: dict[str, Any] = {}
    interactional_data: dict[str, Any] = {}
    ethical_risk_data: dict[str, Any] = {}
    process_data: dict[str, Any] = {}

    def columns(self) -> dict[str, Any]:
        """By the names of the table; without the id that was not given."""
        values: dict[str, Any] = self.model_dump(exclude={"id"} if self.id is None else None)
        return {"trace_metadata": values.pop("metadata"), **values}


class TraceOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    created_at: datetime
    updated_at: datetime
    session_id: UUID
    student_id: str
    activity_id: str
    trace_level: str
    interaction_type: str
    content: str
    context: dict[str, Any]
    metadata: dict[str, Any] = Field(validation_alias="trace_metadata")
    cognitive_state: str | None
    cognitive_intent: str | None
    decision_justification: str | None
    alternatives_considered: list[Any]
    strategy_type: str | None
    ai_involvement: float
    semantic_understanding: dict[str, Any]
    algorithmic_evolution: dict[str, Any]
    cognitive_reasoning: dict[str, Any]
    interactional_data: dict[str, Any]
    ethical_risk_data: dict[str, Any]
    process_data: dict[str, Any]
    parent_trace_id: UUID | None
    agent_id: str | None
    occurred_at: datetime | None
    late: bool


class Listing(BaseModel):
    items: list[TraceOut]
    next_cursor: str | None = None

"""Traces in and out."""

import hashlib
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cortez.core.db.types import Document
from cortez.core.web.schemas import (
    BusinessKey,
    Input,
    Instant,
    LongText,
    OutDocument,
    OutList,
    Prose,
    Resource,
    Share,
    Short,
)
from cortez.sessions.rules import CLOCKS
from cortez.traces.models import CognitiveState, CognitiveTrace, InteractionType, TraceLevel

Intent = Annotated[str, Meta(max_length=200)]
Strategy = Annotated[str, Meta(max_length=100)]
Alternatives = Annotated[list[Prose | Document], Meta(max_length=100)]


class Analysis(Input, kw_only=True):
    """What an analysis says of a step, in six dimensions. A student never writes it."""

    trace_level: TraceLevel | UnsetType = UNSET
    cognitive_state: CognitiveState | None | UnsetType = UNSET
    cognitive_intent: Intent | None | UnsetType = UNSET
    strategy_type: Strategy | None | UnsetType = UNSET
    ai_involvement: Share | UnsetType = UNSET
    semantic_understanding: Document | UnsetType = UNSET
    algorithmic_evolution: Document | UnsetType = UNSET
    cognitive_reasoning: Document | UnsetType = UNSET
    interactional_data: Document | UnsetType = UNSET
    ethical_risk_data: Document | UnsetType = UNSET
    process_data: Document | UnsetType = UNSET


class TraceFilter(Input):
    """Which traces are asked for; `occurred_after` is included, `occurred_before` is not."""

    student_id: BusinessKey | None = None
    activity_id: BusinessKey | None = None
    course_id: BusinessKey | None = None
    trace_level: TraceLevel | None = None
    interaction_type: InteractionType | None = None
    cognitive_state: CognitiveState | None = None
    occurred_after: Instant | None = None
    occurred_before: Instant | None = None

    def given(self) -> Document:
        """What was asked for, as stored values.

        What happened since a moment was stored since then, or by a clock that is ahead: an index knows where to begin.
        """
        given = {name: value for name, value in self.changes().items() if value is not None}
        return given | ({"stored_after": self.occurred_after - CLOCKS} if self.occurred_after else {})


class TraceIn(Analysis, kw_only=True):
    """One step as a client sends it. `occurred_at` lies at most five minutes ahead of the server's clock."""

    interaction_type: InteractionType
    content: LongText
    occurred_at: Instant | None = None
    parent_trace_id: UUID | None = None
    agent_id: Short | None = None
    context: Document = {}
    metadata: Document = {}
    decision_justification: Prose | None = None
    alternatives_considered: Alternatives = []
    id: UUID | None = None

    def digest(self) -> bytes:
        """The same for the same content, whatever the route, the order of keys or the spelling of numbers."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).digest()

    def analysed(self) -> list[str]:
        """Which fields of an analysis were sent."""
        return [name for name in Analysis.__struct_fields__ if getattr(self, name) is not UNSET]


class SessionTraceIn(TraceIn, kw_only=True):
    """A step of a batch over many sessions."""

    session_id: UUID

    def digest(self) -> bytes:
        return TraceIn(**{name: getattr(self, name) for name in TraceIn.__struct_fields__}).digest()


class TracePatch(Analysis, kw_only=True):
    """What an analysis may add later; the step itself never changes."""

    metadata: Document | UnsetType = UNSET


class TraceOut(Resource):
    """A step; `late` where it came after the session's end, or a judgement that the student dated it before."""

    session_id: UUID
    student_id: str
    activity_id: str
    trace_level: TraceLevel
    interaction_type: InteractionType
    content: str
    context: OutDocument
    metadata: OutDocument
    cognitive_state: CognitiveState | None
    cognitive_intent: str | None
    decision_justification: str | None
    alternatives_considered: OutList
    strategy_type: str | None
    ai_involvement: float
    semantic_understanding: OutDocument
    algorithmic_evolution: OutDocument
    cognitive_reasoning: OutDocument
    interactional_data: OutDocument
    ethical_risk_data: OutDocument
    process_data: OutDocument
    parent_trace_id: UUID | None
    agent_id: str | None
    occurred_at: datetime | None
    late: bool

    @classmethod
    def of(cls, trace: CognitiveTrace) -> Self:
        return cls(**{name: getattr(trace, column_of(name)) for name in TraceOut.__struct_fields__})


def column_of(field: str) -> str:
    return "trace_metadata" if field == "metadata" else field

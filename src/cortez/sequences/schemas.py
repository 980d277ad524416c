"""Trace sequences out."""

from typing import Any, Self
from uuid import UUID

from cortez.core.web.schemas import Resource
from cortez.sequences.models import TraceSequence


class TraceSequenceOut(Resource):
    """Of one moment. Shares and coherence are 0 to 1; coherence is null where no phase was followed by another.

    A summary is {traces, keys: {key: {count, mean, min, max | true | values: {value: count}}}}; an empty one says that
    no trace had that dimension.
    """

    session_id: UUID
    student_id: str
    activity_id: str
    total_traces: int
    avg_ai_involvement: float
    detected_risks: list[Any]
    competencies: dict[str, Any]
    semantic_summary: dict[str, Any]
    algorithmic_summary: dict[str, Any]
    cognitive_summary: dict[str, Any]
    interaction_summary: dict[str, Any]
    ethics_summary: dict[str, Any]
    process_summary: dict[str, Any]
    cognitive_coherence: float | None

    @classmethod
    def of(cls, sequence: TraceSequence) -> Self:
        return cls(**{name: getattr(sequence, name) for name in TraceSequenceOut.__struct_fields__})

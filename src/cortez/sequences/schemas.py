"""Trace sequences out."""

from typing import Self
from uuid import UUID

from cortez.core.db.types import Document, Items
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
    detected_risks: Items
    competencies: Document
    semantic_summary: Document
    algorithmic_summary: Document
    cognitive_summary: Document
    interaction_summary: Document
    ethics_summary: Document
    process_summary: Document
    cognitive_coherence: float | None

    @classmethod
    def of(cls, sequence: TraceSequence) -> Self:
        return cls(**{name: getattr(sequence, name) for name in TraceSequenceOut.__struct_fields__})

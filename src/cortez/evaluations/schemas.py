"""Evaluations in and out."""

from typing import Annotated, Self
from uuid import UUID

from msgspec import Meta

from cortez.core.db.types import Document
from cortez.core.web.schemas import Input, OptionalDocument, OutDocument, OutList, Prose, Resource, Share, Short
from cortez.evaluations.models import CompetencyLevel, Evaluation

Said = Annotated[str, Meta(min_length=1, max_length=5_000)]
Sentences = Annotated[list[Said], Meta(max_length=50)]
Score = Annotated[float, Meta(ge=0, le=10)]
TraceIds = Annotated[list[UUID], Meta(max_length=200)]


class DimensionIn(Input, omit_defaults=True):
    """One aspect; `trace_ids` are the traces of the session that it goes by."""

    name: Short
    description: Prose | None = None
    level: CompetencyLevel | None = None
    score: Score | None = None
    evidence: Sentences = []
    strengths: Sentences = []
    weaknesses: Sentences = []
    recommendations: Sentences = []
    trace_ids: TraceIds = []


class Recommendations(Input, omit_defaults=True):
    student: Sentences = []
    teacher: Sentences = []


class EvaluationIn(Input):
    """An evaluation that a person or an agent made. Without a level, the score's band says it: 8.5, 7 and 5."""

    overall_score: Score
    overall_competency_level: CompetencyLevel | None = None
    dimensions: Annotated[list[DimensionIn], Meta(max_length=30)] = []
    key_strengths: Sentences = []
    improvement_areas: Sentences = []
    recommendations: Recommendations | None = None
    reasoning_analysis: Document | None = None
    git_analysis: Document | None = None
    ai_dependency_score: Share = 0.0
    ai_dependency_metrics: Document | None = None
    evaluator: Short | None = None
    evaluator_version: Annotated[str, Meta(min_length=1, max_length=50)] | None = None

    def trace_ids(self) -> set[UUID]:
        return {id_ for dimension in self.dimensions for id_ in dimension.trace_ids}


class EvaluationOut(Resource):
    """How a student worked, as `evaluator` saw it. Scores are 0 to 10, dependency is 0 to 1; it is no grade.

    `late` where it counts, or names, steps that are late.
    """

    session_id: UUID
    student_id: str
    activity_id: str
    overall_competency_level: CompetencyLevel
    overall_score: float
    dimensions: OutList
    key_strengths: OutList
    improvement_areas: OutList
    recommendations: OutDocument
    reasoning_analysis: OptionalDocument
    git_analysis: OptionalDocument
    ai_dependency_score: float
    ai_dependency_metrics: OptionalDocument
    evaluator: str | None
    evaluator_version: str | None
    late: bool

    @classmethod
    def of(cls, evaluation: Evaluation) -> Self:
        return cls(**{name: getattr(evaluation, name) for name in EvaluationOut.__struct_fields__})

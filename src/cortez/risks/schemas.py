"""Risks in and out."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from msgspec import Meta, Struct

from cortez.core.web.schemas import Input, OutList, Prose, Resource, Title
from cortez.risks.models import DIMENSION_OF, Resolution, Risk, RiskDimension, RiskLevel, RiskType

Said = Annotated[str, Meta(min_length=1, max_length=5_000)]
Sentences = Annotated[list[Said], Meta(max_length=50)]
TraceIds = Annotated[list[UUID], Meta(max_length=200)]
Finite = Annotated[float, Meta(ge=-1e9, le=1e9)]
RuleName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[a-z0-9_.:-]+\Z")]
Version = Annotated[int, Meta(ge=1, le=1_000_000)]


class RiskIn(Input):
    """What a person or an agent saw. The type says the dimension; a rule of one's own names its subject.

    `trace_ids` are traces of the session; `threshold_value` and `actual_value` share a unit.
    """

    risk_type: RiskType
    risk_level: RiskLevel
    description: Said
    dimension: RiskDimension | None = None
    impact: Prose | None = None
    evidence: Sentences = []
    trace_ids: TraceIds = []
    root_cause: Prose | None = None
    impact_assessment: Prose | None = None
    recommendations: Sentences = []
    pedagogical_intervention: Prose | None = None
    detected_by: Annotated[str, Meta(min_length=1, max_length=50)] | None = None
    rule: RuleName | None = None
    rule_version: Version | None = None
    subject: Title | None = None
    threshold_value: Finite | None = None
    actual_value: Finite | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        belongs = DIMENSION_OF[self.risk_type]
        if self.dimension not in (None, belongs):
            raise ValueError(f"`dimension` of {self.risk_type} is {belongs}")
        if (self.rule is None) is not (self.subject is None):
            raise ValueError("`rule` and `subject` come together")
        if self.rule is None and self.rule_version is not None:
            raise ValueError("`rule_version` needs a `rule`")


class ResolveIn(Input):
    """What a person made of it, and why."""

    resolution: Resolution
    resolution_notes: Said


class RiskOut(Resource):
    """An indicator for a person to judge, not a verdict. `rule` is there where a rule found it.

    `late` where one of the steps that it names is late.
    """

    session_id: UUID
    student_id: str
    activity_id: str
    risk_type: RiskType
    risk_level: RiskLevel
    dimension: RiskDimension
    description: str
    impact: str | None
    evidence: OutList
    trace_ids: OutList
    root_cause: str | None
    impact_assessment: str | None
    recommendations: OutList
    pedagogical_intervention: str | None
    resolved: bool
    resolved_at: datetime | None
    resolution: Resolution | None
    resolution_notes: str | None
    detected_by: str
    rule: str | None
    rule_version: int | None
    subject: str | None
    threshold_value: float | None
    actual_value: float | None
    late: bool

    @classmethod
    def of(cls, risk: Risk) -> Self:
        return cls(**{name: getattr(risk, name) for name in RiskOut.__struct_fields__})


class FoundOut(Struct, frozen=True):
    """What the rules found: how much is new, how much says something else now, and all of it."""

    new: int
    updated: int
    unchanged: int
    items: list[RiskOut]

"""Sessions in and out."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cortez.core.db.types import Document
from cortez.core.web.schemas import BusinessKey, Input, Instant, Name, OutDocument, Prose, Resource, Share, Short
from cortez.errors import FieldError
from cortez.sessions.models import LearningSession, SessionMode, SessionStatus, SimulatorType


class LearningObjective(Input, omit_defaults=True):
    """What the student sets out to learn."""

    title: Name | None = None
    description: Prose | None = None
    expected_competencies: Annotated[list[Short], Meta(max_length=50)] = []
    difficulty_level: Short | None = None


class CognitiveStatus(Input, omit_defaults=True):
    """Where the student stands, as the tutor sees it; shares are 0 to 1."""

    current_phase: Short | None = None
    autonomy_level: Share | None = None
    engagement_score: Share | None = None
    cognitive_load: Literal["low", "medium", "high", "overload"] | None = None
    last_updated: Instant | None = None


class SessionIn(Input):
    activity_id: BusinessKey
    student_id: BusinessKey | None = None
    course_id: BusinessKey | None = None
    mode: SessionMode = SessionMode.TUTOR
    simulator_type: SimulatorType | None = None
    learning_objective: LearningObjective | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode == SessionMode.SIMULATOR and self.simulator_type is None:
            raise ValueError("`simulator_type` is required where mode is simulator")


class SessionPatch(Input):
    mode: SessionMode | UnsetType = UNSET
    simulator_type: SimulatorType | None | UnsetType = UNSET
    cognitive_status: CognitiveStatus | UnsetType = UNSET
    learning_objective: LearningObjective | UnsetType = UNSET
    session_metrics: Document | UnsetType = UNSET


class SessionOut(Resource):
    """A session; `trace_count` is exact and not part of the revision that If-Match compares."""

    student_id: str
    activity_id: str
    course_id: str | None
    mode: SessionMode
    simulator_type: SimulatorType | None
    user_id: UUID | None
    start_time: datetime
    end_time: datetime | None
    status: SessionStatus
    learning_objective: OutDocument
    cognitive_status: OutDocument
    session_metrics: OutDocument
    trace_count: int

    @classmethod
    def of(cls, session: LearningSession) -> Self:
        return cls(**{name: getattr(session, name) for name in SessionOut.__struct_fields__})


class StartedOut(SessionOut):
    """With what should be looked at, where there is anything."""

    warnings: list[FieldError] | UnsetType = UNSET

    @classmethod
    def started(cls, session: LearningSession, warnings: list[FieldError]) -> Self:
        return cls(**msgspec.structs.asdict(SessionOut.of(session)), warnings=warnings or UNSET)

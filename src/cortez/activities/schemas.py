"""Activities in and out."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType, field

from cortez.activities.models import Activity, ActivityDifficulty, ActivityStatus, HelpLevel
from cortez.core.db.types import Document, Items
from cortez.core.web.schemas import BusinessKey, Input, LongText, Name, Prose, Resource, Share, Short

ActivityTitle = Annotated[str, Meta(min_length=3, max_length=200)]
Tags = Annotated[list[Short], Meta(max_length=50)]
Criteria = Annotated[list[Prose | dict[str, Any]], Meta(max_length=100)]
Minutes = Annotated[int, Meta(ge=1, le=100_000)]


class RiskThresholds(Input, omit_defaults=True):
    """Shares above (ai_dependency) or below (lack_justification) which a rule speaks, 0 to 1."""

    ai_dependency: Share | None = None
    lack_justification: Share | None = None


class Policies(Input, omit_defaults=True):
    """How much help the tutor may give in this activity."""

    max_help_level: HelpLevel | None = None
    block_complete_solutions: bool | None = None
    require_justification: bool | None = None
    allow_code_snippets: bool | None = None
    risk_thresholds: RiskThresholds | None = None


class ActivityIn(Input):
    activity_id: BusinessKey
    title: ActivityTitle
    instructions: LongText
    description: Prose | None = None
    evaluation_criteria: Criteria = []
    course_id: BusinessKey | None = None
    teacher_id: UUID | None = None
    policies: Policies = field(default_factory=Policies)
    subject: Short | None = None
    difficulty: ActivityDifficulty | None = None
    estimated_duration_minutes: Minutes | None = None
    tags: Tags = []


class ActivityPatch(Input):
    title: ActivityTitle | UnsetType = UNSET
    instructions: LongText | UnsetType = UNSET
    description: Prose | None | UnsetType = UNSET
    evaluation_criteria: Criteria | UnsetType = UNSET
    course_id: BusinessKey | None | UnsetType = UNSET
    teacher_id: UUID | UnsetType = UNSET
    policies: Policies | UnsetType = UNSET
    subject: Short | None | UnsetType = UNSET
    difficulty: ActivityDifficulty | None | UnsetType = UNSET
    estimated_duration_minutes: Minutes | None | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


class MoodleLinkIn(Input):
    """Where the activity stands in Moodle: course (an LTI context) and resource."""

    moodle_course_id: Name
    moodle_resource_name: Name
    moodle_course_name: Name | None = None
    moodle_course_label: Short | None = None


class ActivityOut(Resource):
    activity_id: str
    title: str
    description: str | None
    instructions: str
    evaluation_criteria: Items
    teacher_id: UUID | None
    course_id: str | None
    policies: Document
    subject: str | None
    difficulty: ActivityDifficulty | None
    estimated_duration_minutes: int | None
    moodle_course_id: str | None
    moodle_course_name: str | None
    moodle_course_label: str | None
    moodle_resource_name: str | None
    tags: list[str]
    status: ActivityStatus
    published_at: datetime | None

    @classmethod
    def of(cls, activity: Activity) -> Self:
        return cls(**{name: getattr(activity, name) for name in ActivityOut.__struct_fields__})

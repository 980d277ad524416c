"""What goes into a profile and comes out."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from cortez.accounts.schemas import UserOut
from cortez.core.db.types import Document, Items
from cortez.core.web.schemas import Input, Name, Resource
from cortez.evaluations.models import CompetencyLevel
from cortez.profiles.figures import merged
from cortez.profiles.models import StudentFigures, StudentProfile

Language = Annotated[str, Meta(min_length=2, max_length=10, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?\Z")]


class MePatch(Input):
    full_name: Name | None | UnsetType = UNSET
    preferred_language: Language | UnsetType = UNSET


class MeOut(UserOut):
    """One's own account; `preferred_language` is of people with a student_id."""

    preferred_language: str | None


class ProfilePatch(Input):
    """What people set; every other field is worked out from what is stored."""

    preferred_language: Language | UnsetType = UNSET
    cognitive_preferences: Document | UnsetType = UNSET


class ProfileOut(Resource):
    """What is known of a student over sessions that have ended; dependency is 0 to 1, the score 0 to 10.

    The student and admins see the whole record. For others the figures, and what evaluations say, are of the courses
    that they teach or tutor and of their own activities without a course. `course_ids`: the courses behind the figures.
    """

    student_id: str
    user_id: UUID | None
    name: str | None
    email: str | None
    total_sessions: int
    total_interactions: int
    average_ai_dependency: float
    average_competency_level: CompetencyLevel | None
    average_competency_score: float | None
    total_risks: int
    critical_risks: int
    risk_trends: Document
    competency_evolution: Items
    last_activity_date: datetime | None
    preferred_language: str
    cognitive_preferences: Document
    learning_patterns: Document
    competency_levels: Document
    strengths: Items
    areas_for_improvement: Items
    course_ids: list[str]

    @classmethod
    def whole(cls, profile: StudentProfile, places: Collection[StudentFigures]) -> Self:
        return cls(**kept_of(profile), course_ids=courses_of(places))

    @classmethod
    def of_places(
        cls, profile: StudentProfile, places: Collection[StudentFigures], updated_at: datetime | None
    ) -> Self:
        """With the figures of these places; unless given, `updated_at` is theirs too: others say nothing here."""
        latest = updated_at or max((one.updated_at for one in places), default=profile.created_at)
        values = kept_of(profile) | merged(places) | {"updated_at": latest}
        return cls(**values, course_ids=courses_of(places))


def kept_of(profile: StudentProfile) -> Document:
    return {name: getattr(profile, name) for name in ProfileOut.__struct_fields__ if name != "course_ids"}


def courses_of(places: Collection[StudentFigures]) -> list[str]:
    return sorted(one.course_id for one in places if one.course_id is not None)

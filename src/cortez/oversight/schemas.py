"""Profiles, plans, alerts and interventions, in and out."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from cortez.core.db.types import Document, Items
from cortez.core.web.schemas import BusinessKey, Input, Instant, Prose, Resource, Share
from cortez.oversight.models import (
    AlertScope,
    AlertSeverity,
    AlertStatus,
    AlertType,
    InterventionStatus,
    InterventionType,
    PlanStatus,
    PlanType,
    RemediationPlan,
    RiskAlert,
    TeacherIntervention,
)
from cortez.sessions.models import SessionStatus

Said = Annotated[str, Meta(min_length=1, max_length=5_000)]
Sentences = Annotated[list[Said], Meta(max_length=50)]
Ids = Annotated[list[UUID], Meta(max_length=200)]
Finite = Annotated[float, Meta(ge=-1e9, le=1e9)]
Figure = Annotated[int, Meta(ge=0, le=1_000_000)]


class RecommendedAction(Input, omit_defaults=True):
    action_type: Annotated[str, Meta(min_length=1, max_length=100)]
    description: Prose | None = None
    deadline: Instant | None = None
    status: Literal["pending", "in_progress", "completed", "cancelled"] = "pending"


Actions = Annotated[list[RecommendedAction], Meta(max_length=50)]


class PlanIn(Input):
    """`target_completion_date` is two weeks after the start unless given; `trigger_risks` are risks of the student.

    The course is that of the activity; without an activity, `course_id` says which.
    """

    student_id: BusinessKey
    plan_type: PlanType
    description: Said
    activity_id: BusinessKey | None = None
    course_id: BusinessKey | None = None
    trigger_risks: Ids = []
    objectives: Sentences = []
    recommended_actions: Actions = []
    start_date: Instant | None = None
    target_completion_date: Instant | None = None


class PlanPatch(Input):
    plan_type: PlanType | UnsetType = UNSET
    description: Said | UnsetType = UNSET
    objectives: Sentences | UnsetType = UNSET
    recommended_actions: Actions | UnsetType = UNSET
    start_date: Instant | UnsetType = UNSET
    target_completion_date: Instant | UnsetType = UNSET
    progress_notes: Prose | None | UnsetType = UNSET


class SuccessMetrics(Input, omit_defaults=True):
    """Dependency is the AI's share, 0 to 1."""

    ai_dependency_before: Share | None = None
    ai_dependency_after: Share | None = None
    risks_resolved: Figure | None = None


class CompletionIn(Input):
    outcome_evaluation: Said
    success_metrics: SuccessMetrics | None = None
    completion_evidence: Sentences = []


class PlanOut(Resource):
    """A student sees their own plans without `progress_notes` and `outcome_evaluation`."""

    student_id: str
    activity_id: str | None
    course_id: str | None
    teacher_id: UUID | None
    trigger_risks: Items
    plan_type: PlanType
    description: str
    objectives: Items
    recommended_actions: Items
    start_date: datetime
    target_completion_date: datetime
    actual_completion_date: datetime | None
    status: PlanStatus
    progress_notes: str | None
    completion_evidence: Items
    outcome_evaluation: str | None
    success_metrics: Document | None

    @classmethod
    def of(cls, plan: RemediationPlan) -> Self:
        return cls(**{name: getattr(plan, name) for name in PlanOut.__struct_fields__})

    @classmethod
    def for_student(cls, plan: RemediationPlan) -> Self:
        shown = cls.of(plan)
        shown.progress_notes = shown.outcome_evaluation = None
        return shown


class AlertIn(Input):
    """An alert that a person raises. The scope says which of the keys is needed; `institution` is an admin's.

    The course is that of the activity; without an activity, an alert on a student names the `course_id`.
    """

    alert_type: AlertType
    severity: AlertSeverity
    scope: AlertScope
    title: Annotated[str, Meta(min_length=1, max_length=255)]
    description: Said
    student_id: BusinessKey | None = None
    activity_id: BusinessKey | None = None
    course_id: BusinessKey | None = None
    evidence: Ids = []


class AssignIn(Input):
    user_id: UUID


class AlertResolveIn(Input):
    resolution_notes: Said
    remediation_plan_id: UUID | None = None


class DismissIn(Input):
    resolution_notes: Said


class AlertOut(Resource):
    """`threshold_value` and `actual_value` share a unit, which `detection_rule` implies."""

    alert_type: AlertType
    severity: AlertSeverity
    scope: AlertScope
    student_id: str | None
    activity_id: str | None
    course_id: str | None
    title: str
    description: str
    evidence: Items
    detected_at: datetime
    detection_rule: str
    threshold_value: float | None
    actual_value: float | None
    assigned_to: UUID | None
    assigned_at: datetime | None
    status: AlertStatus
    acknowledged_at: datetime | None
    acknowledged_by: UUID | None
    resolution_notes: str | None
    resolved_at: datetime | None
    remediation_plan_id: UUID | None

    @classmethod
    def of(cls, alert: RiskAlert) -> Self:
        return cls(**{name: getattr(alert, name) for name in AlertOut.__struct_fields__})


class ScanIn(Input):
    """Without `course_id`: every course that one teaches."""

    course_id: BusinessKey | None = None


class ScanOut(Struct, frozen=True):
    """How many alerts are new, by rule; what was found before is `known`."""

    created: int
    known: int
    by_rule: dict[str, int]


class LiveAlert(Struct, frozen=True):
    """Computed from a session that is active or paused; `triggers` in the order of their weight, shares 0 to 1."""

    id: str
    session_id: UUID
    student_id: str
    activity_id: str
    course_id: str | None
    status: SessionStatus
    severity: AlertSeverity
    triggers: list[str]
    critical_risks: int
    high_risks: int
    medium_risks: int
    ai_share: float
    open_since: datetime
    acknowledged: bool


class InterventionIn(Input):
    """`alert_id` is a stored alert's id, or `alert_` and the id of a session."""

    student_id: BusinessKey
    session_id: UUID | None = None
    alert_id: Annotated[str, Meta(min_length=36, max_length=42, pattern=r"^(alert_)?[0-9a-fA-F-]{36}\Z")] | None = None
    intervention_type: InterventionType = InterventionType.ALERT_ACKNOWLEDGMENT
    notes: Prose | None = None
    action_taken: Prose | None = None


class InterventionPatch(Input):
    status: InterventionStatus | UnsetType = UNSET
    notes: Prose | None | UnsetType = UNSET
    action_taken: Prose | None | UnsetType = UNSET
    resolution_notes: Prose | None | UnsetType = UNSET


class InterventionOut(Resource):
    """`alert_context` is the alert as it was when the teacher acted, for those who may see that alert."""

    teacher_id: UUID | None
    student_id: str
    session_id: UUID | None
    alert_id: str | None
    intervention_type: InterventionType
    notes: str | None
    action_taken: str | None
    status: InterventionStatus
    resolution_notes: str | None
    resolved_at: datetime | None
    alert_context: Document | None

    @classmethod
    def of(cls, intervention: TeacherIntervention) -> Self:
        return cls(**{name: getattr(intervention, name) for name in InterventionOut.__struct_fields__})

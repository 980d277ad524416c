"""What the rules look at, what they say, and the thresholds they go by."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any, Self
from uuid import UUID

from msgspec import Struct

from cortez.risks.models import DIMENSION_OF, RiskDimension, RiskLevel, RiskType
from cortez.traces.models import STUDENT_TYPES

MOST = 20  # findings of one rule about single steps or events of a session; beyond, the rules on the whole speak
EVIDENCE = 200  # trace ids that a finding names
SESSION = "session"


class Step(Struct, frozen=True, kw_only=True):
    """A trace as the rules see it; `content` may be shortened, `ai_involvement` is 0 to 1."""

    id: UUID
    interaction_type: str
    content: str = ""
    cognitive_intent: str | None = None
    strategy_type: str | None = None
    delegation_attempts: str | int | None = None
    decision_justification: str | None = None
    has_alternatives: bool = False
    ai_involvement: float = 0.0
    occurred_at: datetime | None = None
    late: bool = False

    @property
    def is_student_s(self) -> bool:
        return self.interaction_type in STUDENT_TYPES


class Event(Struct, frozen=True, kw_only=True):
    """A simulator event as the rules see it."""

    id: UUID
    event_type: str
    event_data: dict[str, Any] = {}


class Thresholds(Struct, frozen=True):
    """Where the rules begin to speak, shares 0 to 1; an activity's `risk_thresholds` take the place of these."""

    ai_dependency: float = 0.7
    ai_share_of_step: float = 0.6
    lack_justification: float = 0.4

    @classmethod
    def of(cls, policies: dict[str, Any]) -> Self:
        """What an activity's `ai_dependency` says holds for a single step too."""
        given = policies.get("risk_thresholds")
        named = given if isinstance(given, dict) else {}
        chosen = {name: named[name] for name in ("ai_dependency", "lack_justification") if is_share(named.get(name))}
        if "ai_dependency" in chosen:
            chosen["ai_share_of_step"] = chosen["ai_dependency"]
        return cls(**chosen)


def is_share(value: Any) -> bool:
    """An adopted activity may hold anything here."""
    return isinstance(value, int | float) and 0 <= value <= 1


class Finding(Struct, frozen=True, kw_only=True):
    """An indicator: what was seen and what else explains it. `threshold` and `actual` share a unit.

    `subject` names what it is about, so that the same rule finds the same thing once. `late` where one of its steps is,
    which `analysis.judge` says for all rules.
    """

    rule: str
    version: int
    type: RiskType
    level: RiskLevel
    seen: str
    otherwise: str
    threshold: float
    actual: float
    subject: str = SESSION
    trace_ids: tuple[UUID, ...] = ()
    late: bool = False
    advice: str = "Ask the student how this came about before you judge it."

    @property
    def dimension(self) -> RiskDimension:
        return DIMENSION_OF[self.type]

    @property
    def detected_by(self) -> str:
        return "AR-IA-AUTO" if self.subject.startswith("event:") else "AR-IA"

    def columns(self) -> dict[str, Any]:
        """What a stored risk says of the finding."""
        return {
            "risk_type": self.type.value,
            "risk_level": self.level.value,
            "dimension": self.dimension.value,
            "description": f"{self.seen} {self.otherwise}",
            "evidence": [self.seen],
            "trace_ids": [str(id_) for id_ in self.trace_ids],
            "late": self.late,
            "recommendations": [self.advice],
            "rule_version": self.version,
            "threshold_value": self.threshold,
            "actual_value": self.actual,
            "detected_by": self.detected_by,
        }


def ids(steps: Iterable[Step]) -> tuple[UUID, ...]:
    return tuple(step.id for step in islice(steps, EVIDENCE))

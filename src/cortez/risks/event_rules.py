"""The rules on simulator events: each finding is about one event, and a rule speaks of the first twenty only.

An event says what the simulator, or the student's client, put into it; what was done and not sent does not exist here.
"""

from collections.abc import Callable, Sequence
from typing import Any

from cortez.risks.findings import MOST, Event, Finding
from cortez.risks.models import RiskLevel, RiskType

EventRule = Callable[[Sequence[Event]], list[Finding]]

BACKLOG, SPRINT, DECISION, SCAN, DEPLOYMENT = (
    "backlog_created",
    "sprint_planning_failed",
    "technical_decision_made",
    "security_scan_complete",
    "deployment_completed",
)
SEEN = (BACKLOG, SPRINT, DECISION, SCAN, DEPLOYMENT)


def subject(event: Event) -> str:
    return f"event:{event.id}"


def of_type(events: Sequence[Event], event_type: str) -> list[Event]:
    return [event for event in events if event.event_type == event_type]


def says(event: Event, *names: str) -> bool:
    """Whether one of these fields of the event holds something other than no, nothing, or zero."""
    return any(event.event_data.get(name) for name in names)


def backlog_without_criteria(events: Sequence[Event]) -> list[Finding]:
    """`backlog_created` without `acceptance_criteria` (or `has_acceptance_criteria`).

    It cannot know criteria that were agreed on elsewhere, nor whether those that are there are any good.
    """
    return [
        Finding(
            rule="backlog_without_criteria",
            version=1,
            type=RiskType.POOR_CODE_QUALITY,
            level=RiskLevel.HIGH,
            subject=subject(event),
            seen="A backlog was created without acceptance criteria.",
            otherwise="They may be kept elsewhere, or follow in a later event.",
            threshold=1,
            actual=0,
            advice="Ask how one would know that an item is done.",
        )
        for event in of_type(events, BACKLOG)
        if not says(event, "acceptance_criteria", "has_acceptance_criteria")
    ][:MOST]


def sprint_planning_failed(events: Sequence[Event]) -> list[Finding]:
    """`sprint_planning_failed`, as the simulator says.

    It cannot know why: a plan that is given up in time is good planning.
    """
    return [
        Finding(
            rule="sprint_planning_failed",
            version=1,
            type=RiskType.POLICY_VIOLATION,
            level=RiskLevel.HIGH,
            subject=subject(event),
            seen="The simulator reported that planning a sprint failed.",
            otherwise="A plan that is given up in time, or a trial of the simulator, is reported alike.",
            threshold=0,
            actual=1,
        )
        for event in of_type(events, SPRINT)
    ][:MOST]


def decision_without_reason(events: Sequence[Event]) -> list[Finding]:
    """`technical_decision_made` without `justification` (or `rationale`).

    It cannot know a reason that was given in the talk before.
    """
    return [
        Finding(
            rule="decision_without_reason",
            version=1,
            type=RiskType.LACK_JUSTIFICATION,
            level=RiskLevel.MEDIUM,
            subject=subject(event),
            seen="A technical decision was recorded without a reason.",
            otherwise="The reason may stand in the talk before it.",
            threshold=1,
            actual=0,
        )
        for event in of_type(events, DECISION)
        if not str(event.event_data.get("justification") or event.event_data.get("rationale") or "").strip()
    ][:MOST]


def vulnerabilities_found(events: Sequence[Event]) -> list[Finding]:
    """`security_scan_complete` with `vulnerabilities`, a list or a number; critical where one of them is.

    It cannot know false alarms of the scanner, nor weaknesses that the exercise put there.
    """
    counted = [(event, *vulnerabilities(event.event_data)) for event in of_type(events, SCAN)]
    return [
        Finding(
            rule="vulnerabilities_found",
            version=1,
            type=RiskType.SECURITY_VULNERABILITY,
            level=RiskLevel.CRITICAL if critical else RiskLevel.HIGH,
            subject=subject(event),
            seen=f"A security scan reported {total} vulnerabilities, {critical} of them critical.",
            otherwise="Scanners raise false alarms, and an exercise may contain weaknesses on purpose.",
            threshold=0,
            actual=total,
        )
        for event, total, critical in counted
        if total
    ][:MOST]


def vulnerabilities(data: dict[str, Any]) -> tuple[int, int]:
    """How many, and how many of them are critical."""
    listed = data.get("vulnerabilities", data.get("vulnerabilities_found"))
    told = max(number(data.get("critical")), number(data.get("critical_vulnerabilities")))
    if not isinstance(listed, list):
        return max(number(listed), told), told
    severe = [item for item in listed if isinstance(item, dict) and str(item.get("severity")).lower() == "critical"]
    return max(len(listed), told), max(len(severe), told)


def number(value: Any) -> int:
    """A count as the event has it; 0 where it is none."""
    return min(max(int(value), 0), 1_000_000) if isinstance(value, int | float) else 0


def deployed_without_tests(events: Sequence[Event]) -> list[Finding]:
    """`deployment_completed` without `tests_run`, `tests_passed` or `has_tests`.

    It cannot know tests that ran in another tool.
    """
    return [
        Finding(
            rule="deployed_without_tests",
            version=1,
            type=RiskType.ARCHITECTURAL_FLAW,
            level=RiskLevel.HIGH,
            subject=subject(event),
            seen="A deployment was completed, and no tests are mentioned.",
            otherwise="They may have run in another tool.",
            threshold=1,
            actual=0,
        )
        for event in of_type(events, DEPLOYMENT)
        if not says(event, "tests", "tests_run", "tests_passed", "has_tests")
    ][:MOST]


EVENT_RULES: tuple[EventRule, ...] = (
    backlog_without_criteria,
    sprint_planning_failed,
    decision_without_reason,
    vulnerabilities_found,
    deployed_without_tests,
)

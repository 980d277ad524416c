"""What a report makes of the figures: who may need a look, what is advised, where the weeks lead.

Every sentence says what was counted and the threshold it passed; it is a reason to look, not a judgement.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from cortez.evaluations.models import CompetencyLevel
from cortez.risks.models import RiskDimension, RiskLevel

FEW_SESSIONS = 3
HIGH_SHARE = 0.7  # of the AI in a student's steps
HIGH_MEAN_SHARE = 0.6  # of the AI in all steps
MANY_BEGINNERS = 0.4  # of the students who were evaluated
TREND_MARGIN = 0.2  # of the findings per session, from the first half of the weeks to the second
TOP = {"risk_dashboard": 10}
TOP_OTHERWISE = 5


class Student(Struct, frozen=True, kw_only=True):
    """What one student did in the sessions of a report; `share` is the sum of the AI's shares in their steps."""

    student_id: str
    sessions: int = 0
    completed_sessions: int = 0
    traces: int = 0
    share: float = 0.0
    risks: int = 0
    open_critical_risks: int = 0
    evaluations: int = 0
    mean_score: float | None = None
    competency_level: str | None = None
    last_session_at: datetime | None = None

    @property
    def mean_ai_share(self) -> float | None:
        return share_of(self.share, self.traces)

    def reasons(self) -> list[str]:
        """Why somebody should look: an unresolved critical finding, a large share of the AI, few sessions."""
        holds = {
            "critical_risk": self.open_critical_risks > 0,
            "ai_share": (self.mean_ai_share or 0) > HIGH_SHARE,
            "few_sessions": self.sessions < FEW_SESSIONS,
        }
        return [reason for reason, is_one in holds.items() if is_one]

    def summary(self) -> dict[str, Any]:
        """As the report keeps it."""
        return {
            "student_id": self.student_id,
            "sessions": self.sessions,
            "completed_sessions": self.completed_sessions,
            "traces": self.traces,
            "mean_ai_share": self.mean_ai_share,
            "risks": self.risks,
            "open_critical_risks": self.open_critical_risks,
            "evaluations": self.evaluations,
            "mean_score": self.mean_score,
            "competency_level": self.competency_level,
            "last_session_at": self.last_session_at,
            "at_risk": self.reasons(),
        }


class Findings(Struct, frozen=True):
    """How many findings there are of a type, dimension and level."""

    risk_type: str
    dimension: str
    risk_level: str
    count: int


class Week(Struct, frozen=True, kw_only=True):
    """The sessions that started in an ISO week."""

    week: str
    sessions: int
    risks: int
    mean_ai_share: float | None


def share_of(total: float, steps: int) -> float | None:
    return round(total / steps, 4) if steps else None


def totals(students: Sequence[Student], findings: Sequence[Findings]) -> dict[str, Any]:
    """Of the whole report; `students` counts those without a session too."""
    traces = sum(student.traces for student in students)
    scored = [(student.mean_score, student.evaluations) for student in students if student.mean_score is not None]
    evaluations = sum(count for _, count in scored)
    return {
        "students": len(students),
        "active_students": sum(student.sessions > 0 for student in students),
        "evaluated_students": len(scored),
        "sessions": sum(student.sessions for student in students),
        "completed_sessions": sum(student.completed_sessions for student in students),
        "traces": traces,
        "risks": sum(one.count for one in findings),
        "evaluations": evaluations,
        "mean_ai_share": share_of(sum(student.share for student in students), traces),
        "mean_score": round(sum(mean * count for mean, count in scored) / evaluations, 2) if evaluations else None,
    }


def competency_distribution(students: Sequence[Student]) -> dict[str, int]:
    """How many of the students who were evaluated stand on each level."""
    counts = Counter(student.competency_level for student in students)
    return {level.value: counts[level.value] for level in CompetencyLevel}


def by_level(findings: Sequence[Findings]) -> dict[str, int]:
    counts = _sums((one.risk_level, one.count) for one in findings)
    return {level.value: counts[level.value] for level in RiskLevel}


def by_dimension(findings: Sequence[Findings]) -> dict[str, int]:
    counts = _sums((one.dimension, one.count) for one in findings)
    return {dimension.value: counts[dimension.value] for dimension in RiskDimension}


def top_risks(findings: Sequence[Findings], report_type: str) -> list[dict[str, Any]]:
    """The most frequent types of finding, ten for a dashboard, else five."""
    counts = _sums(((one.risk_type, one.dimension), one.count) for one in findings)
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[: TOP.get(report_type, TOP_OTHERWISE)]
    return [{"risk_type": type_, "dimension": dimension, "count": count} for (type_, dimension), count in ranked]


def _sums(pairs: Any) -> Counter[Any]:
    counts: Counter[Any] = Counter()
    for key, count in pairs:
        counts[key] += count
    return counts


def trend(weeks: Sequence[Week]) -> str:
    """Whether findings per session rise or fall by more than a fifth from the first half of the weeks to the second."""
    half = len(weeks) // 2
    if not half:
        return "insufficient_data"
    before, after = rate(weeks[:half]), rate(weeks[-half:])
    if after > before * (1 + TREND_MARGIN):
        return "rising"
    return "falling" if after < before * (1 - TREND_MARGIN) else "stable"


def rate(weeks: Sequence[Week]) -> float:
    return sum(week.risks for week in weeks) / sum(week.sessions for week in weeks)


def recommendations(
    students: Sequence[Student], mean_ai_share: float | None, top: Sequence[dict[str, Any]]
) -> list[str]:
    """Plain sentences, one for each rule that holds; one that says so where none does."""
    if not any(student.sessions for student in students):
        return ["Nobody worked in this period, so there is nothing to recommend."]
    sentences = [
        *about_the_ai(mean_ai_share),
        *about_participation(students),
        *about_critical_risks(students),
        *about_competency(students),
        *about_the_most_frequent(top),
    ]
    return sentences or ["Nothing in these figures calls for a change."]


def about_the_ai(mean: float | None) -> list[str]:
    if mean is None or mean <= HIGH_MEAN_SHARE:
        return []
    return [
        f"The AI's mean share is {mean:.2f}, above {HIGH_MEAN_SHARE}: see whether the activities let students try "
        "first; activities that allow much help give such a figure too."
    ]


def about_participation(students: Sequence[Student]) -> list[str]:
    mean = sum(student.sessions for student in students) / len(students)
    if mean >= FEW_SESSIONS:
        return []
    return [
        f"There are {mean:.1f} sessions per student, fewer than {FEW_SESSIONS}: remind the class to work with the "
        "tutor; a short period or work elsewhere explains it too."
    ]


def about_critical_risks(students: Sequence[Student]) -> list[str]:
    open_risks = [student.open_critical_risks for student in students if student.open_critical_risks]
    if not open_risks:
        return []
    return [
        f"Unresolved critical findings: {sum(open_risks)}, of {len(open_risks)} students. "
        "Talk with them before drawing conclusions; a finding is an indicator."
    ]


def about_competency(students: Sequence[Student]) -> list[str]:
    evaluated = [student for student in students if student.competency_level]
    beginners = sum(student.competency_level == CompetencyLevel.INICIAL for student in evaluated)
    if not evaluated or beginners / len(evaluated) <= MANY_BEGINNERS:
        return []
    return [
        f"{beginners} of {len(evaluated)} evaluated students stand on the level inicial, more than "
        f"{MANY_BEGINNERS:.0%}: plan a review of the basics."
    ]


def about_the_most_frequent(top: Sequence[dict[str, Any]]) -> list[str]:
    if not top:
        return []
    first = top[0]
    return [
        f"The most frequent finding is {first['risk_type']} ({first['dimension']}), {first['count']} times: "
        "take it up with the whole class."
    ]

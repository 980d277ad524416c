"""What the reports on the class and the dataset for research have to say, worked out from the ledger."""

from statistics import fmean
from typing import Any

import pytest

from school import COURSE, Json, Ledger, moment
from school_figures import COMPETENCY, DIMENSIONS, LEVELS, Work, about, band, count, mean_share, week

K = 5


def report(ledger: Ledger, kind: str) -> Json:
    """Of the whole class, over all of its sessions."""
    work = Work(ledger, course_id=COURSE)
    students = [student(ledger, student_id) for student_id in work.students]
    return {
        "summary_stats": {"selection": False, **totals(work, students), **more(ledger, kind)},
        "competency_distribution": {
            level: sum(one["competency_level"] == level for one in students) for level in COMPETENCY
        },
        "risk_distribution": {level: sum(one["risk_level"] == level for one in work.risks) for level in LEVELS},
        "top_risks": top(work, 10 if kind == "risk_dashboard" else 5),
        "student_summaries": students,
        "at_risk_students": [one["student_id"] for one in students if one["at_risk"]],
    }


def student(ledger: Ledger, student_id: str) -> Json:
    work = Work(ledger, course_id=COURSE, student_id=student_id)
    critical = sum(one["risk_level"] == "critical" and not one["resolved"] for one in work.risks)
    scores = [one["overall_score"] for one in work.evaluations]
    reasons = {
        "critical_risk": critical > 0,
        "ai_share": (work.share or 0) > 0.7,
        "few_sessions": len(work.sessions) < 3,
    }
    return {
        "student_id": student_id,
        "sessions": len(work.sessions),
        "completed_sessions": sum(one["status"] == "completed" for one in work.sessions),
        "traces": len(work.traces),
        "mean_ai_share": about(work.share),
        "risks": len(work.risks),
        "open_critical_risks": critical,
        "evaluations": len(scores),
        "mean_score": about(fmean(scores)),
        "competency_level": band(fmean(scores)),
        "last_session_at": max((one["start_time"] for one in work.sessions), key=moment),
        "at_risk": [name for name, holds in reasons.items() if holds],
    }


def totals(work: Work, students: list[Json]) -> Json:
    return {
        "students": len(students),
        "active_students": len(students),
        "evaluated_students": len(students),
        "sessions": len(work.sessions),
        "completed_sessions": sum(one["status"] == "completed" for one in work.sessions),
        "traces": len(work.traces),
        "risks": len(work.risks),
        "evaluations": len(work.evaluations),
        "mean_ai_share": about(work.share),
        "mean_score": two_decimals(fmean(one["overall_score"] for one in work.evaluations)),
    }


def two_decimals(value: float) -> Any:
    return pytest.approx(value, abs=0.0051)


def more(ledger: Ledger, kind: str) -> Json:
    """What one type of report says beyond the others."""
    work = Work(ledger, course_id=COURSE)
    if kind == "risk_dashboard":
        names = sorted({week(moment(one["start_time"])) for one in work.sessions})
        return {
            "risks_by_dimension": {name: sum(one["dimension"] == name for one in work.risks) for name in DIMENSIONS},
            "weekly": [weekly(ledger, name) for name in names],
            "trend": "insufficient_data",
        }
    if kind == "competency_distribution":
        activities = sorted({one["activity_id"] for one in work.sessions})
        return {"by_activity": [of_activity(ledger, activity_id) for activity_id in activities]}
    return {}


def weekly(ledger: Ledger, name: str) -> Json:
    work = Work(ledger, course_id=COURSE)
    ids = {one["id"] for one in work.sessions if week(moment(one["start_time"])) == name}
    share = mean_share([one for one in work.traces if one["session_id"] in ids])
    risks = sum(one["session_id"] in ids for one in work.risks)
    return {"week": name, "sessions": len(ids), "risks": risks, "mean_ai_share": about(share)}


def of_activity(ledger: Ledger, activity_id: str) -> Json:
    evaluations = Work(ledger, activity_id=activity_id).evaluations
    levels = count(one["overall_competency_level"] for one in evaluations)
    return {
        "activity_id": activity_id,
        "evaluations": len(evaluations),
        "mean_score": about(fmean(one["overall_score"] for one in evaluations)),
        "levels": {level: levels.get(level, 0) for level in COMPETENCY},
    }


def top(work: Work, most: int) -> list[Json]:
    kinds = count((one["risk_type"], one["dimension"]) for one in work.risks)
    ranked = sorted(kinds.items(), key=lambda one: (-one[1], one[0]))[:most]
    return [{"risk_type": type_, "dimension": dimension, "count": number} for (type_, dimension), number in ranked]


def groups(ledger: Ledger) -> dict[tuple[str, str, str], list[str]]:
    """The students of each group of sessions that agree in activity, week and level of the latest evaluation."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for session in Work(ledger, course_id=COURSE).sessions:
        latest = Work(ledger, id=session["id"]).evaluations[-1]
        group = (session["activity_id"], week(moment(session["start_time"])), latest["overall_competency_level"])
        found.setdefault(group, []).append(session["student_id"])
    return found


def research(ledger: Ledger) -> tuple[Json, Json]:
    """How much is released, and how much is left out because fewer than five students share it."""
    released = {group: students for group, students in groups(ledger).items() if len(set(students)) >= K}
    hidden = {group: students for group, students in groups(ledger).items() if len(set(students)) < K}
    known = {one for students in released.values() for one in students}
    unknown = {one for students in hidden.values() for one in students} - known
    return (
        {"groups": len(released), "students": len(known), "rows": sum(map(len, released.values()))},
        {"groups": len(hidden), "students": len(unknown), "rows": sum(map(len, hidden.values()))},
    )

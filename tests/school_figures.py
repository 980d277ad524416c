"""Every figure that the service gives on the class, worked out once more in plain Python from the ledger."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from statistics import fmean
from typing import Any

import pytest

from school import COURSE, LISTS, Json, Ledger, moment
from school_lessons import MANNERS
from test_rubrics import RUBRIC

OWN = {"student_prompt", "code_commit", "strategy_change", "hypothesis_formulation", "self_correction"}
DIMENSIONS = ("cognitive", "ethical", "epistemic", "technical", "governance")
LEVELS = ("critical", "high", "medium", "low", "info")
COMPETENCY = ("inicial", "en_desarrollo", "autonomo", "experto")
WEIGHT = {"critical": 4, "high": 3, "medium": 2, "low": 1, "info": 0}
ENDED = {"completed", "aborted"}


def about(value: float | None) -> Any:
    """Sums of floating point numbers differ in their last digits by their order."""
    return value if value is None else pytest.approx(value, abs=2e-4)


class Work:
    """Everything in the ledger that belongs to some sessions."""

    def __init__(self, ledger: Ledger, **equal: str) -> None:
        everything = ledger.sessions.values()
        self.sessions = [one for one in everything if all(one[name] == value for name, value in equal.items())]
        ids = {one["id"] for one in self.sessions}

        def within(rows: Iterable[Json]) -> list[Json]:
            return [row for row in rows if row["session_id"] in ids]

        self.traces = sorted(within(ledger.traces), key=lambda one: (one["happened"], one["id"]))
        self.commits = [one for one in within(ledger.commits) if one["event_type"] != "tag"]
        self.paths = {file["file_path"] for one in within(ledger.commits) for file in one["files_changed"]}
        self.attempts = within(ledger.attempts.values())
        self.events = within(ledger.events)
        self.all_risks = within(ledger.risks.values())
        self.risks = [one for one in self.all_risks if one["resolution"] != "unfounded"]
        self.evaluations = sorted(within(ledger.evaluations), key=lambda one: (moment(one["created_at"]), one["id"]))
        self.ended = [one for one in self.sessions if one["status"] in ENDED]

    @property
    def students(self) -> list[str]:
        return sorted({one["student_id"] for one in self.sessions})

    @property
    def share(self) -> float | None:
        return mean_share(self.traces)

    @property
    def states(self) -> dict[str, int]:
        return count(one["cognitive_state"] for one in self.traces)

    @property
    def justified_share(self) -> float | None:
        own = [one for one in self.traces if one["interaction_type"] in OWN]
        justified = [one for one in own if len(one.get("decision_justification") or "") >= 20]
        return len(justified) / len(own) if own else None


def count(values: Iterable[Any]) -> dict[Any, int]:
    """How often there is what."""
    return dict(Counter(value for value in values if value is not None))


def mean_share(traces: Sequence[Json]) -> float | None:
    return fmean(one["ai_involvement"] for one in traces) if traces else None


def band(score: float | None) -> str | None:
    if score is None:
        return None
    return COMPETENCY[(score >= 5) + (score >= 7) + (score >= 8.5)]


def profile(ledger: Ledger, student_id: str, **equal: str) -> Json:
    """Over the sessions in a course, or over all of them."""
    work = Work(ledger, student_id=student_id, **equal)
    ended = {one["id"] for one in work.ended}
    traces = [one for one in work.traces if one["session_id"] in ended]
    states = count(one["cognitive_state"] for one in traces)
    scores = [one["overall_score"] for one in work.evaluations]
    latest = work.evaluations[-1]
    return {
        "student_id": student_id,
        "total_sessions": len(ended),
        "total_interactions": len(traces),
        "average_ai_dependency": about(mean_share(traces) or 0.0),
        "average_competency_score": about(fmean(scores)),
        "average_competency_level": band(fmean(scores)),
        "total_risks": len(work.risks),
        "critical_risks": sum(one["risk_level"] == "critical" for one in work.risks),
        "risk_trends": {
            name: {
                "open": sum(not one["resolved"] for one in work.risks if one["dimension"] == name),
                "confirmed": sum(one["resolved"] for one in work.risks if one["dimension"] == name),
            }
            for name in {one["dimension"] for one in work.risks}
        },
        "last_activity_date": max((one["end_time"] for one in work.ended), key=moment, default=None),
        "learning_patterns": {"states": {name: about(n / sum(states.values())) for name, n in states.items()}},
        "competency_levels": {one["name"]: band(one["score"]) for one in latest["dimensions"]},
        "strengths": latest["key_strengths"],
        "areas_for_improvement": latest["improvement_areas"],
        "course_ids": sorted({one["course_id"] for one in work.sessions}),
    }


def evolution(ledger: Ledger, student_id: str, **equal: str) -> list[tuple[float, str]]:
    evaluations = Work(ledger, student_id=student_id, **equal).evaluations
    return [(one["overall_score"], one["overall_competency_level"]) for one in evaluations]


def traceability(ledger: Ledger, **equal: str) -> Json:
    work = Work(ledger, **equal)
    kinds = count(one["interaction_type"] for one in work.traces)
    return {
        "n1": {"attempts": len(work.attempts), "files": len(work.paths)},
        "n2": {
            "commits": len(work.commits),
            "tests": sum(ledger.graded[one["id"]]["tests_total"] for one in work.attempts),
            "tests_passed": sum(ledger.graded[one["id"]]["tests_passed"] for one in work.attempts),
        },
        "n3": {
            "prompts": kinds.get("student_prompt", 0),
            "responses": kinds.get("ai_response", 0),
            "ai_share": about(work.share),
        },
        "n4": {
            "states": work.states,
            "intents": count(one.get("cognitive_intent") for one in work.traces),
            "justified_share": about(work.justified_share),
        },
        "late": {"steps": sum(one["late"] for one in work.traces), "commits": 0},
    }


def analysis(ledger: Ledger, session_id: str) -> Json:
    open_risks = [one for one in Work(ledger, id=session_id).all_risks if not one["resolved"]]
    sums = {
        name: min(10, sum(WEIGHT[one["risk_level"]] for one in open_risks if one["dimension"] == name))
        for name in DIMENSIONS
    }
    total = sum(sums.values())
    level = ("low", "medium", "high", "critical")[(total >= 15) + (total >= 30) + (total >= 40)]
    return {
        "session_id": session_id,
        "dimensions": sums,
        "total": total,
        "level": level,
        "open_risks": len(open_risks),
    }


def cognitive_path(ledger: Ledger, session_id: str) -> Json:
    traces = Work(ledger, id=session_id).traces
    phases: list[Json] = []
    for one in traces:
        state = one["cognitive_state"]
        if state and phases and phases[-1]["state"] == state:
            phases[-1] |= {"ended_at": one["happened"], "traces": phases[-1]["traces"] + 1}
        elif state:
            phases.append({"state": state, "started_at": one["happened"], "ended_at": one["happened"], "traces": 1})
    names = [one["state"] for one in phases]
    shares = [one["ai_involvement"] for one in traces]
    return {
        "phases": phases,
        "transitions": count(pairwise(names)),
        "dependency": [(share, about(fmean(shares[max(0, n - 4) : n + 1]))) for n, share in enumerate(shares)],
        "late": sum(one["late"] for one in traces),
    }


def process_score(share: float, states: dict[str, int], risks: float) -> Any:
    stuck = states.get("atascado", 0) / sum(states.values()) if states else 0
    parts = (0.4 * (1 - share), 0.2 * len(states) / 9, 0.2 * max(0, 1 - 2 * stuck), 0.2 * max(0, 1 - risks / 3))
    return pytest.approx(100 * sum(parts), abs=0.051)


def week(when: datetime) -> str:
    year, number, _ = when.astimezone(UTC).isocalendar()
    return f"{year}-W{number:02}"


def trends(ledger: Ledger, student_id: str) -> Json:
    work = Work(ledger, student_id=student_id)
    weeks, shares = [], []
    for name in sorted({week(one["happened"]) for one in work.traces}):
        traces = [one for one in work.traces if week(one["happened"]) == name]
        ids = {one["session_id"] for one in traces}
        risks = sum(one["session_id"] in ids for one in work.risks) / len(ids)
        share = fmean(one["ai_involvement"] for one in traces)
        score = process_score(share, count(one["cognitive_state"] for one in traces), risks)
        weeks.append({"week": name, "sessions": len(ids), "ai_involvement": about(share), "process_score": score})
        shares.append(share)
    half = len(shares) // 2
    change = fmean(shares[half:]) - fmean(shares[:half])
    trend = "stable" if abs(change) <= 0.05 else "improving" if change < 0 else "declining"
    return {"student_id": student_id, "weeks": weeks, "trend": trend}


def compared(ledger: Ledger, activity_id: str, student_id: str) -> Json:
    work = Work(ledger, activity_id=activity_id, student_id=student_id)
    starts = sorted((one["start_time"] for one in work.sessions), key=moment)
    assert work.share is not None
    return {
        "student_id": student_id,
        "sessions": len(work.sessions),
        "completed": sum(one["status"] == "completed" for one in work.sessions),
        "first_started": starts[0],
        "last_started": starts[-1],
        "traces": len(work.traces),
        "ai_involvement": about(work.share),
        "states": work.states,
        "justified_share": about(work.justified_share),
        "risks": len(work.risks),
        "commits": len(work.commits),
        "attempts": len(work.attempts),
        "evaluations": len(work.evaluations),
        "average_score": about(fmean(one["overall_score"] for one in work.evaluations)),
        "process_score": process_score(work.share, work.states, len(work.risks) / len(work.sessions)),
    }


def past_session(ledger: Ledger, session_id: str) -> Json:
    work = Work(ledger, id=session_id)
    session = work.sessions[0]
    same = ("id", "activity_id", "course_id", "mode", "status", "start_time", "end_time", "created_at")
    return {name: session[name] for name in same} | {
        "traces": len(work.traces),
        "late": sum(one["late"] for one in work.traces),
        "ai_involvement": about(work.share),
        "commits": len(work.commits),
        "attempts": len(work.attempts),
        "risks": len(work.risks),
        "unresolved_risks": sum(not one["resolved"] for one in work.risks),
        "last_score": work.evaluations[-1]["overall_score"],
        "last_level": work.evaluations[-1]["overall_competency_level"],
    }


def statistics(ledger: Ledger, student_id: str, **equal: str) -> Json:
    risks = Work(ledger, student_id=student_id, **equal).all_risks
    dimensions, levels = (count(one[name] for one in risks) for name in ("dimension", "risk_level"))
    ends = count(one["resolution"] for one in risks)
    return {
        "student_id": student_id,
        "total": len(risks),
        "unresolved": sum(not one["resolved"] for one in risks),
        "confirmed": ends.get("confirmed", 0),
        "unfounded": ends.get("unfounded", 0),
        "by_dimension": {name: dimensions.get(name, 0) for name in DIMENSIONS},
        "by_level": {name: levels.get(name, 0) for name in LEVELS},
        "by_type": count(one["risk_type"] for one in risks),
    }


def findings(ledger: Ledger, session_id: str) -> dict[str, int]:
    """What the rules are to find: by how somebody works, and by what the simulator reports."""
    work = Work(ledger, id=session_id)
    expected = dict(MANNERS[ledger.manner[session_id]].findings)
    if work.sessions[0]["activity_id"] == LISTS.activity_id:
        expected.pop("few_reasons", None)  # the activity asks for none
    moments = [one["happened"] for one in work.traces if "occurred_at" in one]
    if moments[-1] - moments[0] > timedelta(hours=4):
        expected["long_session"] = 1  # the teacher's word came weeks later
    kinds = count(one["event_type"] for one in work.events)
    rules = {"vulnerabilities_found": "security_scan_complete", "backlog_without_criteria": "backlog_created"}
    return expected | {rule: kinds[kind] for rule, kind in rules.items() if kind in kinds}


def score_of(result: Json, penalty: int) -> float:
    """0 to 10: the points of tests or rubric less what the hints cost, two decimals half up."""
    points = Decimal(100 * result["tests_passed"]) / result["tests_total"]
    if "rubric_evaluation" in result:
        points = sum((weighted(one) for one in result["rubric_evaluation"]["criteria"]), Decimal(0))
    return float((max(Decimal(0), points - penalty) / 10).quantize(Decimal("0.01"), ROUND_HALF_UP))


def weighted(one: Json) -> Decimal:
    criterion = next(other for other in RUBRIC["criteria"] if other["criterion_name"] == one["criterion_name"])
    levels = criterion["levels"]
    reached = next(level for level in levels if level["min_score"] <= one["score"])
    best: int = max(level["points"] for level in levels)
    return 100 * Decimal(str(criterion["weight"])) * Decimal(reached["points"]) / best


def live_alerts(ledger: Ledger) -> dict[str, list[str]]:
    """What calls for a look, by session, of those that are still going on."""
    found = {}
    for session in Work(ledger, course_id=COURSE, status="active").sessions:
        work = Work(ledger, id=session["id"])
        levels = count(one["risk_level"] for one in work.all_risks if not one["resolved"])
        holds = {
            "critical_risk": levels.get("critical", 0) >= 1,
            "high_risks": levels.get("high", 0) >= 2,
            "medium_risks": levels.get("medium", 0) >= 3,
            "ai_share": (work.share or 0) > 0.85,
        }
        if any(holds.values()):
            found[session["id"]] = [name for name, held in holds.items() if held]
    return found


def alerts(ledger: Ledger) -> dict[str, dict[str, Any]]:
    """By rule the students that a scan of the course finds, each with the value that it sees."""
    since = datetime.now(UTC) - timedelta(days=7)
    expected: dict[str, dict[str, Any]] = {
        name: {}
        for name in ("ai_dependency_7d", "critical_risks_7d", "ethical_risks_7d", "no_session_7d", "low_score_7d")
    }
    for student_id in Work(ledger, course_id=COURSE).students:
        work = Work(ledger, course_id=COURSE, student_id=student_id)
        recent = [one for one in work.traces if one["happened"] >= since]
        critical = sum(one["risk_level"] == "critical" for one in work.risks)
        ethical = sum(one["dimension"] == "ethical" for one in work.risks)
        score = work.evaluations[-1]["overall_score"]
        seen = {
            "ai_dependency_7d": (mean_share(recent), len(recent) >= 10 and (mean_share(recent) or 0) > 0.7),
            "critical_risks_7d": (critical, critical >= 2),
            "ethical_risks_7d": (ethical, ethical >= 1),
            "low_score_7d": (score, score < 3),
        }
        for rule, (value, speaks) in seen.items():
            if speaks:
                expected[rule][student_id] = about(value)
    return expected

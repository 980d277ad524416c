"""What the strangers send beside what everybody sends: bodies that bring home's rows and their own course together."""

import json
from typing import Any

import msgspec

from matrix_bodies import ALERT, PERIOD, PLAN, RISK
from matrix_world import World

UNCLAIMED, LEFT = "legajo-777", "legajo-778"  # of rows that no account has, and of an account that an admin deletes


class Attempt(msgspec.Struct, frozen=True):
    """A body that brings home's rows and one's own course together."""

    who: str
    call: str
    body: Any

    def sent(self, world: World, of: dict[str, str]) -> tuple[str, Any]:
        """Path and body: `{x}` is of home, `<x>` of one's own course."""
        text = json.dumps([self.call.partition(" ")[2], self.body])
        for place, value in world.at.items():
            text = text.replace(place, value)
        for place, value in of.items():
            text = text.replace(f"<{place[1:-1]}>", value)
        path, body = json.loads(text)
        return path, body


VICTIM = {"student_id": "{student_id}"}
IN_OWN = VICTIM | {"course_id": "own"}
ACTIVITY = {"activity_id": "new", "title": "Title", "instructions": "x"}

ATTEMPTS = [
    Attempt("stranger", "PATCH /activities/home-theirs", {"title": "Mine"}),
    Attempt("stranger", "POST /activities/home-theirs/archive", {}),
    Attempt("stranger", "GET /activities/home-theirs", None),
    Attempt("stranger", "GET /students/compare?activity_id=home-theirs", None),
    Attempt("stranger", "GET /students/compare?activity_id=home", None),
    Attempt("stranger", "GET /sessions?activity_id=home-theirs", None),
    Attempt("stranger", "GET /traces?activity_id=home-theirs", None),
    Attempt("stranger", "GET /sessions/{session_id@theirs}", None),
    Attempt("stranger", "GET /sessions/{session_id@theirs}/traces", None),
    Attempt("stranger", "GET /traces/{trace_id@theirs}", None),
    Attempt("stranger", "GET /evaluations/{evaluation_id@theirs}", None),
    Attempt("stranger", "POST /sessions/{session_id@theirs}/risks", RISK),
    Attempt("stranger", "POST /sessions/{session_id@theirs}/evaluations", {"overall_score": 0}),
    Attempt("stranger", "POST /sessions/{session_id@theirs}/evaluations/generate", {}),
    Attempt("stranger", "POST /risks/{risk_id@theirs}/resolve", {"resolution": "confirmed", "resolution_notes": "x"}),
    Attempt(
        "stranger",
        "POST /sessions/{session_id@theirs}/traces",
        {"interaction_type": "teacher_feedback", "content": "x"},
    ),
    Attempt("stranger", "POST /exports/research", {"study": "x", "activity_id": "home-theirs", "k": 2}),
    Attempt("stranger", "POST /exports/research", {"study": "x", "course_id": "own", "k": 2}),
    Attempt("stranger", "POST /exports/research", {"study": "x", "k": 2}),
    Attempt("stranger", "POST /alerts", ALERT | {"scope": "activity", "activity_id": "home-theirs"}),
    Attempt("stranger", "POST /alerts", ALERT | VICTIM | {"scope": "activity", "activity_id": "home-theirs"}),
    Attempt("stranger", "POST /alerts", ALERT | VICTIM | {"scope": "course", "course_id": "home"}),
    Attempt("stranger", "POST /alerts", ALERT | IN_OWN | {"scope": "student", "evidence": ["{trace_id}"]}),
    Attempt("stranger", "POST /alerts", ALERT | IN_OWN | {"scope": "student", "activity_id": "home"}),
    Attempt("stranger", "POST /alerts/scan", {}),
    Attempt("stranger", "POST /alerts/scan", {"course_id": "own"}),
    Attempt("stranger", "POST /remediation-plans", PLAN | IN_OWN),
    Attempt("stranger", "POST /remediation-plans", PLAN | IN_OWN | {"trigger_risks": ["{risk_id}"]}),
    Attempt("stranger", "POST /remediation-plans", PLAN | IN_OWN | {"trigger_risks": ["{risk_id@theirs}"]}),
    Attempt("stranger", "POST /remediation-plans", PLAN | IN_OWN | {"activity_id": "home-theirs"}),
    Attempt("stranger", "POST /remediation-plans", PLAN | VICTIM | {"course_id": "home"}),
    Attempt("stranger", "POST /interventions", VICTIM | {"session_id": "{session_id}"}),
    Attempt("stranger", "POST /interventions", VICTIM | {"session_id": "{session_id@theirs}"}),
    Attempt("stranger", "POST /interventions", VICTIM | {"alert_id": "{alert_id}"}),
    Attempt("stranger", "POST /interventions", VICTIM | {"alert_id": "{alert_id@student}"}),
    Attempt("stranger", "POST /interventions", VICTIM | {"alert_id": "alert_{session_id}"}),
    Attempt(
        "stranger",
        "POST /reports",
        {"report_type": "cohort_summary", "course_id": "own", **PERIOD, "student_ids": ["{student_id}", "commuter"]},
    ),
    Attempt("stranger", "POST /alerts/<alert_id>/assign", {"user_id": "{user_id@peer}"}),
    Attempt(
        "stranger",
        "POST /alerts/<alert_id>/resolve",
        {"resolution_notes": "x", "remediation_plan_id": "{plan_id@bare}"},
    ),
    Attempt("stranger", "POST /activities", ACTIVITY | {"course_id": "home"}),
    Attempt("stranger", "PATCH /activities/own", {"course_id": "home"}),
    Attempt("stranger", "PUT /courses/home/members/<user_id@peer>", {"role": "teacher"}),
    Attempt("stranger", "POST /courses/home/members/batch", [{"email": "x@example.edu"}]),
    Attempt("stranger", "POST /courses/own/members/batch", [{"email": "y@example.edu", "student_id": "{student_id}"}]),
    Attempt("stranger", "PATCH /exercises/{exercise_id}", {"title": "Mine"}),
    Attempt("stranger", "PATCH /tests/{test_id}", {"expected": "mine"}),
    Attempt("stranger", "DELETE /exercises/{exercise_id}", None),
    Attempt("own_key", "POST /sessions", VICTIM | {"activity_id": "own"}),
    Attempt("own_key", "POST /sessions", VICTIM | {"activity_id": "home-theirs"}),
    Attempt("own_key", "POST /sessions", VICTIM | {"activity_id": "own", "course_id": "home"}),
    Attempt("own_key", "POST /sessions", {"activity_id": "own", "student_id": UNCLAIMED}),
    Attempt("own_key", "PATCH /sessions/<session_id>", {"activity_id": "home"}),
    Attempt("own_key", "GET /sessions/{session_id@theirs}", None),
    Attempt("own_student", "POST /sessions", {"activity_id": "home-theirs"}),
    Attempt("own_student", "POST /sessions", {"activity_id": "home"}),
]

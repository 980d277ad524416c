"""Examples of what goes in and comes out, as the documentation shows them; a test decodes each into its type.

A type is shown with what `field_examples` has for its fields' names, or as `EXAMPLES` says where that makes no sense.
"""

from cortez.core.typing import JsonObject, JsonValue
from cortez.examples.fields import EXERCISE, LATER, SESSION, START, TRACE, USER

LEVELS: list[JsonObject] = [
    {"level_name": name, "description": text, "min_score": low, "max_score": high, "points": points}
    for name, text, low, high, points in (
        ("Excelente", "Right for every input.", 9, 10, 60),
        ("Bueno", "Right but for an edge case.", 7, 9, 45),
        ("Regular", "Right for the easy inputs.", 5, 7, 30),
        ("Insuficiente", "Wrong, or it does not run.", 0, 5, 0),
    )
]
STYLE: list[JsonObject] = [level | {"points": points} for level, points in zip(LEVELS, (40, 30, 20, 0), strict=True)]
CRITERIA: list[JsonValue] = [
    {"criterion_name": "Correctness", "weight": 0.6, "description": None, "levels": [*LEVELS]},
    {"criterion_name": "Style", "weight": 0.4, "description": None, "levels": [*STYLE]},
]

EXAMPLES: dict[str, JsonObject] = {
    "LoginIn": {"login": "eva@example.edu", "password": "correct horse battery"},
    "LogoutIn": {"all": True},
    "MePatch": {"full_name": "Eva Soto", "preferred_language": "es"},
    "PasswordIn": {"current_password": "correct horse battery", "new_password": "staple of the horse"},
    "ResetIn": {"token": "cp_...", "password": "staple of the horse"},
    "ResetOut": {"token": "cp_...", "expires_at": "2026-03-03T14:00:00Z"},
    "UserIn": {"email": "ana@example.edu", "username": "ana", "roles": ["teacher"], "full_name": "Ana Morales"},
    "UserPatch": {"student_id": "al-0042"},
    "RolesIn": {"roles": ["teacher", "admin"]},
    "ApiKeyIn": {"name": "tutor agent", "scopes": ["sessions", "traces"], "course_ids": ["PROG2-2026"]},
    "CourseIn": {"course_id": "PROG2-2026", "title": "Programming 2"},
    "CoursePatch": {"title": "Programming 2, evening class"},
    "EnrolIn": {"email": "eva@example.edu", "name": "Eva Soto", "student_id": "al-0042", "role": "student"},
    "EnrolResult": {
        "created": 0,
        "added": 1,
        "invited": 0,
        "changed": 0,
        "unchanged": 0,
        "rejected": 1,
        "items": [
            {"index": 0, "status": "added"},
            {
                "index": 1,
                "status": "rejected",
                "code": "FORBIDDEN",
                "errors": [
                    {"pointer": "", "detail": "A teacher's list adds students; an admin's also teachers and tutors."}
                ],
            },
        ],
    },
    "ActivityIn": {
        "activity_id": "recursion-1",
        "title": "Recursion",
        "instructions": "Write a function that sums a list of lists.",
        "course_id": "PROG2-2026",
        "policies": {"max_help_level": "medio", "risk_thresholds": {"ai_dependency": 0.7}},
        "difficulty": "INTERMEDIO",
        "tags": ["recursion"],
    },
    "ActivityPatch": {"title": "Recursion, step by step"},
    "SessionIn": {
        "activity_id": "recursion-1",
        "student_id": "al-0042",
        "mode": "tutor",
        "learning_objective": {"title": "Base cases"},
    },
    "SessionPatch": {"cognitive_status": {"autonomy_level": 0.6}},
    "ProfilePatch": {"preferred_language": "es-AR"},
    "PlanIn": {
        "student_id": "al-0042",
        "course_id": "PROG2-2026",
        "plan_type": "tutoring",
        "description": "Two meetings on base cases, then an exercise without the tutor.",
        "objectives": ["Names the base case before writing code"],
        "recommended_actions": [{"action_type": "meeting", "deadline": "2026-03-09T14:00:00Z"}],
    },
    "PlanPatch": {"progress_notes": "The first meeting went well."},
    "CompletionIn": {
        "outcome_evaluation": "Works without hints now.",
        "success_metrics": {"ai_dependency_before": 0.8, "ai_dependency_after": 0.4},
    },
    "AlertIn": {
        "alert_type": "pattern_anomaly",
        "severity": "medium",
        "scope": "student",
        "student_id": "al-0042",
        "course_id": "PROG2-2026",
        "title": "Answers faster than they can be read",
        "description": "Three steps within ten seconds; perhaps prepared before.",
    },
    "ScanIn": {"course_id": "PROG2-2026"},
    "AssignIn": {"user_id": USER},
    "AlertResolveIn": {"resolution_notes": "Talked; a plan was opened."},
    "DismissIn": {"resolution_notes": "The student had prepared the answers at home."},
    "InterventionIn": {
        "student_id": "al-0042",
        "alert_id": f"alert_{SESSION}",
        "intervention_type": "meeting_scheduled",
        "notes": "Meets me on Tuesday.",
    },
    "InterventionPatch": {"status": "in_progress"},
    "ExerciseIn": {
        "subject_code": "PROG2",
        "title": "Sum a list of lists",
        "difficulty": "Medium",
        "time_min": 20,
        "language": "python",
        "mission_markdown": "Write `total`, which sums lists of lists of numbers.",
        "starter_code": "def total(xs): ...",
        "tags": ["recursion"],
    },
    "ExercisePatch": {"difficulty": "Hard"},
    "HintIn": {"content": "What is the sum of an empty list?"},
    "HintPatch": {"penalty_points": 10},
    "TestIn": {"input": "[1, [2, 3]]", "expected": "6"},
    "TestPatch": {"is_hidden": True},
    "RubricIn": {"criteria": CRITERIA},
    "RubricOut": {"exercise_id": EXERCISE, "criteria": CRITERIA},
    "GradeIn": {
        "status": "PASS",
        "tests_passed": 5,
        "tests_total": 5,
        "execution_time_ms": 41,
        "rubric_evaluation": {
            "criteria": [{"criterion_name": "Correctness", "score": 9.5}, {"criterion_name": "Style", "score": 7}]
        },
    },
    "ReportIn": {
        "report_type": "cohort_summary",
        "course_id": "PROG2-2026",
        "period_start": "2026-03-01T00:00:00Z",
        "period_end": "2026-04-01T00:00:00Z",
    },
    "ExportIn": {"format": "xlsx"},
    "TraceIn": {
        "id": TRACE,
        "interaction_type": "student_prompt",
        "content": "Why does my function never stop?",
        "occurred_at": LATER,
    },
    "SessionTraceIn": {
        "session_id": SESSION,
        "id": TRACE,
        "interaction_type": "ai_response",
        "content": "What should it give for an empty list?",
        "occurred_at": "2026-03-02T14:03:19Z",
    },
    "TracePatch": {"cognitive_state": "depuracion", "ai_involvement": 0.2},
    "BatchResult": {
        "created": 1,
        "duplicate": 1,
        "rejected": 1,
        "items": [
            {"index": 0, "id": TRACE, "status": "created"},
            {"index": 1, "id": TRACE, "status": "duplicate"},
            {
                "index": 2,
                "status": "rejected",
                "code": "SESSION_CLOSED",
                "errors": [
                    {"pointer": "", "detail": "The session is completed; send occurred_at for a late delivery."}
                ],
            },
        ],
    },
    "CognitivePath": {
        "phases": [
            {"state": "exploracion", "started_at": START, "ended_at": LATER, "traces": 3},
            {"state": "depuracion", "started_at": LATER, "ended_at": "2026-03-02T14:09:40Z", "traces": 2},
        ],
        "transitions": [{"from": "exploracion", "to": "depuracion", "count": 1}],
        "dependency": [
            {"occurred_at": START, "ai_involvement": 0.0, "moving_average": 0.0},
            {"occurred_at": LATER, "ai_involvement": 0.4, "moving_average": 0.2},
        ],
        "late": 0,
    },
    "RiskIn": {"risk_type": "plagiarism", "risk_level": "low", "description": "Two sessions hold the same text."},
    "EvaluationIn": {
        "overall_score": 7.5,
        "dimensions": [{"name": "debugging", "score": 8, "evidence": ["Isolated the failing case first."]}],
        "evaluator": "a language model's prompt",
    },
    "ResearchIn": {"study": "Base cases 2026", "k": 5, "course_id": "PROG2-2026"},
    "Problem": {
        "type": "urn:cortez:problem:session_not_found",
        "title": "Not Found",
        "status": 404,
        "detail": f"There is no session {SESSION}.",
        "instance": f"/api/v1/sessions/{SESSION}",
        "code": "SESSION_NOT_FOUND",
        "request_id": "5f0c8a3e9b7d4c21",
    },
    "Live": {"status": "ok"},
    "Ready": {"status": "ok", "reasons": []},
}

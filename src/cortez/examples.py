"""Examples of what goes in and comes out, as the documentation shows them; a test decodes each into its type."""

from typing import Any

SESSION = "019a7c2e-5f1b-7c43-9a0e-2f6d1c8b4e57"
TRACE = "019a7c2e-7d20-7b11-8c55-90e3f1a2b3c4"
USER = "019a7c2d-10aa-7e02-b1c9-5a6b7c8d9e0f"
STAMPS = {"created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"}

ACTIVITY_IN: dict[str, Any] = {
    "activity_id": "recursion-1",
    "title": "Recursion",
    "instructions": "Write a function that sums a list of lists.",
    "course_id": "PROG2-2026",
    "policies": {"max_help_level": "medio", "risk_thresholds": {"ai_dependency": 0.7}},
    "difficulty": "INTERMEDIO",
    "tags": ["recursion"],
}
TRACE_IN: dict[str, Any] = {
    "id": TRACE,
    "interaction_type": "student_prompt",
    "content": "Why does my function never stop?",
    "occurred_at": "2026-03-02T14:03:11Z",
}

EXAMPLES: dict[str, Any] = {
    "RegisterIn": {"email": "eva@example.edu", "username": "eva", "password": "correct horse battery"},
    "LoginIn": {"login": "eva@example.edu", "password": "correct horse battery"},
    "RefreshIn": {"refresh_token": "cr_..."},
    "LogoutIn": {"all": True},
    "MePatch": {"full_name": "Eva Soto", "preferred_language": "es"},
    "PasswordIn": {"current_password": "correct horse battery", "new_password": "staple of the horse"},
    "ResetIn": {"token": "cp_...", "password": "staple of the horse"},
    "UserIn": {"email": "ana@example.edu", "username": "ana", "roles": ["teacher"], "full_name": "Ana Morales"},
    "UserPatch": {"student_id": "al-0042"},
    "RolesIn": {"roles": ["teacher", "admin"]},
    "ApiKeyIn": {"name": "tutor agent", "scopes": ["sessions", "traces"], "course_ids": ["PROG2-2026"]},
    "CourseIn": {"course_id": "PROG2-2026", "title": "Programming 2"},
    "CoursePatch": {"title": "Programming 2, evening class"},
    "MemberIn": {"role": "student"},
    "ActivityIn": ACTIVITY_IN,
    "ActivityPatch": {"title": "Recursion, step by step"},
    "SessionIn": {
        "activity_id": "recursion-1",
        "student_id": "al-0042",
        "mode": "tutor",
        "learning_objective": {"title": "Base cases"},
    },
    "SessionPatch": {"cognitive_status": {"autonomy_level": 0.6}},
    "TraceIn": TRACE_IN,
    "TracePatch": {"cognitive_state": "depuracion", "ai_involvement": 0.2},
    "ProfilePatch": {"preferred_language": "es-AR"},
    "PlanIn": {
        "student_id": "al-0042",
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
    "SessionOut": {
        "id": SESSION,
        **STAMPS,
        "student_id": "al-0042",
        "activity_id": "recursion-1",
        "course_id": "PROG2-2026",
        "mode": "tutor",
        "simulator_type": None,
        "user_id": USER,
        "start_time": "2026-03-02T14:00:00Z",
        "end_time": None,
        "status": "active",
        "learning_objective": {"title": "Base cases"},
        "cognitive_status": {},
        "session_metrics": {},
        "trace_count": 0,
    },
    "BatchResult": {
        "created": 1,
        "duplicate": 1,
        "rejected": 1,
        "items": [
            {"index": 0, "id": TRACE, "status": "created"},
            {"index": 1, "id": TRACE, "status": "duplicate"},
            {"index": 2, "status": "rejected", "code": "SESSION_CLOSED", "errors": []},
        ],
    },
}

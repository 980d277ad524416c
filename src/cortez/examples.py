"""Examples of what goes in and comes out, as the documentation shows them; a test decodes each into its type.

A type is shown with what `FIELDS` says of its fields' names, or as `EXAMPLES` says where that would make no sense.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from enum import Enum
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from msgspec import Struct, UnsetType
from msgspec.inspect import type_info

SESSION = "019a7c2e-5f1b-7c43-9a0e-2f6d1c8b4e57"
TRACE = "019a7c2e-7d20-7b11-8c55-90e3f1a2b3c4"
USER = "019a7c2d-10aa-7e02-b1c9-5a6b7c8d9e0f"
TEACHER = "019a7c2c-3c40-7d15-a2f8-1b2c3d4e5f60"
EXERCISE = "019a7c2c-6a7b-7f31-9d04-6c5b4a392817"
START, LATER = "2026-03-02T14:00:00Z", "2026-03-02T14:03:11Z"

# What a field of this name holds, wherever it appears and its type allows it; `Type.name` for one type alone.
FIELDS: dict[str, Any] = {
    "UserOut.id": USER,
    "CourseOut.title": "Programming 2",
    "CourseOut.description": "Recursion, trees, complexity.",
    "ApiKeyOut.name": "tutor agent",
    "SessionOut.id": SESSION,
    "TraceOut.id": TRACE,
    "id": "019a7c2e-2b64-7a90-8f13-7e6d5c4b3a29",
    "session_id": SESSION,
    "trace_id": TRACE,
    "parent_trace_id": None,
    "trace_ids": [TRACE],
    "user_id": USER,
    "teacher_id": TEACHER,
    "exercise_id": EXERCISE,
    "activity_id": "recursion-1",
    "course_id": "PROG2-2026",
    "course_ids": ["PROG2-2026"],
    "student_id": "al-0042",
    "student_ids": ["al-0042", "al-0043"],
    "subject_code": "PROG2",
    "materia_code": "PROG2",
    "agent_id": "tutor-3",
    "email": "eva@example.edu",
    "username": "eva",
    "full_name": "Eva Soto",
    "name": "Programming 2",
    "title": "Recursion",
    "titulo": "Recursión",
    "description": "Lists of lists, and when to stop.",
    "descripcion": "Listas de listas, y cuándo parar.",
    "instructions": "Write a function that sums a list of lists.",
    "content": "Why does my function never stop?",
    "contenido_markdown": "# Recursión\n\nUn caso base y un paso.",
    "resumen": "El caso base y el paso recursivo.",
    "notes": "We looked at the base case together.",
    "resolution_notes": "Talked it through: the class had agreed on this tool.",
    "decision_justification": "A loop would have needed a stack of its own.",
    "tags": ["recursion"],
    "roles": ["student"],
    "scopes": ["sessions", "traces"],
    "mode": "tutor",
    "simulator_type": None,
    "difficulty": "INTERMEDIO",
    "interaction_type": "student_prompt",
    "trace_level": "n4_cognitivo",
    "cognitive_state": "depuracion",
    "cognitive_intent": "find the missing base case",
    "strategy_type": "trial and error",
    "ai_involvement": 0.2,
    "policies": {"max_help_level": "medio", "risk_thresholds": {"ai_dependency": 0.7}},
    "learning_objective": {"title": "Base cases"},
    "cognitive_status": {"autonomy_level": 0.6},
    "evaluation_criteria": ["It stops for an empty list."],
    "alternatives_considered": ["a loop with a stack"],
    "estimated_duration_minutes": 45,
    "trace_count": 12,
    "login_count": 3,
    "attempt_number": 1,
    "submitted_code": "def total(xs):\n    return sum(map(total, xs)) if isinstance(xs, list) else xs\n",
    "commit_hash": "9fceb02d0ae598e95dc970b74767f19372d61af8",
    "commit_message": "Stop at numbers",
    "branch_name": "main",
    "language": "python",
    "created_at": START,
    "updated_at": START,
    "start_time": START,
    "end_time": None,
    "deleted_at": None,
    "published_at": START,
    "occurred_at": LATER,
    "started_at": START,
    "ended_at": LATER,
    "joined_at": START,
    "last_login": START,
    "expires_at": "2026-12-31T23:59:59Z",
    "period_start": "2026-03-01T00:00:00Z",
    "period_end": "2026-04-01T00:00:00Z",
    "is_active": True,
    "next_cursor": None,
    "access_token": "eyJhbGciOiJIUzI1NiIs...",
    "refresh_token": "cr_...",
    "token_type": "Bearer",
    "expires_in": 900,
    "key": "ck_...",
    "password": "correct horse battery",
}

EXAMPLES: dict[str, Any] = {
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
        "created": 1,
        "added": 0,
        "changed": 0,
        "unchanged": 0,
        "rejected": 1,
        "items": [
            {"index": 0, "status": "created", "user_id": USER},
            {
                "index": 1,
                "status": "rejected",
                "code": "STUDENT_ID_MISMATCH",
                "errors": [{"pointer": "", "detail": "The account with this e-mail has another student_id."}],
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
    },
    "Problem": {
        "type": "/docs/errors#session_not_found",
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

PLAIN: dict[Any, Any] = {
    str: "text",
    int: 1,
    float: 0.5,
    bool: False,
    UUID: FIELDS["id"],
    datetime: START,
    date: START[:10],
    list: [],
}


def example_of(type_: Any) -> Any:
    """A right value of the type, as JSON has it."""
    if get_origin(type_) is Annotated:
        inner, *metas = get_args(type_)
        return _lowest(inner, metas) if inner in (int, float) else example_of(inner)
    if kinds := [kind for kind in get_args(type_) if kind not in (NoneType, UnsetType)]:
        return _composed(get_origin(type_), kinds)
    if isinstance(type_, type) and issubclass(type_, Struct):
        return EXAMPLES.get(type_.__name__) or dict(_fields(type_))
    if isinstance(type_, type) and issubclass(type_, Enum):
        return next(iter(type_)).value
    return PLAIN.get(type_, {})


def _lowest(type_: type, metas: list[Any]) -> Any:
    return type_(next((meta.ge for meta in metas if meta.ge is not None), 1))


def _composed(origin: Any, kinds: list[Any]) -> Any:
    if origin is Literal:
        return kinds[0]
    if isinstance(origin, type) and issubclass(origin, Struct):  # a page of a list
        return {"items": [example_of(kinds[0])], "next_cursor": None}
    if origin in (list, tuple, set, frozenset):
        return [example_of(kinds[0])]
    return {} if origin is dict else example_of(kinds[0])


def _fields(type_: type[Struct]) -> Iterator[tuple[str, Any]]:
    """What is required of an input (or the first field, where nothing is), all that is there in an answer."""
    hints = get_type_hints(type_, include_extras=True)
    info: Any = type_info(type_)
    is_input = type_.__struct_config__.forbid_unknown_fields
    required = [field for field in info.fields if field.required] or info.fields[:1]
    for field in required if is_input else info.fields:
        yield field.encode_name, _value(type_, field.name, hints[field.name])


def _value(type_: type[Struct], name: str, hint: Any) -> Any:
    names = [*(f"{kind.__name__}.{name}" for kind in type_.__mro__), name]
    for value in (FIELDS[name] for name in names if name in FIELDS):
        with suppress(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode(value), type=hint)
            return value
    return example_of(hint)

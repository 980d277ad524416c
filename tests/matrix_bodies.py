"""What the matrix sends: right bodies, the filters that can name home, and bodies of others that name its rows."""

import json
from collections.abc import Callable
from typing import Annotated, Any, get_origin
from uuid import UUID

import msgspec

from corpus import RIGHT
from cortez.clock import utc_now
from factory import PASSWORD
from matrix_world import World

NOTHING = str(UUID(int=7))
COMMIT = f"{7:040x}"


def step(who: str) -> dict[str, Any]:
    """A trace that this one may write."""
    kinds = {"owner": "student_prompt", "peer": "student_prompt", "key": "ai_response", "far_key": "ai_response"}
    kinds |= {"own_key": "ai_response", "sock": "student_prompt", "heir": "student_prompt"}
    return {"interaction_type": kinds.get(who, "teacher_feedback"), "content": "x"}


def log(world: World) -> str:
    """A `git log` of one commit."""
    return f"\x1e{COMMIT}\x1f\x1fAna\x1fana@example.edu\x1f{now()}\x1frefs/heads/main\x1fA step\x1f\n"


def now() -> str:
    return utc_now().isoformat()


def started(world: World, who: str) -> dict[str, Any]:
    named = {"student_id": world.at["{student_id}"]} if who in {"key", "far_key", "own_key", "admin"} else {}
    return {"activity_id": "home", **named}


PERIOD = {"period_start": "2026-03-01T00:00:00Z", "period_end": "2026-04-01T00:00:00Z"}
ALERT = {"alert_type": "pattern_anomaly", "severity": "low", "title": "x", "description": "x"}
PLAN = {"plan_type": "tutoring", "description": "x"}
LAUNCH = {"lti_user_id": "x", "resource_link_id": "x"}
RISK = {"risk_type": "plagiarism", "risk_level": "low", "description": "x"}

# By verb and path: the body about home, where `RIGHT` of the input tests would not do.
BODIES: dict[str, Callable[[World, str], Any]] = {
    "PUT /auth/password": lambda world, who: {"current_password": PASSWORD, "new_password": "long enough"},
    "POST /courses/{course_id}/members/batch": lambda world, who: [{"email": "new@example.edu"}],
    "POST /sessions": started,
    "POST /sessions/{session_id}/traces": lambda world, who: step(who),
    "POST /sessions/{session_id}/traces/batch": lambda world, who: [step(who)],
    "POST /traces/batch": lambda world, who: [step(who) | {"session_id": world.at["{session_id}"]}],
    "POST /sessions/{session_id}/git-traces/batch": lambda world, who: [RIGHT["GitTraceIn"] | {"timestamp": now()}],
    "POST /sessions/{session_id}/git-traces": lambda world, who: RIGHT["GitTraceIn"] | {"timestamp": now()},
    "POST /sessions/{session_id}/git-traces/import": lambda world, who: log(world),
    "POST /sessions/{session_id}/simulator-events/batch": lambda world, who: [RIGHT["EventIn"]],
    "POST /alerts": lambda world, who: (
        ALERT | {"scope": "student", "student_id": world.at["{student_id}"], "course_id": "home"}
    ),
    "POST /alerts/scan": lambda world, who: {"course_id": "home"},
    "POST /alerts/{alert_id}/assign": lambda world, who: {"user_id": str(world.who["teacher"].id)},
    "POST /remediation-plans": lambda world, who: PLAN | {"student_id": world.at["{student_id}"], "course_id": "home"},
    "POST /interventions": lambda world, who: {"student_id": world.at["{student_id}"]},
    "POST /reports": lambda world, who: {"report_type": "cohort_summary", "course_id": "home", **PERIOD},
    "POST /exports/research": lambda world, who: {"study": "x", "course_id": "home"},
    "POST /lti/deployments": lambda world, who: RIGHT["DeploymentIn"] | {"issuer": "https://another"},
    "POST /lti/sessions": lambda world, who: (
        LAUNCH | {"deployment_id": world.at["{deployment_id}"], "session_id": world.at["{session_id}"]}
    ),
    "PUT /lti/sessions/{launch_id}/session": lambda world, who: {"session_id": world.at["{session_id}"]},
    "PUT /unidades/{unidad_id}/apuntes/order": lambda world, who: [
        world.at["{note_id@hidden}"],
        world.at["{note_id}"],
    ],
}


def body_of(world: World, call: str, who: str, type_: Any) -> str:
    if call in BODIES:
        body = BODIES[call](world, who)
        return body if isinstance(body, str) else json.dumps(body)
    return "[]" if get_origin(type_) is Annotated else json.dumps(RIGHT.get(getattr(type_, "__name__", ""), {}))


# By the name of a parameter: what it may be given to ask for home's rows. A student of both courses tells nothing of
# one to those of the other.
FILTERS: dict[str, Callable[[World], list[str]]] = {
    "student_id": lambda world: [world.at["{student_id}"], "commuter"],
    "course_id": lambda world: ["home"],
    "activity_id": lambda world: ["home", "home-old"],
    "session_id": lambda world: [world.at["{session_id}"]],
    "exercise_id": lambda world: [world.at["{exercise_id}"]],
    "teacher_id": lambda world: [str(world.who["teacher"].id)],
    "lti_user_id": lambda world: ["lti-home"],
    "resolved": lambda world: ["false"],
    "acknowledged": lambda world: ["true"],
    "order": lambda world: ["-created_at"],
}


class Crossing(msgspec.Struct, frozen=True):
    """Somebody of `far` names a row of home in a body. `alike`: exactly as a name of nothing at all."""

    who: str
    call: str
    names: str
    code: str
    body: Callable[[World, str], Any]
    absent: str = NOTHING
    alike: bool = True

    def of_home(self, world: World) -> str:
        return (
            str(world.who["teacher"].id) if self.names == "teacher" else world.at.get(f"{{{self.names}}}", self.names)
        )


def put(**fixed: Any) -> Callable[[str], Callable[[World, str], Any]]:
    """A body with the name in one field, beside fixed ones."""
    return lambda field: lambda world, name: {**fixed, field: name}


TRACE = {"interaction_type": "student_prompt", "content": "x"}
FAR_STUDENT = {"student_id": "plain-far"}

CROSSINGS = [
    Crossing(
        "far_key",
        "POST /sessions",
        "student_id",
        "STUDENT_NOT_IN_COURSE",
        put(activity_id="far")("student_id"),
        "nowhere",
    ),
    Crossing(
        "far",
        "POST /courses/{course_id}/members/batch",
        "email",
        '"status":"added"',
        lambda world, name: [{"email": name}],
        "absent@example.edu",
    ),
    Crossing(
        "far",
        "POST /courses/{course_id}/members/batch",
        "student_id",
        '"status":"added"',
        lambda world, name: [{"email": "absent@example.edu", "student_id": name}],
        "absent",
    ),
    Crossing(
        "far",
        "POST /courses/{course_id}/members/batch",
        "email",
        "FORBIDDEN",
        lambda world, name: [{"email": name, "role": "tutor"}],
        "absent@example.edu",
    ),
    Crossing("far_key", "POST /sessions", "home", "ACTIVITY_NOT_FOUND", put(student_id="s")("activity_id"), "nowhere"),
    Crossing(
        "far_student",
        "POST /sessions",
        "student_id",
        "STUDENT_NOT_FOUND",
        put(activity_id="far")("student_id"),
        "nowhere",
    ),
    Crossing(
        "far_student",
        "POST /sessions",
        "home",
        "COURSE_NOT_YOURS",
        put(activity_id="far-loose")("course_id"),
        "nowhere",
    ),
    Crossing("far_student", "POST /sessions", "home-draft", "ACTIVITY_NOT_FOUND", put()("activity_id"), "nowhere"),
    Crossing(
        "far_student",
        "POST /sessions/{session_id}/traces",
        "trace_id",
        "PARENT_NOT_FOUND",
        put(**TRACE)("parent_trace_id"),
    ),
    Crossing(
        "far_key", "POST /sessions/{session_id}/traces", "trace_id", "PARENT_NOT_FOUND", put(**TRACE)("parent_trace_id")
    ),
    Crossing(
        "far_student",
        "POST /sessions/{session_id}/traces",
        "trace_id",
        "TRACE_CONFLICT",
        put(**TRACE)("id"),
        alike=False,
    ),
    Crossing(
        "far_student",
        "POST /traces/batch",
        "session_id",
        "SESSION_NOT_FOUND",
        lambda world, name: [TRACE | {"session_id": name}],
    ),
    Crossing(
        "far_student",
        "POST /traces/batch?atomic=true",
        "session_id",
        "SESSION_NOT_FOUND",
        lambda world, name: [TRACE | {"session_id": name}],
    ),
    Crossing(
        "far_key",
        "POST /traces/batch",
        "session_id",
        "SESSION_NOT_FOUND",
        lambda world, name: [TRACE | {"session_id": name}],
    ),
    Crossing(
        "far",
        "POST /traces/batch",
        "session_id",
        "SESSION_NOT_FOUND",
        lambda world, name: [TRACE | {"session_id": name}],
    ),
    Crossing(
        "peer",
        "POST /traces/batch",
        "session_id",
        "SESSION_NOT_FOUND",
        lambda world, name: [TRACE | {"session_id": name}],
    ),
    Crossing(
        "tutor",
        "POST /traces/batch",
        "session_id",
        "FORBIDDEN",
        lambda world, name: [TRACE | {"session_id": name}],
        alike=False,
    ),
    Crossing(
        "far_student",
        "POST /sessions/{session_id}/simulator-events",
        "event_id",
        "EVENT_CONFLICT",
        put(event_type="test_executed", simulator_type="client")("id"),
        alike=False,
    ),
    Crossing(
        "far_student",
        "POST /exercises/{exercise_id}/attempts",
        "session_id",
        "SESSION_NOT_FOUND",
        put(submitted_code="x")("session_id"),
    ),
    Crossing(
        "far_student",
        "POST /exercises/{exercise_id}/hints/reveal",
        "session_id",
        "SESSION_NOT_FOUND",
        put()("session_id"),
    ),
    Crossing(
        "peer",
        "POST /exercises/{exercise_id}/attempts",
        "session_id",
        "SESSION_NOT_FOUND",
        put(submitted_code="x")("session_id"),
    ),
    Crossing(
        "assistant",
        "POST /exercises/{exercise_id}/attempts",
        "session_id",
        "FORBIDDEN",
        put(submitted_code="x")("session_id"),
        alike=False,
    ),
    Crossing(
        "assistant",
        "POST /exercises/{exercise_id}/hints/reveal",
        "session_id",
        "FORBIDDEN",
        put()("session_id"),
        alike=False,
    ),
    Crossing(
        "far",
        "POST /sessions/{session_id}/risks",
        "trace_id",
        "TRACE_NOT_FOUND",
        lambda world, name: RISK | {"trace_ids": [name]},
    ),
    Crossing(
        "far_key",
        "POST /sessions/{session_id}/risks",
        "trace_id",
        "TRACE_NOT_FOUND",
        lambda world, name: RISK | {"trace_ids": [name]},
    ),
    Crossing(
        "far",
        "POST /sessions/{session_id}/evaluations",
        "trace_id",
        "TRACE_NOT_FOUND",
        lambda world, name: {"overall_score": 5, "dimensions": [{"name": "x", "trace_ids": [name]}]},
    ),
    Crossing(
        "far_student",
        "POST /exercises/{exercise_id}/attempts",
        "home",
        "COURSE_NOT_YOURS",
        put(submitted_code="x")("course_id"),
        "nowhere",
    ),
    Crossing(
        "far",
        "POST /alerts",
        "student_id",
        "STUDENT_NOT_IN_COURSE",
        put(scope="student", course_id="far", **ALERT)("student_id"),
        "nowhere",
    ),
    Crossing("far", "POST /alerts", "home", "COURSE_NOT_FOUND", put(scope="course", **ALERT)("course_id"), "nowhere"),
    Crossing(
        "far", "POST /alerts", "home", "ACTIVITY_NOT_FOUND", put(scope="activity", **ALERT)("activity_id"), "nowhere"
    ),
    Crossing("far", "POST /alerts/scan", "home", "COURSE_NOT_FOUND", put()("course_id"), "nowhere"),
    Crossing("far", "POST /alerts/{alert_id}/assign", "teacher", "ASSIGNEE_NOT_ALLOWED", put()("user_id")),
    Crossing(
        "far",
        "POST /alerts/{alert_id}/resolve",
        "plan_id",
        "REMEDIATION_PLAN_NOT_FOUND",
        put(resolution_notes="x")("remediation_plan_id"),
    ),
    Crossing(
        "far",
        "POST /remediation-plans",
        "student_id",
        "STUDENT_NOT_IN_COURSE",
        put(**PLAN, course_id="far")("student_id"),
        "nowhere",
    ),
    Crossing(
        "far",
        "POST /remediation-plans",
        "home",
        "COURSE_NOT_FOUND",
        put(**PLAN, **FAR_STUDENT)("course_id"),
        "nowhere",
    ),
    Crossing(
        "far",
        "POST /remediation-plans",
        "home",
        "ACTIVITY_NOT_FOUND",
        put(**PLAN, **FAR_STUDENT)("activity_id"),
        "nowhere",
    ),
    Crossing(
        "far",
        "POST /remediation-plans",
        "risk_id",
        "RISK_NOT_FOUND",
        lambda world, name: PLAN | FAR_STUDENT | {"course_id": "far", "trigger_risks": [name]},
    ),
    Crossing("far", "POST /interventions", "student_id", "STUDENT_NOT_FOUND", put()("student_id"), "nowhere"),
    Crossing("far", "POST /interventions", "session_id", "SESSION_NOT_FOUND", put(**FAR_STUDENT)("session_id")),
    Crossing("far", "POST /interventions", "alert_id", "ALERT_NOT_FOUND", put(**FAR_STUDENT)("alert_id")),
    Crossing(
        "far",
        "POST /interventions",
        "session_id",
        "ALERT_NOT_FOUND",
        lambda world, name: FAR_STUDENT | {"alert_id": f"alert_{name}"},
    ),
    Crossing("far_tutor", "POST /interventions", "session_id", "SESSION_NOT_FOUND", put(**FAR_STUDENT)("session_id")),
    Crossing(
        "far",
        "POST /reports",
        "home",
        "COURSE_NOT_FOUND",
        put(report_type="cohort_summary", **PERIOD)("course_id"),
        "nowhere",
    ),
    Crossing(
        "far",
        "POST /reports",
        "student_id",
        "STUDENT_NOT_IN_COURSE",
        lambda world, name: {"report_type": "cohort_summary", "course_id": "far", **PERIOD, "student_ids": [name]},
        "nowhere",
    ),
    Crossing("far", "POST /exports/research", "home", "COURSE_NOT_FOUND", put(study="x")("course_id"), "nowhere"),
    Crossing("far", "POST /exports/research", "home", "ACTIVITY_NOT_FOUND", put(study="x")("activity_id"), "nowhere"),
    Crossing(
        "far",
        "POST /activities",
        "home",
        "COURSE_NOT_FOUND",
        put(activity_id="new", title="Title", instructions="x")("course_id"),
        "nowhere",
    ),
    Crossing("far", "PATCH /activities/{activity_id@draft}", "home", "COURSE_NOT_FOUND", put()("course_id"), "nowhere"),
    Crossing(
        "assistant",
        "POST /activities",
        "home",
        "COURSE_NOT_FOUND",
        put(activity_id="new", title="Title", instructions="x")("course_id"),
        "nowhere",
    ),
    Crossing(
        "far",
        "POST /activities",
        "teacher",
        "FORBIDDEN",
        put(activity_id="new", title="Title", instructions="x")("teacher_id"),
    ),
    Crossing(
        "far_key",
        "POST /lti/sessions",
        "session_id",
        "SESSION_NOT_FOUND",
        lambda world, name: LAUNCH | {"deployment_id": world.far.at["{deployment_id}"], "session_id": name},
    ),
    Crossing("far_key", "POST /lti/sessions", "deployment_id", "DEPLOYMENT_NOT_FOUND", put(**LAUNCH)("deployment_id")),
    Crossing(
        "far_key", "PUT /lti/sessions/{launch_id}/session", "session_id", "SESSION_NOT_FOUND", put()("session_id")
    ),
]

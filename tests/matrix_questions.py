"""What the table cannot say in a cell: single questions on access, each with its answer."""

import json
from typing import Any

import msgspec

from corpus import RIGHT
from matrix_material import MARK
from matrix_world import World

PLAN = {"plan_type": "tutoring", "description": "x"}
ALERT = {"alert_type": "pattern_anomaly", "severity": "low", "title": "x", "description": "x"}
METRICS = "GET http://test/metrics"


class Question(msgspec.Struct, frozen=True):
    """`status` is what is answered; the answer holds `text`, and nothing of `hidden`.

    `settings` are what the service has meanwhile.
    """

    who: str
    call: str
    status: int
    body: Any = None
    text: str = ""
    hidden: str = MARK
    settings: dict[str, Any] = {}

    def told(self, world: World) -> tuple[str, Any]:
        """Path and body, with the ids in their places."""
        text = json.dumps([self.call.partition(" ")[2], self.body])
        for place, value in world.at.items():
            text = text.replace(place, value)
        path, body = json.loads(text)
        return path, body


QUESTIONS = [
    # Who teaches by account sees nothing of what those who teach say about them as a student.
    Question("guest", "GET /alerts/live", 200, hidden="critical_risk"),
    Question("guest", "GET /interventions", 200, hidden="about the guest"),
    Question("guest", "POST /interventions", 404, {"student_id": "guest"}),
    Question("guest", "GET /alerts/{alert_id@self}", 404),
    Question("guest", "POST /remediation-plans/{plan_id@self}/cancel", 403),
    Question("guest", "POST /remediation-plans", 403, PLAN | {"student_id": "guest", "course_id": "home"}),
    Question("guest", "POST /remediation-plans", 422, PLAN | {"student_id": "guest", "course_id": "home-guest"}),
    # Of a student of both courses each side sees what was done there, and nothing of the other.
    Question("far", "GET /students/commuter/profile", 200, text='"course_ids":["far"]'),
    Question("teacher", "GET /students/commuter/profile", 200, text=MARK, hidden='"far"'),
    Question("far", "GET /students/commuter/profile?course_id=home", 404),
    Question("far", "GET /students?course_id=home", 404),
    Question("guest", "GET /students?course_id=home", 404),
    Question("far", "GET /students?at_risk=true", 200, hidden="commuter"),
    Question("teacher", "GET /students?at_risk=true", 200, text="commuter", hidden='"far"'),
    Question("commuter", "GET /students/commuter/profile", 200, text='"course_ids":["far","home"]', hidden="nothing"),
    Question("guest", "GET /interviews/{interview_id@guest}", 200, text="Why?", hidden="the point"),
    Question(
        "guest", "GET /remediation-plans/{plan_id@guest}", 200, text="for the guest", hidden="said among teachers"
    ),
    Question("guest", "GET /exports/sessions/{session_id@guest}", 200, text="Why?", hidden="the point"),
    # In their own session they are the student.
    Question(
        "guest",
        "POST /sessions/{session_id@guest}/traces",
        403,
        {"interaction_type": "teacher_feedback", "content": "x"},
    ),
    Question(
        "guest", "POST /sessions/{session_id@guest}/traces", 201, {"interaction_type": "student_prompt", "content": "x"}
    ),
    Question(
        "assistant", "POST /sessions/{session_id}/traces", 403, {"interaction_type": "student_prompt", "content": "x"}
    ),
    # A teacher who was a student once, and kept the key.
    Question("former", "POST /exercises/{exercise_id}/hints/reveal", 403),
    Question("former", "POST /exercises/{exercise_id}/attempts", 403, {"submitted_code": "x"}),
    Question("former", "POST /sessions", 403, {"activity_id": "home"}),
    # Whose course it is not.
    Question("far_student", "POST /sessions", 422, {"activity_id": "home"}, "COURSE_NOT_YOURS"),
    Question("admin", "POST /sessions", 422, {"activity_id": "home", "student_id": "nowhere"}, "STUDENT_NOT_IN_COURSE"),
    Question("key", "POST /sessions", 422, {"activity_id": "home", "student_id": "former"}, "STUDENT_NOT_IN_COURSE"),
    # What somebody wrote in a course counts no more once they have left it.
    Question("left", "GET /sessions/{session_id@left}", 404),
    Question("left", "POST /sessions/{session_id@left}/evaluations/generate", 404),
    Question("left", "PATCH /activities/home-left", 403, {"title": "Mine"}),
    Question("left", "POST /activities/home-left/archive", 403),
    Question("left", "POST /alerts", 404, ALERT | {"scope": "activity", "activity_id": "home-left"}),
    # Fields that are not theirs.
    Question("teacher", "PATCH /activities/{activity_id}", 403, {"teacher_id": "{teacher_id}"}),
    Question("owner", "PATCH /sessions/{session_id}", 403, {"session_metrics": {}}),
    Question("owner", "PATCH /sessions/{session_id}", 403, {"cognitive_status": {}}),
    Question("owner", "POST /interviews/{interview_id@asked}/responses", 403, {"response": "x", "evaluation": {}}),
    Question("owner", "POST /sessions/{session_id}/traces", 403, {"interaction_type": "ai_response", "content": "x"}),
    Question(
        "owner",
        "POST /sessions/{session_id}/traces",
        403,
        {"interaction_type": "student_prompt", "content": "x", "ai_involvement": 0.5},
    ),
    Question("owner", "PATCH /students/{student_id}/profile", 403, {"cognitive_preferences": {}}, hidden="name"),
    Question(
        "owner",
        "PUT /auth/password",
        403,
        {"current_password": "wrong", "new_password": "long enough"},
        "PASSWORD_WRONG",
    ),
    Question("teacher", "POST /alerts", 403, ALERT | {"scope": "institution"}),
    Question("assistant", "POST /alerts", 403, ALERT | {"scope": "activity", "activity_id": "home"}),
    Question("assistant", "POST /alerts", 403, ALERT | {"scope": "course", "course_id": "home"}),
    Question(
        "teacher",
        "POST /courses/home/members/batch",
        200,
        [{"email": "x@y.co", "role": "teacher"}],
        '"code":"FORBIDDEN"',
    ),
    # A key sees of a session what its scopes say.
    Question("starter", "GET /sessions/{session_id}", 200, text="learning_objective", hidden="interaction_type"),
    Question("starter", "GET /sessions/{session_id}?include=traces", 403),
    Question("starter", "GET /sessions/{session_id}?include=risks", 403),
    Question("starter", "GET /sessions/{session_id}?include=evaluations", 403),
    # A key that only reads sees material as a student does.
    Question("reader", "GET /exercises/{exercise_id}", 200),
    Question("reader", "GET /exercises/{exercise_id}/tests", 200),
    Question("reader", "GET /exercises/{exercise_id}/hints", 200),
    Question("reader", "GET /exercises/{exercise_id@hidden}", 404),
    # The account of a subject's teacher has to be a teacher's still.
    *(
        Question("retired", call, 403, body, "FORBIDDEN")
        for call, body in (
            ("POST /exercises", RIGHT["ExerciseIn"]),
            ("PATCH /exercises/{exercise_id}", {}),
            ("DELETE /exercises/{exercise_id}", None),
            ("POST /exercises/{exercise_id@deleted}/restore", None),
            ("PUT /exercises/{exercise_id}/rubric", {"criteria": []}),
            ("POST /exercises/{exercise_id}/hints", {"content": "x"}),
            ("POST /exercises/{exercise_id}/tests", {"input": "x", "expected": "x"}),
            ("PATCH /hints/{hint_id}", {}),
            ("DELETE /hints/{hint_id}", None),
            ("PATCH /tests/{test_id}", {}),
            ("DELETE /tests/{test_id}", None),
            ("PUT /subjects/{code}/teachers/{user_id@colleague}", None),
            ("DELETE /subjects/{code}/teachers/{user_id@colleague}", None),
        )
    ),
    # A teacher of other subjects does not retire this one; a student does not rewrite a session that is over.
    Question("far", "PATCH /subjects/{code}", 403, {"is_active": False}, "NOT_SUBJECT_TEACHER"),
    Question("teacher", "PATCH /subjects/{code}", 200, {"is_active": False}),
    Question("teacher", "PUT /subjects/{code}/teachers/{user_id@peer}", 404, text="USER_NOT_FOUND"),
    Question("owner", "PATCH /sessions/{session_id@old}", 409, {"mode": "practice"}, "SESSION_CLOSED"),
    Question("key", "PATCH /sessions/{session_id@old}", 200, {"mode": "practice"}, hidden="nothing"),
    # What is written about a student has a place.
    Question("teacher", "POST /alerts", 422, ALERT | {"scope": "student", "student_id": "guest"}, "COURSE_REQUIRED"),
    Question(
        "teacher",
        "POST /remediation-plans",
        422,
        {"student_id": "guest", "plan_type": "tutoring", "description": "x"},
        "COURSE_REQUIRED",
    ),
    # Nothing is written about a student who was erased, nor about a name that is nobody's.
    Question(
        "teacher",
        "POST /remediation-plans",
        409,
        {"student_id": "erased-1", "course_id": "home", "plan_type": "tutoring", "description": "x"},
        "STUDENT_ERASED",
    ),
    Question("teacher", "POST /interventions", 409, {"student_id": "erased-1"}, "STUDENT_ERASED"),
    Question(
        "admin", "POST /alerts", 404, ALERT | {"scope": "institution", "student_id": "nobody"}, "STUDENT_NOT_FOUND"
    ),
    # What is named must be there.
    Question("admin", "GET /subjects/nowhere/teachers", 404, text="SUBJECT_NOT_FOUND"),
    Question("admin", "PUT /subjects/nowhere/teachers/{user_id@colleague}", 404, text="SUBJECT_NOT_FOUND"),
    Question("admin", "DELETE /subjects/nowhere/teachers/{user_id@colleague}", 404, text="SUBJECT_NOT_FOUND"),
    Question("teacher", "DELETE /courses/home/members/00000000-0000-0000-0000-000000000007", 404),
    Question("admin", "PATCH /api-keys/{key_id}", 422, {"created_by": "{user_id}"}, "MAKER_NOT_ALLOWED"),
    Question("guest", "GET /students/guest/profile?course_id=far", 404, text="COURSE_NOT_FOUND"),
    Question("teacher", "PUT /courses/home/members/00000000-0000-0000-0000-000000000007", 404, {"role": "student"}),
    Question("admin", "POST /api-keys", 422, {"name": "x", "course_ids": ["nowhere"]}),
    Question("admin", "PATCH /lti/deployments/{deployment_id}", 422, {"course_ids": ["nowhere"]}),
    Question(
        "admin",
        "POST /lti/deployments",
        422,
        RIGHT["DeploymentIn"] | {"issuer": "https://x", "course_ids": ["nowhere"]},
    ),
    Question("admin", "GET /courses/a%20b", 404),
    Question("far", "GET /sessions/{session_id}/evaluations/latest", 404, text="SESSION_NOT_FOUND"),
    Question("teacher", "POST /archivos/{file_id@below}/restore", 404),
    Question("teacher", "POST /archivos/{file_id@below_note}/restore", 404),
    # What is named together must belong together.
    Question("teacher", "POST /interventions", 422, {"student_id": "commuter", "alert_id": "{alert_id}"}),
    Question("teacher", "POST /interventions", 422, {"student_id": "commuter", "session_id": "{session_id}"}),
    Question(
        "teacher",
        "POST /alerts/{alert_id}/resolve",
        422,
        {"resolution_notes": "x", "remediation_plan_id": "{plan_id@other}"},
    ),
    Question(
        "admin",
        "POST /lti/sessions",
        422,
        {
            "deployment_id": "{deployment_id}",
            "lti_user_id": "x",
            "resource_link_id": "x",
            "session_id": "{session_id@elsewhere}",
        },
        "SESSION_NOT_IN_COURSE",
    ),
    Question(
        "admin",
        "PUT /lti/sessions/{launch_id}/session",
        422,
        {"session_id": "{session_id@elsewhere}"},
        "SESSION_NOT_IN_COURSE",
    ),
    # Metrics are for whoever has their token; no sign-in is one, and production shows nothing without.
    Question("nobody", METRICS, 403, text="METRICS_TOKEN_MISSING", settings={"env": "production"}),
    Question("admin", METRICS, 403, text="METRICS_TOKEN_MISSING", settings={"env": "production"}),
    Question("nobody", METRICS, 401, settings={"metrics_token": "a token of theirs"}),
    Question("admin", METRICS, 401, text="METRICS_TOKEN_INVALID", settings={"metrics_token": "a token of theirs"}),
    # A malformed OPTIONS or HEAD tells no more than a GET does.
    Question("nobody", "OPTIONS /sessions/{session_id}", 204),
]

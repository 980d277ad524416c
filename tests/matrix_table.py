"""Who may make which call on the rows of one course: the contract, written out as a table.

Nothing here is read from the application: `matrix.py` holds the two against each other. A verdict (the line of cells)
stands for the calls that follow it; after a bar come the scopes of a key that may make the call. A place in a path may
name a special row (`{unidad_id@hidden}`), see `matrix_world.py`.
"""

import re

import msgspec

# The columns. All but `far` and `far_key` belong to the course; nobody, and whoever was revoked, gets 401 everywhere.
WHO = {
    "owner": "the student whose rows these are",
    "peer": "another student of the course",
    "guest": "a teacher by account, a student in the course",
    "teacher": "teaches the course",
    "assistant": "a teacher and student by account, a tutor in the course",
    "tutor": "tutors the course",
    "far": "teaches another course",
    "key": "a key of every scope, for the course",
    "far_key": "a key of every scope, for another course",
    "admin": "an admin",
}

# The cells.
CELLS = {
    "yes": "answered; a list holds the rows of the course",
    "none": "answered, with nothing of the course (or, of material, with nothing that is hidden)",
    "open": "answered, alike for all",
    "403": "seen, or not even asked about, but not for them",
    "404": "not there for them",
}

TABLE = """
# Everybody.
: public
POST /auth/register
POST /auth/login
POST /auth/refresh
POST /auth/password-reset

# owner peer guest teacher assistant tutor far key far_key admin
# A person's own account.
: open open open open open open open 403 403 open
GET /auth/me
PATCH /auth/me
PUT /auth/password
POST /auth/logout
GET /auth/me/invitations
# An invitation is answered by the person who has it, and by no other.
: yes 404 404 404 404 404 404 403 403 404
POST /auth/me/invitations/{invitation_id}/accept
POST /auth/me/invitations/{invitation_id}/decline

# Accounts, keys and platforms are an admin's; so is removing a session or a subject.
: 403 403 403 403 403 403 403 403 403 yes
GET /users
POST /users
GET /users/{user_id}
PATCH /users/{user_id}
DELETE /users/{user_id}
PUT /users/{user_id}/roles
POST /users/{user_id}/verify
POST /users/{user_id}/deactivate
POST /users/{user_id}/reactivate
POST /users/{user_id}/password-reset
GET /api-keys
POST /api-keys
PATCH /api-keys/{key_id}
DELETE /api-keys/{key_id}
GET /lti/deployments
POST /lti/deployments
GET /lti/deployments/{deployment_id}
PATCH /lti/deployments/{deployment_id}
DELETE /lti/deployments/{deployment_id}
DELETE /sessions/{session_id}
DELETE /subjects/{code@unused}

: 403 403 403 403 403 403 403 403 403 open
GET /audit
GET /audit/verify

# All that is held of a student is their own, and an admin's; so nobody else is told whether there is any.
: yes 404 404 403 404 403 403 403 403 yes
GET /students/{student_id}/data
: 403 403 403 403 403 403 403 403 403 yes
DELETE /students/{student_id}/data

# A course is seen by its members, its list of members by those who teach in it, and changed by its teachers.
: yes yes yes yes yes yes none yes none yes
GET /courses | read
: yes yes yes yes yes yes 404 yes 404 yes
GET /courses/{course_id} | read
: 403 403 404 yes yes yes 404 403 403 yes
GET /courses/{course_id}/members
: 403 403 403 yes 403 403 404 403 403 yes
PATCH /courses/{course_id}
PUT /courses/{course_id}/members/{user_id@peer}
DELETE /courses/{course_id}/members/{user_id@peer}
POST /courses/{course_id}/members/batch
: 403 403 yes yes yes 403 yes 403 403 yes
POST /courses

# Material belongs to no course: what is published is there for all, the rest for those who teach.
: open open open open open open open open open open
GET /subjects/{code} | read
GET /apuntes/{note_id} | read
GET /archivos/{file_id} | read
GET /archivos/{file_id}/content | read
GET /unidades/{unidad_id}/archivos | read
GET /apuntes/{note_id}/archivos | read
: none none yes yes yes yes yes none none yes
GET /subjects | read
GET /subjects/{code}/unidades | read
GET /unidades/{unidad_id} | read
GET /unidades/{unidad_id}/apuntes | read
: 404 404 yes yes yes yes yes 404 404 yes
GET /subjects/{code@retired} | read
GET /unidades/{unidad_id@hidden} | read
GET /apuntes/{note_id@hidden} | read
GET /archivos/{file_id@hidden} | read
GET /archivos/{file_id@hidden}/content | read
GET /unidades/{unidad_id@hidden}/apuntes | read
GET /unidades/{unidad_id@hidden}/archivos | read
GET /apuntes/{note_id@hidden}/archivos | read
: 404 404 404 404 404 404 404 404 404 404
GET /unidades/{unidad_id@deleted} | read
GET /apuntes/{note_id@deleted} | read
GET /archivos/{file_id@deleted} | read
GET /archivos/{file_id@deleted}/content | read
: 403 403 yes yes yes 403 yes 403 403 yes
GET /subjects/{code}/unidades?deleted=true | read
GET /unidades/{unidad_id}/apuntes?deleted=true | read
GET /unidades/{unidad_id}/archivos?deleted=true | read
GET /apuntes/{note_id}/archivos?deleted=true | read
POST /subjects
PATCH /subjects/{code}
POST /subjects/{code}/unidades
PATCH /unidades/{unidad_id}
DELETE /unidades/{unidad_id}
POST /unidades/{unidad_id@deleted}/restore
POST /unidades/{unidad_id@hidden}/publish
POST /unidades/{unidad_id}/unpublish
POST /unidades/{unidad_id}/apuntes
PUT /unidades/{unidad_id}/apuntes/order
POST /unidades/{unidad_id}/archivos
PATCH /apuntes/{note_id}
DELETE /apuntes/{note_id}
POST /apuntes/{note_id@deleted}/restore
POST /apuntes/{note_id@hidden}/publish
POST /apuntes/{note_id}/unpublish
POST /apuntes/{note_id}/archivos
PATCH /archivos/{file_id}
DELETE /archivos/{file_id}
POST /archivos/{file_id@deleted}/restore

# Those who teach are shown who looks after a subject.
: 403 403 open open open open open 403 403 open
GET /subjects/{code}/teachers

# Exercises too; students see no solution, no hidden test and no hint that was not revealed.
: none none yes yes yes yes yes yes yes yes
GET /exercises | read grading
GET /exercises/{exercise_id} | read grading
GET /exercises/{exercise_id}/hints | read grading
GET /exercises/{exercise_id}/tests | read grading
: open open open open open open open open open open
GET /exercises/languages | read grading
GET /exercises/{exercise_id}/rubric | read grading
: 404 404 yes yes yes yes yes yes yes yes
GET /exercises/{exercise_id@hidden} | read grading
GET /exercises/{exercise_id@hidden}/hints | read grading
GET /exercises/{exercise_id@hidden}/tests | read grading
GET /exercises/{exercise_id@hidden}/rubric | read grading
: 404 404 404 404 404 404 404 404 404 404
GET /exercises/{exercise_id@deleted} | read grading
GET /exercises/{exercise_id@deleted}/rubric | read grading
: 403 403 yes yes yes 403 yes 403 403 yes
GET /exercises?deleted=true | read grading
# What grades everybody is changed by the teachers of its subject, who also say who they are.
: 403 403 403 yes 403 403 403 403 403 yes
PUT /subjects/{code}/teachers/{user_id@colleague}
DELETE /subjects/{code}/teachers/{user_id@colleague}
POST /exercises
PATCH /exercises/{exercise_id}
DELETE /exercises/{exercise_id}
POST /exercises/{exercise_id@deleted}/restore
PUT /exercises/{exercise_id}/rubric
POST /exercises/{exercise_id}/hints
POST /exercises/{exercise_id}/tests
PATCH /hints/{hint_id}
DELETE /hints/{hint_id}
PATCH /tests/{test_id}
DELETE /tests/{test_id}
# Whoever is a student, wherever.
: yes yes yes 403 yes 403 403 403 403 403
POST /exercises/{exercise_id}/hints/reveal
POST /exercises/{exercise_id}/attempts

# Attempts are graded by machines. Outside of sessions they belong to the course that the student named, or to none.
: yes none none yes yes yes none yes none yes
GET /attempts | read grading
: yes 404 404 yes yes yes 404 yes 404 yes
GET /attempts/{attempt_id} | read grading
GET /attempts/{attempt_id@course} | read grading
: yes 404 404 404 404 404 404 404 404 yes
GET /attempts/{attempt_id@loose} | read grading
: 403 403 403 403 403 403 403 yes 404 yes
PATCH /attempts/{attempt_id} | grading
PATCH /attempts/{attempt_id@course} | grading

# Activities: the active ones are there for every person; their teacher changes them.
: none none none yes yes yes none yes none yes
GET /activities | read sessions traces
: yes yes yes yes yes yes yes yes 404 yes
GET /activities/{activity_id} | read sessions traces
: 404 404 404 yes yes yes 404 yes 404 yes
GET /activities/{activity_id@draft} | read sessions traces
GET /activities/{activity_id@old} | read sessions traces
: 403 403 yes yes yes 403 yes 403 403 yes
POST /activities
: 403 403 403 yes 403 403 403 403 403 yes
PATCH /activities/{activity_id}
DELETE /activities/{activity_id}
POST /activities/{activity_id}/archive
PUT /activities/{activity_id}/moodle-link
DELETE /activities/{activity_id}/moodle-link
: 403 403 404 yes 403 403 404 403 403 yes
POST /activities/{activity_id@draft}/publish
PATCH /activities/{activity_id@draft}

# A session and what hangs on it: its student, those who teach or tutor its course, and keys of its course.
: yes none none yes yes yes none yes none yes
GET /sessions | read sessions
GET /traces | read traces
GET /exports/traces | read traces
GET /risks | read analysis
GET /evaluations | read analysis
: yes 404 404 yes yes yes 404 yes 404 yes
GET /sessions/{session_id} | read sessions
GET /sessions/{session_id}?include=traces,risks,evaluations | read sessions
GET /sessions/{session_id@old} | read sessions
GET /sessions/{session_id}/cognitive-path | read sessions
GET /sessions/{session_id}/traceability | read sessions analysis
GET /sessions/{session_id}/analysis | read analysis
GET /sessions/{session_id}/traces | read traces
GET /traces/{trace_id} | read traces
GET /sessions/{session_id}/trace-sequences | read traces analysis
GET /trace-sequences/{sequence_id} | read traces analysis
GET /sessions/{session_id}/git-traces | read git
GET /git-traces/{git_trace_id} | read git
GET /sessions/{session_id}/git-traces/evolution | read git
GET /sessions/{session_id}/git-traces/correlation | read git
GET /sessions/{session_id}/risks | read analysis
GET /risks/{risk_id} | read analysis
GET /sessions/{session_id}/evaluations | read analysis
GET /sessions/{session_id}/evaluations/latest | read analysis
GET /evaluations/{evaluation_id} | read analysis
GET /sessions/{session_id}/interviews | read simulators
GET /interviews/{interview_id} | read simulators
GET /sessions/{session_id}/incidents | read simulators
GET /incidents/{incident_id} | read simulators
GET /sessions/{session_id}/simulator-events | read simulators
GET /exports/sessions/{session_id} | read
GET /students/{student_id}/history | read sessions analysis
GET /students/{student_id}/trends | read sessions analysis
GET /students/{student_id}/traceability | read sessions analysis
GET /students/{student_id}/risks/statistics | read sessions analysis
# An activity without a course: the sessions are those of its teacher.
: yes 404 404 yes 404 404 404 404 404 yes
GET /sessions/{session_id@loose} | read sessions
GET /sessions/{session_id@loose}/traces | read traces
# What a student of this course does in another one.
: 404 404 404 404 404 404 yes 404 yes yes
GET /sessions/{session_id@elsewhere} | read sessions
GET /traces/{trace_id@elsewhere} | read traces
: open open open open open open open open open open
GET /simulators | read simulators
GET /simulators/{type_} | read simulators
: 403 403 none yes yes yes none yes 404 yes
GET /students/compare?activity_id=home | read analysis

# Working in it: its student, and machines. The steps of a batch are judged one by one (see `matrix_bodies.py`).
: yes yes yes 403 yes 403 403 yes 404 yes
POST /sessions | sessions
: yes 404 404 403 403 403 403 yes 404 yes
PATCH /sessions/{session_id} | sessions
POST /sessions/{session_id}/pause | sessions
POST /sessions/{session_id@paused}/resume | sessions
POST /sessions/{session_id}/complete | sessions
POST /sessions/{session_id}/abort | sessions
POST /sessions/{session_id}/git-traces | git
POST /sessions/{session_id}/git-traces/batch | git
POST /sessions/{session_id}/git-traces/import | git
POST /interviews/{interview_id@asked}/responses | simulators
POST /incidents/{incident_id}/diagnosis-steps | simulators
POST /sessions/{session_id}/simulator-events | simulators
POST /sessions/{session_id}/simulator-events/batch | simulators
: 403 403 403 403 403 403 403 yes 404 yes
PATCH /traces/{trace_id} | traces
POST /sessions/{session_id}/interviews | simulators
POST /interviews/{interview_id}/questions | simulators
POST /interviews/{interview_id}/complete | simulators
POST /sessions/{session_id}/incidents | simulators
POST /incidents/{incident_id}/complete | simulators
# A student writes their own steps; those who teach or tutor, feedback.
: yes 404 404 yes yes yes 404 yes 404 yes
POST /sessions/{session_id}/traces | traces
: open 404 404 open open open 404 open 404 open
POST /sessions/{session_id}/traces/batch | traces
: open open open open open open open open open open
POST /traces/batch | traces

# Judging it: teachers of the course, and machines; what was found, a person resolves.
: 403 403 404 yes 403 403 404 yes 404 yes
POST /sessions/{session_id}/risks | analysis
POST /sessions/{session_id}/risks/analyze | analysis
POST /sessions/{session_id}/evaluations | analysis
POST /sessions/{session_id}/evaluations/generate | analysis
POST /sessions/{session_id}/trace-sequences | traces analysis
: 403 403 404 yes 403 403 404 403 403 yes
POST /risks/{risk_id}/resolve

# Students, for those who teach or tutor them.
: 403 403 none yes yes yes none 403 403 yes
GET /students
: yes 404 404 yes yes yes 404 403 403 yes
GET /students/{student_id}/profile
: yes 404 404 403 403 403 403 403 403 yes
PATCH /students/{student_id}/profile

# Oversight is for those who teach or tutor, and written by teachers. A student sees plans about themselves.
: 403 403 none yes yes yes none 403 403 yes
GET /alerts
GET /alerts/live
GET /interventions
GET /reports
: 403 403 404 yes yes yes 404 403 403 yes
GET /alerts/{alert_id}
GET /alerts/{alert_id@activity}
GET /interventions/{intervention_id}
POST /interventions
GET /reports/{report_id}
GET /reports/{report_id}/download
: yes none none yes yes yes none 403 403 yes
GET /remediation-plans
: yes 404 404 yes yes yes 404 403 403 yes
GET /remediation-plans/{plan_id}
GET /remediation-plans/{plan_id@course}
# Older ones that name no place: who wrote a plan or is assigned an alert, admins, and a plan's student.
: yes 404 404 yes 404 404 404 403 403 yes
GET /remediation-plans/{plan_id@bare}
: 403 403 404 yes 404 404 404 403 403 yes
GET /alerts/{alert_id@student}
: 403 403 404 yes 403 403 404 403 403 yes
POST /alerts/{alert_id}/assign
POST /alerts/{alert_id}/acknowledge
POST /alerts/{alert_id@activity}/acknowledge
POST /alerts/{alert_id}/investigate
POST /alerts/{alert_id}/resolve
POST /alerts/{alert_id}/false-positive
PATCH /remediation-plans/{plan_id}
PATCH /remediation-plans/{plan_id@course}
POST /remediation-plans/{plan_id}/start
POST /remediation-plans/{plan_id@started}/complete
POST /remediation-plans/{plan_id}/cancel
POST /reports/{report_id}/export
PATCH /interventions/{intervention_id}
: 403 403 404 yes 404 403 404 403 403 yes
PATCH /remediation-plans/{plan_id@bare}
POST /alerts/{alert_id@student}/acknowledge
: 403 403 403 yes 403 403 404 403 403 yes
POST /alerts
POST /alerts/scan
POST /remediation-plans
POST /reports
: 403 403 404 yes yes 403 404 403 403 yes
POST /exports/research

# Launches are a machine's.
: 403 403 403 403 403 403 403 yes none yes
GET /lti/sessions | lti
: 403 403 403 403 403 403 403 yes 404 yes
POST /lti/sessions | lti
PUT /lti/sessions/{launch_id}/session | lti
PUT /lti/sessions/{launch_id@loose}/session | lti
"""


class Row(msgspec.Struct, frozen=True):
    """One call: what each of WHO gets, and the scopes that a key needs; no cells where it is open to everybody."""

    verb: str
    place: str
    cells: dict[str, str]
    scopes: frozenset[str]

    @property
    def path(self) -> str:
        """As the application has it."""
        return re.sub(r"@\w+", "", self.place).partition("?")[0]

    @property
    def call(self) -> tuple[str, str]:
        return self.verb, self.path


def rows(table: str = TABLE) -> list[Row]:
    found: list[Row] = []
    cells: dict[str, str] = {}
    for line in table.strip().splitlines():
        if line.startswith(":"):
            words = line[1:].split()
            cells = {} if words == ["public"] else dict(zip(WHO, words, strict=True))
        elif line and not line.startswith("#"):
            call, _, scopes = line.partition("|")
            verb, place = call.split()
            found.append(Row(verb, place, cells, frozenset(scopes.split())))
    return found

"""The routes are those of the contract, and the page that lists them is what the application says."""

import re

import pytest
from litestar import Litestar

from routes import PAGE, calls, page

# Verbs and paths as the contract lists them; `/metrics` is none of them.
CONTRACT = """
POST /auth/register /auth/login /auth/refresh /auth/logout /auth/password-reset
GET,PATCH /auth/me
GET /auth/me/invitations
POST /auth/me/invitations/{}/accept /auth/me/invitations/{}/decline
PUT /auth/password
GET,POST /users
GET,PATCH,DELETE /users/{}
PUT /users/{}/roles
POST /users/{}/verify /users/{}/deactivate /users/{}/reactivate /users/{}/password-reset
GET,POST /api-keys
PATCH,DELETE /api-keys/{}
GET,POST /courses
GET,PATCH /courses/{}
GET /courses/{}/members
PUT,DELETE /courses/{}/members/{}
POST /courses/{}/members/batch
GET,POST /subjects /subjects/{}/unidades
GET,PATCH,DELETE /subjects/{}
GET /subjects/{}/teachers
PUT,DELETE /subjects/{}/teachers/{}
GET,PATCH,DELETE /unidades/{} /apuntes/{}
POST /unidades/{}/publish /unidades/{}/unpublish /unidades/{}/restore
GET,POST /unidades/{}/apuntes
PUT /unidades/{}/apuntes/order
POST /apuntes/{}/publish /apuntes/{}/unpublish /apuntes/{}/restore
GET,POST /unidades/{}/archivos /apuntes/{}/archivos
GET,PATCH,DELETE /archivos/{}
POST /archivos/{}/restore
GET /archivos/{}/content
GET,POST /exercises
GET,PATCH,DELETE /exercises/{}
POST /exercises/{}/restore /exercises/{}/hints/reveal
GET,POST /exercises/{}/hints /exercises/{}/tests
PATCH,DELETE /hints/{} /tests/{}
GET,PUT /exercises/{}/rubric
GET /exercises/languages
POST /exercises/{}/attempts
GET,PATCH /attempts/{}
GET /attempts
GET,POST /activities
GET,PATCH,DELETE /activities/{}
POST /activities/{}/publish /activities/{}/archive
PUT,DELETE /activities/{}/moodle-link
GET,POST /sessions
GET,PATCH,DELETE /sessions/{}
POST /sessions/{}/pause /sessions/{}/resume /sessions/{}/complete /sessions/{}/abort
GET /sessions/{}/cognitive-path /sessions/{}/traceability /sessions/{}/analysis
GET /students
GET,PATCH /students/{}/profile
GET /students/{}/history /students/{}/trends /students/{}/traceability /students/{}/risks/statistics
GET /students/compare
GET,POST /sessions/{}/traces
POST /sessions/{}/traces/batch /traces/batch
GET /traces
GET,PATCH /traces/{}
GET,POST /sessions/{}/trace-sequences
GET /trace-sequences/{}
GET,POST /sessions/{}/git-traces
POST /sessions/{}/git-traces/batch /sessions/{}/git-traces/import
GET /sessions/{}/git-traces/evolution /sessions/{}/git-traces/correlation
GET,POST /sessions/{}/risks
POST /sessions/{}/risks/analyze
GET /risks /risks/{}
POST /risks/{}/resolve
GET,POST /sessions/{}/evaluations
POST /sessions/{}/evaluations/generate
GET /sessions/{}/evaluations/latest
GET /evaluations /evaluations/{}
GET /simulators /simulators/{}
GET,POST /sessions/{}/interviews
GET /interviews/{}
POST /interviews/{}/questions /interviews/{}/responses /interviews/{}/complete
GET,POST /sessions/{}/incidents
GET /incidents/{}
POST /incidents/{}/diagnosis-steps /incidents/{}/complete
GET,POST /sessions/{}/simulator-events
POST /sessions/{}/simulator-events/batch
GET,POST /reports
GET /reports/{} /reports/{}/download
POST /reports/{}/export
GET,POST /alerts
POST /alerts/scan
GET /alerts/{} /alerts/live
POST /alerts/{}/assign /alerts/{}/acknowledge /alerts/{}/investigate /alerts/{}/resolve /alerts/{}/false-positive
GET,POST /remediation-plans
GET,PATCH /remediation-plans/{}
POST /remediation-plans/{}/start /remediation-plans/{}/complete /remediation-plans/{}/cancel
GET,POST /interventions
GET,PATCH /interventions/{}
GET,POST /lti/deployments
GET,PATCH,DELETE /lti/deployments/{}
GET,POST /lti/sessions
PUT /lti/sessions/{}/session
GET /exports/traces /exports/sessions/{}
POST /exports/research
GET,DELETE /students/{}/data
GET /audit /audit/verify
"""

# Where a `Location` leads, or what a client must read before it changes it, though the contract does not name it.
BESIDES = {"GET /git-traces/{}"}


def contract() -> set[str]:
    lines = [line.split() for line in CONTRACT.strip().splitlines()]
    return {f"{verb} {path}" for verbs, *paths in lines for verb in verbs.split(",") for path in paths}


@pytest.mark.requirement("P1")
def test_the_routes_are_those_of_the_contract(app: Litestar) -> None:
    there = {f"{verb} {re.sub(r'{[^}]*}', '{}', path)}" for _, verb, path, _ in calls(app)}
    assert there - contract() == BESIDES
    assert contract() - there == set()


def test_the_page_of_routes_is_not_old(app: Litestar) -> None:
    assert PAGE.read_text("utf-8") == page(app), "run: python tests/routes.py"


def test_every_call_says_who_may_make_it(app: Litestar) -> None:
    text = page(app)
    assert "| POST | `/sessions/{session_id}/traces` | student, tutor, teacher, admin, key with `traces` |" in text
    assert "| POST | `/auth/login` | everybody |" in text
    assert "| DELETE | `/sessions/{session_id}` | admin |" in text

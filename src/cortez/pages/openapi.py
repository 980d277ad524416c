"""The OpenAPI document of this service."""

from litestar import Litestar

from cortez.core.openapi import document as openapi
from cortez.core.openapi.json_schema import Json
from cortez.examples.values import example_of

DESCRIPTION = """The system of record for how students work with AI tutors.

Errors are RFC 9457 problem documents with a stable `code`; docs/errors.md says of each what it means and what to do.
Lists come in keyset pages: send the `cursor` of one to get the next. Times are RFC 3339, between 1970 and 2200, and
answered in UTC; one without an offset is refused. What you may not see answers 404, exactly as if it did not exist. A
document (a free JSON object) has at most 12 levels and 64,000 bytes; no text holds NUL. A POST whose body is not
described takes an empty object, or nothing. HEAD answers as GET does, without the body."""

TAGS = {
    "auth": "Signing in and out, and one's own account.",
    "users": "Accounts, for admins.",
    "API keys": "Keys of machines such as tutor agents, for admins.",
    "courses": "Courses and who belongs to them.",
    "content": "Subjects, their units, the notes of a unit and the files beside them.",
    "exercises": "What students practise on, with hints, tests and a rubric.",
    "attempts": "Submissions, and what a runner found in them.",
    "activities": "What students work on.",
    "sessions": "One student at work on one activity.",
    "session views": "A session seen as a whole.",
    "trace sequences": "The traces of a session rolled up, as they were at one moment.",
    "git traces": "What was committed during a session, how it grew, and which steps lay near.",
    "student views": "What a student did over all sessions that may be seen.",
    "traces": "The steps of a session.",
    "risks": "Indicators in sessions, found by rules, agents and people, and judged by people.",
    "evaluations": "How a student worked in a session, as people, agents and the rules see it.",
    "simulators": "Professional situations that a student works in: interviews, incidents, events.",
    "students": "What is kept about a student over all sessions.",
    "alerts": "What calls for a teacher's look: stored, or live from sessions that go on.",
    "remediation": "Support that a teacher opens for a student.",
    "interventions": "What teachers and tutors did.",
    "reports": "Figures of a course over a period, computed once and kept.",
    "LTI": "Platforms that launch into Cortez, and their launches, as records.",
    "exports": "What is stored, to take along: traces, a session, a dataset for research that names nobody.",
    "privacy": "All that is held of a student: shown to them, or erased.",
    "audit": "Who changed what, as the database recorded it, and whether that record is whole.",
    "operations": "Whether the service lives and is ready.",
}


def document(app: Litestar, version: str) -> Json:
    """The document of the routes of the application."""
    return openapi.document(app, openapi.About("Cortez", version, DESCRIPTION, TAGS), example_of)

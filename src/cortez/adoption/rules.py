"""What is particular about a table of the predecessor; everything else follows from the models.

A rule is given only where a column means something that its type and its foreign key do not say.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from cortez.accounts.models import Role, User
from cortez.activities.models import Activity, HelpLevel
from cortez.adoption.keys import new_id, new_key
from cortez.adoption.values import Fit, Old, member_of
from cortez.content.models import Apuntes, ArchivoAdjunto, Subject, Unidad
from cortez.core.db.base import Base
from cortez.core.security.identifiers import key_of, mail_of
from cortez.evaluations.models import Evaluation
from cortez.evaluations.rules import level_of
from cortez.exercises.models import (
    Exercise,
    ExerciseAttempt,
    ExerciseHint,
    ExerciseTest,
    RubricCriterion,
    RubricLevel,
)
from cortez.git.models import GitTrace
from cortez.lti.models import LtiDeployment, LtiSession
from cortez.oversight.live import PREFIX
from cortez.oversight.models import RemediationPlan, RiskAlert, TeacherIntervention
from cortez.profiles.models import StudentProfile
from cortez.reports.models import CourseReport
from cortez.risks.models import Risk
from cortez.sequences.models import TraceSequence
from cortez.sessions.models import LearningSession, SessionStatus
from cortez.sessions.rules import FINAL
from cortez.simulators.models import IncidentSimulation, InterviewSession, SimulatorEvent
from cortez.traces.models import CognitiveTrace

Row = dict[str, Any]

# Keys that people see, and the table whose rows have them.
BUSINESS = {
    "student_id": None,
    "activity_id": "activities.activity_id",
    "course_id": "courses.course_id",
    "code": "subjects.code",
    "subject_code": "subjects.code",
    "materia_code": "subjects.code",
}


class Unique(Struct, frozen=True):
    """Rows that agree in these columns cannot both be stored; what is done to the later one.

    `next`: its last column becomes the next free number; `suffix`: its text gets one, and its key too; `empty`: it
    becomes null;
    `close`: it is closed; `refuse`: it goes to the quarantine. `living` says of which rows this holds, by the columns
    that it `reads`.
    """

    columns: tuple[str, ...]
    remedy: Literal["next", "suffix", "empty", "close", "refuse"] = "refuse"
    living: Callable[[Row], bool] = lambda row: True
    reads: tuple[str, ...] = ()


class Rule(Struct, frozen=True):
    """`ids` lists columns with ids of rows, and of which tables; `mentions` such columns that hold other texts too;
    `missing` is what a column holds where nothing can be kept; `alter` what else must be done to a row.
    """

    model: type[Base]
    ids: Mapping[str, tuple[str, ...]] = {}
    mentions: Mapping[str, tuple[str, ...]] = {}
    missing: Mapping[str, Callable[[Row], Old]] = {}
    unique: tuple[Unique, ...] = ()
    alter: Callable[[Row, Callable[[str, Fit], None]], None] = lambda row, note: None


def is_alive(row: Row) -> bool:
    return row.get("deleted_at") is None


def roles(row: Row, note: Callable[[str, Fit], None]) -> None:
    """Those that exist here; an account without any is a student's."""
    known = [role.value for role in (member_of(Role, name) for name in row["roles"]) if role]
    kept = list(dict.fromkeys(known)) or [Role.STUDENT.value]
    if kept != row["roles"]:
        note("roles", Fit(kept, "roles that do not exist were taken out", is_loss=len(known) < len(row["roles"])))
    if Role.STUDENT in kept and row["student_id"] is None:
        note("student_id", Fit(str(row["id"]), "a student without a key gets the account's id"))
    if row["email"] != (written := mail_of(row["email"])):
        note("email", Fit(written, "written in lower case, without what is invisible around it"))
    row |= {"email_key": key_of(row["email"]), "username_key": key_of(row["username"])}


def help_level(row: Row, note: Callable[[str, Fit], None]) -> None:
    """The API gives it in lower case."""
    given = row["policies"].get("max_help_level")
    try:
        level = HelpLevel(given).value
    except ValueError:
        return
    if level != given:
        note("policies", Fit(row["policies"] | {"max_help_level": level}, "max_help_level spelled as here"))


def ended(row: Row, note: Callable[[str, Fit], None]) -> None:
    """A session that has ended has a time at which it did; retention goes by it."""
    if row["status"] in FINAL and row.get("end_time") is None:
        note("end_time", Fit(row["updated_at"], "an ended session without an end: when it was last changed"))


def addressed(row: Row, note: Callable[[str, Fit], None]) -> None:
    """Recommendations say for whom they are."""
    given = row["recommendations"]
    if set(given) == {"value"}:
        note("recommendations", Fit({"student": given["value"]}, "put under student"))


def digested(row: Row, note: Callable[[str, Fit], None]) -> None:
    """A launch token is a secret: here only its digest is stored."""
    if token := row.get("launch_token"):
        note("launch_token", Fit(hashlib.sha256(token.encode()).hexdigest(), "only its digest is kept"))


def named(row: Row, note: Callable[[str, Fit], None]) -> None:
    """Students in the lists of a report go by the key that they have here, or erasure would not find them."""
    at_risk = [new_key(one) if isinstance(one, str) else one for one in row["at_risk_students"]]
    lines = [renamed(one) for one in row["student_summaries"]]
    for name, made in (("at_risk_students", at_risk), ("student_summaries", lines)):
        if made != row[name]:
            note(name, Fit(made, "students by their keys of now"))


def renamed(line: Old) -> Old:
    if not isinstance(line, dict) or not isinstance(line.get("student_id"), str):
        return line
    return line | {"student_id": new_key(line["student_id"])}


def answered(row: Row, note: Callable[[str, Fit], None]) -> None:
    """A live alert is named after its session, a stored one by its id."""
    given = row["alert_id"]
    if not given:
        return
    _, is_live, session = given.rpartition(PREFIX)
    made = f"{PREFIX}{new_id('sessions', session)}" if is_live else str(new_id("risk_alerts", given))
    if made != given:
        note("alert_id", Fit(made, "by its key of now", is_loss=True))


def competency(row: Row) -> str:
    """As an evaluation without a level gets it."""
    return level_of(row.get("overall_score") or 0).value


def final_status(row: Row) -> str:
    return SessionStatus.COMPLETED.value if row.get("end_time") else SessionStatus.ABANDONED.value


TRACES, RISKS = ("cognitive_traces",), ("risks",)
LIVING_ALERTS = {"open", "acknowledged", "investigating"}

# In the order in which rows can be stored.
RULES = (
    Rule(
        User,
        missing={"hashed_password": lambda row: "!", "username": lambda row: row["email"]},
        unique=(
            Unique(("email",), "suffix"),
            Unique(("username",), "suffix"),
            Unique(("email_key",), "empty"),
            Unique(("username_key",), "empty"),
            Unique(("student_id",), "empty"),
        ),
        alter=roles,
    ),
    Rule(
        Subject,
        missing={"name": lambda row: row["code"], "language": lambda row: "python"},
        unique=(Unique(("code",)),),
    ),
    Rule(
        Activity,
        missing={
            "instructions": lambda row: row.get("description") or row["title"],
            "title": lambda row: row["activity_id"],
        },
        unique=(Unique(("activity_id",)),),
        alter=help_level,
    ),
    Rule(LtiDeployment, unique=(Unique(("issuer", "deployment_id")),)),
    Rule(Unidad, unique=(Unique(("materia_code", "numero"), "next", is_alive, ("deleted_at",)),)),
    Rule(Apuntes, unique=(Unique(("unidad_id", "orden"), "next", is_alive, ("deleted_at",)),)),
    Rule(ArchivoAdjunto),
    Rule(
        Exercise,
        missing={"time_min": lambda row: 30, "starter_code": lambda row: "", "language": lambda row: "python"},
    ),
    Rule(ExerciseHint, unique=(Unique(("exercise_id", "hint_number"), "next"),)),
    Rule(ExerciseTest, unique=(Unique(("exercise_id", "test_number"), "next"),)),
    Rule(
        RubricCriterion,
        unique=(
            Unique(("exercise_id", "display_order"), "next"),
            Unique(("exercise_id", "criterion_name"), "suffix"),
        ),
    ),
    Rule(RubricLevel),
    Rule(LearningSession, missing={"status": final_status}, alter=ended),
    Rule(CognitiveTrace),
    Rule(TraceSequence),
    Rule(
        Evaluation,
        missing={"overall_competency_level": competency},
        alter=addressed,
    ),
    Rule(Risk, ids={"trace_ids": TRACES}),
    Rule(GitTrace, ids={"related_cognitive_traces": TRACES}, unique=(Unique(("session_id", "commit_hash")),)),
    Rule(InterviewSession),
    Rule(IncidentSimulation),
    Rule(SimulatorEvent),
    Rule(ExerciseAttempt, unique=(Unique(("student_id", "exercise_id", "attempt_number"), "next"),)),
    Rule(LtiSession, alter=digested),
    Rule(StudentProfile, unique=(Unique(("student_id",)),)),
    Rule(CourseReport, alter=named),
    Rule(RemediationPlan, ids={"trigger_risks": RISKS}),
    Rule(
        RiskAlert,
        mentions={"evidence": ("risks", "sessions", "evaluations")},
        unique=(
            Unique(
                ("detection_rule", "course_id", "student_id"),
                "close",
                lambda row: row["status"] in LIVING_ALERTS,
                ("status",),
            ),
        ),
    ),
    Rule(TeacherIntervention, alter=answered),
)

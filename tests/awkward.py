"""Rows as predecessors really have them, beside the ordinary ones that `predecessor` makes."""

from typing import Any
from uuid import uuid5

import predecessor
from cortez.adoption.keys import NAMESPACE
from predecessor import Row, key, moment

ANYTHING = predecessor.STATES[-1]
COLUMNS = predecessor.tables(ANYTHING)
SOME_ID = "3F2504E0-4F89-11D3-9A0C-0305E82C3301"


def like(table: str, number: int, **changes: Any) -> Row:
    """An ordinary row, but for this."""
    [*_, row] = predecessor.rows(table, COLUMNS[table], number + 1)
    return row | changes


def trace(id_: str, **changes: Any) -> Row:
    return like("cognitive_traces", 1, id=id_, parent_trace_id=None, **changes)


def content(*, is_postgresql: bool) -> dict[str, list[Row]]:
    """Three ordinary rows a table and these."""
    made = {name: predecessor.rows(name, columns) for name, columns in COLUMNS.items()}
    for name, rows in rows_by_table(is_postgresql).items():
        made[name] += rows
    return made


def rows_by_table(is_postgresql: bool) -> dict[str, list[Row]]:
    naive = moment(40).replace(tzinfo=None)
    return {
        "users": [
            like("users", 3, email="USERS.EMAIL 0: AÑO ✓", roles=["instructor", "wizard", "teacher"]),
            like("users", 4, student_id="student_id-0", roles=[]),
            like("users", 5, username="USERS.USERNAME 0: AÑO ✓", email=" New.Ñandú@Example.edu\u200b"),
        ],
        "activities": [like("activities", 3, policies={"max_help_level": "MEDIO"}, difficulty="inicial")],
        "sessions": [
            like("sessions", 3, id="sess-1", student_id="al/1 ñ", activity_id="prog 2/tp#1", mode="Simulator"),
            like("sessions", 4, id=SOME_ID, status="FINISHED", end_time=naive, user_id=key("users", 99)),
            like("sessions", 5, status="completed", end_time=None, simulator_type="wizard"),
        ],
        "cognitive_traces": [
            trace("t/1", session_id="sess-1", created_at=naive) | {"parent_trace_id": "t/2"},
            trace("t/2", session_id="sess-1", created_at=moment(41).replace(tzinfo=None)),
            trace("t/3", interaction_type="HINT_REQUEST", cognitive_state="ESTANCAMIENTO", trace_level="N4")
            | {"parent_trace_id": "gone"},
            trace("t/4", ai_involvement=7.0, student_id="somebody else", cognitive_intent="x" * 200),
            trace("t/5", session_id=key("sessions", 99)),
            trace("t/6", interaction_type="telepathy"),
            trace("t/7", context=None, created_at=None, updated_at=None),
            *([] if is_postgresql else [trace("t/8", content="a\0b", context="{no json", created_at="yesterday")]),
        ],
        "risks": [like("risks", 1, id="risk_1", trace_ids=["t/1", "gone", SOME_ID], risk_level="HIGH")],
        "evaluations": [
            like("evaluations", 1, id="e1", overall_competency_level="BASICO", recommendations=["Plan first."]),
            like("evaluations", 1, id="e2", overall_competency_level="novice", overall_score=8.0),
            like("evaluations", 1, id="e3", overall_score=85.0),
        ],
        "unidades": [
            like("unidades", 1, id="u1"),
            like("unidades", 1, id="u2", deleted_at=moment(9)),
            like("unidades", 1, id="u3", materia_code="NEW/1"),
        ],
        "apuntes": [like("apuntes", 1, id="a1")],
        "archivos_adjuntos": [
            like("archivos_adjuntos", 1, id="f1", ruta_relativa="../outside.pdf"),
            like("archivos_adjuntos", 1, id="f2", ruta_relativa="not there.pdf"),
            like("archivos_adjuntos", 1, id="f3", apuntes_id=key("apuntes", 0)),
        ],
        "exercises": [like("exercises", 1, id="python-u1-e1", difficulty="hard", time_min=0)],
        "exercise_hints": [like("exercise_hints", 1, id="h1", exercise_id="python-u1-e1")],
        "exercise_attempts": [
            like("exercise_attempts", 1, id="x1"),
            like("exercise_attempts", 1, id="x2", tests_passed=12, session_id=key("sessions", 99)),
        ],
        "git_traces": [like("git_traces", 1, id="g1"), like("git_traces", 1, id="g2", commit_hash="f" * 40)],
        "student_profiles": [like("student_profiles", 1, id="p1")],
        "risk_alerts": [like("risk_alerts", 1, id="r1", evidence=["risk_1", "seen by a person"])],
        "teacher_interventions": [
            like("teacher_interventions", 1, id="i1", teacher_id=key("users", 99), student_id="unknown"),
            like("teacher_interventions", 1, id="i2", alert_id="alert_sess-1"),
        ],
        "course_reports": [
            like(
                "course_reports",
                1,
                id="c1",
                at_risk_students=["al/1 ñ", "student_id-0"],
                student_summaries=[{"student_id": "al/1 ñ", "sessions": 2}, {"student_id": "student_id-0"}],
            )
        ],
        "remediation_plans": [like("remediation_plans", 1, id="q1", trigger_risks=["risk_1"])],
    }


def new(table: str, old: str) -> Any:
    """The id of a row whose old one is no UUID, worked out here once more."""
    return uuid5(NAMESPACE, f"{table}:{old}")

"""The predecessor's databases, made anew: its tables in the states that its hand-run scripts left behind.

A column is written `name:type`, `!` where it may not be null, `>table.column` where it refers to one. Types: `id` (a
text of 36, the key), `sN` (a text of at most N), `text`, `int`, `float`, `bool`, `time` (without a zone), `tz` (with
one), `list` and `doc` (JSON).
"""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import asyncpg

STAMPS = "created_at:time! updated_at:time!"
TABLES = {
    "users": f"""id:id! email:s255! username:s100! hashed_password:s255! full_name:s255 student_id:s100 roles:list!
        is_active:bool! is_verified:bool! last_login:time login_count:int course_name:s255 commission:s100 {STAMPS}""",
    "subjects": f"""id:id! code:s50! name:s100! description:text language:s20! total_units:int is_active:bool!
        {STAMPS}""",
    "activities": f"""id:id! activity_id:s100! title:s200! description:text instructions:text! evaluation_criteria:list
        teacher_id:id>users.id policies:doc! subject:s100 difficulty:s20 estimated_duration_minutes:int
        moodle_course_id:s255 moodle_course_name:s255 moodle_course_label:s100 moodle_resource_name:s255 tags:list
        status:s20 published_at:time {STAMPS}""",
    "sessions": f"""id:id! student_id:s100! activity_id:s100! course_id:s100 mode:s50! simulator_type:s50
        user_id:id>users.id start_time:time! end_time:time status:s20 learning_objective:doc cognitive_status:doc
        session_metrics:doc trace_count:int {STAMPS}""",
    "cognitive_traces": f"""id:id! session_id:id!>sessions.id student_id:s100! activity_id:s100! trace_level:s20
        interaction_type:s50! content:text! context:doc trace_metadata:doc cognitive_state:s50 cognitive_intent:s200
        decision_justification:text alternatives_considered:list strategy_type:s100 ai_involvement:float
        semantic_understanding:doc algorithmic_evolution:doc cognitive_reasoning:doc interactional_data:doc
        ethical_risk_data:doc process_data:doc parent_trace_id:id>cognitive_traces.id agent_id:s100 {STAMPS}""",
    "trace_sequences": f"""id:id! session_id:id!>sessions.id student_id:s100! activity_id:s100! total_traces:int
        avg_ai_involvement:float detected_risks:list competencies:doc semantic_summary:doc algorithmic_summary:doc
        cognitive_summary:doc interaction_summary:doc ethics_summary:doc process_summary:doc cognitive_coherence:float
        {STAMPS}""",
    "risks": f"""id:id! session_id:id!>sessions.id student_id:s100! activity_id:s100! risk_type:s100! risk_level:s20!
        dimension:s50! description:text! impact:text evidence:list trace_ids:list root_cause:text
        impact_assessment:text recommendations:list pedagogical_intervention:text resolved:bool resolved_at:time
        resolution_notes:text detected_by:s50 {STAMPS}""",
    "evaluations": f"""id:id! session_id:id!>sessions.id student_id:s100! activity_id:s100!
        overall_competency_level:s50! overall_score:float! dimensions:list key_strengths:list improvement_areas:list
        recommendations:doc reasoning_analysis:doc git_analysis:doc ai_dependency_score:float
        ai_dependency_metrics:doc {STAMPS}""",
    "exercises": f"""id:id! subject_code:s50!>subjects.code title:s200! description:text difficulty:s20! time_min:int!
        unit:int language:s20! mission_markdown:text! story_markdown:text constraints:list starter_code:text!
        solution_code:text tags:list learning_objectives:list cognitive_level:s20 max_score:int! version:int!
        is_active:bool! deleted_at:time {STAMPS}""",
    "exercise_hints": f"""id:id! exercise_id:s50!>exercises.id hint_number:int! title:s200 content:text!
        penalty_points:int! {STAMPS}""",
    "exercise_tests": f"""id:id! exercise_id:s50!>exercises.id test_number:int! description:text input:text!
        expected:text! is_hidden:bool! timeout_seconds:int! {STAMPS}""",
    "exercise_attempts": f"""id:id! exercise_id:s50!>exercises.id student_id:s100! session_id:id>sessions.id
        submitted_code:text! tests_passed:int! tests_total:int! score:float status:s20! execution_time_ms:int
        stdout:text stderr:text ai_feedback_summary:text ai_feedback_detailed:text ai_suggestions:list
        rubric_evaluation:doc hints_used:int! penalty_applied:int! attempt_number:int! submitted_at:time! {STAMPS}""",
    "exercise_rubric_criteria": f"""id:id! exercise_id:s50!>exercises.id criterion_name:s100! description:text
        weight:float! display_order:int! {STAMPS}""",
    "rubric_levels": f"""id:id! criterion_id:id!>exercise_rubric_criteria.id level_name:s50! description:text!
        min_score:float! max_score:float! points:int! {STAMPS}""",
    "unidades": f"""id:id! materia_code:s50!>subjects.code numero:int! titulo:s200! descripcion:text
        objetivos_aprendizaje:list! tiempo_teoria_min:int! tiempo_practica_min:int! orden:int! esta_publicada:bool!
        requiere_unidad_anterior:bool! created_by:s100 published_at:tz deleted_at:tz {STAMPS}""",
    "apuntes": f"""id:id! unidad_id:id!>unidades.id titulo:s300! contenido_markdown:text! resumen:text
        recursos_externos:list! tiempo_lectura_min:int! nivel_dificultad:s20! orden:int! esta_publicado:bool!
        created_by:s100 published_at:tz deleted_at:tz {STAMPS}""",
    "archivos_adjuntos": f"""id:id! apuntes_id:id>apuntes.id unidad_id:id>unidades.id nombre_original:s255!
        nombre_almacenado:s255! tipo_archivo:s50! mime_type:s100! tamano_bytes:int! ruta_relativa:s500!
        descripcion:s500 orden:int! checksum_sha256:s64 deleted_at:tz {STAMPS}""",
    "interview_sessions": f"""id:id! session_id:id!>sessions.id student_id:s100! activity_id:s100 interview_type:s50!
        difficulty_level:s20 questions_asked:list responses:list evaluation_score:float evaluation_breakdown:doc
        feedback:text duration_minutes:int {STAMPS}""",
    "incident_simulations": f"""id:id! session_id:id!>sessions.id student_id:s100! activity_id:s100 incident_type:s50!
        severity:s20 incident_description:text! simulated_logs:text simulated_metrics:doc diagnosis_process:list
        solution_proposed:text root_cause_identified:text time_to_diagnose_minutes:int time_to_resolve_minutes:int
        post_mortem:text evaluation:doc {STAMPS}""",
    "simulator_events": f"""id:id! session_id:id!>sessions.id student_id:s100! activity_id:s100 simulator_type:s50!
        event_type:s100! event_data:doc timestamp:time! description:text severity:s20 {STAMPS}""",
    "course_reports": f"""id:id! course_id:s100! teacher_id:id>users.id report_type:s50! period_start:time!
        period_end:time! summary_stats:doc! competency_distribution:doc! risk_distribution:doc! top_risks:list
        student_summaries:list institutional_recommendations:list at_risk_students:list format:s20 file_path:s500
        exported_at:time {STAMPS}""",
    "remediation_plans": f"""id:id! student_id:s100! activity_id:s100 teacher_id:id>users.id trigger_risks:list
        plan_type:s50! description:text! objectives:list recommended_actions:list start_date:time!
        target_completion_date:time! actual_completion_date:time status:s20 progress_notes:text
        completion_evidence:list outcome_evaluation:text success_metrics:doc {STAMPS}""",
    "risk_alerts": f"""id:id! alert_type:s50! severity:s20! scope:s20! student_id:s100 activity_id:s100 course_id:s100
        title:s255! description:text! evidence:list detected_at:time! detection_rule:s100! threshold_value:float
        actual_value:float assigned_to:id>users.id assigned_at:time status:s20 acknowledged_at:time
        acknowledged_by:id>users.id resolution_notes:text resolved_at:time remediation_plan_id:id>remediation_plans.id
        {STAMPS}""",
    "teacher_interventions": f"""id:id! teacher_id:id!>users.id student_id:s100! session_id:id>sessions.id alert_id:s100
        intervention_type:s50! notes:text action_taken:text status:s30 resolution_notes:text resolved_at:tz
        alert_context:doc {STAMPS}""",
    "git_traces": f"""id:id! session_id:id!>sessions.id student_id:s100! activity_id:s100! event_type:s20!
        commit_hash:s40! commit_message:text! author_name:s255! author_email:s255! timestamp:time! branch_name:s255!
        parent_commits:list files_changed:list total_lines_added:int total_lines_deleted:int diff:text is_merge:bool
        is_revert:bool detected_patterns:list complexity_delta:int related_cognitive_traces:list
        cognitive_state_during_commit:s50 time_since_last_interaction_minutes:int repo_path:s500 remote_url:s500
        {STAMPS}""",
    "lti_deployments": f"""id:id! platform_name:s100! issuer:s255! client_id:s255! deployment_id:s255!
        auth_login_url:text! auth_token_url:text! public_keyset_url:text! access_token_url:text is_active:bool!
        {STAMPS}""",
    "lti_sessions": f"""id:id! deployment_id:id!>lti_deployments.id lti_user_id:s255! lti_user_name:s255
        lti_user_email:s255 lti_context_id:s255 lti_context_label:s100 lti_context_title:s255 resource_link_id:s255!
        resource_link_title:s255 session_id:id>sessions.id launch_token:text locale:s10 {STAMPS}""",
    "student_profiles": f"""id:id! student_id:s100! user_id:id>users.id name:s200 email:s200 total_sessions:int
        total_interactions:int average_ai_dependency:float average_competency_level:s50 average_competency_score:float
        total_risks:int critical_risks:int risk_trends:doc competency_evolution:list last_activity_date:time
        preferred_language:s10 cognitive_preferences:doc learning_patterns:doc competency_levels:doc strengths:list
        areas_for_improvement:list {STAMPS}""",
}
# Outside the 28.
FIRST_EXERCISES = f"""id:s50! title:s200! description:text difficulty_level:int! test_cases:list hints:list
    starter_code:text max_score:float time_limit_seconds:int {STAMPS}"""
SUBMISSIONS = f"""id:id! user_id:id!>users.id exercise_id:s50!>exercises.id session_id:id submitted_code:text!
    passed_tests:int total_tests:int execution_time_ms:int ai_score:float ai_feedback:text readability_score:float
    is_correct:s10 attempts:int submitted_at:time {STAMPS}"""
KNOWLEDGE = f"""id:id! content:text! title:s255 content_type:s50! embedding_json:list materia_code:s50 deleted_at:tz
    extra_data:doc {STAMPS}"""

ENUMERATED = {
    "roles": ["student"],
    "language": "python",
    "difficulty": "INTERMEDIO",
    "exercises.difficulty": "Medium",
    "mode": "TUTOR",
    "simulator_type": "qa_engineer",
    "sessions.status": "completed",
    "trace_level": "n3_interaccional",
    "interaction_type": "student_prompt",
    "cognitive_state": "depuracion",
    "cognitive_state_during_commit": "validacion",
    "risk_type": "ai_dependency",
    "risk_level": "high",
    "dimension": "cognitive",
    "overall_competency_level": "autonomo",
    "average_competency_level": "inicial",
    "level_name": "Bueno",
    "nivel_dificultad": "avanzado",
    "interview_type": "DESIGN",
    "difficulty_level": "EASY",
    "incident_type": "SECURITY",
    "incident_simulations.severity": "LOW",
    "simulator_events.severity": "warning",
    "risk_alerts.severity": "medium",
    "report_type": "risk_dashboard",
    "format": "json",
    "plan_type": "tutoring",
    "alert_type": "pattern_anomaly",
    "scope": "student",
    "intervention_type": "follow_up",
    "event_type": "commit",
    "activities.status": "archived",
    "exercise_attempts.status": "PASS",
    "remediation_plans.status": "in_progress",
    "risk_alerts.status": "acknowledged",
    "teacher_interventions.status": "escalated",
    "hashed_password": "$2b$04$0123456789012345678901u3Y7jUEr8a7d5cQ2n0f5kD1m3l9c6l8K",
}
EXACT: dict[str, Callable[[int], Any]] = {  # where a rule of the service asks for more than the type does
    "commit_hash": lambda number: f"{number:040x}",
    "rubric_levels.min_score": lambda number: 5.0,
    "rubric_levels.max_score": lambda number: 8.5,
    "exercises.difficulty_level": lambda number: 2 + 3 * number,
    "is_correct": lambda number: "true" if number else "false",
    "apuntes_id": lambda number: None,
    "tests_total": lambda number: 9,
    "period_end": lambda number: moment(number + 30).replace(tzinfo=None),
    "locale": lambda number: "es-AR",
    "preferred_language": lambda number: "en",
    "max_score": lambda number: 100,
    "nombre_original": lambda number: f"clase {number}.pdf",
    "trace_ids": lambda number: [key("cognitive_traces", number)],
    "related_cognitive_traces": lambda number: [key("cognitive_traces", number)],
    "at_risk_students": lambda number: [f"student_id-{number}"],
    "alert_id": lambda number: f"alert_{key('sessions', number)}",
    "trigger_risks": lambda number: [key("risks", number)],
}


class State(NamedTuple):
    """A database as it was after some of the scripts: without these tables and columns, with or without checks."""

    name: str
    missing: frozenset[str] = frozenset()  # `table` or `table.column`
    others: tuple[str, ...] = ()  # tables outside the 28
    is_native: bool = False  # keys and documents in PostgreSQL's own types
    is_strict: bool = True  # with NOT NULL, keys and references
    extra: tuple[tuple[str, str], ...] = ()  # columns that nobody knows of, by table


def some(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONTENT = "unidades apuntes archivos_adjuntos"
EXERCISES = "exercises exercise_hints exercise_tests exercise_attempts exercise_rubric_criteria rubric_levels"
N4 = " ".join(
    f"cognitive_traces.{name}"
    for name in """semantic_understanding algorithmic_evolution cognitive_reasoning interactional_data ethical_risk_data
    process_data""".split()
)
MOODLE = """activities.moodle_course_id activities.moodle_course_name activities.moodle_course_label
    activities.moodle_resource_name"""
LATE = "sessions.trace_count sessions.course_id trace_sequences.cognitive_coherence"
DELETED = "exercises.deleted_at unidades.deleted_at apuntes.deleted_at archivos_adjuntos.deleted_at"
BY_CODE = "subjects.id subjects.created_at subjects.updated_at users.course_name users.commission"
FIRST = f"{CONTENT} {EXERCISES} subjects simulator_events lti_sessions.resource_link_title"
STATES = (
    State("first", some(f"{FIRST} {N4} {MOODLE} {LATE}"), ("first_exercises", "submissions"), is_strict=False),
    State("subjects-by-code", some(f"{CONTENT} {MOODLE} {LATE} {DELETED} {BY_CODE}")),
    State("models", some("sessions.trace_count trace_sequences.cognitive_coherence")),
    State("scripts-82", some(f"{DELETED} sessions.course_id")),
    State("native", others=("knowledge",), is_native=True),
    State("anything-goes", others=("knowledge", "submissions"), is_strict=False, extra=(("users", "phone:text"),)),
)
OTHERS = {
    "first_exercises": ("exercises", FIRST_EXERCISES),
    "submissions": ("user_exercise_submissions", SUBMISSIONS),
    "knowledge": ("knowledge_documents", KNOWLEDGE),
}


Row = dict[str, Any]


class Column(NamedTuple):
    name: str
    type: str
    is_needed: bool
    refers: str

    @classmethod
    def read(cls, text: str) -> "Column":
        text, _, refers = text.partition(">")
        name, _, type_ = text.rstrip("!").partition(":")
        return cls(name, type_, text.endswith("!"), refers)


def tables(state: State) -> dict[str, list[Column]]:
    """The tables that the state has, and their columns."""
    described = {name: text for name, text in TABLES.items() if name not in state.missing}
    described |= dict(OTHERS[other] for other in state.others)
    for name, text in state.extra:
        described[name] += f" {text}"
    return {
        name: [column for column in map(Column.read, text.split()) if f"{name}.{column.name}" not in state.missing]
        for name, text in described.items()
    }


def moment(number: int) -> datetime:
    return datetime(2025, 3, 1, 12, tzinfo=UTC) + timedelta(hours=number, microseconds=number)


def key(table: str, number: int) -> str:
    return str(uuid5(NAMESPACE_URL, f"{table}/{number}"))


def rows(table: str, columns: list[Column], count: int = 3) -> list[Row]:
    """So many ordinary rows, with a value in every column, that agree with each other."""
    return [{column.name: value(table, column, number) for column in columns} for number in range(count)]


def value(table: str, column: Column, number: int) -> Any:
    name = column.name
    for known in (f"{table}.{name}", name):
        if known in EXACT:
            return EXACT[known](number)
        if known in ENUMERATED:
            return ENUMERATED[known]
    if column.refers:
        return referred(table, column, number)
    if name == "id":
        return key(table, number)
    if name in ("student_id", "activity_id", "code", "course_id"):
        return f"{name}-{number}"
    return of_type(table, column, number)


def referred(table: str, column: Column, number: int) -> Any:
    target, _, name = column.refers.partition(".")
    if name == "code":
        return f"code-{number}"
    if target == table:
        return key(target, number - 1) if number else None
    return key(target, number)


def of_type(table: str, column: Column, number: int) -> Any:
    text = f"{table}.{column.name} {number}: año ✓"
    match column.type:
        case "int":
            return number + 1
        case "float":
            return 0.25 + number / 8
        case "bool":
            return number % 2 == 0
        case "time":
            return moment(number).replace(tzinfo=None)
        case "tz":
            return None if column.name == "deleted_at" and number else moment(number)
        case "list":
            return [text, number]
        case "doc":
            return {"said": text, "n": [number, None, 0.5]}
        case "text" | "id":
            return text
        case _:
            return text[: int(column.type[1:])]


def kind(state: State, column: Column, *, is_postgresql: bool) -> str:
    """Its type as the engine calls it."""
    if column.type == "id" or column.refers.endswith(".id"):
        return "uuid" if state.is_native and is_postgresql else "VARCHAR(50)"
    if column.type[1:].isdigit():
        return f"VARCHAR({column.type[1:]})"
    if is_postgresql and column.type in ("list", "doc"):
        return "jsonb" if state.is_native else "json"
    names = {"int": "INTEGER", "float": "FLOAT", "bool": "BOOLEAN", "list": "JSON", "doc": "JSON", "text": "TEXT"}
    times = {"time": "timestamp", "tz": "timestamptz"} if is_postgresql else {"time": "DATETIME", "tz": "DATETIME"}
    return (names | times)[column.type]


def create(state: State, *, is_postgresql: bool) -> list[str]:
    """The statements that make its tables."""
    return [
        f"CREATE TABLE {name} ({', '.join(declared(state, column, columns, is_postgresql) for column in columns)})"
        for name, columns in tables(state).items()
    ]


def declared(state: State, column: Column, columns: list[Column], is_postgresql: bool) -> str:
    words = [column.name, kind(state, column, is_postgresql=is_postgresql)]
    if not state.is_strict:
        return " ".join(words)
    is_first = column is columns[0]
    words += ["PRIMARY KEY"] if is_first else ["UNIQUE"] if column.name == "code" else []
    words += ["NOT NULL"] if column.is_needed and not is_first else []
    if column.refers:
        table, _, name = column.refers.partition(".")
        words.append(f"REFERENCES {table} ({name})")
    return " ".join(words)


async def make(url: str, state: State, content: dict[str, list[Row]]) -> None:
    """The database with this content."""
    if url.startswith("sqlite"):
        make_sqlite(url.removeprefix("sqlite:///"), state, content)
        return
    connection = await asyncpg.connect(url)
    for statement in create(state, is_postgresql=True):
        await connection.execute(statement)
    for table, columns in tables(state).items():
        types = [kind(state, column, is_postgresql=True) for column in columns]
        given = ", ".join(f"${place}::{type_}" for place, type_ in enumerate(types, start=1))
        names = ", ".join(column.name for column in columns)
        statement = f"INSERT INTO {table} ({names}) VALUES ({given})"
        await connection.executemany(statement, [stored(row, columns) for row in content.get(table, [])])
    await connection.close()


def make_sqlite(path: str, state: State, content: dict[str, list[Row]]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in create(state, is_postgresql=False):
            connection.execute(statement)
        for table, columns in tables(state).items():
            statement = f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})"
            values = [[as_sqlite(one) for one in stored(row, columns)] for row in content.get(table, [])]
            connection.executemany(statement, values)
        connection.commit()


def stored(row: Row, columns: list[Column]) -> list[Any]:
    return [
        json.dumps(row[column.name]) if isinstance(row.get(column.name), list | dict) else row.get(column.name)
        for column in columns
    ]


def as_sqlite(value: Any) -> Any:
    """As its driver writes a time: without a zone."""
    return value.replace(tzinfo=None).isoformat(" ") if isinstance(value, datetime) else value

"""late deliveries, courses of plans and attempts, makers of keys; more of the record is audited

Revision ID: 0015
Revises: 0014
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import load_python_file
from sqlalchemy.dialects import postgresql

from cortez.audit_triggers import Audited, for_postgresql, for_sqlite
from cortez.schema_changes import (
    add_column,
    add_foreign_key,
    altered,
    briefly,
    create_index,
    drop_index,
    is_plain,
    is_sqlite,
)

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
LATE = ("cognitive_traces", "git_traces", "risks", "evaluations")

AUDITED = (
    Audited(
        "api_keys",
        "INSERT UPDATE DELETE",
        "",
        "created_by:uuid",
        "name scopes:doc course_ids:doc expires_at:time",
        "key_hash:blob",
    ),
    Audited(
        "evaluations",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id",
        "session_id:uuid activity_id overall_competency_level overall_score ai_dependency_score evaluator evaluator_version late:bool",
        "dimensions key_strengths improvement_areas recommendations reasoning_analysis git_analysis ai_dependency_metrics",
    ),
    Audited(
        "risks",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id",
        "session_id:uuid activity_id risk_type risk_level dimension resolved:bool resolved_at:time resolution rule rule_version threshold_value actual_value late:bool",
        "description impact evidence trace_ids root_cause impact_assessment recommendations pedagogical_intervention resolution_notes detected_by subject",
    ),
    Audited(
        "remediation_plans",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id teacher_id:uuid",
        "activity_id course_id plan_type start_date:time target_completion_date:time actual_completion_date:time status",
        "trigger_risks description objectives recommended_actions progress_notes completion_evidence outcome_evaluation success_metrics",
    ),
    Audited(
        "exercise_attempts",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id",
        "exercise_id:uuid session_id:uuid course_id attempt_number status tests_passed tests_total score hints_used penalty_applied",
        "submitted_code rubric_evaluation",
    ),
    Audited(
        "cognitive_traces",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id",
        "session_id:uuid activity_id trace_level interaction_type cognitive_state ai_involvement parent_trace_id:uuid occurred_at:time late:bool",
        "content context trace_metadata cognitive_intent decision_justification alternatives_considered strategy_type semantic_understanding algorithmic_evolution cognitive_reasoning interactional_data ethical_risk_data process_data agent_id ingest_digest:blob",
        by_people="content context trace_metadata decision_justification alternatives_considered ingest_digest",
    ),
    Audited(
        "sessions",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id user_id:uuid",
        "activity_id course_id mode simulator_type start_time:time end_time:time status",
        "learning_objective cognitive_status session_metrics",
        by_people="learning_objective cognitive_status session_metrics",
    ),
    Audited(
        "git_traces",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id",
        "session_id:uuid activity_id event_type timestamp:time total_lines_added total_lines_deleted late:bool",
        "commit_hash commit_message author_name author_email branch_name parent_commits files_changed diff repo_path remote_url",
        by_people="commit_hash commit_message author_name author_email",
    ),
    Audited(
        "exercises",
        "INSERT UPDATE DELETE",
        "",
        "",
        "subject_code title difficulty unit language max_score version is_active:bool deleted_at:time",
        "description mission_markdown story_markdown constraints starter_code solution_code tags learning_objectives cognitive_level time_min",
    ),
    Audited(
        "exercise_hints", "INSERT UPDATE DELETE", "", "", "exercise_id:uuid hint_number penalty_points", "title content"
    ),
    Audited(
        "exercise_tests",
        "INSERT UPDATE DELETE",
        "",
        "",
        "exercise_id:uuid test_number is_hidden:bool timeout_seconds",
        "description input expected",
    ),
    Audited(
        "exercise_rubric_criteria",
        "INSERT UPDATE DELETE",
        "",
        "",
        "exercise_id:uuid criterion_name weight display_order",
        "description",
    ),
    Audited(
        "rubric_levels",
        "INSERT UPDATE DELETE",
        "",
        "",
        "criterion_id:uuid level_name min_score max_score points",
        "description",
    ),
    Audited("subject_teachers", "INSERT UPDATE DELETE", "", "user_id:uuid", "subject_code", ""),
    Audited(
        "course_invitations",
        "INSERT UPDATE DELETE",
        "user_id:uuid",
        "user_id:uuid invited_by:uuid",
        "course_id role",
        "",
    ),
)

# An entry is made by a trigger alone: on PostgreSQL one trigger deeper, by this transaction, now; on SQLite by a program
# that has the service's functions, at the next position, now.
GUARD_FUNCTION = """CREATE OR REPLACE FUNCTION cortez_by_trigger_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF pg_trigger_depth() < 2 OR NEW.xid IS DISTINCT FROM pg_current_xact_id()::text::bigint
            OR abs(extract(epoch FROM clock_timestamp() - NEW.created_at)) > 60
        THEN
            RAISE EXCEPTION 'INSERT into audit_log is refused: entries are made by triggers'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$"""
GUARD = (
    "CREATE OR REPLACE TRIGGER trg_audit_log_by_trigger_only BEFORE INSERT ON audit_log "
    "FOR EACH ROW EXECUTE FUNCTION cortez_by_trigger_only()"
)
EMBEDDED_GUARD = """CREATE TRIGGER trg_audit_log_insert BEFORE INSERT ON audit_log
    WHEN cortez_actor_kind() IS NULL OR NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM audit_log)
        OR abs(julianday(NEW.created_at) - julianday('now')) > 1.0 / 1440
    BEGIN SELECT RAISE(ABORT, 'INSERT into audit_log is refused: entries are made by triggers'); END"""

# Erasure names a student by a pseudonym that is made with the person's key; the role that serves may read keys, not make
# them. It learns nothing by this that it cannot read.
MAKE_KEY = """CREATE OR REPLACE FUNCTION cortez_make_key(person text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        PERFORM cortez_key_of(person);
    END $$"""
MAKE_KEY_HERE = """DO $$ BEGIN
        EXECUTE format('ALTER FUNCTION cortez_make_key(text) SET search_path = pg_catalog, %I, pg_temp', current_schema());
    END $$"""


def statements() -> Iterator[str]:
    for one in AUDITED:
        yield from for_sqlite(one) if is_sqlite() else for_postgresql(one)
    if is_sqlite():
        yield EMBEDDED_GUARD
    else:
        yield GUARD_FUNCTION
        yield GUARD
        yield MAKE_KEY
        yield MAKE_KEY_HERE


def run(statement: str) -> None:
    """Each in a transaction of its own where others are at work."""
    if is_plain():
        op.execute(statement)
    else:
        briefly(lambda: op.execute(statement))


def upgrade() -> None:
    for table in LATE:
        add_column(table, sa.Column("late", sa.Boolean(), nullable=False, server_default=sa.false()))
    add_column("remediation_plans", sa.Column("course_id", sa.String(100)))
    add_column("exercise_attempts", sa.Column("course_id", sa.String(100)))
    add_column("idempotency_records", sa.Column("rights", DOCUMENT))
    add_column("api_keys", sa.Column("created_by", sa.Uuid()))
    add_foreign_key("fk_api_keys_created_by", "api_keys", "users", ["created_by"], ["id"], "CASCADE")
    create_index("idx_api_keys_created_by", "api_keys", ["created_by"])
    create_index("idx_plan_course", "remediation_plans", ["course_id", "created_at", "id"])
    create_index("idx_attempts_course", "exercise_attempts", ["course_id"])
    if is_sqlite():  # which compiles the trigger even where no row changes, and not every connection has its functions
        op.execute("DROP TRIGGER trg_audit_remediation_plans_update")
    run(
        "UPDATE remediation_plans SET course_id = (SELECT course_id FROM activities "
        "WHERE activities.activity_id = remediation_plans.activity_id) WHERE course_id IS NULL AND activity_id IS NOT NULL"
    )
    for statement in statements():
        run(statement)


def before() -> Any:
    """Revision 0007, which made the triggers that were there."""
    return load_python_file(str(Path(__file__).parent), "0007_audit.py")


def undone() -> Iterator[str]:
    """Take every trigger of this revision away, and put those of 0007 back."""
    old = before()
    tables = {one.table for one in AUDITED}
    if is_sqlite():
        yield "DROP TRIGGER trg_audit_log_insert"
        for one in AUDITED:
            yield from (f"DROP TRIGGER trg_audit_{one.table}_{event.lower()}" for event in one.events.split())
        for one in old.AUDITED:
            if one.table in tables:
                yield from (old.trigger(one, event) for event in one.events.split())
        return
    yield "DROP TRIGGER IF EXISTS trg_audit_log_by_trigger_only ON audit_log"
    yield "DROP FUNCTION IF EXISTS cortez_by_trigger_only()"
    yield "DROP FUNCTION IF EXISTS cortez_make_key(text)"
    for one in AUDITED:
        yield from (
            f"DROP TRIGGER IF EXISTS trg_audit_{one.table}{end} ON {one.table}" for end in ("", "_insert", "_truncated")
        )
    for statement in old.for_postgresql():
        if statement.startswith("CREATE TRIGGER trg_audit_") and statement.partition(" ON ")[2].split()[0] in tables:
            yield statement


def downgrade() -> None:
    for statement in undone():
        run(statement)
    for name, table in (
        ("idx_attempts_course", "exercise_attempts"),
        ("idx_plan_course", "remediation_plans"),
        ("idx_api_keys_created_by", "api_keys"),
    ):
        drop_index(name, table)
    with altered("api_keys") as keys:
        keys.drop_constraint("fk_api_keys_created_by", type_="foreignkey")
        keys.drop_column("created_by")
    op.drop_column("idempotency_records", "rights")
    op.drop_column("exercise_attempts", "course_id")
    op.drop_column("remediation_plans", "course_id")
    for table in LATE:
        op.drop_column(table, "late")

"""an index for every list in the order of its rows, for what is asked rarely of many rows; fewer entries for parents

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa

from cortez.schema_changes import create_index, drop_index

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

HAS_PARENT = sa.text("parent_trace_id IS NOT NULL")
RESETTING = sa.text("reset_hash IS NOT NULL")
IN_ORDER = {
    "idx_alert_created": "risk_alerts",
    "idx_attempts_created": "exercise_attempts",
    "idx_intervention_created": "teacher_interventions",
    "idx_lti_session_created": "lti_sessions",
    "idx_plan_created": "remediation_plans",
    "idx_profile_created": "student_profiles",
    "idx_users_created": "users",
}


def upgrade() -> None:
    for name, table in IN_ORDER.items():
        create_index(name, table, ["created_at", "id"])
    create_index("idx_session_start", "sessions", ["start_time"])
    create_index("idx_refresh_tokens_expires", "refresh_tokens", ["expires_at"])
    create_index("idx_risk_level_created", "risks", ["risk_level", "created_at", "id"])
    create_index("idx_users_reset", "users", ["reset_hash"], postgresql_where=RESETTING, sqlite_where=RESETTING)
    drop_index("idx_trace_parent", "cognitive_traces")  # most traces have no parent, and need no entry
    partial = {"postgresql_where": HAS_PARENT, "sqlite_where": HAS_PARENT}
    create_index("idx_trace_parent", "cognitive_traces", ["parent_trace_id"], **partial)


def downgrade() -> None:
    drop_index("idx_trace_parent", "cognitive_traces")
    create_index("idx_trace_parent", "cognitive_traces", ["parent_trace_id"])
    drop_index("idx_users_reset", "users")
    drop_index("idx_risk_level_created", "risks")
    drop_index("idx_refresh_tokens_expires", "refresh_tokens")
    drop_index("idx_session_start", "sessions")
    for name, table in IN_ORDER.items():
        drop_index(name, table)

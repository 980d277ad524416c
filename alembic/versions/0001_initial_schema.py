"""initial schema

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

# sessions.trace_count is exact right after any insert, bulk insert, move or delete of traces. On PostgreSQL one
# statement
# is counted at once, and sessions are locked in the order of their ids so that parallel batches cannot deadlock.
COUNTER_POSTGRESQL = (
    """
    CREATE FUNCTION cortez_traces_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM 1 FROM sessions WHERE id IN (SELECT session_id FROM added) ORDER BY id FOR NO KEY UPDATE;
        UPDATE sessions SET trace_count = trace_count + change.n
        FROM (SELECT session_id, count(*)::integer AS n FROM added GROUP BY session_id) AS change
        WHERE sessions.id = change.session_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION cortez_traces_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM 1 FROM sessions WHERE id IN (SELECT session_id FROM removed) ORDER BY id FOR NO KEY UPDATE;
        UPDATE sessions SET trace_count = trace_count - change.n
        FROM (SELECT session_id, count(*)::integer AS n FROM removed GROUP BY session_id) AS change
        WHERE sessions.id = change.session_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION cortez_trace_moved() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM 1 FROM sessions WHERE id IN (OLD.session_id, NEW.session_id) ORDER BY id FOR NO KEY UPDATE;
        UPDATE sessions SET trace_count = trace_count - 1 WHERE id = OLD.session_id;
        UPDATE sessions SET trace_count = trace_count + 1 WHERE id = NEW.session_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION cortez_truncate_refused() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'TRUNCATE of % would leave its counters wrong; use DELETE', TG_TABLE_NAME
            USING ERRCODE = 'feature_not_supported';
    END $$
    """,
    """
    CREATE TRIGGER trg_traces_inserted AFTER INSERT ON cognitive_traces
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION cortez_traces_inserted()
    """,
    """
    CREATE TRIGGER trg_traces_deleted AFTER DELETE ON cognitive_traces
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION cortez_traces_deleted()
    """,
    """
    CREATE TRIGGER trg_trace_moved AFTER UPDATE OF session_id ON cognitive_traces
    FOR EACH ROW WHEN (OLD.session_id IS DISTINCT FROM NEW.session_id) EXECUTE FUNCTION cortez_trace_moved()
    """,
    """
    CREATE TRIGGER trg_traces_truncated BEFORE TRUNCATE ON cognitive_traces
    FOR EACH STATEMENT EXECUTE FUNCTION cortez_truncate_refused()
    """,
)

COUNTER_SQLITE = (
    """
    CREATE TRIGGER trg_traces_inserted AFTER INSERT ON cognitive_traces BEGIN
        UPDATE sessions SET trace_count = trace_count + 1 WHERE id = NEW.session_id;
    END
    """,
    """
    CREATE TRIGGER trg_traces_deleted AFTER DELETE ON cognitive_traces BEGIN
        UPDATE sessions SET trace_count = trace_count - 1 WHERE id = OLD.session_id;
    END
    """,
    """
    CREATE TRIGGER trg_trace_moved AFTER UPDATE OF session_id ON cognitive_traces
    WHEN OLD.session_id IS NOT NEW.session_id BEGIN
        UPDATE sessions SET trace_count = trace_count - 1 WHERE id = OLD.session_id;
        UPDATE sessions SET trace_count = trace_count + 1 WHERE id = NEW.session_id;
    END
    """,
)

FUNCTIONS = ("cortez_traces_inserted", "cortez_traces_deleted", "cortez_trace_moved", "cortez_truncate_refused")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", DOCUMENT, nullable=False),
        sa.Column("course_ids", DOCUMENT, nullable=True),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    op.create_table(
        "courses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.String(length=100), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=5000), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_courses")),
        sa.UniqueConstraint("course_id", name=op.f("uq_courses_course_id")),
    )
    op.create_table(
        "lti_deployments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("platform_name", sa.String(length=100), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("deployment_id", sa.String(length=255), nullable=False),
        sa.Column("auth_login_url", sa.Text(), nullable=False),
        sa.Column("auth_token_url", sa.Text(), nullable=False),
        sa.Column("public_keyset_url", sa.Text(), nullable=False),
        sa.Column("access_token_url", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lti_deployments")),
        sa.UniqueConstraint("issuer", "deployment_id", name="idx_lti_deployment_unique"),
    )
    op.create_table(
        "subjects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(length=50), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("total_units", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("length(language) BETWEEN 1 AND 20", name="check_subject_language"),
        sa.CheckConstraint("total_units >= 0", name="ck_subject_total_units_valid"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subjects")),
        sa.UniqueConstraint("code", name=op.f("uq_subjects_code")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("username", sa.String(length=100), nullable=False),
        sa.Column("hashed_password", sa.String(length=255), nullable=False),
        sa.Column("full_name", sa.String(length=255), nullable=True),
        sa.Column("student_id", sa.String(length=100), nullable=True),
        sa.Column("roles", DOCUMENT, nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("is_verified", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("last_login", TIME, nullable=True),
        sa.Column("login_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("course_name", sa.String(length=255), nullable=True),
        sa.Column("commission", sa.String(length=100), nullable=True),
        sa.Column("reset_hash", sa.LargeBinary(), nullable=True),
        sa.Column("reset_expires_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("student_id", name=op.f("uq_users_student_id")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
    )
    op.create_table(
        "activities",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("activity_id", sa.String(length=100), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("instructions", sa.Text(), nullable=False),
        sa.Column("evaluation_criteria", DOCUMENT, nullable=False),
        sa.Column("teacher_id", sa.Uuid(), nullable=True),
        sa.Column("course_id", sa.String(length=100), nullable=True),
        sa.Column("policies", DOCUMENT, nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=True),
        sa.Column("difficulty", sa.String(length=20), nullable=True),
        sa.Column("estimated_duration_minutes", sa.Integer(), nullable=True),
        sa.Column("moodle_course_id", sa.String(length=255), nullable=True),
        sa.Column("moodle_course_name", sa.String(length=255), nullable=True),
        sa.Column("moodle_course_label", sa.String(length=100), nullable=True),
        sa.Column("moodle_resource_name", sa.String(length=255), nullable=True),
        sa.Column("tags", DOCUMENT, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("published_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("difficulty IN ('INICIAL', 'INTERMEDIO', 'AVANZADO')", name="ck_activity_difficulty_valid"),
        sa.CheckConstraint("status IN ('draft', 'active', 'archived')", name="ck_activity_status_valid"),
        sa.CheckConstraint("estimated_duration_minutes > 0", name="ck_activity_duration_positive"),
        sa.ForeignKeyConstraint(
            ["course_id"], ["courses.course_id"], name=op.f("fk_activities_course_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["teacher_id"], ["users.id"], name=op.f("fk_activities_teacher_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activities")),
        sa.UniqueConstraint("activity_id", name=op.f("uq_activities_activity_id")),
    )
    op.create_index("idx_activity_course", "activities", ["course_id", "created_at", "id"], unique=False)
    op.create_index("idx_activity_teacher", "activities", ["teacher_id", "created_at", "id"], unique=False)
    op.create_table(
        "course_members",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.String(length=100), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("joined_at", TIME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("role IN ('student', 'tutor', 'teacher')", name="ck_course_member_role_valid"),
        sa.ForeignKeyConstraint(
            ["course_id"], ["courses.course_id"], name=op.f("fk_course_members_course_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_course_members_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_course_members")),
        sa.UniqueConstraint("course_id", "user_id", name=op.f("uq_course_members_course_id_user_id")),
    )
    op.create_index("idx_course_members_user", "course_members", ["user_id", "role"], unique=False)
    op.create_table(
        "course_reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.String(length=100), nullable=False),
        sa.Column("teacher_id", sa.Uuid(), nullable=True),
        sa.Column("report_type", sa.String(length=50), nullable=False),
        sa.Column("period_start", TIME, nullable=False),
        sa.Column("period_end", TIME, nullable=False),
        sa.Column("summary_stats", DOCUMENT, nullable=False),
        sa.Column("competency_distribution", DOCUMENT, nullable=False),
        sa.Column("risk_distribution", DOCUMENT, nullable=False),
        sa.Column("top_risks", DOCUMENT, nullable=False),
        sa.Column("student_summaries", DOCUMENT, nullable=False),
        sa.Column("institutional_recommendations", DOCUMENT, nullable=False),
        sa.Column("at_risk_students", DOCUMENT, nullable=False),
        sa.Column("format", sa.String(length=20), nullable=False),
        sa.Column("file_path", sa.String(length=500), nullable=True),
        sa.Column("exported_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("format IN ('json', 'csv', 'xlsx')", name="ck_report_format_valid"),
        sa.CheckConstraint(
            "report_type IN ('cohort_summary', 'risk_dashboard', 'competency_distribution')",
            name="ck_report_type_valid",
        ),
        sa.CheckConstraint("period_start < period_end", name="ck_report_period_valid"),
        sa.ForeignKeyConstraint(
            ["teacher_id"], ["users.id"], name=op.f("fk_course_reports_teacher_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_course_reports")),
    )
    op.create_index("idx_report_teacher", "course_reports", ["teacher_id"], unique=False)
    op.create_table(
        "exercises",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject_code", sa.String(length=50), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("difficulty", sa.String(length=20), nullable=False),
        sa.Column("time_min", sa.Integer(), nullable=False),
        sa.Column("unit", sa.Integer(), nullable=True),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("mission_markdown", sa.Text(), nullable=False),
        sa.Column("story_markdown", sa.Text(), nullable=True),
        sa.Column("constraints", DOCUMENT, nullable=False),
        sa.Column("starter_code", sa.Text(), nullable=False),
        sa.Column("solution_code", sa.Text(), nullable=True),
        sa.Column("tags", DOCUMENT, nullable=False),
        sa.Column("learning_objectives", DOCUMENT, nullable=False),
        sa.Column("cognitive_level", sa.String(length=20), nullable=True),
        sa.Column("max_score", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("difficulty IN ('Easy', 'Medium', 'Hard')", name="check_exercise_difficulty"),
        sa.CheckConstraint("length(language) BETWEEN 1 AND 20", name="check_exercise_language"),
        sa.CheckConstraint("max_score > 0", name="check_exercise_max_score_positive"),
        sa.CheckConstraint("time_min > 0", name="check_exercise_time_positive"),
        sa.CheckConstraint("unit > 0", name="check_exercise_unit_positive"),
        sa.CheckConstraint("version > 0", name="check_exercise_version_positive"),
        sa.ForeignKeyConstraint(
            ["subject_code"], ["subjects.code"], name=op.f("fk_exercises_subject_code"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exercises")),
    )
    op.create_index("idx_exercises_active_deleted", "exercises", ["is_active", "deleted_at"], unique=False)
    op.create_index("idx_exercises_deleted", "exercises", ["deleted_at"], unique=False)
    op.create_index("idx_exercises_subject", "exercises", ["subject_code"], unique=False)
    op.create_table(
        "idempotency_records",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.LargeBinary(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_idempotency_records_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_records")),
        sa.UniqueConstraint("digest", name=op.f("uq_idempotency_records_digest")),
    )
    op.create_index("idx_idempotency_created", "idempotency_records", ["created_at"], unique=False)
    op.create_index("idx_idempotency_user", "idempotency_records", ["user_id"], unique=False)
    op.create_table(
        "refresh_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_refresh_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_refresh_tokens_token_hash")),
    )
    op.create_index("idx_refresh_tokens_family", "refresh_tokens", ["family_id"], unique=False)
    op.create_index("idx_refresh_tokens_user", "refresh_tokens", ["user_id"], unique=False)
    op.create_table(
        "remediation_plans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("activity_id", sa.String(length=100), nullable=True),
        sa.Column("teacher_id", sa.Uuid(), nullable=True),
        sa.Column("trigger_risks", DOCUMENT, nullable=False),
        sa.Column("plan_type", sa.String(length=50), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("objectives", DOCUMENT, nullable=False),
        sa.Column("recommended_actions", DOCUMENT, nullable=False),
        sa.Column("start_date", TIME, nullable=False),
        sa.Column("target_completion_date", TIME, nullable=False),
        sa.Column("actual_completion_date", TIME, nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("progress_notes", sa.Text(), nullable=True),
        sa.Column("completion_evidence", DOCUMENT, nullable=False),
        sa.Column("outcome_evaluation", sa.Text(), nullable=True),
        sa.Column("success_metrics", DOCUMENT, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "plan_type IN ('tutoring', 'practice_exercises', 'conceptual_review', 'policy_clarification')",
            name="ck_plan_type_valid",
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'in_progress', 'completed', 'cancelled')", name="ck_remediation_status_valid"
        ),
        sa.ForeignKeyConstraint(
            ["teacher_id"], ["users.id"], name=op.f("fk_remediation_plans_teacher_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remediation_plans")),
    )
    op.create_index("idx_plan_teacher", "remediation_plans", ["teacher_id"], unique=False)
    op.create_table(
        "student_profiles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("email", sa.String(length=200), nullable=True),
        sa.Column("total_sessions", sa.Integer(), nullable=False),
        sa.Column("total_interactions", sa.Integer(), nullable=False),
        sa.Column("average_ai_dependency", sa.Double(), nullable=False),
        sa.Column("average_competency_level", sa.String(length=50), nullable=True),
        sa.Column("average_competency_score", sa.Double(), nullable=True),
        sa.Column("total_risks", sa.Integer(), nullable=False),
        sa.Column("critical_risks", sa.Integer(), nullable=False),
        sa.Column("risk_trends", DOCUMENT, nullable=False),
        sa.Column("competency_evolution", DOCUMENT, nullable=False),
        sa.Column("last_activity_date", TIME, nullable=True),
        sa.Column("preferred_language", sa.String(length=10), nullable=False),
        sa.Column("cognitive_preferences", DOCUMENT, nullable=False),
        sa.Column("learning_patterns", DOCUMENT, nullable=False),
        sa.Column("competency_levels", DOCUMENT, nullable=False),
        sa.Column("strengths", DOCUMENT, nullable=False),
        sa.Column("areas_for_improvement", DOCUMENT, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "average_competency_level IN ('inicial', 'en_desarrollo', 'autonomo', 'experto')",
            name="ck_profile_competency_level_valid",
        ),
        sa.CheckConstraint("average_ai_dependency >= 0 AND average_ai_dependency <= 1", name="ck_profile_ai_dep_range"),
        sa.CheckConstraint(
            "average_competency_score >= 0 AND average_competency_score <= 10", name="ck_profile_competency_score_range"
        ),
        sa.CheckConstraint("total_risks >= 0 AND critical_risks >= 0", name="ck_profile_risks_valid"),
        sa.CheckConstraint("total_sessions >= 0 AND total_interactions >= 0", name="ck_profile_totals_valid"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_student_profiles_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_student_profiles")),
        sa.UniqueConstraint("student_id", name=op.f("uq_student_profiles_student_id")),
    )
    op.create_index("idx_profile_user", "student_profiles", ["user_id"], unique=False)
    op.create_table(
        "unidades",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("materia_code", sa.String(length=50), nullable=False),
        sa.Column("numero", sa.Integer(), nullable=False),
        sa.Column("titulo", sa.String(length=200), nullable=False),
        sa.Column("descripcion", sa.Text(), nullable=True),
        sa.Column("objetivos_aprendizaje", DOCUMENT, nullable=False),
        sa.Column("tiempo_teoria_min", sa.Integer(), nullable=False),
        sa.Column("tiempo_practica_min", sa.Integer(), nullable=False),
        sa.Column("orden", sa.Integer(), nullable=False),
        sa.Column("esta_publicada", sa.Boolean(), nullable=False),
        sa.Column("requiere_unidad_anterior", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=True),
        sa.Column("published_at", TIME, nullable=True),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("numero > 0", name="ck_unidad_numero_positivo"),
        sa.CheckConstraint("orden > 0", name="ck_unidad_orden_positivo"),
        sa.CheckConstraint("tiempo_teoria_min >= 0 AND tiempo_practica_min >= 0", name="ck_unidad_tiempos_valid"),
        sa.ForeignKeyConstraint(
            ["materia_code"], ["subjects.code"], name=op.f("fk_unidades_materia_code"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unidades")),
    )
    op.create_index("idx_unidad_materia", "unidades", ["materia_code"], unique=False)
    op.create_index("idx_unidades_deleted", "unidades", ["deleted_at"], unique=False)
    op.create_index(
        "uq_unidad_materia_numero",
        "unidades",
        ["materia_code", "numero"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
        sqlite_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "apuntes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("unidad_id", sa.Uuid(), nullable=False),
        sa.Column("titulo", sa.String(length=300), nullable=False),
        sa.Column("contenido_markdown", sa.Text(), nullable=False),
        sa.Column("resumen", sa.Text(), nullable=True),
        sa.Column("recursos_externos", DOCUMENT, nullable=False),
        sa.Column("tiempo_lectura_min", sa.Integer(), nullable=False),
        sa.Column("nivel_dificultad", sa.String(length=20), nullable=False),
        sa.Column("orden", sa.Integer(), nullable=False),
        sa.Column("esta_publicado", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=True),
        sa.Column("published_at", TIME, nullable=True),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "nivel_dificultad IN ('basico', 'intermedio', 'avanzado')", name="ck_apuntes_nivel_dificultad_valid"
        ),
        sa.CheckConstraint("tiempo_lectura_min > 0", name="ck_apuntes_tiempo_lectura_positivo"),
        sa.ForeignKeyConstraint(["unidad_id"], ["unidades.id"], name=op.f("fk_apuntes_unidad_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_apuntes")),
    )
    op.create_index("idx_apuntes_deleted", "apuntes", ["deleted_at"], unique=False)
    op.create_index("idx_apuntes_unidad", "apuntes", ["unidad_id"], unique=False)
    op.create_index(
        "uq_apuntes_unidad_orden",
        "apuntes",
        ["unidad_id", "orden"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
        sqlite_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "exercise_hints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("exercise_id", sa.Uuid(), nullable=False),
        sa.Column("hint_number", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("penalty_points", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("hint_number > 0", name="check_hint_number_positive"),
        sa.CheckConstraint("penalty_points >= 0", name="check_penalty_nonnegative"),
        sa.ForeignKeyConstraint(
            ["exercise_id"], ["exercises.id"], name=op.f("fk_exercise_hints_exercise_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exercise_hints")),
        sa.UniqueConstraint("exercise_id", "hint_number", name="uq_exercise_hint_number"),
    )
    op.create_table(
        "exercise_rubric_criteria",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("exercise_id", sa.Uuid(), nullable=False),
        sa.Column("criterion_name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("display_order", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("display_order > 0", name="check_criterion_order_positive"),
        sa.CheckConstraint("weight >= 0 AND weight <= 1", name="check_criterion_weight_range"),
        sa.ForeignKeyConstraint(
            ["exercise_id"], ["exercises.id"], name=op.f("fk_exercise_rubric_criteria_exercise_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exercise_rubric_criteria")),
        sa.UniqueConstraint("exercise_id", "criterion_name", name="uq_exercise_criterion_name"),
        sa.UniqueConstraint("exercise_id", "display_order", name="uq_exercise_criterion_order"),
    )
    op.create_table(
        "exercise_tests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("exercise_id", sa.Uuid(), nullable=False),
        sa.Column("test_number", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("expected", sa.Text(), nullable=False),
        sa.Column("is_hidden", sa.Boolean(), nullable=False),
        sa.Column("timeout_seconds", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("test_number > 0", name="check_test_number_positive"),
        sa.CheckConstraint("timeout_seconds > 0", name="check_timeout_positive"),
        sa.ForeignKeyConstraint(
            ["exercise_id"], ["exercises.id"], name=op.f("fk_exercise_tests_exercise_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exercise_tests")),
        sa.UniqueConstraint("exercise_id", "test_number", name="uq_exercise_test_number"),
    )
    op.create_table(
        "risk_alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_type", sa.String(length=50), nullable=False),
        sa.Column("severity", sa.String(length=20), nullable=False),
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=True),
        sa.Column("activity_id", sa.String(length=100), nullable=True),
        sa.Column("course_id", sa.String(length=100), nullable=True),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("evidence", DOCUMENT, nullable=False),
        sa.Column("detected_at", TIME, nullable=False),
        sa.Column("detection_rule", sa.String(length=100), nullable=False),
        sa.Column("threshold_value", sa.Double(), nullable=True),
        sa.Column("actual_value", sa.Double(), nullable=True),
        sa.Column("assigned_to", sa.Uuid(), nullable=True),
        sa.Column("assigned_at", TIME, nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("acknowledged_at", TIME, nullable=True),
        sa.Column("acknowledged_by", sa.Uuid(), nullable=True),
        sa.Column("resolution_notes", sa.Text(), nullable=True),
        sa.Column("resolved_at", TIME, nullable=True),
        sa.Column("remediation_plan_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "alert_type IN ('critical_risk_surge', 'ai_dependency_spike', 'academic_integrity', 'pattern_anomaly', 'session_inactivity', 'low_competency')",
            name="ck_alert_type_valid",
        ),
        sa.CheckConstraint("scope IN ('student', 'activity', 'course', 'institution')", name="ck_alert_scope_valid"),
        sa.CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="ck_alert_severity_valid"),
        sa.CheckConstraint(
            "status IN ('open', 'acknowledged', 'investigating', 'resolved', 'false_positive')",
            name="ck_alert_status_valid",
        ),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"], ["users.id"], name=op.f("fk_risk_alerts_acknowledged_by"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["assigned_to"], ["users.id"], name=op.f("fk_risk_alerts_assigned_to"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["remediation_plan_id"],
            ["remediation_plans.id"],
            name=op.f("fk_risk_alerts_remediation_plan_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_risk_alerts")),
    )
    op.create_index("idx_alert_acknowledged_by", "risk_alerts", ["acknowledged_by"], unique=False)
    op.create_index("idx_alert_assigned", "risk_alerts", ["assigned_to"], unique=False)
    op.create_index("idx_alert_plan", "risk_alerts", ["remediation_plan_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("activity_id", sa.String(length=100), nullable=False),
        sa.Column("course_id", sa.String(length=100), nullable=True),
        sa.Column("mode", sa.String(length=50), nullable=False),
        sa.Column("simulator_type", sa.String(length=50), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("start_time", TIME, nullable=False),
        sa.Column("end_time", TIME, nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("learning_objective", DOCUMENT, nullable=False),
        sa.Column("cognitive_status", DOCUMENT, nullable=False),
        sa.Column("session_metrics", DOCUMENT, nullable=False),
        sa.Column("trace_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "mode IN ('tutor', 'simulator', 'evaluator', 'risk_analyst', 'governance', 'practice')",
            name="ck_session_mode_valid",
        ),
        sa.CheckConstraint(
            "simulator_type IN ('product_owner', 'scrum_master', 'tech_interviewer', 'incident_responder', 'client', 'devsecops', 'senior_dev', 'qa_engineer', 'security_auditor', 'tech_lead', 'demanding_client')",
            name="ck_session_simulator_type_valid",
        ),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'completed', 'aborted', 'abandoned')", name="ck_session_status_valid"
        ),
        sa.CheckConstraint("trace_count >= 0", name="ck_session_trace_count_valid"),
        sa.ForeignKeyConstraint(
            ["activity_id"], ["activities.activity_id"], name=op.f("fk_sessions_activity_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        postgresql_with={"fillfactor": "85"},
    )
    op.create_index("idx_session_activity", "sessions", ["activity_id", "created_at", "id"], unique=False)
    op.create_index("idx_session_course", "sessions", ["course_id", "created_at", "id"], unique=False)
    op.create_index("idx_session_created", "sessions", ["created_at", "id"], unique=False)
    op.create_index("idx_session_student_activity", "sessions", ["student_id", "activity_id"], unique=False)
    op.create_index("idx_session_user", "sessions", ["user_id"], unique=False)
    op.create_table(
        "archivos_adjuntos",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("apuntes_id", sa.Uuid(), nullable=True),
        sa.Column("unidad_id", sa.Uuid(), nullable=True),
        sa.Column("nombre_original", sa.String(length=255), nullable=False),
        sa.Column("nombre_almacenado", sa.String(length=255), nullable=False),
        sa.Column("tipo_archivo", sa.String(length=50), nullable=False),
        sa.Column("mime_type", sa.String(length=100), nullable=False),
        sa.Column("tamano_bytes", sa.Integer(), nullable=False),
        sa.Column("ruta_relativa", sa.String(length=500), nullable=False),
        sa.Column("descripcion", sa.String(length=500), nullable=True),
        sa.Column("orden", sa.Integer(), nullable=False),
        sa.Column("checksum_sha256", sa.String(length=64), nullable=True),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "(apuntes_id IS NOT NULL AND unidad_id IS NULL) OR (apuntes_id IS NULL AND unidad_id IS NOT NULL)",
            name="ck_archivo_has_exactly_one_parent",
        ),
        sa.CheckConstraint("tamano_bytes >= 0", name="ck_archivo_tamano_valid"),
        sa.ForeignKeyConstraint(
            ["apuntes_id"], ["apuntes.id"], name=op.f("fk_archivos_adjuntos_apuntes_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["unidad_id"], ["unidades.id"], name=op.f("fk_archivos_adjuntos_unidad_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archivos_adjuntos")),
    )
    op.create_index("idx_archivo_apuntes", "archivos_adjuntos", ["apuntes_id"], unique=False)
    op.create_index("idx_archivo_unidad", "archivos_adjuntos", ["unidad_id"], unique=False)
    op.create_index("idx_archivos_adjuntos_deleted", "archivos_adjuntos", ["deleted_at"], unique=False)
    op.create_table(
        "cognitive_traces",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("activity_id", sa.String(length=100), nullable=False),
        sa.Column("trace_level", sa.String(length=20), nullable=False),
        sa.Column("interaction_type", sa.String(length=50), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("context", DOCUMENT, nullable=False),
        sa.Column("trace_metadata", DOCUMENT, nullable=False),
        sa.Column("cognitive_state", sa.String(length=50), nullable=True),
        sa.Column("cognitive_intent", sa.String(length=200), nullable=True),
        sa.Column("decision_justification", sa.Text(), nullable=True),
        sa.Column("alternatives_considered", DOCUMENT, nullable=False),
        sa.Column("strategy_type", sa.String(length=100), nullable=True),
        sa.Column("ai_involvement", sa.Double(), nullable=False),
        sa.Column("semantic_understanding", DOCUMENT, nullable=False),
        sa.Column("algorithmic_evolution", DOCUMENT, nullable=False),
        sa.Column("cognitive_reasoning", DOCUMENT, nullable=False),
        sa.Column("interactional_data", DOCUMENT, nullable=False),
        sa.Column("ethical_risk_data", DOCUMENT, nullable=False),
        sa.Column("process_data", DOCUMENT, nullable=False),
        sa.Column("parent_trace_id", sa.Uuid(), nullable=True),
        sa.Column("agent_id", sa.String(length=100), nullable=True),
        sa.Column("occurred_at", TIME, nullable=True),
        sa.Column("ingest_digest", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "cognitive_state IN ('exploracion', 'planificacion', 'implementacion', 'depuracion', 'validacion', 'reflexion', 'confusion', 'progresando', 'atascado')",
            name="ck_trace_cognitive_state_valid",
        ),
        sa.CheckConstraint(
            "interaction_type IN ('student_prompt', 'ai_response', 'code_commit', 'tutor_intervention', 'teacher_feedback', 'strategy_change', 'hypothesis_formulation', 'self_correction', 'ai_critique')",
            name="ck_trace_interaction_type_valid",
        ),
        sa.CheckConstraint(
            "trace_level IN ('n1_superficial', 'n2_tecnico', 'n3_interaccional', 'n4_cognitivo')",
            name="ck_trace_level_valid",
        ),
        sa.CheckConstraint("ai_involvement >= 0 AND ai_involvement <= 1", name="ck_trace_ai_involvement_range"),
        sa.ForeignKeyConstraint(
            ["parent_trace_id"],
            ["cognitive_traces.id"],
            name=op.f("fk_cognitive_traces_parent_trace_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_cognitive_traces_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cognitive_traces")),
    )
    op.create_index("idx_trace_activity_created", "cognitive_traces", ["activity_id", "created_at", "id"], unique=False)
    op.create_index("idx_trace_created", "cognitive_traces", ["created_at", "id"], unique=False)
    op.create_index("idx_trace_parent", "cognitive_traces", ["parent_trace_id"], unique=False)
    op.create_index("idx_trace_session_created", "cognitive_traces", ["session_id", "created_at", "id"], unique=False)
    op.create_index("idx_trace_student_created", "cognitive_traces", ["student_id", "created_at", "id"], unique=False)
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("activity_id", sa.String(length=100), nullable=False),
        sa.Column("overall_competency_level", sa.String(length=50), nullable=False),
        sa.Column("overall_score", sa.Double(), nullable=False),
        sa.Column("dimensions", DOCUMENT, nullable=False),
        sa.Column("key_strengths", DOCUMENT, nullable=False),
        sa.Column("improvement_areas", DOCUMENT, nullable=False),
        sa.Column("recommendations", DOCUMENT, nullable=False),
        sa.Column("reasoning_analysis", DOCUMENT, nullable=True),
        sa.Column("git_analysis", DOCUMENT, nullable=True),
        sa.Column("ai_dependency_score", sa.Double(), nullable=False),
        sa.Column("ai_dependency_metrics", DOCUMENT, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "overall_competency_level IN ('inicial', 'en_desarrollo', 'autonomo', 'experto')",
            name="ck_eval_competency_level_valid",
        ),
        sa.CheckConstraint("ai_dependency_score >= 0 AND ai_dependency_score <= 1", name="ck_eval_ai_dep_range"),
        sa.CheckConstraint("overall_score >= 0 AND overall_score <= 10", name="ck_eval_score_range"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_evaluations_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
    )
    op.create_index("idx_eval_session_created", "evaluations", ["session_id", "created_at"], unique=False)
    op.create_table(
        "exercise_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("exercise_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("submitted_code", sa.Text(), nullable=False),
        sa.Column("tests_passed", sa.Integer(), nullable=False),
        sa.Column("tests_total", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("execution_time_ms", sa.Integer(), nullable=True),
        sa.Column("stdout", sa.Text(), nullable=True),
        sa.Column("stderr", sa.Text(), nullable=True),
        sa.Column("ai_feedback_summary", sa.Text(), nullable=True),
        sa.Column("ai_feedback_detailed", sa.Text(), nullable=True),
        sa.Column("ai_suggestions", DOCUMENT, nullable=False),
        sa.Column("rubric_evaluation", DOCUMENT, nullable=False),
        sa.Column("hints_used", sa.Integer(), nullable=False),
        sa.Column("penalty_applied", sa.Integer(), nullable=False),
        sa.Column("attempt_number", sa.Integer(), nullable=False),
        sa.Column("submitted_at", TIME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("status IN ('PENDING', 'PASS', 'FAIL', 'ERROR', 'TIMEOUT')", name="check_attempt_status"),
        sa.CheckConstraint("attempt_number > 0", name="check_attempt_number_positive"),
        sa.CheckConstraint("execution_time_ms >= 0", name="check_execution_time_nonnegative"),
        sa.CheckConstraint("hints_used >= 0", name="check_hints_nonnegative"),
        sa.CheckConstraint("penalty_applied >= 0", name="check_penalty_applied_nonnegative"),
        sa.CheckConstraint("score IS NULL OR (score >= 0 AND score <= 10)", name="check_score_range"),
        sa.CheckConstraint("tests_passed >= 0 AND tests_passed <= tests_total", name="check_tests_valid"),
        sa.ForeignKeyConstraint(
            ["exercise_id"], ["exercises.id"], name=op.f("fk_exercise_attempts_exercise_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_exercise_attempts_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exercise_attempts")),
        sa.UniqueConstraint("student_id", "exercise_id", "attempt_number", name="uq_attempt_number"),
    )
    op.create_index("idx_attempts_exercise", "exercise_attempts", ["exercise_id"], unique=False)
    op.create_index("idx_attempts_session", "exercise_attempts", ["session_id"], unique=False)
    op.create_table(
        "git_traces",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("activity_id", sa.String(length=100), nullable=False),
        sa.Column("event_type", sa.String(length=20), nullable=False),
        sa.Column("commit_hash", sa.String(length=40), nullable=False),
        sa.Column("commit_message", sa.Text(), nullable=False),
        sa.Column("author_name", sa.String(length=255), nullable=False),
        sa.Column("author_email", sa.String(length=255), nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        sa.Column("branch_name", sa.String(length=255), nullable=False),
        sa.Column("parent_commits", DOCUMENT, nullable=False),
        sa.Column("files_changed", DOCUMENT, nullable=False),
        sa.Column("total_lines_added", sa.Integer(), nullable=False),
        sa.Column("total_lines_deleted", sa.Integer(), nullable=False),
        sa.Column("diff", sa.Text(), nullable=False),
        sa.Column("is_merge", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("is_revert", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("detected_patterns", DOCUMENT, nullable=False),
        sa.Column("complexity_delta", sa.Integer(), nullable=True),
        sa.Column("related_cognitive_traces", DOCUMENT, nullable=False),
        sa.Column("cognitive_state_during_commit", sa.String(length=50), nullable=True),
        sa.Column("time_since_last_interaction_minutes", sa.Integer(), nullable=True),
        sa.Column("repo_path", sa.String(length=500), nullable=True),
        sa.Column("remote_url", sa.String(length=500), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "cognitive_state_during_commit IN ('exploracion', 'planificacion', 'implementacion', 'depuracion', 'validacion', 'reflexion', 'confusion', 'progresando', 'atascado')",
            name="ck_git_cognitive_state_valid",
        ),
        sa.CheckConstraint(
            "event_type IN ('commit', 'branch_create', 'branch_delete', 'merge', 'tag', 'revert', 'cherry_pick')",
            name="ck_git_event_type_valid",
        ),
        sa.CheckConstraint("total_lines_added >= 0 AND total_lines_deleted >= 0", name="ck_git_lines_valid"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_git_traces_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_git_traces")),
        sa.UniqueConstraint("session_id", "commit_hash", name="uq_git_trace_session_commit"),
    )
    op.create_table(
        "incident_simulations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("activity_id", sa.String(length=100), nullable=True),
        sa.Column("incident_type", sa.String(length=50), nullable=False),
        sa.Column("severity", sa.String(length=20), nullable=False),
        sa.Column("incident_description", sa.Text(), nullable=False),
        sa.Column("simulated_logs", sa.Text(), nullable=True),
        sa.Column("simulated_metrics", DOCUMENT, nullable=False),
        sa.Column("diagnosis_process", DOCUMENT, nullable=False),
        sa.Column("solution_proposed", sa.Text(), nullable=True),
        sa.Column("root_cause_identified", sa.Text(), nullable=True),
        sa.Column("time_to_diagnose_minutes", sa.Integer(), nullable=True),
        sa.Column("time_to_resolve_minutes", sa.Integer(), nullable=True),
        sa.Column("post_mortem", sa.Text(), nullable=True),
        sa.Column("evaluation", DOCUMENT, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "incident_type IN ('API_ERROR', 'PERFORMANCE', 'SECURITY', 'DATABASE', 'DEPLOYMENT')",
            name="ck_incident_type_valid",
        ),
        sa.CheckConstraint("severity IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')", name="ck_incident_severity_valid"),
        sa.CheckConstraint("time_to_diagnose_minutes >= 0", name="ck_incident_time_to_diagnose_valid"),
        sa.CheckConstraint("time_to_resolve_minutes >= 0", name="ck_incident_time_to_resolve_valid"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_incident_simulations_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_simulations")),
    )
    op.create_index("idx_incident_session", "incident_simulations", ["session_id"], unique=False)
    op.create_table(
        "interview_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("activity_id", sa.String(length=100), nullable=True),
        sa.Column("interview_type", sa.String(length=50), nullable=False),
        sa.Column("difficulty_level", sa.String(length=20), nullable=False),
        sa.Column("questions_asked", DOCUMENT, nullable=False),
        sa.Column("responses", DOCUMENT, nullable=False),
        sa.Column("evaluation_score", sa.Double(), nullable=True),
        sa.Column("evaluation_breakdown", DOCUMENT, nullable=False),
        sa.Column("feedback", sa.Text(), nullable=True),
        sa.Column("duration_minutes", sa.Integer(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("difficulty_level IN ('EASY', 'MEDIUM', 'HARD')", name="ck_interview_difficulty_valid"),
        sa.CheckConstraint(
            "interview_type IN ('CONCEPTUAL', 'ALGORITHMIC', 'DESIGN', 'BEHAVIORAL')", name="ck_interview_type_valid"
        ),
        sa.CheckConstraint("duration_minutes >= 0", name="ck_interview_duration_valid"),
        sa.CheckConstraint("evaluation_score >= 0 AND evaluation_score <= 1", name="ck_interview_score_range"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_interview_sessions_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interview_sessions")),
    )
    op.create_index("idx_interview_session", "interview_sessions", ["session_id"], unique=False)
    op.create_table(
        "lti_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("lti_user_id", sa.String(length=255), nullable=False),
        sa.Column("lti_user_name", sa.String(length=255), nullable=True),
        sa.Column("lti_user_email", sa.String(length=255), nullable=True),
        sa.Column("lti_context_id", sa.String(length=255), nullable=True),
        sa.Column("lti_context_label", sa.String(length=100), nullable=True),
        sa.Column("lti_context_title", sa.String(length=255), nullable=True),
        sa.Column("resource_link_id", sa.String(length=255), nullable=False),
        sa.Column("resource_link_title", sa.String(length=255), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("launch_token", sa.Text(), nullable=True),
        sa.Column("locale", sa.String(length=10), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["lti_deployments.id"], name=op.f("fk_lti_sessions_deployment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_lti_sessions_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lti_sessions")),
    )
    op.create_index("idx_lti_session_deployment", "lti_sessions", ["deployment_id"], unique=False)
    op.create_index("idx_lti_session_native", "lti_sessions", ["session_id"], unique=False)
    op.create_table(
        "risks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("activity_id", sa.String(length=100), nullable=False),
        sa.Column("risk_type", sa.String(length=100), nullable=False),
        sa.Column("risk_level", sa.String(length=20), nullable=False),
        sa.Column("dimension", sa.String(length=50), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("impact", sa.Text(), nullable=True),
        sa.Column("evidence", DOCUMENT, nullable=False),
        sa.Column("trace_ids", DOCUMENT, nullable=False),
        sa.Column("root_cause", sa.Text(), nullable=True),
        sa.Column("impact_assessment", sa.Text(), nullable=True),
        sa.Column("recommendations", DOCUMENT, nullable=False),
        sa.Column("pedagogical_intervention", sa.Text(), nullable=True),
        sa.Column("resolved", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("resolved_at", TIME, nullable=True),
        sa.Column("resolution", sa.String(length=20), nullable=True),
        sa.Column("resolution_notes", sa.Text(), nullable=True),
        sa.Column("detected_by", sa.String(length=50), nullable=False),
        sa.Column("rule", sa.String(length=100), nullable=True),
        sa.Column("rule_version", sa.Integer(), nullable=True),
        sa.Column("subject", sa.String(length=200), nullable=True),
        sa.Column("threshold_value", sa.Double(), nullable=True),
        sa.Column("actual_value", sa.Double(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "dimension IN ('cognitive', 'ethical', 'epistemic', 'technical', 'governance')",
            name="ck_risk_dimension_valid",
        ),
        sa.CheckConstraint("resolution IN ('confirmed', 'unfounded')", name="ck_risk_resolution_valid"),
        sa.CheckConstraint("risk_level IN ('critical', 'high', 'medium', 'low', 'info')", name="ck_risk_level_valid"),
        sa.CheckConstraint(
            "risk_type IN ('cognitive_delegation', 'superficial_reasoning', 'ai_dependency', 'lack_justification', 'no_self_regulation', 'academic_integrity', 'undisclosed_ai_use', 'plagiarism', 'conceptual_error', 'logical_fallacy', 'uncritical_acceptance', 'security_vulnerability', 'poor_code_quality', 'architectural_flaw', 'policy_violation', 'unauthorized_use', 'automation_suspected')",
            name="ck_risk_type_valid",
        ),
        sa.CheckConstraint("rule_version > 0", name="ck_risk_rule_version_positive"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_risks_session_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_risks")),
    )
    op.create_index("idx_risk_session", "risks", ["session_id"], unique=False)
    op.create_index(
        "uq_risk_session_rule_subject",
        "risks",
        ["session_id", "rule", "subject"],
        unique=True,
        postgresql_where=sa.text("rule IS NOT NULL"),
        sqlite_where=sa.text("rule IS NOT NULL"),
    )
    op.create_table(
        "rubric_levels",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("criterion_id", sa.Uuid(), nullable=False),
        sa.Column("level_name", sa.String(length=50), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("min_score", sa.Double(), nullable=False),
        sa.Column("max_score", sa.Double(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "level_name IN ('Excelente', 'Bueno', 'Regular', 'Insuficiente')", name="check_level_name_valid"
        ),
        sa.CheckConstraint("min_score < max_score", name="check_level_score_order"),
        sa.CheckConstraint("min_score >= 0 AND max_score <= 10", name="check_level_score_range"),
        sa.CheckConstraint("points >= 0 AND points <= 100", name="check_level_points_range"),
        sa.ForeignKeyConstraint(
            ["criterion_id"],
            ["exercise_rubric_criteria.id"],
            name=op.f("fk_rubric_levels_criterion_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rubric_levels")),
    )
    op.create_index("idx_rubric_levels_criterion", "rubric_levels", ["criterion_id"], unique=False)
    op.create_table(
        "simulator_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("activity_id", sa.String(length=100), nullable=True),
        sa.Column("simulator_type", sa.String(length=50), nullable=False),
        sa.Column("event_type", sa.String(length=100), nullable=False),
        sa.Column("event_data", DOCUMENT, nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("severity", sa.String(length=20), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "severity IN ('info', 'warning', 'error', 'critical')", name="ck_simulator_event_severity_valid"
        ),
        sa.CheckConstraint(
            "simulator_type IN ('product_owner', 'scrum_master', 'tech_interviewer', 'incident_responder', 'client', 'devsecops', 'senior_dev', 'qa_engineer', 'security_auditor', 'tech_lead', 'demanding_client')",
            name="ck_simulator_event_type_valid",
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_simulator_events_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_simulator_events")),
    )
    op.create_index("idx_event_session", "simulator_events", ["session_id", "timestamp"], unique=False)
    op.create_table(
        "teacher_interventions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("teacher_id", sa.Uuid(), nullable=True),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("alert_id", sa.String(length=100), nullable=True),
        sa.Column("intervention_type", sa.String(length=50), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("action_taken", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=30), nullable=False),
        sa.Column("resolution_notes", sa.Text(), nullable=True),
        sa.Column("resolved_at", TIME, nullable=True),
        sa.Column("alert_context", DOCUMENT, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "intervention_type IN ('alert_acknowledgment', 'direct_message', 'grade_adjustment', 'remediation_plan', 'meeting_scheduled', 'resource_shared', 'follow_up')",
            name="ck_intervention_type_valid",
        ),
        sa.CheckConstraint(
            "status IN ('acknowledged', 'in_progress', 'resolved', 'escalated', 'closed')",
            name="ck_intervention_status_valid",
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_teacher_interventions_session_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["teacher_id"], ["users.id"], name=op.f("fk_teacher_interventions_teacher_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teacher_interventions")),
    )
    op.create_index("idx_intervention_session", "teacher_interventions", ["session_id"], unique=False)
    op.create_index("idx_intervention_teacher", "teacher_interventions", ["teacher_id"], unique=False)
    op.create_table(
        "trace_sequences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(length=100), nullable=False),
        sa.Column("activity_id", sa.String(length=100), nullable=False),
        sa.Column("total_traces", sa.Integer(), nullable=False),
        sa.Column("avg_ai_involvement", sa.Double(), nullable=False),
        sa.Column("detected_risks", DOCUMENT, nullable=False),
        sa.Column("competencies", DOCUMENT, nullable=False),
        sa.Column("semantic_summary", DOCUMENT, nullable=False),
        sa.Column("algorithmic_summary", DOCUMENT, nullable=False),
        sa.Column("cognitive_summary", DOCUMENT, nullable=False),
        sa.Column("interaction_summary", DOCUMENT, nullable=False),
        sa.Column("ethics_summary", DOCUMENT, nullable=False),
        sa.Column("process_summary", DOCUMENT, nullable=False),
        sa.Column("cognitive_coherence", sa.Double(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "avg_ai_involvement >= 0 AND avg_ai_involvement <= 1", name="ck_sequence_ai_involvement_range"
        ),
        sa.CheckConstraint("cognitive_coherence >= 0 AND cognitive_coherence <= 1", name="ck_sequence_coherence_range"),
        sa.CheckConstraint("total_traces >= 0", name="ck_sequence_total_traces_valid"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_trace_sequences_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trace_sequences")),
    )
    op.create_index("idx_sequence_session", "trace_sequences", ["session_id"], unique=False)

    for statement in COUNTER_SQLITE if op.get_context().dialect.name == "sqlite" else COUNTER_POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    op.drop_index("idx_sequence_session", table_name="trace_sequences")
    op.drop_table("trace_sequences")
    op.drop_index("idx_intervention_teacher", table_name="teacher_interventions")
    op.drop_index("idx_intervention_session", table_name="teacher_interventions")
    op.drop_table("teacher_interventions")
    op.drop_index("idx_event_session", table_name="simulator_events")
    op.drop_table("simulator_events")
    op.drop_index("idx_rubric_levels_criterion", table_name="rubric_levels")
    op.drop_table("rubric_levels")
    op.drop_index(
        "uq_risk_session_rule_subject",
        table_name="risks",
        postgresql_where=sa.text("rule IS NOT NULL"),
        sqlite_where=sa.text("rule IS NOT NULL"),
    )
    op.drop_index("idx_risk_session", table_name="risks")
    op.drop_table("risks")
    op.drop_index("idx_lti_session_native", table_name="lti_sessions")
    op.drop_index("idx_lti_session_deployment", table_name="lti_sessions")
    op.drop_table("lti_sessions")
    op.drop_index("idx_interview_session", table_name="interview_sessions")
    op.drop_table("interview_sessions")
    op.drop_index("idx_incident_session", table_name="incident_simulations")
    op.drop_table("incident_simulations")
    op.drop_table("git_traces")
    op.drop_index("idx_attempts_session", table_name="exercise_attempts")
    op.drop_index("idx_attempts_exercise", table_name="exercise_attempts")
    op.drop_table("exercise_attempts")
    op.drop_index("idx_eval_session_created", table_name="evaluations")
    op.drop_table("evaluations")
    op.drop_index("idx_trace_student_created", table_name="cognitive_traces")
    op.drop_index("idx_trace_session_created", table_name="cognitive_traces")
    op.drop_index("idx_trace_parent", table_name="cognitive_traces")
    op.drop_index("idx_trace_created", table_name="cognitive_traces")
    op.drop_index("idx_trace_activity_created", table_name="cognitive_traces")
    op.drop_table("cognitive_traces")
    op.drop_index("idx_archivos_adjuntos_deleted", table_name="archivos_adjuntos")
    op.drop_index("idx_archivo_unidad", table_name="archivos_adjuntos")
    op.drop_index("idx_archivo_apuntes", table_name="archivos_adjuntos")
    op.drop_table("archivos_adjuntos")
    op.drop_index("idx_session_user", table_name="sessions")
    op.drop_index("idx_session_student_activity", table_name="sessions")
    op.drop_index("idx_session_created", table_name="sessions")
    op.drop_index("idx_session_course", table_name="sessions")
    op.drop_index("idx_session_activity", table_name="sessions")
    op.drop_table("sessions")
    op.drop_index("idx_alert_plan", table_name="risk_alerts")
    op.drop_index("idx_alert_assigned", table_name="risk_alerts")
    op.drop_index("idx_alert_acknowledged_by", table_name="risk_alerts")
    op.drop_table("risk_alerts")
    op.drop_table("exercise_tests")
    op.drop_table("exercise_rubric_criteria")
    op.drop_table("exercise_hints")
    op.drop_index(
        "uq_apuntes_unidad_orden",
        table_name="apuntes",
        postgresql_where=sa.text("deleted_at IS NULL"),
        sqlite_where=sa.text("deleted_at IS NULL"),
    )
    op.drop_index("idx_apuntes_unidad", table_name="apuntes")
    op.drop_index("idx_apuntes_deleted", table_name="apuntes")
    op.drop_table("apuntes")
    op.drop_index(
        "uq_unidad_materia_numero",
        table_name="unidades",
        postgresql_where=sa.text("deleted_at IS NULL"),
        sqlite_where=sa.text("deleted_at IS NULL"),
    )
    op.drop_index("idx_unidades_deleted", table_name="unidades")
    op.drop_index("idx_unidad_materia", table_name="unidades")
    op.drop_table("unidades")
    op.drop_index("idx_profile_user", table_name="student_profiles")
    op.drop_table("student_profiles")
    op.drop_index("idx_plan_teacher", table_name="remediation_plans")
    op.drop_table("remediation_plans")
    op.drop_index("idx_refresh_tokens_user", table_name="refresh_tokens")
    op.drop_index("idx_refresh_tokens_family", table_name="refresh_tokens")
    op.drop_table("refresh_tokens")
    op.drop_index("idx_idempotency_user", table_name="idempotency_records")
    op.drop_index("idx_idempotency_created", table_name="idempotency_records")
    op.drop_table("idempotency_records")
    op.drop_index("idx_exercises_subject", table_name="exercises")
    op.drop_index("idx_exercises_deleted", table_name="exercises")
    op.drop_index("idx_exercises_active_deleted", table_name="exercises")
    op.drop_table("exercises")
    op.drop_index("idx_report_teacher", table_name="course_reports")
    op.drop_table("course_reports")
    op.drop_index("idx_course_members_user", table_name="course_members")
    op.drop_table("course_members")
    op.drop_index("idx_activity_teacher", table_name="activities")
    op.drop_index("idx_activity_course", table_name="activities")
    op.drop_table("activities")
    op.drop_table("users")
    op.drop_table("subjects")
    op.drop_table("lti_deployments")
    op.drop_table("courses")
    op.drop_table("api_keys")
    if op.get_context().dialect.name != "sqlite":
        for function in FUNCTIONS:
            op.execute(f"DROP FUNCTION {function}()")

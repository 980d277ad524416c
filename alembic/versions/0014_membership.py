"""invitations, former student ids, teachers of subjects, figures by course

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)


def make(table: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Uuid(), nullable=False),
        *parts,
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def belongs(table: str, column: str, parent: str, key: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.{key}"], name=f"fk_{table}_{column}", ondelete=ondelete)


def upgrade() -> None:
    make(
        "course_invitations",
        sa.Column("course_id", sa.String(100), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("invited_by", sa.Uuid()),
        sa.CheckConstraint("role IN ('student', 'tutor', 'teacher')", name="ck_course_invitation_role_valid"),
        belongs("course_invitations", "course_id", "courses", "course_id", "CASCADE"),
        belongs("course_invitations", "user_id", "users", "id", "CASCADE"),
        belongs("course_invitations", "invited_by", "users", "id", "SET NULL"),
        sa.UniqueConstraint("course_id", "user_id", name="uq_course_invitations_course_id_user_id"),
    )
    op.create_index("idx_course_invitations_user", "course_invitations", ["user_id", "created_at", "id"])
    op.create_index("idx_course_invitations_invited_by", "course_invitations", ["invited_by"])
    make(
        "former_students",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(12)),
        sa.UniqueConstraint("digest", name="uq_former_students_digest"),
    )
    op.execute(
        "INSERT INTO former_students (id, digest, created_at, updated_at) SELECT id, student_digest, created_at, updated_at "
        "FROM erasures WHERE id IN (SELECT min(CAST(id AS text)) FROM erasures GROUP BY student_digest)"
        if op.get_context().dialect.name == "sqlite"
        else "INSERT INTO former_students (id, digest, created_at, updated_at) "
        "SELECT DISTINCT ON (student_digest) id, student_digest, created_at, updated_at FROM erasures"
    )
    make(
        "subject_teachers",
        sa.Column("subject_code", sa.String(50), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        belongs("subject_teachers", "subject_code", "subjects", "code", "CASCADE"),
        belongs("subject_teachers", "user_id", "users", "id", "CASCADE"),
        sa.UniqueConstraint("subject_code", "user_id", name="uq_subject_teachers_subject_code_user_id"),
    )
    op.create_index("idx_subject_teachers_user", "subject_teachers", ["user_id"])
    op.execute(AUTHORS.format(*AS_TEXT[op.get_context().dialect.name]))
    make(
        "student_figures",
        sa.Column("student_id", sa.String(100), nullable=False),
        sa.Column("course_id", sa.String(100)),
        sa.Column("activity_id", sa.String(100)),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("sessions", "steps")),
        sa.Column("ai_share", sa.Double(), nullable=False),
        sa.Column("states", DOCUMENT, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("risks", "critical_risks")),
        sa.Column("risk_counts", DOCUMENT, nullable=False),
        sa.Column("evaluations", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("evolution", DOCUMENT, nullable=False),
        sa.Column("latest", DOCUMENT, nullable=False),
        sa.Column("last_activity_date", TIME),
        sa.CheckConstraint("(course_id IS NULL) <> (activity_id IS NULL)", name="ck_figures_has_exactly_one_place"),
        sa.CheckConstraint("sessions >= 0 AND steps >= 0 AND evaluations >= 0", name="ck_figures_counts_valid"),
        sa.CheckConstraint("risks >= 0 AND critical_risks >= 0", name="ck_figures_risks_valid"),
    )
    op.create_index("idx_figures_student", "student_figures", ["student_id"])
    for place in ("course", "activity"):
        there = sa.text(f"{place}_id IS NOT NULL")
        columns = [f"{place}_id", "student_id"]
        op.create_index(
            f"uq_figures_{place}",
            "student_figures",
            columns,
            unique=True,
            postgresql_where=there,
            sqlite_where=there,
        )


# Whoever wrote units of a subject looks after it; subjects that nobody did are named by `cortez doctor`.
AUTHORS = """INSERT INTO subject_teachers (id, subject_code, user_id, created_at, updated_at)
SELECT {0}, author.code, author.user_id, {1}, {1} FROM (
    SELECT DISTINCT unidades.materia_code AS code, users.id AS user_id
    FROM unidades JOIN users ON {2} = lower(unidades.created_by)
) AS author"""
AS_TEXT = {
    "sqlite": (
        "lower(hex(randomblob(16)))",
        "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
        "substr(users.id, 1, 8) || '-' || substr(users.id, 9, 4) || '-' || substr(users.id, 13, 4) || '-' || "
        "substr(users.id, 17, 4) || '-' || substr(users.id, 21)",
    ),
    "postgresql": ("gen_random_uuid()", "now()", "users.id::text"),
}


def downgrade() -> None:
    for table in ("student_figures", "subject_teachers", "former_students", "course_invitations"):
        op.drop_table(table)

"""which hints a student has seen, and at what cost; the runner's queue

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "hint_reveals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(100), nullable=False),
        sa.Column("exercise_id", sa.Uuid(), nullable=False),
        sa.Column("hint_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("penalty", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("penalty >= 0", name="ck_reveal_penalty_valid"),
        sa.ForeignKeyConstraint(
            ["exercise_id"], ["exercises.id"], name="fk_hint_reveals_exercise_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["hint_id"], ["exercise_hints.id"], name="fk_hint_reveals_hint_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_hint_reveals_session_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_hint_reveals"),
        sa.UniqueConstraint("student_id", "exercise_id", "hint_id", name="uq_hint_reveal"),
    )
    op.create_index("idx_reveal_exercise", "hint_reveals", ["exercise_id"])
    op.create_index("idx_reveal_hint", "hint_reveals", ["hint_id"])
    op.create_index("idx_reveal_session", "hint_reveals", ["session_id"])
    op.create_index("idx_attempts_status", "exercise_attempts", ["status", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("idx_attempts_status", "exercise_attempts")
    op.drop_table("hint_reveals")

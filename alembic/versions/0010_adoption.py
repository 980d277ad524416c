"""adoption: the predecessor's keys, what found no place, and how far it has come

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def make(table: str, *columns: sa.Column | sa.UniqueConstraint) -> None:  # type: ignore[type-arg]
    op.create_table(
        table,
        sa.Column("id", sa.Uuid(), nullable=False),
        *columns,
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def upgrade() -> None:
    make(
        "legacy_ids",
        sa.Column("place", sa.String(100), nullable=False),
        sa.Column("old_key", sa.String(600), nullable=False),
        sa.Column("new_key", sa.String(100), nullable=False),
        sa.Column("student_id", sa.String(100)),
        sa.UniqueConstraint("place", "old_key", name="uq_legacy_ids_place_old_key"),
    )
    op.create_index("idx_legacy_ids_student", "legacy_ids", ["student_id"])
    make(
        "quarantine",
        sa.Column("table_name", sa.String(63), nullable=False),
        sa.Column("column_name", sa.String(63)),
        sa.Column("old_id", sa.String(600), nullable=False),
        sa.Column("new_id", sa.String(36)),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("original", DOCUMENT, nullable=False),
        sa.Column("student_id", sa.String(100)),
    )
    op.create_index("idx_quarantine_student", "quarantine", ["student_id"])
    make(
        "adoption_steps",
        sa.Column("source", sa.String(500), nullable=False),
        sa.Column("table_name", sa.String(63), nullable=False),
        sa.Column("after_time", sa.Text(), nullable=False),
        sa.Column("after_key", sa.Text(), nullable=False),
        sa.Column("rows_read", sa.Integer(), nullable=False),
        sa.Column("rows_written", sa.Integer(), nullable=False),
        sa.Column("rows_quarantined", sa.Integer(), nullable=False),
        sa.Column("changes", DOCUMENT, nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("table_name", name="uq_adoption_steps_table_name"),
    )


def downgrade() -> None:
    for table in ("adoption_steps", "quarantine", "legacy_ids"):
        op.drop_table(table)

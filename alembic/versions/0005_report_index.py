"""an index for the reports of a course

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("idx_report_course", "course_reports", ["course_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("idx_report_course", "course_reports")

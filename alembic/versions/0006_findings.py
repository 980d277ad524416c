"""indexes of the lists of risks and evaluations; an evaluation says who made it

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LISTS = (("risks", "risk"), ("evaluations", "eval"))


def upgrade() -> None:
    op.add_column("evaluations", sa.Column("evaluator", sa.String(100)))
    op.add_column("evaluations", sa.Column("evaluator_version", sa.String(50)))
    for table, short in LISTS:
        op.create_index(f"idx_{short}_created", table, ["created_at", "id"])
        op.create_index(f"idx_{short}_student_created", table, ["student_id", "created_at", "id"])
        op.create_index(f"idx_{short}_activity_created", table, ["activity_id", "created_at", "id"])


def downgrade() -> None:
    for table, short in LISTS:
        op.drop_index(f"idx_{short}_activity_created", table)
        op.drop_index(f"idx_{short}_student_created", table)
        op.drop_index(f"idx_{short}_created", table)
    with op.batch_alter_table("evaluations") as evaluations:
        evaluations.drop_column("evaluator_version")
        evaluations.drop_column("evaluator")

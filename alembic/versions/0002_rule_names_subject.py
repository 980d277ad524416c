"""a risk found by a rule names its subject

The unique key over session, rule and subject cannot hold without it: an absent subject equals nothing.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE risks SET rule = NULL WHERE subject IS NULL AND rule IS NOT NULL")
    with op.batch_alter_table("risks") as risks:
        risks.create_check_constraint("ck_risk_rule_names_subject", "rule IS NULL OR subject IS NOT NULL")


def downgrade() -> None:
    with op.batch_alter_table("risks") as risks:
        risks.drop_constraint("ck_risk_rule_names_subject", type_="check")

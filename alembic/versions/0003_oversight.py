"""indexes of the lists of oversight; an alert of a rule is open once

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LIVING = sa.text("status IN ('open', 'acknowledged', 'investigating') AND detection_rule <> 'a person'")


def upgrade() -> None:
    op.create_index("idx_alert_course", "risk_alerts", ["course_id", "created_at", "id"])
    op.create_index("idx_alert_student", "risk_alerts", ["student_id"])
    op.create_index(
        "uq_alert_living",
        "risk_alerts",
        ["detection_rule", "course_id", "student_id"],
        unique=True,
        postgresql_where=LIVING,
        sqlite_where=LIVING,
    )
    op.create_index("idx_plan_student", "remediation_plans", ["student_id"])
    op.create_index("idx_intervention_student", "teacher_interventions", ["student_id"])


def downgrade() -> None:
    op.drop_index("idx_intervention_student", "teacher_interventions")
    op.drop_index("idx_plan_student", "remediation_plans")
    op.drop_index("uq_alert_living", "risk_alerts")
    op.drop_index("idx_alert_student", "risk_alerts")
    op.drop_index("idx_alert_course", "risk_alerts")

"""who used a refresh token, and since when its sign-in lives

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

from cortez.schema_changes import add_column

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_column("refresh_tokens", sa.Column("used_by", sa.LargeBinary()))
    add_column("refresh_tokens", sa.Column("signed_in_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("refresh_tokens", "signed_in_at")
    op.drop_column("refresh_tokens", "used_by")

"""adoption: whether accounts are left whose password has not been hashed anew

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa

from cortez.schema_changes import create_index, drop_index

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ADOPTED = sa.text("substr(hashed_password, 1, 2) = '$2'")


def upgrade() -> None:
    create_index("idx_users_adopted_password", "users", ["id"], postgresql_where=ADOPTED, sqlite_where=ADOPTED)


def downgrade() -> None:
    drop_index("idx_users_adopted_password", "users")

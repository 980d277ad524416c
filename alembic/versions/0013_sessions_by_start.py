"""sessions are listed by an index that knows when they began

Revision ID: 0013
Revises: 0012
"""

from cortez.schema_changes import create_index, drop_index

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("idx_session_listed", "sessions", ["created_at", "id", "start_time"])
    drop_index("idx_session_created", "sessions")


def downgrade() -> None:
    create_index("idx_session_created", "sessions", ["created_at", "id"])
    drop_index("idx_session_listed", "sessions")

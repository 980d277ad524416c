"""the courses that a learning platform launches into

Revision ID: 0018
Revises: 0017
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import load_python_file
from sqlalchemy.dialects import postgresql

from cortez.audit_triggers import Audited, for_postgresql, for_sqlite
from cortez.schema_changes import add_column, execute, is_sqlite

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TABLE = "lti_deployments"

AUDITED = (
    Audited(
        TABLE,
        "INSERT UPDATE DELETE",
        "",
        "",
        "platform_name issuer client_id deployment_id auth_login_url auth_token_url public_keyset_url access_token_url "
        "is_active:bool course_ids:doc",
        "",
    ),
)


def upgrade() -> None:
    add_column(TABLE, sa.Column("course_ids", DOCUMENT))
    for one in AUDITED:
        for statement in for_sqlite(one) if is_sqlite() else for_postgresql(one):
            execute(statement)


def before() -> Any:
    """Revision 0007, which made the triggers that were there."""
    return load_python_file(str(Path(__file__).parent), "0007_audit.py")


def undone() -> Iterator[str]:
    """Put the triggers of 0007 in the place of those of this revision."""
    old = before()
    (one,) = (one for one in old.AUDITED if one.table == TABLE)
    if is_sqlite():
        for event in one.events.split():
            yield f"DROP TRIGGER trg_audit_{TABLE}_{event.lower()}"
            yield old.trigger(one, event)
        return
    for end in ("", "_truncated"):
        yield f"DROP TRIGGER IF EXISTS trg_audit_{TABLE}{end} ON {TABLE}"
    for statement in old.for_postgresql():
        if statement.startswith("CREATE TRIGGER trg_audit_") and statement.partition(" ON ")[2].split()[0] == TABLE:
            yield statement


def downgrade() -> None:
    for statement in undone():
        execute(statement)
    op.drop_column(TABLE, "course_ids")

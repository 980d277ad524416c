"""usernames and e-mails found without regard to case

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

from cortez.schema_changes import add_column, backfill, create_index, drop_index, is_sqlite, without_triggers

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

NAMES = ("email", "username")
# Names with other characters than ASCII's are left to the service (cortez.accounts.keys): the databases fold those
# differently.
KEY = "CASE WHEN {ascii} THEN {lower} END"
# Of accounts whose names are the same but for case the oldest has the key.
LATER = """UPDATE users SET {name}_key = NULL WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY {name}_key ORDER BY created_at, id) AS place
        FROM users WHERE {name}_key IS NOT NULL
    ) AS ranked WHERE place > 1
)"""
TWINS = """SELECT later.id, first.id
FROM users AS later JOIN users AS first ON first.{name}_key = {lower} WHERE later.{name}_key IS NULL ORDER BY later.id"""
REPORT = (
    "The {name} of account {later} differs from that of the older account {first} in case alone: it signs in by its "
    "exact spelling. Give it another (PATCH /users/ID)."
)


def upgrade() -> None:
    for name in NAMES:
        add_column("users", sa.Column(f"{name}_key", sa.String(255)))
        drop_index(f"uq_users_{name}_key", "users")  # where a killed run had made it, the next line would break it
        backfill("users", f"{name}_key", KEY.format(ascii=is_ascii(name), lower=lower(name)))
        with without_triggers("users"):
            op.execute(LATER.format(name=name))
        create_index(f"uq_users_{name}_key", "users", [f"{name}_key"], unique=True)
    if not op.get_context().as_sql:
        report_twins()


def is_ascii(name: str) -> str:
    return f"{name} <> '' AND {name} NOT GLOB '*[^!-~]*'" if is_sqlite() else f"{name} COLLATE \"C\" ~ '^[!-~]+$'"


def lower(name: str) -> str:
    """Of ASCII's letters alone, whatever the locale."""
    return f"lower({name})" if is_sqlite() else f'lower({name} COLLATE "C")'


def report_twins() -> None:
    config = op.get_context().config
    say = config.attributes.get("say", print) if config else print
    for name in NAMES:
        for later, first in op.get_bind().execute(sa.text(TWINS.format(name=name, lower=lower(f"later.{name}")))):
            say(REPORT.format(name=name, later=later, first=first))


def downgrade() -> None:
    for name in NAMES:
        drop_index(f"uq_users_{name}_key", "users")
        op.drop_column("users", f"{name}_key")

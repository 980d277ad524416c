"""how many bytes the steps of a session take

Revision ID: 0019
Revises: 0018

`sessions.trace_bytes` is kept beside `trace_count`, by the same triggers, from this revision on: what was stored before
counts nothing, as working it out would read every step. It is the length of what a step says, as text, in UTF-8. It
follows steps that come, move and go; a change inside one, such as an erasure, leaves it as it is.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from cortez.schema_changes import add_column, execute, is_sqlite

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TEXTS = ("content", "decision_justification")
DOCUMENTS = (
    "context",
    "trace_metadata",
    "alternatives_considered",
    "semantic_understanding",
    "algorithmic_evolution",
    "cognitive_reasoning",
    "interactional_data",
    "ethical_risk_data",
    "process_data",
)


def size_of(row: str) -> str:
    """The bytes of a row, before anything is compressed."""
    if is_sqlite():
        lengths = [f"length(CAST({row}.{column} AS BLOB))" for column in (*TEXTS, *DOCUMENTS)]
    else:
        lengths = [f"octet_length({row}.{column})" for column in TEXTS]
        lengths += [f"octet_length({row}.{column}::text)" for column in DOCUMENTS]
    return " + ".join(f"coalesce({length}, 0)" for length in lengths)


def on_postgresql(*, counts_bytes: bool) -> Iterator[str]:
    """The functions of the triggers."""
    for name, rows, sign in (("inserted", "added", "+"), ("deleted", "removed", "-")):
        size = f", sum({size_of(rows)})::bigint AS size" if counts_bytes else ""
        total = f", trace_bytes = greatest(trace_bytes {sign} change.size, 0)" if counts_bytes else ""
        yield counting(name, rows, f"{sign} change.n{total}", size)
    less, more = changes("greatest", counts_bytes=counts_bytes)
    yield f"""
    CREATE OR REPLACE FUNCTION cortez_trace_moved() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM 1 FROM sessions WHERE id IN (OLD.session_id, NEW.session_id) ORDER BY id FOR NO KEY UPDATE;
        {less}
        {more}
        RETURN NULL;
    END $$
    """


def counting(name: str, rows: str, change: str, size: str) -> str:
    """A function of revision 0001, to the letter where no bytes are counted."""
    return f"""
    CREATE OR REPLACE FUNCTION cortez_traces_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM 1 FROM sessions WHERE id IN (SELECT session_id FROM {rows}) ORDER BY id FOR NO KEY UPDATE;
        UPDATE sessions SET trace_count = trace_count {change}
        FROM (SELECT session_id, count(*)::integer AS n{size} FROM {rows} GROUP BY session_id) AS change
        WHERE sessions.id = change.session_id;
        RETURN NULL;
    END $$
    """


def changes(most: str, *, counts_bytes: bool) -> tuple[str, str]:
    """What happens to the session that a step leaves, and to the one that it comes to."""
    less = f", trace_bytes = {most}(trace_bytes - ({size_of('OLD')}), 0)" if counts_bytes else ""
    more = f", trace_bytes = trace_bytes + {size_of('NEW')}" if counts_bytes else ""
    return (
        f"UPDATE sessions SET trace_count = trace_count - 1{less} WHERE id = OLD.session_id;",
        f"UPDATE sessions SET trace_count = trace_count + 1{more} WHERE id = NEW.session_id;",
    )


def on_sqlite(*, counts_bytes: bool) -> Iterator[str]:
    """The triggers themselves."""
    less, more = changes("max", counts_bytes=counts_bytes)
    for name in ("trg_traces_inserted", "trg_traces_deleted", "trg_trace_moved"):
        yield f"DROP TRIGGER {name}"
    yield f"CREATE TRIGGER trg_traces_inserted AFTER INSERT ON cognitive_traces BEGIN {more} END"
    yield f"CREATE TRIGGER trg_traces_deleted AFTER DELETE ON cognitive_traces BEGIN {less} END"
    yield f"""
    CREATE TRIGGER trg_trace_moved AFTER UPDATE OF session_id ON cognitive_traces
    WHEN OLD.session_id IS NOT NEW.session_id BEGIN {less} {more} END
    """


def count(*, counts_bytes: bool) -> None:
    statements = on_sqlite if is_sqlite() else on_postgresql
    for statement in statements(counts_bytes=counts_bytes):
        execute(statement)


def upgrade() -> None:
    add_column("sessions", sa.Column("trace_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    count(counts_bytes=True)


def downgrade() -> None:
    count(counts_bytes=False)
    op.drop_column("sessions", "trace_bytes")

"""The rights of a role that serves, where another role owns the tables and migrates (docs/audit.md)."""

from collections.abc import Iterator

from alembic.util import CommandError
from sqlalchemy import Connection, text

SCHEMA = "public"
# What the service does not do itself: triggers write these, with the rights of their owner, and migrations the last.
WITHHELD = {
    "INSERT, UPDATE, DELETE": "audit_log, alembic_version",
    "UPDATE, DELETE": "audit_seals, audit_leaves",
    "INSERT, UPDATE": "subject_keys",
}

WHO_OWNS = text(
    "SELECT pg_has_role(relowner, 'USAGE'), pg_has_role(CAST(:role AS name), relowner, 'MEMBER') "
    "FROM pg_class WHERE oid = CAST('audit_log' AS regclass)"
)


def refuse_owner(connection: Connection, role: str) -> None:
    """Raises CommandError. Taken from the owner, what is withheld would be taken from the triggers too."""
    is_owner, role_is_owner = connection.execute(WHO_OWNS, {"role": role}).one()
    if not is_owner:
        raise CommandError("Rights are granted by the role that owns the tables. Use it: DATABASE_DIRECT_URL.")
    if role_is_owner:
        raise CommandError(f"The role {role} may do what the owner of the tables may. Name one that only serves.")


def statements(role: str) -> Iterator[str]:
    """For the owner, in one transaction; they may be repeated. Tables of later revisions are included."""
    name = '"' + role.replace('"', '""') + '"'
    yield f"GRANT USAGE ON SCHEMA {SCHEMA} TO {name}"
    for rights, kind in (("SELECT, INSERT, UPDATE, DELETE", "TABLES"), ("SELECT", "SEQUENCES")):
        yield f"GRANT {rights} ON ALL {kind} IN SCHEMA {SCHEMA} TO {name}"
        yield f"ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT {rights} ON {kind} TO {name}"
    for rights, tables in WITHHELD.items():
        yield f"REVOKE {rights} ON {tables} FROM {name}"

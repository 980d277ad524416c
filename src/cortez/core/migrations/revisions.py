"""Which revision a database is at, and which this version knows: asked by every start, without loading Alembic."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

PACKAGED, CHECKOUT = Path(__file__).parents[2], Path(__file__).parents[4]
# Where alembic.ini and the revisions are: in the package in a wheel, or at the top of the checkout.
HOME = PACKAGED if (PACKAGED / "alembic.ini").exists() else CHECKOUT
# Alembic's own table.
VERSIONS = Table("alembic_version", MetaData(), Column("version_num", String(32)))
AHEAD = (
    "The database is at revision {}, which this version does not know: a newer version has migrated it. "
    "Deploy that version."
)


class Revisions(NamedTuple):
    """Those of this version."""

    head: str
    known: frozenset[str]


@cache
def revisions() -> Revisions:
    """By the names of their files, NUMBER_WHAT.py: one follows the other."""
    found = sorted(file.stem.partition("_")[0] for file in (HOME / "alembic" / "versions").glob("[0-9]*_*.py"))
    return Revisions(found[-1], frozenset(found))


def revision_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSIONS.name):
        return None
    return ", ".join(connection.scalars(select(VERSIONS.c.version_num))) or None


def is_ahead(found: str | None) -> bool:
    """Whether a newer version has migrated the database."""
    return found is not None and found not in revisions().known


def complaint(found: str | None) -> str | None:
    """What is wrong with a database at this revision, with what to do; None at the newest."""
    if is_ahead(found):
        return AHEAD.format(found)
    if found is None:
        return f"There is no schema yet, this version needs {revisions().head}. Run: cortez migrate"
    if found != revisions().head:
        return f"The schema is at revision {found}, this version needs {revisions().head}. Run: cortez migrate"
    return None

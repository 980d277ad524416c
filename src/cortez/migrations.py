"""Alembic, as the command line and the health checks use it."""

import logging
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from cortez.settings import Settings

logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)  # it greets at every look

PACKAGED = Path(__file__).parent
CHECKOUT = Path(__file__).parents[2]


def location() -> Config:
    """The revisions beside this module in a wheel, or at the top of the checkout."""
    home = PACKAGED if (PACKAGED / "alembic.ini").exists() else CHECKOUT
    return Config(home / "alembic.ini")


def configuration(settings: Settings, say: Callable[[str], None] = lambda line: None) -> Config:
    config = location()
    config.attributes.update(settings=settings, say=say)
    return config


def upgrade(settings: Settings, *, sql: bool = False, say: Callable[[str], None] = lambda line: None) -> None:
    """To the newest revision; with `sql`, print the statements instead. Not from within a running event loop.

    Tells `say` a line for each revision. Raises alembic's CommandError with one line where the database is at fault.
    """
    command.upgrade(configuration(settings, say), "head", sql=sql)


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
    found = [one.revision for one in ScriptDirectory.from_config(location()).walk_revisions()]
    return Revisions(found[0], frozenset(found))


def revision_of(connection: Connection) -> str | None:
    return ", ".join(MigrationContext.configure(connection).get_current_heads()) or None


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


def run_all(connection: Connection) -> None:
    """Every revision, in the transaction that is open."""
    config = location()
    script = ScriptDirectory.from_config(config)

    def steps(revision: Any, context: Any) -> Any:
        return script._upgrade_revs("head", revision)  # as alembic's own documentation has it

    with EnvironmentContext(config, script, fn=steps, destination_rev="head") as environment:
        is_sqlite = connection.dialect.name == "sqlite"
        environment.configure(connection=connection, render_as_batch=is_sqlite, at_once=True)  # as schema_changes asks
        environment.run_migrations()


class Progress:
    """Tells of each revision when it is applied, and how long it took."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self.since = say, time.perf_counter()

    def applied(self, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
        since, self.since = self.since, time.perf_counter()
        for revision in step.up_revisions:
            undone = "" if step.is_upgrade else "taken back: "
            self.say(f"{undone}{revision.revision} {revision.doc}  {self.since - since:.1f} s")

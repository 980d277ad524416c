"""Alembic, as the command line uses it; which revisions there are is in `cortez.core.migrations.revisions`."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from cortez.core.compat import steps_to
from cortez.core.migrations.revisions import HOME
from cortez.settings import Settings

logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)  # it greets at every look


def location() -> Config:
    return Config(HOME / "alembic.ini")


def configuration(settings: Settings, say: Callable[[str], None] = lambda line: None, grant_to: str = "") -> Config:
    config = location()
    config.attributes.update(settings=settings, say=say, grant_to=grant_to)
    return config


def upgrade(
    settings: Settings, *, sql: bool = False, grant_to: str = "", say: Callable[[str], None] = lambda line: None
) -> None:
    """To the newest revision; with `sql`, print the statements instead. Not from within a running event loop.

    `grant_to`: a role of PostgreSQL that serves without owning the tables; it gets its rights in the end. Tells `say` a
    line for each revision. Raises alembic's CommandError with one line where the database is at fault.
    """
    command.upgrade(configuration(settings, say, grant_to), "head", sql=sql)


def run_all(connection: Connection) -> None:
    """Every revision, in the transaction that is open."""
    config = location()
    script = ScriptDirectory.from_config(config)

    def steps(revision: str, context: MigrationContext) -> Iterable[MigrationStep]:
        return steps_to(script, "head", revision)

    with EnvironmentContext(config, script, fn=steps, destination_rev="head") as environment:
        is_sqlite = connection.dialect.name == "sqlite"
        environment.configure(connection=connection, render_as_batch=is_sqlite, at_once=True)  # as operations asks
        environment.run_migrations()


class Progress:
    """Tells of each revision when it is applied, and how long it took."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self.since = say, time.perf_counter()

    def applied(self, ctx: MigrationContext, step: Any, heads: Collection[str], run_args: Mapping[str, str]) -> None:
        since, self.since = self.since, time.perf_counter()
        for revision in step.up_revisions:
            undone = "" if step.is_upgrade else "taken back: "
            self.say(f"{undone}{revision.revision} {revision.doc}  {self.since - since:.1f} s")

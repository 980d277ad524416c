"""Bring the database to the newest revision, and check that everything is in order."""

import asyncio
from functools import partial

import click
from alembic.util import CommandError

from cortez import tables  # noqa: F401 - the schema is compared with every table
from cortez.commands.common import coroutine
from cortez.core.db.diagnostics import name_of
from cortez.core.migrations import runner
from cortez.ops.doctor import GOOD, NOTE, ODD, Finding, examine, examine_schema
from cortez.ops.doctor_records import of_records
from cortez.settings import Settings


@click.command()
@click.option("--sql", is_flag=True, help="Print the SQL instead of running it.")
@click.option("--check", is_flag=True, help="Change nothing; end with 1 unless the schema is what this version needs.")
@click.option(
    "--grant-to", metavar="ROLE", default="", help="Let a role serve that does not own the tables (PostgreSQL)."
)
@click.pass_obj
def migrate(settings: Settings, sql: bool, check: bool, grant_to: str) -> None:
    """Bring the database to the newest revision."""
    if check:
        report(asyncio.run(examine_schema(settings)), {GOOD})
        return
    try:
        runner.upgrade(settings, sql=sql, grant_to=grant_to, say=click.echo)
    except CommandError as error:
        raise click.ClickException(str(error)) from None
    if not sql:
        click.echo(f"The schema of {name_of(settings.migration_url)} is up to date.")


@click.command()
@click.pass_obj
@coroutine
async def doctor(settings: Settings) -> None:
    """Check settings, secrets, storage, database, timeouts, clock, schema and records; say what to do about each."""
    report(await examine(settings, partial(of_records, settings)), {GOOD, ODD})


def report(found: list[Finding], accepted: set[str]) -> None:
    """Print it, and end with 1 where something is not accepted; notes always are."""
    click.echo("\n".join(map(str, found)))
    if not {one.mark for one in found} <= accepted | {NOTE}:
        raise SystemExit(1)

"""Remove what is personal from old records."""

import re
from datetime import timedelta

import click

from cortez.clock import utc_now
from cortez.commands.common import connect, coroutine
from cortez.privacy.retention import Totals, retain
from cortez.settings import Settings


@click.command()
@click.option("--older-than", required=True, help="Since when a session must have ended, in days: 730d.")
@click.option("--apply", is_flag=True, help="Do it; without this it is only counted.")
@click.pass_obj
@coroutine
async def retention(settings: Settings, older_than: str, apply: bool) -> None:
    """Take what is personal out of what is old; figures stay. Also removes outdated keys and tokens."""
    days = re.fullmatch(r"([1-9]\d{0,4})d", older_than)
    if not days:
        raise click.BadParameter("Give a number of days, such as 730d.", param_hint="--older-than")
    database, totals = connect(settings), Totals()
    done = 0
    async for _ in retain(database, utc_now() - timedelta(days=int(days[1])), apply=apply, totals=totals):
        done += 1
    await database.close()
    click.echo(f"{'table':24}{'removed':>10}{'emptied':>10}")
    click.echo("\n".join(totals.lines()))
    click.echo(f"{'Done' if apply else 'Nothing was changed; add --apply to do it'}: {done} students.")

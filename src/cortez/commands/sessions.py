"""Learning sessions."""

from datetime import timedelta

import click

from cortez.clock import utc_now
from cortez.commands.common import connect, coroutine
from cortez.core.security.principal import SYSTEM
from cortez.sessions.repository import SessionRepository
from cortez.settings import Settings

LOT = 200  # sessions ended in one unit of work


@click.group()
def sessions() -> None:
    """Learning sessions."""


@sessions.command()
@click.option("--idle-hours", default=24.0, show_default=True, help="How long nothing has happened.")
@click.pass_obj
@coroutine
async def abandon_idle(settings: Settings, idle_hours: float) -> None:
    """End open sessions in which nothing has happened for so long. May be scheduled; twice does no harm."""
    if idle_hours <= 0:
        raise click.BadParameter("Give more than zero hours.", param_hint="--idle-hours")
    before, total = utc_now() - timedelta(hours=idle_hours), 0
    database = connect(settings)
    while True:
        async with database.unit() as session:
            ended = await SessionRepository(session, SYSTEM).abandon_idle(before, LOT)
        total += ended
        if ended < LOT:
            break
    await database.close()
    click.echo(f"Abandoned {total} sessions.")

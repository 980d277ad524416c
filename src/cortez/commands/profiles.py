"""Student profiles."""

import click

from cortez.commands.common import connect, coroutine
from cortez.profiles.updates import rebuild as rebuild_profiles
from cortez.settings import Settings


@click.group()
def profiles() -> None:
    """Student profiles."""


@profiles.command()
@click.pass_obj
@coroutine
async def rebuild(settings: Settings) -> None:
    """Work every profile out anew from what is stored; nothing changes where nothing is wrong."""
    database = connect(settings)
    count = await rebuild_profiles(database)
    await database.close()
    click.echo(f"Worked out {count} profiles.")

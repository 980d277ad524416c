"""Load the demo course."""

import sys

import click
from rich.progress import Progress

from cortez.commands.common import connect, coroutine
from cortez.core.security.passwords import Passwords
from cortez.demo.load import load as load_demo
from cortez.settings import Settings


@click.command()
@click.pass_obj
@coroutine
async def demo(settings: Settings) -> None:
    """Load a demo course: 30 students, 5 activities, 300 sessions, 21,000 traces. Twice adds nothing."""
    if settings.env == "production":
        raise click.ClickException("The demo accounts share a known password, so they are for development only.")
    database = connect(settings)
    with Progress(disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task("Loading the demo course")
        loaded = await load_demo(
            database, Passwords(settings), lambda done, total: progress.update(bar, completed=done, total=total)
        )
    await database.close()
    click.echo("The demo course is loaded: {} sessions and {} traces are new.".format(*loaded))

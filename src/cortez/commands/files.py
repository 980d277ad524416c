"""Uploaded files."""

import asyncio

import click
from sqlalchemy import select

from cortez.commands.common import connect, coroutine
from cortez.content.models import ArchivoAdjunto
from cortez.content.storage import Storage
from cortez.settings import Settings


@click.group()
def files() -> None:
    """Uploaded files."""


@files.command()
@click.option("--older-than", default=3600, show_default=True, help="Seconds; spares uploads on their way.")
@click.pass_obj
@coroutine
async def sweep(settings: Settings, older_than: int) -> None:
    """Remove files that no row names, left behind by uploads that were refused or cut short."""
    database = connect(settings)
    async with database.reading() as session:
        known = set(await session.scalars(select(ArchivoAdjunto.nombre_almacenado)))
    await database.close()
    removed = await asyncio.to_thread(Storage(settings.files).sweep, known, older_than)
    click.echo(f"Removed {removed} files that no row names.")

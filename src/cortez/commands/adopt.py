"""`cortez adopt`."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec
from sqlalchemy.exc import IntegrityError

from cortez.adoption.adopt import NOT_ALONE, Adoption
from cortez.adoption.report import Told, advice, plan, report
from cortez.adoption.source import Source, Unusable
from cortez.commands.common import connect
from cortez.core.migrations import runner
from cortez.ops.readiness import condition_of
from cortez.settings import Settings


@click.command()
@click.argument("source_url")
@click.option("--dry-run", is_flag=True, help="Adopt into a temporary database, for the report, and remove it.")
@click.option(
    "--files",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of the predecessor's uploads.",
)
@click.pass_obj
def adopt(settings: Settings, source_url: str, dry_run: bool, files: Path | None) -> None:
    """Bring a predecessor's database over into this one, which is new. The old one is only read.

    Run it again where it was stopped; once it is done, it changes nothing. Stop the old service before.
    """
    with TemporaryDirectory(prefix="cortez-") as folder:
        if dry_run:
            rehearsal = {"database_url": f"sqlite:///{folder}/cortez.db", "files": f"{folder}/files"}
            settings = msgspec.structs.replace(settings, database_direct_url="", **rehearsal)
            runner.upgrade(settings)
        asyncio.run(adopt_into(settings, source_url, files))
    if dry_run:
        click.echo("Nothing was stored; leave --dry-run out to do it.")


async def adopt_into(settings: Settings, source_url: str, files: Path | None) -> None:
    database = connect(settings)
    try:
        if reasons := (await condition_of(database)).shortcomings:
            raise Unusable(reasons[0])
        source = await Source.open(source_url)
        click.echo("\n".join(plan(source)))
        try:
            with Told() as told:
                adoption = Adoption(database, source, files, told)
                steps = await adoption.run()
        finally:
            await source.close()
        click.echo("\n".join(report(steps)))
        if adoption.was_done:
            click.echo("It was adopted before; nothing was changed.")
        async with database.reading() as session:
            click.echo("\n".join([line async for line in advice(session)]))
    except Unusable as unusable:
        raise click.ClickException(str(unusable)) from None
    except IntegrityError:  # two began at once
        raise click.ClickException(NOT_ALONE) from None
    finally:
        await database.close()

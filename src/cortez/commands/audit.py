"""The audit log."""

import click

from cortez.audit.seals import seal_all, verify
from cortez.commands.common import connect, coroutine
from cortez.settings import Settings


@click.group()
def audit() -> None:
    """The audit log."""


@audit.command("verify")
@click.pass_obj
@coroutine
async def verify_audit(settings: Settings) -> None:
    """Seal what is not sealed yet, then compare every entry and every seal. May be scheduled; note the digest."""
    database = connect(settings)
    await seal_all(database)
    async with database.reading() as session:
        found = await verify(session)
    await database.close()
    for fault in found.faults:
        click.echo(f"✗ {fault.kind} {fault.id}: {fault.detail}")
    if not found.intact:
        raise click.ClickException(f"{found.faults_found} faults: what was sealed has been changed since.")
    click.echo(f"✓ {found.entries} entries under {found.seals} seals are as they were sealed; {found.waiting} wait.")
    click.echo(f"  The newest seal is {found.head or 'not there yet'}.")

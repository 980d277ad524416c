"""The commands beside `serve`."""

import asyncio
import re
import secrets
import sys
from datetime import timedelta
from functools import partial

import click
from alembic.util import CommandError
from rich.progress import Progress
from sqlalchemy import select

from cortez import migrations, tables  # noqa: F401 - registers every table
from cortez.accounts.authentication import SYSTEM
from cortez.accounts.models import Role
from cortez.accounts.repository import UserRepository
from cortez.accounts.schemas import mail_address, new_password
from cortez.adopt_command import adopt
from cortez.commands import connect, coroutine
from cortez.content.models import ArchivoAdjunto
from cortez.content.storage import Storage
from cortez.db import utc_now
from cortez.demo.load import load as load_demo
from cortez.doctor import GOOD, NOTE, ODD, Finding, examine, examine_schema
from cortez.doctor_records import of_records
from cortez.errors import CortezError
from cortez.export_commands import export
from cortez.faults import name_of
from cortez.oversight.profiles import rebuild as rebuild_profiles
from cortez.records.retention import Totals, retain
from cortez.records.sealing import seal_all, verify
from cortez.security import Passwords
from cortez.sessions.repository import SessionRepository
from cortez.settings import Settings

MAX_NAME = 100  # characters of a username, as it is stored
LOT = 200  # sessions ended in one unit of work


@click.group()
def administration() -> None:
    """What is run by hand, or on a schedule."""


@administration.command()
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
        migrations.upgrade(settings, sql=sql, grant_to=grant_to, say=click.echo)
    except CommandError as error:
        raise click.ClickException(str(error)) from None
    if not sql:
        click.echo(f"The schema of {name_of(settings.migration_url)} is up to date.")


@administration.command()
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


@administration.command()
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


@administration.group()
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


@administration.group()
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


@administration.group()
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


@administration.command()
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


@administration.group()
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


@administration.group()
def admin() -> None:
    """Accounts of admins."""


@admin.command()
@click.argument("email")
@click.pass_obj
@coroutine
async def create(settings: Settings, email: str) -> None:
    """Make an admin. The password is read from standard input, or made and printed once."""
    given = "" if sys.stdin.isatty() else sys.stdin.readline().strip()
    password = given or secrets.token_urlsafe(12)
    database = connect(settings)
    try:
        address = mail_address(email)
        hashed = await Passwords(settings).choose(new_password("password", password), address)
        async with database.unit() as session:
            values = {"hashed_password": hashed, "roles": [Role.ADMIN.value], "is_verified": True}
            await UserRepository(session, SYSTEM).create(email=address, username=address[:MAX_NAME], **values)
    except (ValueError, CortezError) as error:
        raise click.ClickException(str(error)) from None
    finally:
        await database.close()
    click.echo(f"Made the admin {address}." + ("" if given else f" Password, shown this once: {password}"))


administration.add_command(adopt)
administration.add_command(export)

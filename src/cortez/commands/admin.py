"""Accounts of admins."""

import secrets
import sys

import click

from cortez.accounts.models import Role
from cortez.accounts.repository import UserRepository
from cortez.accounts.schemas import mail_address, new_password
from cortez.commands.common import connect, coroutine
from cortez.core.security.passwords import Passwords
from cortez.core.security.principal import SYSTEM
from cortez.errors import CortezError
from cortez.settings import Settings

MAX_NAME = 100  # characters of a username, as it is stored


@click.group()
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

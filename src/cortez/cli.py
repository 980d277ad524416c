"""The command line."""

import os
import sys
from importlib import import_module

import click

from cortez.demo.people import PASSWORD, TEACHER
from cortez.settings import Settings, SettingsError, load


class Commands(click.Group):
    """`serve` starts at once; the others are loaded, with all that they need, when one of them is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*self.commands, *self.others().commands})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return self.commands.get(name) or self.others().commands.get(name)

    def others(self) -> click.Group:
        found: click.Group = import_module("cortez.administration").administration
        return found


@click.group(cls=Commands)
@click.version_option(package_name="cortez")
@click.pass_context
def cli(context: click.Context) -> None:
    """The system of record for how students work with AI tutors."""
    os.umask(0o077)  # databases, uploads, keys: what the service makes is for its own account alone
    try:
        context.obj = load()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


@cli.command()
@click.pass_obj
def serve(settings: Settings) -> None:
    """Serve on CORTEZ_HOST and CORTEZ_PORT. SIGHUP takes up new code and settings, SIGTERM stops: no request fails."""
    here = f"http://{settings.host}:{settings.port}"
    click.echo(f"Open {here}/ to look around, {here}/docs for the API. Stop with Ctrl-C.")
    if settings.env == "development":
        click.echo(f"With the demo course loaded, sign in as {TEACHER!r} with the password {PASSWORD!r}.")
    sys.stdout.flush()
    told = (settings.host, settings.port, settings.workers, settings.stop_timeout, settings.log, settings.line_format)
    os.execv(sys.executable, [sys.executable, "-m", "cortez.supervisor", *map(str, told)])  # noqa: S606


def main() -> None:
    cli(prog_name="cortez")

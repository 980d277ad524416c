"""The command line."""

import os
import sys
from importlib import import_module

import click

from cortez.demo.people import PASSWORD, TEACHER
from cortez.settings import Settings, SettingsError, load

# In which module of this package the commands are. Each is loaded, with all that it needs, when it is run.
MODULES = {
    "admin": "admin",
    "adopt": "adopt",
    "audit": "audit",
    "demo": "demo",
    "doctor": "database",
    "export": "export",
    "files": "files",
    "migrate": "database",
    "profiles": "profiles",
    "retention": "retention",
    "sessions": "sessions",
}


class Commands(click.Group):
    """Commands that are loaded by their names."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*self.commands, *MODULES})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in MODULES:
            return self.commands.get(name)
        found: click.Command = getattr(import_module(f"cortez.commands.{MODULES[name]}"), name)
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
    os.execv(sys.executable, [sys.executable, "-m", "cortez.server.supervisor", *map(str, told)])  # noqa: S606


def main() -> None:
    cli(prog_name="cortez")

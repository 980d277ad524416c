"""The command line."""

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
import uvicorn

from cortez import migrations
from cortez.settings import Settings, SettingsError, load


@click.group()
@click.version_option(package_name="cortez")
@click.pass_context
def cli(context: click.Context) -> None:
    """The system of record for how students work with AI tutors."""
    try:
        context.obj = load()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def coroutine(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(command(*args, **kwargs))

    return run


@cli.command()
@click.pass_obj
def serve(settings: Settings) -> None:
    """Serve on CORTEZ_HOST and CORTEZ_PORT."""
    click.echo(f"Cortez on http://{settings.host}:{settings.port} - documentation at /docs, stop with Ctrl-C")
    uvicorn.run(
        "cortez.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_level=settings.log,
        access_log=False,
        server_header=False,
    )


@cli.command()
@click.option("--sql", is_flag=True, help="Print the SQL instead of running it.")
@click.pass_obj
def migrate(settings: Settings, sql: bool) -> None:
    """Bring the database to the newest revision."""
    migrations.upgrade(settings, sql=sql)
    if not sql:
        click.echo(f"The schema of {settings.migration_url.render_as_string(hide_password=True)} is up to date.")


def main() -> None:
    cli(prog_name="cortez")

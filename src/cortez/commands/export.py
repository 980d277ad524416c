"""`cortez export`."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import click
import msgspec

from cortez.adoption.exports import QuarantinedOut, quarantine_lots
from cortez.commands.common import connect, coroutine
from cortez.commands.output_files import save
from cortez.core.db.engine import Database
from cortez.core.security.principal import SYSTEM
from cortez.core.web.decoding import explain
from cortez.core.web.schemas import Input
from cortez.errors import CortezError
from cortez.exports.research import by_activity
from cortez.exports.rules import Tally
from cortez.exports.schemas import ExportFormat, ResearchIn, ResearchRow
from cortez.exports.session_export import session_export
from cortez.exports.streams import encoded, trace_lots
from cortez.settings import Settings
from cortez.traces.schemas import TraceFilter, TraceOut

I = TypeVar("I", bound=Input)  # noqa: E741 - what options are read into
C = TypeVar("C", bound=Callable[..., Any])  # a command
Option = str | int | bool | UUID | None  # what the command line says of a field


@click.group()
def export() -> None:
    """What is stored, as an admin sees it, to standard output or to a file."""


as_lines = click.option(
    "--format", "form", type=click.Choice(list(map(str, ExportFormat))), default="ndjson", show_default=True
)
into = click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file, there once it is whole.")


def options_of(type_: type[Input]) -> Callable[[C], C]:
    """An option for each field."""

    def decorate(command: C) -> C:
        for field in reversed(msgspec.structs.fields(type_)):
            name, default = f"--{field.name.replace('_', '-')}", {} if field.required else {"default": field.default}
            command = click.option(name, required=field.required, show_default=True, **default)(command)
        return command

    return decorate


def read_options(type_: type[I], given: Mapping[str, Option]) -> I:
    try:
        return msgspec.convert({name: value for name, value in given.items() if value is not None}, type_)
    except msgspec.ValidationError as error:
        field = explain(error, type_)
        hint = f"--{field.pointer.strip('/').replace('_', '-')}" if field.pointer else None
        raise click.BadParameter(field.detail, param_hint=hint) from None


async def write(database: Database, chunks: AsyncIterator[bytes], output: Path | None) -> None:
    try:
        await save(chunks, output)
    except CortezError as error:
        raise click.ClickException(error.detail) from None
    finally:
        await database.close()


@export.command("traces")
@as_lines
@options_of(TraceFilter)
@into
@click.pass_obj
@coroutine
async def export_traces(settings: Settings, /, form: str, output: Path | None, **given: Option) -> None:
    """Traces, oldest first."""
    wanted, database = read_options(TraceFilter, given), connect(settings)
    await write(database, encoded(trace_lots(database, SYSTEM, wanted), TraceOut, ExportFormat(form)), output)


@export.command("session")
@click.argument("session_id", type=click.UUID)
@into
@click.pass_obj
@coroutine
async def export_session(settings: Settings, session_id: UUID, output: Path | None) -> None:
    """A session with all that hangs on it, as one JSON document."""
    database = connect(settings)
    await write(database, session_export(database, SYSTEM, session_id), output)


@export.command("research")
@as_lines
@options_of(ResearchIn)
@into
@click.pass_obj
@coroutine
async def export_research(settings: Settings, /, form: str, output: Path | None, **given: Option) -> None:
    """A k-anonymous dataset of sessions; what was left out is counted on standard error."""
    wanted, database, tally = read_options(ResearchIn, given), connect(settings), Tally()
    await write(
        database, encoded(by_activity(database, SYSTEM, wanted, tally), ResearchRow, ExportFormat(form)), output
    )
    for said, counts in zip(("Released", "Left out"), tally.counts(), strict=True):
        click.echo(f"{said}: {counts.rows} sessions of {counts.students} students in {counts.groups} groups.", err=True)


@export.command("quarantine")
@as_lines
@into
@click.pass_obj
@coroutine
async def export_quarantine(settings: Settings, form: str, output: Path | None) -> None:
    """What adoption could not keep where it was, with the reason."""
    database = connect(settings)
    await write(database, encoded(quarantine_lots(database), QuarantinedOut, ExportFormat(form)), output)

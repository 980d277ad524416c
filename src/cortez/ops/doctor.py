"""What `cortez doctor`, `cortez migrate --check` and a start look at: a line for each finding, with what to do."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asyncpg import InterfaceError, PostgresError
from sqlalchemy import Connection, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from cortez.clock import utc_now
from cortez.core.db import diagnostics
from cortez.core.db.base import Base
from cortez.core.db.engine import Database
from cortez.core.db.replica import HERE, Behind, Position, Unfit
from cortez.core.db.unit_of_work import unit_of
from cortez.core.migrations.revisions import revision_of
from cortez.ops.readiness import by_revision
from cortez.settings import DEVELOPMENT_KEY, Settings

if TYPE_CHECKING:
    from cortez.core.migrations.diff import Difference

GOOD, ODD, BAD, NOTE = "✓", "!", "✗", "·"
OLDEST_SERVER = 140000  # as server_version_num has it
OLDEST_SQLITE = (3, 38)  # the first that always has the JSON functions
CLOCK = 5.0  # seconds that two clocks may lie apart
LITTLE_SPACE = 1_000_000_000
# What is lost without each, where the server's machine stops at once.
DURABLE = {
    "fsync": "a crash may damage the database",
    "full_page_writes": "a crash may damage the database",
    "synchronous_commit": "a crash loses what was answered as stored in the last moments",
}
TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


class Finding(NamedTuple):
    mark: str
    area: str
    said: str

    def __str__(self) -> str:
        return f"{self.mark} {self.area}: {self.said}"


Look = Callable[[Connection], list[Finding]]


async def examine(settings: Settings, *more: Look) -> list[Finding]:
    """Everything, and more where that is given; what lies behind a connection only where there is one."""
    return await look(settings, of_server, of_schema, partial(of_files, Path(settings.files)), *more)


async def glance(settings: Settings) -> list[Finding]:
    """What is seen at once and wants attention: of the schema, the revision."""
    return [one for one in await look(settings, of_server, of_revision) if one.mark in (ODD, BAD)]


async def look(settings: Settings, *looks: Look) -> list[Finding]:
    found = await asyncio.to_thread(lambda: [*of_settings(settings), *of_storage(settings)])
    found += await ask(lambda: Database(settings).engine, settings.url, *looks)
    return found + ([await of_replica(settings, url)] if (url := settings.read_url) else [])


async def examine_schema(settings: Settings) -> list[Finding]:
    """The schema alone, as the role that migrates it."""
    limit = {"timeout": settings.db_connect_timeout}
    url = settings.migration_url
    return await ask(lambda: create_async_engine(url, poolclass=NullPool, connect_args=limit), url, of_schema)


async def ask(make: Callable[[], AsyncEngine], url: URL, *looks: Look) -> list[Finding]:
    """What each look finds. A database that is a file is not made by looking for it."""
    if url.get_backend_name() == "sqlite" and not is_file(url):
        return [Finding(BAD, "database", f"There is no file {url.database}. Run: cortez migrate")]
    found: list[Finding] = []
    engine = make()
    if url.get_backend_name() == "postgresql":
        engine = engine.execution_options(isolation_level="READ COMMITTED")  # schemas are compared in a transaction
    try:
        async with engine.connect() as connection:
            for look in looks:
                found += await connection.run_sync(look)
    except (DBAPIError, OSError, PostgresError, InterfaceError) as error:
        found.append(Finding(BAD, "database", diagnostics.told(error, url) or f"{type(error).__name__}."))
    await engine.dispose()
    return found


def is_file(url: URL) -> bool:
    return Path(url.database or "").is_file()


def of_settings(settings: Settings) -> Iterator[Finding]:
    yield Finding(GOOD, "settings", f"{settings.env}, {diagnostics.name_of(settings.url)}")
    if settings.env == "production":
        yield Finding(GOOD, "secrets", "the key is long and random enough, and not the one of development")
    elif readable := DEVELOPMENT_KEY.exists() and DEVELOPMENT_KEY.stat().st_mode & 0o077:
        yield Finding(
            BAD, "secrets", f"others may read {DEVELOPMENT_KEY} ({readable:03o}). Run: chmod 600 {DEVELOPMENT_KEY}"
        )
    else:
        yield Finding(GOOD, "secrets", "for development only. Set CORTEZ_ENV=production where students use it")
    yield from of_modes(settings)
    if settings.env == "development" and not is_loopback(settings.host):
        said = f"development on {settings.host}: {'; '.join(opened(settings))}. Set CORTEZ_ENV=production"
        yield Finding(ODD, "settings", said)
    if settings.db_pgbouncer and not settings.database_direct_url:
        yield Finding(BAD, "settings", "migrations need the server itself behind PgBouncer. Set DATABASE_DIRECT_URL")


def opened(settings: Settings) -> Iterator[str]:
    """What development opens to anyone who reaches the service."""
    if settings.registration_open:
        yield "anybody may register"
    if not settings.metrics_token:
        yield "anybody may read /metrics"
    yield "the passwords of the demo course are known"


def of_modes(settings: Settings) -> Iterator[Finding]:
    """What holds everything that is kept, where other accounts of the machine may read it."""
    url = settings.url
    places = {"database": Path(url.database or "") if url.get_backend_name() == "sqlite" else None}
    places["storage"] = Path(settings.files)
    for area, path in places.items():
        if path and path.exists() and (mode := path.stat().st_mode & 0o077):
            yield Finding(ODD, area, f"others may read {path} ({mode:03o}). Run: chmod -R go= {path}")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it. A name is asked for no address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def of_storage(settings: Settings) -> Iterator[Finding]:
    """Writes a file and removes it again, in the folder or where it will be made."""
    root = Path(settings.files)
    folder = next(one for one in (root, *root.absolute().parents) if one.exists())
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
            os.fsync(file.fileno())
    except OSError as error:
        yield Finding(
            BAD, "storage", f"{folder} cannot be written ({error.strerror}). Check its owner, or set CORTEZ_FILES"
        )
        return
    free = shutil.disk_usage(folder).free
    room = f"{root} has {free / 1e9:.1f} GB free"
    if free < settings.max_upload:
        yield Finding(BAD, "storage", f"{room}, less than one upload may have. Make room")
    elif free < LITTLE_SPACE:
        yield Finding(ODD, "storage", f"{room}. Make room soon")
    else:
        yield Finding(GOOD, "storage", room + ("" if folder == root else f"; the first upload makes it in {folder}"))


def of_server(connection: Connection) -> list[Finding]:
    return list(of_sqlite(connection) if connection.dialect.name == "sqlite" else of_postgresql(connection))


def of_sqlite(connection: Connection) -> Iterator[Finding]:
    version = connection.dialect.server_version_info or ()
    name = f"SQLite {'.'.join(map(str, version))}"
    if version < OLDEST_SQLITE:
        yield Finding(BAD, "database", f"{name} is too old. Use {'.'.join(map(str, OLDEST_SQLITE))} or newer")
    mode = connection.scalar(text("PRAGMA journal_mode"))
    if mode != "wal":
        yield Finding(BAD, "database", f"{name} keeps no write-ahead log here ({mode}). Keep the file on a local disk")
    else:
        yield Finding(GOOD, "database", f"{name}, with a write-ahead log")
    free = shutil.disk_usage(Path(connection.engine.url.database or "").parent).free
    if free < LITTLE_SPACE:
        yield Finding(ODD, "database", f"its disk has {free / 1e9:.1f} GB free. Make room soon")


def of_postgresql(connection: Connection) -> Iterator[Finding]:
    number = int(setting(connection, "server_version_num"))
    name = f"PostgreSQL {setting(connection, 'server_version')}"
    good = number >= OLDEST_SERVER
    yield Finding(GOOD if good else BAD, "database", name if good else f"{name} is too old. Use 14 or newer")
    for option, lost in DURABLE.items():
        if setting(connection, option) == "off":
            yield Finding(ODD, "database", f"{option} is off: {lost}. Set it on, unless losing that is meant")
    yield from of_timeouts(connection)
    yield of_clocks(connection.execute(text("SELECT clock_timestamp()")).scalar_one(), utc_now())


async def of_replica(settings: Settings, url: URL) -> Finding:
    """Whether reads can be answered there now."""
    database, name = Database(settings), diagnostics.name_of(url)
    try:
        await compare_replica(database)
    except Unfit as error:
        mark, advice = (ODD, "Look at its disk and network") if isinstance(error, Behind) else (BAD, "Set it up anew")
        return Finding(mark, "replica", f"{name} is not read: {error}. {advice}, or take DATABASE_READ_URL away")
    except (DBAPIError, OSError, PostgresError, InterfaceError) as error:
        return Finding(BAD, "replica", diagnostics.told(error, url) or f"{type(error).__name__}.")
    finally:
        await database.close()
    return Finding(GOOD, "replica", f"{name} has come as far as the primary")


async def compare_replica(database: Database) -> None:
    """Raises Unfit."""
    assert database.replica  # noqa: S101 - for the type checker
    async with database.engine.connect() as primary, database.reading() as session:
        await unit_of(session).move_to(database.replica.engine)
        told = await primary.scalar(select(HERE))
        if told is None:
            raise Unfit("DATABASE_URL leads to a replica too")
        await database.replica.come_to(Position.of(told), session)


def of_clocks(theirs: datetime, ours: datetime) -> Finding:
    apart = abs((theirs - ours).total_seconds())
    said = f"the server's and ours are {apart:.1f} s apart"
    return Finding(GOOD, "clock", said) if apart <= CLOCK else Finding(BAD, "clock", f"{said}. Let NTP set both")


def of_timeouts(connection: Connection) -> Iterator[Finding]:
    """As they hold on this connection, wherever they come from: behind PgBouncer from the role alone."""
    names = {name: setting(connection, name) for name in TIMEOUTS}
    role = connection.scalar(text("SELECT quote_ident(session_user)"))
    for name, value in names.items():
        if value == "0":
            example = "5s" if name == "lock_timeout" else "30s"
            advice = f"Run: ALTER ROLE {role} SET {name} = '{example}'; then reconnect the pooler"
            yield Finding(BAD, "timeouts", f"there is no {name}. {advice}")
    if "0" not in names.values():
        yield Finding(GOOD, "timeouts", ", ".join(f"{name} {value}" for name, value in names.items()))


def of_revision(connection: Connection) -> list[Finding]:
    """As `/health/ready` judges it; nothing where all is well."""
    condition = by_revision(connection)
    return bad(condition.shortcomings) or [Finding(ODD, "schema", notice) for notice in condition.notices]


def of_schema(connection: Connection) -> list[Finding]:
    """The revision, then every difference between what is there and what this version needs."""
    if told := of_revision(connection):
        return told
    from cortez.core.migrations import diff  # with Alembic, which nothing that starts needs

    found = revision_of(connection)
    try:
        compared = diff.compare(connection)
    except diff.CannotCompare as error:
        return [Finding(ODD, "schema", f"at revision {found}, and only that is known. {error}")]
    good = Finding(GOOD, "schema", f"at revision {found}, and all of it as this version needs it")
    return (bad(compared.differences) or [good]) + [Finding(NOTE, "schema", note) for note in compared.notes]


def of_files(root: Path, connection: Connection) -> list[Finding]:
    """Whether what the rows name is there: a restored database may be newer than its folder."""
    if of_revision(connection):
        return []
    table = Base.metadata.tables["archivos_adjuntos"]
    named = set(connection.scalars(select(table.c.ruta_relativa)))
    missing = sorted(name for name in named if not (root / name).is_file())
    if missing:
        said = f"{len(missing)} of {len(named)} are not in {root}, such as {missing[0]}. Restore the folder"
        return [Finding(BAD, "files", said)]
    return [Finding(GOOD, "files", f"all {len(named)} are in {root}")]


def bad(told: Iterable["Difference | str"]) -> list[Finding]:
    return [Finding(BAD, "schema", str(one)) for one in told]


def setting(connection: Connection, name: str) -> str:
    return str(connection.scalar(text("SELECT current_setting(:name)"), {"name": name}))

"""PgBouncer in transaction mode between the service and PostgreSQL, and both restarted under conflicting writes.

Broken on purpose: without DB_PGBOUNCER the statements that the driver keeps meet each other's names.
"""

import asyncio
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import msgspec

from cortez.core.migrations import runner
from cortez.ops import doctor
from factory import Make
from postgres import Cluster, cluster, create_database, free_port, prefixed
from reliability import contests, r9_storms
from reliability.stage import POSTGRESQL, Outcome, Stage
from reliability.traffic import Traffic, place_of
from running import client_of

FIGURE = "R17"
CLAIM = (
    "behind PgBouncer in transaction mode: conflicting writes of 18 kinds, keys and reads; it and PostgreSQL restarted"
)
TARGET = "only 503 with Retry-After, 0 lost, 0 prepared-statement errors; doctor finds nothing wrong"
DATABASES = (POSTGRESQL,)
PATIENCE = 30.0  # seconds
TIMEOUTS = {"statement_timeout": "30s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "30s"}


class Pooler:
    """PgBouncer in a folder, in front of a server."""

    def __init__(self, program: str, folder: Path, server: Cluster) -> None:
        self.program, self.folder, self.port = program, folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        options = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": folder / "users",
            "pool_mode": "transaction",
            "default_pool_size": 10,  # fewer than the service has: they are shared
            "max_client_conn": 500,
            "server_login_retry": 1,  # seconds, where 15 would answer nobody for as long after a restart
            "query_wait_timeout": 5,  # seconds
        }
        lines = ["[databases]", f"* = host=127.0.0.1 port={server.port}", "[pgbouncer]"]
        (folder / "pgbouncer.ini").write_text(
            "\n".join([*lines, *(f"{name} = {value}" for name, value in options.items())])
        )
        (folder / "users").write_text('"cortez" ""\n')

    def start(self) -> None:
        """Returns once it listens."""
        with (self.folder / "pgbouncer.log").open("ab") as log:
            command = prefixed(self.program, str(self.folder / "pgbouncer.ini"))
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE
        while "process up" not in (self.folder / "pgbouncer.log").read_text():
            assert time.monotonic() < until, (self.folder / "pgbouncer.log").read_text()
            time.sleep(0.01)

    def stop(self) -> None:
        """At once, whoever is connected."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
            self.process = None


@contextmanager
def pooling(program: str, folder: Path, server: Cluster) -> Iterator[Pooler]:
    pooler = Pooler(program, folder, server)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.stop()


async def run(stage: Stage) -> Outcome:
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        return Outcome("PgBouncer is not installed. Debian and Ubuntu: apt-get install pgbouncer", kept=None)
    folder = stage.folder / "postgres"
    await asyncio.to_thread(folder.mkdir)
    with cluster(folder, durable=True) as postgres, pooling(program, stage.folder, postgres) as pooler:
        direct = await create_database(postgres.url, "pooled")
        pooled = direct.replace(f":{postgres.port}/", f":{pooler.port}/")
        changes = {"database_url": pooled, "database_direct_url": direct, "db_pgbouncer": True}
        settings = msgspec.structs.replace(stage.settings, **changes)
        await set_timeouts(direct)
        await asyncio.to_thread(runner.upgrade, settings)
        wrong = [str(found) for found in await doctor.examine(settings) if found.mark == doctor.BAD]
        behind = msgspec.structs.replace(stage, settings=settings)
        said = await play(behind, postgres, pooler, wrong)
        clashes = postgres.log.read_text().count("prepared statement")
    return Outcome(
        f"{said}, {clashes} prepared-statement errors; {'; '.join(wrong) or 'doctor: nothing wrong'}",
        not (wrong or clashes),
    )


async def set_timeouts(url: str) -> None:
    connection = await asyncpg.connect(url)
    for name, value in TIMEOUTS.items():
        await connection.execute(f"ALTER ROLE cortez SET {name} = '{value}'")
    await connection.close()


async def play(stage: Stage, postgres: Cluster, pooler: Pooler, wrong: list[str]) -> str:
    """What was done; what should not have been is added to `wrong`."""
    conflicts, increments, rounds = (300, 60, 1) if stage.quick else (4_000, 300, 5)
    async with stage.app() as app, Make(app, client_of) as make:
        world, place = await r9_storms.build(make, "R17"), await place_of(make)
    with stage.server(
        CORTEZ_WORKERS="2", DB_PGBOUNCER="1", DATABASE_DIRECT_URL=stage.settings.database_direct_url
    ) as server:
        traffic, storm = Traffic(server.address, place, writers=4), r9_storms.Storm(server.address)
        async with traffic.flowing():
            storming = asyncio.create_task(storm.send_all(r9_storms.writes(world, conflicts, increments)))
            for _ in range(rounds):
                await restarted(traffic, postgres, pooler)
            await storming
    history = storm.history
    async with stage.app() as app, app.state.database.reading() as session:
        wrong += [found async for found in r9_storms.differences(session, world, history)]
        wrong += [found async for found in contests.differences(session, world.contest, history)]
    async with stage.app() as app:
        verdict = await traffic.verdict(app.state.database)
    wrong += [f"{write.kind}: {reply.status} {reply.code}" for write, reply in history.unasked[:5]]
    wrong += [f"{reply.status} {reply.code}" for reply in traffic.unasked[:5]]
    wrong += [verdict.said()] if verdict.faults else []
    put_off = history.put_off + traffic.counts["503"]
    done = sum(map(len, history.acknowledged.values()))
    return f"{rounds} restarts of each: {done:,} writes of 18 kinds, {verdict.said()}; {put_off:,} x 503"


async def restarted(traffic: Traffic, postgres: Cluster, pooler: Pooler) -> None:
    """First the pooler, then the server behind it, each while the traffic flows."""
    for one in (pooler, postgres):
        await traffic.acknowledging(50)
        await asyncio.to_thread(one.stop)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(one.start)
    await traffic.acknowledging(50)

"""A predecessor's database is adopted by the command of a user, which is killed again and again on its way.

The predecessor is an SQLite file of sessions with ten traces each, every trace after the first with a parent. What is
counted at the end is asked of both databases, in SQL. With the position stored before the rows, in a unit of work of
its own, rows were missing after three kills.
"""

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import text

import predecessor
from predecessor import Row, key, moment
from reliability.stage import POSTGRESQL, Outcome, Stage

FIGURE = "R11b"
CLAIM = "adoption of a predecessor's database, killed on its way; a second run"
QUICK = (POSTGRESQL,)
TARGET = "10⁵ sessions, 10⁶ traces: 0 rows lost, 0 differ, 0 changed by a second run; memory bounded"
STEPS = 10  # traces of a session
STATE = next(state for state in predecessor.STATES if state.name == "models")
MODEST = 400.0  # MB
# The same of both: how many, of whom, with what. Figures are whole numbers, so that no sum depends on an order.
ASKED = (
    "SELECT count(*), count(DISTINCT student_id), count(DISTINCT activity_id) FROM sessions",
    "SELECT count(*), count(parent_trace_id), count(DISTINCT session_id), sum(length(content)) FROM cognitive_traces",
    "SELECT count(*) FROM cognitive_traces t JOIN cognitive_traces p ON p.id = t.parent_trace_id "
    "WHERE p.session_id = t.session_id AND p.created_at < t.created_at",
)


async def run(stage: Stage) -> Outcome:
    sessions, kills = (300, 2) if stage.quick else (100_000, 8)
    old = stage.folder / "old.db"
    await asyncio.to_thread(make, old, sessions)
    begun = time.monotonic()
    told = await asyncio.to_thread(adopt_under_fire, stage, old, kills)
    took = time.monotonic() - begun
    before, now = await asyncio.to_thread(asked, old), await stored(stage)
    again = await asyncio.to_thread(adopt, stage, old)
    await asyncio.to_thread(again.wait)
    is_same = again.returncode == 0 and await stored(stage) == now
    said = (
        f"{sessions:,} sessions, {sessions * STEPS:,} traces in {took:.0f} s with {told['kills']} kills, "
        f"{told['memory']:.0f} MB at most; "
    )
    said += (
        f"{'0 of 8 sums differ' if now[:-1] == before else f'{before} became {now}'}, {now[-1][0]} in the quarantine; "
    )
    said += f"a second run changed {'nothing' if is_same else 'something'}"
    return Outcome(said, now[:-1] == before and now[-1][0] == 0 and is_same and told["memory"] < MODEST)


def make(path: Path, sessions: int) -> None:
    columns = predecessor.tables(STATE)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for statement in predecessor.create(STATE, is_postgresql=False):
            connection.execute(statement)
        content: dict[str, Iterator[Row]] = {
            "users": iter(predecessor.rows("users", columns["users"])),
            "activities": iter(predecessor.rows("activities", columns["activities"])),
            "sessions": map(session, range(sessions)),
            "cognitive_traces": map(trace, range(sessions * STEPS)),
        }
        for table, rows in content.items():
            statement = f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns[table]))})"
            stored = ([predecessor.as_sqlite(one) for one in predecessor.stored(row, columns[table])] for row in rows)
            connection.executemany(statement, stored)
        connection.commit()


def like(table: str) -> Row:
    return predecessor.rows(table, predecessor.tables(STATE)[table], 1)[0]


SESSION, TRACE = like("sessions"), like("cognitive_traces")


def of_session(number: int) -> Row:
    return {"student_id": f"al-{number % 3000}", "activity_id": f"activity_id-{number % 3}"}


def session(number: int) -> Row:
    return SESSION | of_session(number) | {"id": key("sessions", number), "created_at": moment(number % 5000)}


def trace(number: int) -> Row:
    owner, step = divmod(number, STEPS)
    when = moment(owner % 5000).replace(minute=step, tzinfo=None)
    parent = key("cognitive_traces", number - 1) if step else None
    own = {"id": key("cognitive_traces", number), "session_id": key("sessions", owner), "parent_trace_id": parent}
    return TRACE | of_session(owner) | own | {"created_at": when, "content": "¿Por qué no termina? " * (1 + number % 9)}


def asked(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(statement).fetchone() for statement in ASKED]


async def stored(stage: Stage) -> list[tuple[Any, ...]]:
    async with stage.app() as app, app.state.database.reading() as session:
        statements = (*ASKED, "SELECT count(*) FROM quarantine")
        return [tuple((await session.execute(text(statement))).one()) for statement in statements]


def adopt(stage: Stage, old: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "cortez", "adopt", f"sqlite:///{old}"]
    own = {"DATABASE_URL": stage.settings.database_url, "CORTEZ_SECRET_KEY": stage.settings.secret_key}
    with (stage.folder / "adopt.log").open("ab") as log:
        return subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)


def adopt_under_fire(stage: Stage, old: Path, kills: int) -> dict[str, float]:
    """Start it, kill it somewhere after it has told of some more traces, start it again; the last ends by itself."""
    peak, killed, log = 0.0, 0, stage.folder / "adopt.log"
    log.touch()
    while True:
        told, process = log.read_text().count("cognitive_traces: "), adopt(stage, old)
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            if killed < kills and log.read_text().count("cognitive_traces: ") > told + 1:
                time.sleep(random.random() / 10)  # noqa: S311 - any moment
                process.kill()
                killed += process.wait() < 0
            time.sleep(0.01)
        if process.returncode >= 0:
            assert process.returncode == 0, log.read_text()[-2000:]
            return {"kills": killed, "memory": peak}


def memory(pid: int) -> float:
    """Of a process that may be gone, in MB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return int(status.split("VmRSS:")[1].split()[0]) / 1024 if "VmRSS:" in status else 0.0

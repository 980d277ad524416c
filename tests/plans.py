"""How the database would answer everything that the service asks of it: each statement, with the plan for it.

With `enable_seqscan=off` PostgreSQL reads a table from end to end only where no index could help, so that a few
thousand rows show what a million would. SQLite is asked for its query plan.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, get_args

import msgspec
from litestar import Litestar
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from corpus import SPARED, at, places, right_body
from cortez import tables
from cortez.accounts.models import Role
from cortez.clock import utc_now
from cortez.core.db.engine import Database
from cortez.core.web.route_options import options_of
from cortez.examples.values import example_of
from cortez.exercises.models import HintReveal
from cortez.privacy.retention import Totals, retain, sweep
from cortez.profiles.models import StudentFigures, StudentProfile
from factory import Make, Someone
from routes import calls
from scale import BIG, multiply

ROWS = 1_000
VALUES = {
    "student_id": "student1-7",
    "activity_id": "there-7",
    "course_id": "there",
    "language": "python",
    "subject_code": "S-1",
    "tag": "loops",
    "q": "loop",
    "limit": "20",
    "deleted": "true",
    "is_active": "true",
    "resolved": "false",
    "count": "true",
    "order": "-created_at",
    "include": "traces,risks,evaluations",
    "student_ids": "student1-7,student1-8",
    "format": "ndjson",
}
RARE: dict[str, Any] = {
    "POST /exports/research": {"study": "x", "period_start": "2026-03-01T00:00:00Z"},
    "DELETE /students/student1-7/data": None,
}
TIME = "2026-03-02T00:00:00Z"
# What may read big tables from end to end: a pattern of the call, the tables, and why.
EXCUSED = (
    (
        r"count=true",
        "exercise_attempts remediation_plans risk_alerts teacher_interventions",
        "counted to 10,000 under rights of several kinds, of which no index knows all",
    ),
    (r"^GET /alerts/live", "teacher_interventions", "those of alerts, hashed once for all sessions"),
    (r"^cortez retention", "sessions", "by hand, once in a while, and about everybody"),
    (
        r"^DELETE /students",
        "git_traces idempotency_records incident_simulations interview_sessions lti_sessions simulator_events "
        "trace_sequences",
        "once for a student who leaves; an index would cost every write of the others",
    ),
)
# What SQLite counts without an index, of those active.
EXCUSED_ON_SQLITE = {"GET /alerts/live?count=true": {"sessions"}}
# Indexes that are used where these tables are large, which a test does not make them: by what.
UNASKED = {
    "idx_unidades_deleted": "GET /subjects/{code}/unidades?deleted=true",
    "idx_apuntes_deleted": "GET /unidades/{unidad_id}/apuntes?deleted=true",
    "idx_archivos_adjuntos_deleted": "GET /unidades/{unidad_id}/archivos?deleted=true",
    "idx_audit_subject": "the archive of a student, GET /students/{student_id}/data",
    "idx_access_student": "the erasure of a student, DELETE /students/{student_id}/data",
    "idx_legacy_ids_student": "the erasure of a student",
    "idx_quarantine_student": "the erasure of a student",
}
# An index over few rows says by itself which are looked at.
PARTIAL = {"idx_users_adopted_password"}
# A filter that few rows pass: who looks for the first of them in some order may look through all.
OF_FEW = re.compile(r"\b(student_id|activity_id|session_id|course_id|exercise_id)\)?(::text)? = (\$|')")
SCAN, INDEX = re.compile(r"SCAN (\w+)$"), re.compile(r"INDEX (\w+)")
READS = re.compile(r"\s*(WITH|SELECT|UPDATE|DELETE)\b", re.IGNORECASE)


class Sent(msgspec.Struct, frozen=True):
    """A statement as the driver got it, and the first call that led to it."""

    statement: str
    parameters: Any
    call: str


class Plan(msgspec.Struct, frozen=True):
    """The big tables of which no index says which rows to look at, the indexes used, and what is read whole."""

    scanned: set[str]
    used: set[str]
    whole: set[str]


class Watch:
    """Keeps the first of each statement while `call` is asked."""

    def __init__(self) -> None:
        self.call = ""
        self.sent: dict[str, Sent] = {}

    def see(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if READS.match(statement) and not many and "pg_" not in statement:
            self.sent.setdefault(statement, Sent(statement, parameters, self.call))


@contextmanager
def watching(database: Database) -> Iterator[Watch]:
    watch = Watch()
    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", watch.see)
    yield watch
    event.remove(engine, "before_cursor_execute", watch.see)


async def everything(app: Litestar, make: Make) -> list[Sent]:
    """What is sent while everybody asks for everything, under each filter, and for the page after."""
    database: Database = app.state.database
    address = await places(make)
    admin, teacher = await make.admin(), await make.user(Role.TEACHER, course="there")
    student = await make.user(Role.STUDENT, student_id="student1-7", course="there")
    keys = [await make.key("read", "sessions", "traces", "analysis", course_ids=limit) for limit in (None, ["there"])]
    session = await make.session(student, activity_id="there", course_id="there")
    exercise = await make.exercise()
    await make.add(
        HintReveal(student_id="student1", exercise_id=exercise.id, session_id=session.id, penalty=0),
        StudentProfile(student_id="student1-7"),
        StudentFigures(student_id="student1", course_id="there"),
    )
    await multiply(database, ROWS)
    with watching(database) as watch:
        for who in (admin, teacher, student, *keys):
            await reads(app, who, address, watch)
        await writes(app, admin, address, watch)
        await jobs(app, make, watch)
    return list(watch.sent.values())


async def reads(app: Litestar, who: Someone, address: dict[str, str], watch: Watch) -> None:
    filled = {place.partition(":")[0] + "}": value for place, value in address.items()}
    for _, verb, path, handler in calls(app):
        if verb != "GET":
            continue
        here = at(path, filled)
        known = options_of(handler).query
        filters = [f"{name}={value_for(name, field)}" for name, field in known.items() if name != "cursor"]
        for query in ("limit=2", *filters, *(f"{one}&order=created_at" for one in filters if "order" in known)):
            watch.call = f"GET {path}?{query}"
            answer = await who.get(here, params=query)
            if query == "limit=2" and answer.is_success and "json" in answer.headers.get("content-type", ""):
                found = answer.json()
                if isinstance(found, dict) and found.get("next_cursor"):
                    await who.get(here, params={"cursor": found["next_cursor"]})


def value_for(name: str, field: Any) -> str:
    if name in VALUES:
        return VALUES[name]
    if name.endswith(("_after", "_before", "since", "until")):
        return TIME
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    found = example_of(field.annotation)
    return str(example_of(kinds[0]) if found is None and kinds else found)


async def writes(app: Litestar, who: Someone, address: dict[str, str], watch: Watch) -> None:
    """The reads inside of writing calls; what they change does not matter."""
    filled = {place.partition(":")[0] + "}": value for place, value in address.items()}
    for _, verb, path, handler in calls(app):
        if verb in ("GET", "DELETE") or f"{verb} {path}" in SPARED:
            continue
        media, body = right_body(handler)
        watch.call = f"{verb} {path}"
        headers = {"content-type": media} if media else {}
        await who.client.request(verb, at(path, filled), content=body, headers=headers)


async def jobs(app: Litestar, make: Make, watch: Watch) -> None:
    """What runs by itself or on a schedule, and what is asked once in a while."""
    database: Database = app.state.database
    admin = await make.admin()  # whoever asked for everything has signed out, too
    watch.call = "upkeep"
    await app.state.upkeep.journal.flush()
    await sweep(database)
    for call, asked in RARE.items():
        watch.call = call
        verb, path = call.split(" ")
        answer = await admin.client.request(verb, path, json=asked)
        assert answer.is_success, answer.text
    watch.call = "cortez retention"
    async for _ in retain(database, utc_now() - timedelta(days=1), apply=True, totals=Totals()):
        break


async def plan(connection: AsyncConnection, sent: Sent) -> Plan:
    if connection.dialect.name == "sqlite":
        return await sqlite_plan(connection, sent)
    found = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sent.statement}", sent.parameters)
    told = found.scalar_one()
    root = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
    scanned: set[str] = set()
    used: set[str] = set()
    whole: set[str] = set()
    for node, limited in nodes(root, limited=False):
        if name := node.get("Index Name"):
            used.add(name)
        table = node.get("Relation Name")
        first_rows = limited and not OF_FEW.search(node.get("Filter", ""))
        some = bounded(node) or first_rows or node.get("Index Name") in PARTIAL
        if table in BIG and (node["Node Type"] == "Seq Scan" or not some):
            scanned.add(table)
        if node["Node Type"] == "Seq Scan":
            whole.add(str(table))
    return Plan(scanned, used, whole)


def nodes(node: dict[str, Any], *, limited: bool) -> Iterator[tuple[dict[str, Any], bool]]:
    """Every node, and whether only its first rows are wanted, in the order that it gives."""
    limited = limited or node["Node Type"] == "Limit"
    yield node, limited
    for child in node.get("Plans", ()):
        yield from nodes(child, limited=limited and child["Node Type"] not in ("Sort", "Hash", "Aggregate"))


def bounded(node: dict[str, Any]) -> bool:
    """Whether an index says which rows are looked at."""
    return "Index Cond" in node or any("Index Cond" in child or bounded(child) for child in node.get("Plans", ()))


async def sqlite_plan(connection: AsyncConnection, sent: Sent) -> Plan:
    found = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sent.statement}", sent.parameters)
    lines = [str(row.detail) for row in found]
    scanned = {one[1] for line in lines if (one := SCAN.match(line))}
    scanned = (scanned & {*BIG}) - EXCUSED_ON_SQLITE.get(sent.call, set())
    return Plan(scanned, {one[1] for line in lines if (one := INDEX.search(line))}, scanned)


def faults(sent: Sent, found: Plan) -> set[str]:
    """The big tables that it reads from end to end without a reason."""
    excused = {table for call, named, _ in EXCUSED if re.search(call, sent.call) for table in named.split()}
    return found.scanned - excused


def idle(used: set[str]) -> list[str]:
    """The indexes that nothing asked for, and that neither keep something unique nor serve a foreign key."""
    return [
        index.name
        for table in tables.metadata.sorted_tables
        for index in table.indexes
        if isinstance(index.name, str)
        and index.name not in used | UNASKED.keys()
        and not index.unique
        and not next(iter(index.columns)).foreign_keys
    ]

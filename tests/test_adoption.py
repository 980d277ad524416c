"""Adoption: each state of a predecessor's database comes over value by value, and nothing is dropped silently.

The predecessor is on SQLite where the new database is on PostgreSQL, and the other way round.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

import awkward
import predecessor
from awkward import ANYTHING, SOME_ID, new
from conftest import POSTGRES
from cortez.accounts.models import User
from cortez.adoption.adopt import Adoption
from cortez.adoption.keys import new_id, new_key
from cortez.adoption.models import AdoptionStep, LegacyId, Quarantined
from cortez.adoption.source import Source, Unusable
from cortez.commands.cli import cli
from cortez.core.db.engine import Database
from cortez.core.security import passwords
from cortez.core.security.passwords import Passwords
from cortez.tables import metadata
from factory import Make
from postgres import create_database
from predecessor import STATES, Row, State, key
from running import SECRET

# What the service says of a file itself, and the token of which it keeps a digest.
DERIVED = set(
    "nombre_almacenado tipo_archivo mime_type tamano_bytes ruta_relativa checksum_sha256 launch_token".split()
)


@pytest.fixture
async def address(database: Database, tmp_path: Path, worker: str) -> str:
    """Of an empty database for a predecessor."""
    if database.is_sqlite:
        return await create_database(os.environ[POSTGRES], f"old_{worker}")
    return f"sqlite:///{tmp_path}/old.db"


def ordinary(state: State) -> dict[str, list[Row]]:
    return {name: predecessor.rows(name, columns) for name, columns in predecessor.tables(state).items()}


async def adopt(database: Database, url: str, files: Path | None = None) -> list[AdoptionStep]:
    source = await Source.open(url)
    try:
        return await Adoption(database, source, files, lambda *progress: None).run()
    finally:
        await source.close()


def uploaded(folder: Path, content: dict[str, list[Row]]) -> Path:
    """The files that the rows speak of."""
    for row in content.get("archivos_adjuntos", [])[:3]:
        place = folder / "files" / row["ruta_relativa"]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"%PDF-1.4\n%%EOF\n")
    return folder / "files"


async def stored(database: Database, name: str) -> dict[Any, Any]:
    table = metadata.tables[name]
    async with database.reading() as session:
        return {row.id: row for row in await session.execute(select(table))}


@pytest.mark.requirement("G3")
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
async def test_every_value_comes_over(make: Make, address: str, state: State, tmp_path: Path) -> None:
    content = ordinary(state)
    await predecessor.make(address, state, content)
    steps = await adopt(make.database, address, uploaded(tmp_path, content))
    assert {step.table_name: step.rows_read for step in steps if step.rows_read} == {
        name: len(rows) for name, rows in content.items()
    }
    for name, rows in content.items():
        if name in predecessor.TABLES:
            found = await stored(make.database, name)
            for row in rows:
                assert_equal(name, row, found[new_id(name, row.get("id", row.get("code")))])


def assert_equal(name: str, old: Row, now: Any) -> None:
    for column, value in old.items():
        if column not in DERIVED and hasattr(now, column):
            assert getattr(now, column) == expected(name, column, value), (name, column)


def expected(name: str, column: str, value: Any) -> Any:
    """The value as the types of now say it."""
    if column == "trace_count":
        return 1
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value
    key = metadata.tables[name].c[column]
    target = next((one.column.table.name for one in key.foreign_keys if one.column.name == "id"), None)
    if column == "id" or (target and value is not None):
        return new_id(target or name, value)
    return "tutor" if value == "TUTOR" else value


class World:
    """What became of the awkward rows."""

    def __init__(self, make: Make, steps: list[AdoptionStep]) -> None:
        self.make = make
        self.steps = {step.table_name: step for step in steps}

    async def row(self, table: str, old: str) -> Any:
        found = await stored(self.make.database, table)
        return found[new_id(table, old)]

    async def quarantined(self, table: str, old: str) -> dict[str | None, Any]:
        """What is kept of a row, by column; None is the row as a whole."""
        kept = [one for one in await self.make.all(Quarantined) if (one.table_name, one.old_id) == (table, old)]
        return {one.column_name: one.original if one.column_name is None else one.original["value"] for one in kept}


@pytest.fixture
async def world(make: Make, address: str, tmp_path: Path) -> World:
    content = awkward.content(is_postgresql=make.database.is_sqlite)
    await predecessor.make(address, ANYTHING, content)
    tmp_path.joinpath("outside.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n")
    return World(make, await adopt(make.database, address, uploaded(tmp_path, content)))


@pytest.mark.requirement("G3")
async def test_every_row_is_stored_or_kept_in_the_quarantine(world: World) -> None:
    content = awkward.content(is_postgresql=world.make.database.is_sqlite)
    for name, rows in content.items():
        step = world.steps[name]
        assert (step.rows_read, step.rows_written + step.rows_quarantined) == (len(rows), len(rows)), name
    whole = {(one.table_name, one.old_id) for one in await world.make.all(Quarantined) if one.new_id is None}
    assert whole == {
        ("cognitive_traces", "t/5"),
        ("cognitive_traces", "t/6"),
        ("evaluations", "e3"),
        ("archivos_adjuntos", "f1"),
        ("archivos_adjuntos", "f2"),
        ("archivos_adjuntos", "f3"),
        ("git_traces", "g1"),
        ("student_profiles", "p1"),
        *(("knowledge_documents", key("knowledge_documents", number)) for number in range(3)),
    }


@pytest.mark.requirement("G3")
async def test_keys_are_mapped_and_the_old_ones_kept(world: World) -> None:
    session = await world.row("sessions", "sess-1")
    assert session.id == new("sessions", "sess-1")
    assert (session.student_id, session.activity_id) == (new_key("al/1 ñ"), new_key("prog 2/tp#1"))
    assert str((await world.row("sessions", SOME_ID)).id) == SOME_ID.lower()
    old = {(one.place, one.old_key): (one.new_key, one.student_id) for one in await world.make.all(LegacyId)}
    assert old["sessions.id", "sess-1"] == (str(session.id), session.student_id)
    assert old["student_id", "al/1 ñ"] == (session.student_id, session.student_id)
    assert old["activities.activity_id", "prog 2/tp#1"] == (session.activity_id, None)
    risk = await world.row("risks", "risk_1")
    assert risk.trace_ids == [str(new("cognitive_traces", "t/1")), SOME_ID.lower()]
    report = await world.row("course_reports", "c1")
    assert report.at_risk_students == [session.student_id, "student_id-0"]
    assert report.student_summaries == [
        {"student_id": session.student_id, "sessions": 2},
        {"student_id": "student_id-0"},
    ]
    assert (await world.row("teacher_interventions", "i2")).alert_id == f"alert_{session.id}"
    assert (await world.row("remediation_plans", "q1")).trigger_risks == [str(risk.id)]
    assert (await world.row("risk_alerts", "r1")).evidence == [str(risk.id), "seen by a person"]


@pytest.mark.requirement("G3")
async def test_activities_and_subjects_that_no_row_has_get_one(world: World) -> None:
    activities = {row.activity_id: row for row in (await stored(world.make.database, "activities")).values()}
    assert activities[new_key("prog 2/tp#1")].status == "archived"
    subjects = {row.code: row.is_active for row in (await stored(world.make.database, "subjects")).values()}
    assert subjects[new_key("NEW/1")] is False
    courses = {row.course_id for row in (await stored(world.make.database, "courses")).values()}
    assert courses >= {"course_id-0", "course_id-3"}


@pytest.mark.requirement("G3")
async def test_parents_are_found_whatever_the_order(world: World) -> None:
    assert (await world.row("cognitive_traces", "t/1")).parent_trace_id == new("cognitive_traces", "t/2")
    assert (await world.row("cognitive_traces", "t/3")).parent_trace_id is None
    assert await world.quarantined("cognitive_traces", "t/3") == {"parent_trace_id": "gone"}


@pytest.mark.requirement("G3")
async def test_names_in_any_case_and_aliases_are_understood(world: World) -> None:
    trace = await world.row("cognitive_traces", "t/3")
    assert (trace.interaction_type, trace.cognitive_state) == ("tutor_intervention", "atascado")
    assert trace.trace_level == "n4_cognitivo"
    assert (await world.row("sessions", "sess-1")).mode == "simulator"
    activity = await world.row("activities", key("activities", 3))
    assert (activity.difficulty, activity.policies) == ("INICIAL", {"max_help_level": "medio"})
    assert (await world.row("exercises", "python-u1-e1")).difficulty == "Hard"
    assert (await world.row("evaluations", "e1")).overall_competency_level == "inicial"


@pytest.mark.requirement("G3")
async def test_what_a_column_cannot_hold_is_kept_beside_it(world: World) -> None:
    trace = await world.row("cognitive_traces", "t/4")
    assert (trace.ai_involvement, trace.student_id) == (0.0, "student_id-1")
    assert await world.quarantined("cognitive_traces", "t/4") == {"ai_involvement": 7.0, "student_id": "somebody else"}
    session = await world.row("sessions", SOME_ID)
    assert (session.status, session.user_id) == ("completed", None)
    assert await world.quarantined("sessions", SOME_ID) == {"status": "FINISHED", "user_id": key("users", 99)}
    ended = await world.row("sessions", key("sessions", 5))
    assert (ended.simulator_type, ended.end_time) == (None, ended.updated_at)
    assert (await world.row("evaluations", "e2")).overall_competency_level == "autonomo"
    assert (await world.row("evaluations", "e1")).recommendations == {"student": ["Plan first."]}
    assert (await world.quarantined("evaluations", "e3"))[None]["overall_score"] == 85.0
    attempt = await world.row("exercise_attempts", "x2")
    assert (attempt.tests_passed, attempt.tests_total, attempt.session_id) == (0, 0, None)
    assert (await world.row("exercises", "python-u1-e1")).time_min == 30
    intervention = await world.row("teacher_interventions", "i1")
    assert (intervention.teacher_id, intervention.student_id) == (None, "student_id-1")
    unknown = await world.quarantined("users", key("users", 0))
    assert unknown == {None: {"phone": "users.phone 0: año ✓"}}


@pytest.mark.requirement("G3")
async def test_times_that_are_missing_are_taken_from_the_row(world: World) -> None:
    trace = await world.row("cognitive_traces", "t/7")
    assert trace.created_at == trace.updated_at
    assert trace.context == {}


@pytest.mark.requirement("G3")
async def test_text_that_only_sqlite_holds(world: World) -> None:
    if world.make.database.is_sqlite:
        return  # the predecessor is on PostgreSQL, which refuses all three
    trace = await world.row("cognitive_traces", "t/8")
    assert (trace.content, trace.context, trace.created_at) == ("ab", {}, trace.updated_at)
    kept = await world.quarantined("cognitive_traces", "t/8")
    assert kept == {"content": "a\u2400b", "context": "{no json", "created_at": "yesterday"}


@pytest.mark.requirement("G3")
async def test_what_may_be_there_only_once_gives_way(world: World) -> None:
    users = await stored(world.make.database, "users")
    third, fourth = (users[new_id("users", key("users", number))] for number in (3, 4))
    assert third.email == f"users.email 0: año ✓.{str(third.id)[:8]}"
    assert third.roles == ["teacher"]
    assert (fourth.student_id, fourth.roles) == (None, ["student"])
    assert (third.email_key, third.username_key) == (third.email, third.username)
    fifth = users[new_id("users", key("users", 5))]
    assert (fifth.username, fifth.username_key) == ("USERS.USERNAME 0: AÑO ✓", None)  # signs in by this very spelling
    assert (fifth.email, fifth.email_key) == ("new.ñandú@example.edu", "new.ñandú@example.edu")
    assert (await world.row("unidades", "u1")).numero > 2
    assert (await world.row("unidades", "u2")).numero == 2
    assert (await world.row("apuntes", "a1")).orden > 2
    assert (await world.row("exercise_attempts", "x1")).attempt_number > 2
    assert (await world.row("risk_alerts", "r1")).status == "resolved"


@pytest.mark.requirement("G3")
async def test_submissions_of_the_first_exercises_are_attempts(world: World) -> None:
    attempt = await world.row("exercise_attempts", key("user_exercise_submissions", 1))
    assert (attempt.student_id, attempt.status, attempt.tests_passed) == ("student_id-1", "PASS", 2)
    assert attempt.rubric_evaluation == {"quality": {"readability_score": 0.375}}


@pytest.mark.requirement("G3")
async def test_a_second_run_changes_nothing(make: Make, world: World, address: str, tmp_path: Path) -> None:
    before = await everything(make.database)
    steps = await adopt(make.database, address, tmp_path / "files")
    assert {step.table_name: step.rows_read for step in steps} == {
        name: step.rows_read for name, step in world.steps.items()
    }
    assert await everything(make.database) == before


async def everything(database: Database) -> dict[str, list[Any]]:
    async with database.reading() as session:
        return {
            name: [tuple(row) for row in await session.execute(select(table).order_by(table.c.id))]
            for name, table in metadata.tables.items()
        }


class Killed(Exception):
    pass


@pytest.mark.requirement("G3")
async def test_it_goes_on_where_it_was_killed(
    make: Make, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every unit of work in turn: what is there in the end is what one run makes."""
    monkeypatch.setattr("cortez.adoption.adopt.LOT", 4)
    content = awkward.content(is_postgresql=make.database.is_sqlite)
    await predecessor.make(address, ANYTHING, content)
    files, runs = uploaded(tmp_path, content), 0

    def stop_after(lots: int) -> Any:
        told = []

        def report(*progress: object) -> None:
            told.append(progress)
            if len(told) > lots:
                raise Killed

        return report

    while runs < 100:
        source = await Source.open(address)
        try:
            steps = await Adoption(make.database, source, files, stop_after(3)).run()
            break
        except Killed:
            runs += 1
        finally:
            await source.close()
    assert 10 < runs < 100
    made = {step.table_name: (step.rows_read, step.rows_written + step.rows_quarantined) for step in steps}
    for name, rows in content.items():
        assert made[name] == (len(rows), len(rows)), name
    async with make.database.reading() as session:
        traces = metadata.tables["cognitive_traces"]
        assert await session.scalar(select(func.count()).select_from(traces)) == len(content["cognitive_traces"]) - 2


@pytest.mark.requirement("G3")
async def test_two_at_once_store_nothing_twice(
    make: Make, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortez.adoption.adopt.LOT", 4)
    content = awkward.content(is_postgresql=make.database.is_sqlite)
    await predecessor.make(address, ANYTHING, content)
    files = uploaded(tmp_path, content)
    ended = await asyncio.gather(*[adopt(make.database, address, files) for _ in range(2)], return_exceptions=True)
    assert all(isinstance(one, list | Unusable | DBAPIError) for one in ended), ended
    steps = {step.table_name: step for step in await adopt(make.database, address, files)}
    for name, rows in content.items():
        made = steps[name].rows_written + steps[name].rows_quarantined
        assert (steps[name].rows_read, made) == (len(rows), len(rows)), name
    kept = [(one.table_name, one.column_name, one.old_id) for one in await make.all(Quarantined)]
    assert len(kept) == len(set(kept))


@pytest.mark.requirement("G3")
async def test_what_is_no_predecessor_is_refused(make: Make, address: str, tmp_path: Path) -> None:
    state = State("empty", frozenset(predecessor.TABLES.keys() - {"users"}))
    await predecessor.make(address, state, {})
    with pytest.raises(Unusable, match="has no table cognitive_traces, sessions"):
        await adopt(make.database, address)
    with pytest.raises(Unusable, match="cannot be read"):
        await adopt(make.database, f"sqlite:///{tmp_path}/nowhere.db")
    with pytest.raises(Unusable, match="no address"):
        await adopt(make.database, "oracle://there")


@pytest.mark.requirement("G3")
async def test_a_database_in_use_is_not_adopted_into(make: Make, address: str) -> None:
    await predecessor.make(address, ANYTHING, {})
    await make.session()
    with pytest.raises(Unusable, match="holds activities already"):
        await adopt(make.database, address)


@pytest.mark.requirement("G3")
async def test_erasure_reaches_what_adoption_kept(make: Make, world: World) -> None:
    student = new_key("al/1 ñ")
    assert [one for one in await make.all(LegacyId) if one.student_id == student]
    admin = await make.admin()
    for key_ in (student, "student_id-1"):
        assert (await admin.delete(f"/students/{key_}/data")).status_code == 200
    left = [one.old_key for one in await make.all(LegacyId) if one.student_id in (student, "student_id-1")]
    left += [one.old_id for one in await make.all(Quarantined) if one.student_id in (student, "student_id-1")]
    assert left == []


async def command(make: Make, *arguments: str, name: str = "adopt") -> Result:
    settings = make.database.settings
    environment = {"DATABASE_URL": settings.database_url, "CORTEZ_FILES": settings.files, "CORTEZ_SECRET_KEY": SECRET}
    return await asyncio.to_thread(CliRunner().invoke, cli, [name, *arguments], env=environment)


@pytest.mark.requirement("G3")
async def test_the_command_plans_rehearses_and_reports(make: Make, address: str, tmp_path: Path) -> None:
    content = awkward.content(is_postgresql=make.database.is_sqlite)
    await predecessor.make(address, ANYTHING, content)
    refused = await command(make, address)
    assert (refused.exit_code, "Give --files" in refused.output) == (1, True)
    given = (address, "--files", str(uploaded(tmp_path, content)))
    rehearsed = await command(make, *given, "--dry-run")
    assert (rehearsed.exit_code, await make.all(AdoptionStep)) == (0, []), repr(rehearsed.exception)
    assert "Nothing was stored" in rehearsed.output
    done = await command(make, *given)
    said = done.output.splitlines()
    assert done.exit_code == 0, done.output
    assert said == rehearsed.output.splitlines()[:-1]
    traces = len(content["cognitive_traces"])
    assert f"{'cognitive_traces':32}{traces:>12}{traces - 2:>12}{2:>13}" in said
    assert "  cognitive_traces: 1 x parent_trace_id: the parent comes later, set at the end" in said
    assert "  users has columns of its own, kept in the quarantine: phone." in said
    assert "It was adopted before" in (await command(make, *given)).output
    kept = await command(make, "quarantine", name="export")
    entries = [json.loads(line) for line in kept.stdout.splitlines()]
    assert len(entries) == len(await make.all(Quarantined)) > 20
    assert {entry["original"].get("value") for entry in entries if entry["old_id"] == "t/3"} == {"gone"}


@pytest.mark.requirement("G3")
async def test_a_password_of_the_predecessor_works_and_is_hashed_anew(make: Make, client: httpx.AsyncClient) -> None:
    hashed = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    await make.add(User(email="ana@example.edu", username="ana", hashed_password=hashed, student_id="ana"))

    async def login(password: str) -> int:
        return (await client.post("/auth/login", json={"login": "ana", "password": password})).status_code

    async def kept() -> str:
        return str((await make.all(User))[0].hashed_password)

    assert (await login("close sesame"), await kept()) == (401, hashed)
    assert await login("open sesame") == 200
    assert (await kept()).startswith("$argon2id$")
    assert [await login("open sesame"), await login("close sesame")] == [200, 401]


@pytest.mark.requirement("G3")
async def test_while_an_old_password_is_left_every_login_costs_both_hashes(
    make: Make, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = Counter[str]()
    hashes = {
        "old": bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode(),
        "new": await Passwords(make.app.state.settings).hash("open sesame"),
    }
    for name, hashed in hashes.items():
        await make.add(User(email=f"{name}@example.edu", username=name, hashed_password=hashed))

    def counted(name: str, check: Callable[..., bool]) -> Callable[..., bool]:
        def counting(*given: object) -> bool:
            spent[name] += 1
            return check(*given)

        return counting

    monkeypatch.setattr(passwords, "matches_bcrypt", counted("bcrypt", passwords.matches_bcrypt))
    monkeypatch.setattr(Passwords, "_matches_ours", counted("argon2id", Passwords._matches_ours))
    for login in ("old", "new", "nobody"):
        spent.clear()
        answer = await client.post("/auth/login", json={"login": login, "password": "a guess"})
        assert (answer.status_code, spent) == (401, {"bcrypt": 1, "argon2id": 1}), login

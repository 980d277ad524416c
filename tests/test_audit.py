"""The audit log: what triggers write, that nothing in it can be changed, and that a change would be found."""

import asyncio
import hashlib
import hmac
import os
import random
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from msgspec.structs import replace
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DBAPIError

from cortez import tables
from cortez.accounts.models import ApiKey, CourseInvitation, User
from cortez.app import create_app
from cortez.audit.models import AuditEntry, AuditSeal, SubjectKey
from cortez.audit.seal_order import Sealed
from cortez.audit.seals import backlog, root_of, seal_all, verify
from cortez.core.db.audit_context import Author
from cortez.core.db.base import models
from cortez.core.db.classification import Audit
from cortez.core.db.engine import Database
from cortez.core.migrations import runner
from cortez.core.migrations.audit_triggers import Audited, for_postgresql, for_sqlite, of_model
from cortez.oversight.models import RemediationPlan
from cortez.sessions.models import LearningSession
from factory import PASSWORD, Make
from inventory import inventory
from postgres import create_database
from running import SECRET, client_of, live
from tampering import unguarded
from test_rubrics import RUBRIC

VERSIONS = Path(__file__).parents[1] / "alembic" / "versions"


def audited() -> dict[str, Audited]:
    """What the models say of their tables."""
    return {name: of_model(model) for name, model in models().items() if model.audit}


def audits() -> dict[str, Audit]:
    return {name: model.audit for name, model in models().items() if model.audit}


async def entries(make: Make, table: str) -> list[AuditEntry]:
    return sorted(
        (one for one in await make.all(AuditEntry) if one.table_name == table), key=lambda one: int(one.position)
    )


@pytest.mark.requirement("L1")
def test_every_column_of_an_audited_table_is_accounted_for() -> None:
    for name, one in audited().items():
        audit = models()[name].audit
        assert audit
        said = [*one.named, *audit.unseen.split()]
        assert len(said) == len(set(said)), name
        assert {*said, "id", "created_at", "updated_at"} == {*tables.metadata.tables[name].columns.keys(), "id"}, name


@pytest.mark.requirement("L1")
async def test_the_triggers_are_those_that_the_models_ask_for(database: Database) -> None:
    """A revision that is made from the models changes nothing but, for the three oldest, which columns wake one.

    They are woken by every column, and make no entry where none of theirs has changed.
    """

    def without_columns(found: frozenset[str]) -> set[str]:
        return {re.sub(r"UPDATE OF [\w, ]+ ON", "UPDATE ON", one) for one in found}

    make_triggers = for_sqlite if database.is_sqlite else for_postgresql
    async with database.session(writes=True) as session:
        connection = await session.connection()
        before = await connection.run_sync(inventory)
        for one in audited().values():
            for statement in make_triggers(one):
                await connection.exec_driver_sql(statement)
        after = await connection.run_sync(inventory)
    assert without_columns(before) == without_columns(after)
    assert len(before - after) == 3


@pytest.mark.requirement("L1")
@pytest.mark.requirement("G2")
async def test_every_audited_table_has_its_triggers(make: Make) -> None:
    """A revision that makes a table of SQLite anew must bring them along."""
    if make.database.is_sqlite:
        wanted = {
            f"trg_audit_{name}_{event.lower()}" for name, one in audited().items() for event in one.events.split()
        }
        question = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'trg_audit_%'"
    else:
        wanted = {f"trg_audit_{name}" + end for name in audited() for end in ("", "_truncated")}
        question = "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'trg_audit_%' AND tgenabled = 'O'"
    async with make.database.engine.connect() as connection:
        found = set(await connection.scalars(text(question)))
    assert wanted <= found


@pytest.mark.requirement("L1")
async def test_a_change_is_recorded_with_who_made_it_in_which_request(make: Make) -> None:
    admin, student = await make.admin(), await make.student()
    answer = await admin.put(f"/users/{student.id}/roles", json={"roles": ["student", "tutor"]})
    entry = (await entries(make, "users"))[-1]
    assert (entry.operation, entry.actor_kind) == ("update", "person")
    assert entry.request_id == answer.headers["x-request-id"]
    assert (entry.before, entry.after) == ({"roles": ["student"]}, {"roles": ["student", "tutor"]})
    listed = (await admin.get(f"/audit?table=users&row_id={student.id}&actor={admin.id}")).json()["items"]
    assert [one["id"] for one in listed] == [str(entry.id)]
    assert (listed[0]["actor"], listed[0]["subject"]) == (str(admin.id), str(student.id))


@pytest.mark.requirement("L1")
async def test_persons_and_personal_values_are_not_in_the_log(make: Make) -> None:
    admin = await make.admin()
    body = {"email": "secret@example.edu", "username": "hush", "full_name": "Zoe Quiet", "password": PASSWORD}
    user = (await admin.post("/users", json={**body, "roles": ["student"]})).json()
    await admin.patch(f"/users/{user['id']}", json={"full_name": "Zoe Loud"})
    raw = str([vars(one) for one in await entries(make, "users")])
    for said in ("secret", "hush", "Zoe", user["id"], UUID(user["id"]).hex, str(admin.id)):
        assert said not in raw
    [key] = [one for one in await make.all(SubjectKey) if one.subject == user["id"]]
    changed = (await entries(make, "users"))[-1]
    secret = bytes(byte ^ 0x36 for byte in key.pads[:64])
    expected = hmac.new(secret, b"Zoe Loud", hashlib.sha256).hexdigest()
    assert changed.after == {"full_name": f"hmac:{expected}"}
    assert changed.subject == key.alias


@pytest.mark.requirement("L1")
async def test_what_is_rolled_back_leaves_no_entry(make: Make) -> None:
    admin = await make.admin()
    taken = {"email": "ana@example.edu", "username": "ana", "roles": ["student"]}
    assert (await admin.post("/users", json=taken)).status_code == 201
    count = len(await entries(make, "users"))
    assert (await admin.post("/users", json=taken)).status_code == 409
    assert len(await entries(make, "users")) == count


@pytest.mark.requirement("L1")
async def test_signing_in_is_no_change_of_an_account(make: Make) -> None:
    student = await make.student()
    async with make.database.unit() as session:
        await session.execute(update(User).where(User.id == student.id).values(login_count=3))
    assert len(await entries(make, "users")) == 1


@pytest.mark.requirement("L1")
async def test_traces_are_recorded_when_they_change_and_sessions_when_they_go(make: Make) -> None:
    admin = await make.admin()
    session = await make.session()
    trace = await make.trace(session)
    assert await entries(make, "cognitive_traces") == []
    assert (await admin.patch(f"/traces/{trace.id}", json={"ai_involvement": 0.5})).status_code == 200
    [changed] = await entries(make, "cognitive_traces")
    assert (changed.before, changed.after) == ({"ai_involvement": 0.0}, {"ai_involvement": 0.5})
    assert (await admin.delete(f"/sessions/{session.id}")).status_code == 204
    [_, gone] = await entries(make, "cognitive_traces")
    [ended] = await entries(make, "sessions")
    assert (gone.operation, gone.after, ended.operation) == ("delete", None, "delete")
    assert {gone.actor_kind, ended.actor_kind} == {"person"}
    assert gone.before
    assert gone.before["content"].startswith("hmac:")


@pytest.mark.requirement("L1")
async def test_every_critical_table_is_recorded(make: Make) -> None:
    admin, group = await make.admin(), await make.group()
    await make.risk(group.session)
    await make.evaluation(group.session)
    plan = {"student_id": group.student.student_id, "course_id": "c", "plan_type": "tutoring", "description": "Talk."}
    assert (await group.teacher.post("/remediation-plans", json=plan)).status_code == 201
    talk = {"student_id": group.student.student_id, "intervention_type": "follow_up"}
    assert (await group.teacher.post("/interventions", json=talk)).status_code == 201
    exercise = await make.exercise()
    tried = await group.student.post(f"/exercises/{exercise.id}/attempts", json={"submitted_code": "x"})
    assert tried.status_code == 201
    author, path = await make.subject_teacher(exercise.subject_code), f"/exercises/{exercise.id}"
    assert (await author.post(f"{path}/hints", json={"content": "x"})).status_code == 201
    assert (await author.post(f"{path}/tests", json={"input": "1", "expected": "1"})).status_code == 201
    assert (await author.put(f"{path}/rubric", json=RUBRIC)).status_code == 200
    await make.add(CourseInvitation(course_id="c", user_id=author.id, role="student", invited_by=admin.id))
    urls = dict.fromkeys(("auth_login_url", "auth_token_url", "public_keyset_url"), "https://lms.example.edu/x")
    names = {"platform_name": "Moodle", "issuer": "https://lms.example.edu", "client_id": "1", "deployment_id": "1"}
    assert (await admin.post("/lti/deployments", json=names | urls)).status_code == 201
    recorded = {one.table_name for one in await make.all(AuditEntry) if one.operation == "insert"}
    assert recorded == {name for name, audit in audits().items() if audit.inserts}


@pytest.mark.requirement("L1")
async def test_a_key_a_command_and_nobody_are_named_as_what_they_are(make: Make, client: Any) -> None:
    group = await make.group()
    found = {"risk_type": "ai_dependency", "risk_level": "low", "description": "x"}
    assert (await group.key.post(f"{group.path}/risks", json=found)).status_code == 201
    [risk] = await entries(make, "risks")
    assert (risk.actor_kind, risk.actor) == ("key", str(group.key.id))
    account = {"email": "new@example.edu", "username": "new", "password": PASSWORD}
    assert (await client.post("/auth/register", json=account)).status_code == 201
    assert (await entries(make, "users"))[-1].actor_kind == "anonymous"
    other = Database(make.database.settings, author=Author("command:adopt", None))
    async with other.unit() as session:
        await session.execute(update(ApiKey).values(name="renamed"))
    await other.close()
    assert {(one.actor_kind, one.actor) for one in (await entries(make, "api_keys"))[1:]} == {("command", "adopt")}


@pytest.mark.requirement("L1")
async def test_who_writes_past_the_service_is_named_or_refused(make: Make) -> None:
    """On PostgreSQL by the role's name; on SQLite a program without the service's functions cannot write at all."""
    student = await make.student()
    if make.database.is_sqlite:
        path = make.database.settings.url.database
        assert path
        with sqlite3.connect(path) as connection, pytest.raises(sqlite3.OperationalError, match="no such function"):
            connection.execute("UPDATE users SET roles = '[\"admin\"]'")
        return
    async with make.database.engine.begin() as connection:
        await connection.execute(text("UPDATE users SET is_verified = true WHERE id = :id"), {"id": student.id})
    last = (await entries(make, "users"))[-1]
    assert (last.actor_kind, last.actor) == ("database", "cortez")


@pytest.mark.requirement("L1")
@pytest.mark.parametrize("table", ["audit_log", "audit_seals", "audit_leaves"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET updated_at = updated_at", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_the_log_is_append_only(make: Make, table: str, verb: str) -> None:
    await make.student()
    await sealed(make.database)
    if make.database.is_sqlite and verb.startswith("TRUNCATE"):
        return  # SQLite has no such statement
    with pytest.raises(DBAPIError, match="escape the audit log"):
        async with make.database.engine.begin() as connection:
            await connection.execute(text(verb.format(table)))


@pytest.mark.requirement("L1")
@pytest.mark.parametrize(
    "table", sorted({name for name, audit in audits().items() if "UPDATE" in audit.events} | {"sessions"})
)
async def test_no_audited_table_can_be_emptied_unseen(make: Make, table: str) -> None:
    if make.database.is_sqlite:
        return  # SQLite has no TRUNCATE
    with pytest.raises(DBAPIError, match="TRUNCATE"):
        async with make.database.engine.begin() as connection:
            await connection.execute(text(f"TRUNCATE {table} CASCADE"))


async def test_two_first_mentions_of_a_person_at_once_share_one_key(make: Make) -> None:
    if make.database.is_sqlite:
        return  # one writer at a time
    group = await make.group()
    first, second = make.database.session(writes=True), make.database.session(writes=True)
    plan = {"plan_type": "tutoring", "description": "x", "start_date": group.session.start_time}
    values = plan | {"student_id": "unheard of", "target_completion_date": group.session.start_time}
    first.session.add(RemediationPlan(**values))
    await first.flush()
    second.session.add(RemediationPlan(**values))
    waiting = asyncio.create_task(second.flush())
    await asyncio.sleep(0.05)
    await first.commit()
    await waiting
    await second.commit()
    await first.close()
    await second.close()
    assert len({one.subject for one in await entries(make, "remediation_plans")}) == 1


async def verified(database: Database) -> Any:
    async with database.reading() as session:
        return await verify(session)


async def sealed(database: Database) -> None:
    """Everything: a transaction of another test's database holds a seal up as well, for as long as it is open."""
    while True:
        await seal_all(database)
        async with database.reading() as session:
            if not await backlog(session):
                return
        await asyncio.sleep(0.01)


async def test_a_seal_covers_what_was_there_and_the_next_what_came_since(make: Make) -> None:
    admin = await make.admin()
    await make.student()
    await sealed(make.database)
    first = (await admin.get("/audit/verify")).json()
    assert (first["intact"], first["entries"]) == (True, 2)
    await make.student()
    await sealed(make.database)
    second = (await admin.get("/audit/verify")).json()
    assert (second["intact"], second["entries"]) == (True, 3)
    assert second["head"] != first["head"]
    assert second["seals"] > first["seals"] > 0  # one each, unless another test's transaction was in the way of some
    seals = sorted(await make.all(AuditSeal), key=lambda seal: int(seal.number))
    assert seals[first["seals"] - 1].digest.hex() == first["head"]
    assert (await admin.get("/audit/verify")).json()["seals"] == second["seals"]


async def test_an_entry_of_an_open_transaction_waits_for_its_seal(make: Make) -> None:
    """A transaction that began earlier may commit later: a seal that passed it by would never come back to it."""
    if make.database.is_sqlite:
        return  # one writer at a time
    await make.student()
    await sealed(make.database)
    held = make.database.session(writes=True)
    held.session.add(User(email="h@example.edu", username="h", hashed_password="!"))
    await held.flush()
    await make.student()
    assert await seal_all(make.database) == 0
    await held.commit()
    await held.close()
    async with make.database.reading() as session:
        assert await backlog(session) == 2
    await sealed(make.database)
    assert (await verified(make.database)).intact


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE audit_log SET actor_kind = 'command' WHERE position = (SELECT min(position) FROM audit_log)",
            "changed",
        ),
        ("UPDATE audit_log SET salt = updated_salt", "changed"),
        ("DELETE FROM audit_log WHERE position = (SELECT max(position) FROM audit_log)", "gone"),
        ("DELETE FROM audit_leaves WHERE place = 1", "does not cover"),
        ("UPDATE audit_leaves SET place = place + 5", "does not cover"),
        ("UPDATE audit_seals SET entries = entries + 1 WHERE number = 1", "does not cover"),
        ("UPDATE audit_seals SET number = 7 WHERE number = 2", "Seal 2 is missing"),
        ("UPDATE audit_seals SET created_at = (SELECT min(created_at) FROM users)", "does not follow"),
        (
            "DELETE FROM audit_leaves WHERE seal_id = (SELECT id FROM audit_seals WHERE number = 1);"
            "DELETE FROM audit_seals WHERE number = 1",
            "Seal 1 is missing",
        ),
    ],
)
async def test_what_an_owner_changes_after_the_seal_is_found(make: Make, statement: str, said: str) -> None:
    for _ in range(2):
        await make.student()
        await make.student()
        await sealed(make.database)
    assert (await verified(make.database)).intact
    blob = "x'00'" if make.database.is_sqlite else r"'\x00'::bytea"
    async with unguarded(make.database) as connection:
        for one in statement.replace("updated_salt", blob).split(";"):
            await connection.execute(text(one))
    found = await verified(make.database)
    assert not found.intact
    assert said in str(found.faults)


FORGED = """INSERT INTO audit_log
    (id, created_at, updated_at, position, xid, table_name, row_id, operation, actor_kind, salt)
    SELECT {id}, {created_at}, created_at, {position}, xid, table_name, row_id, operation, actor_kind, salt
    FROM audit_log WHERE position = (SELECT min(position) FROM audit_log)"""
NEXT, BEYOND = (f"(SELECT max(position) + {number} FROM audit_log)" for number in (1, 1000))


def forged(database: Database, days: int, position: str) -> str:
    """A statement that copies the first entry to a position, as if it had been made so many days ago."""
    ago = f"datetime('now', '-{days} days')" if database.is_sqlite else f"now() - interval '{days} days'"
    new_id = "lower(hex(randomblob(16)))" if database.is_sqlite else "gen_random_uuid()"
    return FORGED.format(id=new_id, created_at=ago, position=position)


@pytest.mark.requirement("A2")
@pytest.mark.requirement("L1")
@pytest.mark.parametrize(("days", "position"), [(10, NEXT), (0, "7000"), (0, "-1")])
async def test_an_entry_is_made_by_a_trigger_alone(make: Make, days: int, position: str) -> None:
    """On SQLite also by a program with the service's functions, but then at the next position and now."""
    await make.student()
    with pytest.raises(DBAPIError, match="INSERT into audit_log is refused"):
        async with make.database.engine.begin() as connection:
            await connection.execute(text(forged(make.database, days, position)))


@pytest.mark.requirement("L1")
async def test_a_program_without_the_service_s_functions_makes_no_entry(make: Make) -> None:
    if not make.database.is_sqlite:
        return
    await make.student()
    path = make.database.settings.url.database
    assert path
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.OperationalError, match="no such function"):
        connection.execute(forged(make.database, 0, NEXT))


@pytest.mark.parametrize(
    ("days", "position", "said"),
    [
        (10, BEYOND, "no seal, though all of its time"),
        (0, "-1", "stands before others"),
        (10, "-1", "no seal, though all of its time"),
    ],
)
async def test_an_entry_that_no_trigger_made_is_found_though_nothing_sealed_was_changed(
    make: Make, days: int, position: str, said: str
) -> None:
    await make.student()
    await sealed(make.database)
    async with unguarded(make.database) as connection:
        await connection.execute(text(forged(make.database, days, position)))
    for _ in range(2):  # also once everything that can be sealed is
        found = await verified(make.database)
        assert not found.intact
        await make.student()
        await seal_all(make.database)
    assert said in str(found.faults)


async def test_an_entry_that_was_removed_before_its_seal_leaves_a_gap(make: Make) -> None:
    """On SQLite; PostgreSQL's counter leaves gaps itself, where a transaction is rolled back."""
    for _ in range(3):
        await make.student()
    async with unguarded(make.database) as connection:
        second = "SELECT position FROM audit_log ORDER BY position LIMIT 1 OFFSET 1"
        await connection.execute(text(f"DELETE FROM audit_log WHERE position = ({second})"))
    await sealed(make.database)
    found = await verified(make.database)
    assert found.intact is not make.database.is_sqlite
    assert ("the one before it" in str(found.faults)) is make.database.is_sqlite


async def test_an_entry_that_was_overtaken_is_no_fault(make: Make) -> None:
    """Its transaction ended later than others that began before it and wrote after it."""
    if make.database.is_sqlite:
        return  # one writer at a time
    await make.student()
    await sealed(make.database)
    first, second = make.database.session(writes=True), make.database.session(writes=True)
    for held, name in ((first, "1"), (second, "2"), (first, "3")):
        held.session.add(User(email=f"{name}@example.edu", username=name, hashed_password="!"))
        await held.flush()
    await first.commit()
    assert await eventually_sealed(make.database) == 2
    found = await verified(make.database)
    assert (found.intact, found.waiting) == (True, 0)  # the second one's is not there to be seen
    await second.commit()
    late = await verified(make.database)
    assert (late.intact, late.waiting) == (True, 1)
    await first.close()
    await second.close()
    await sealed(make.database)
    assert (await verified(make.database)).intact


async def eventually_sealed(database: Database) -> int:
    """How many entries the next seals cover: another test's transaction may hold them up."""
    while True:
        if count := await seal_all(database):
            return count
        await asyncio.sleep(0.01)


async def test_entries_of_days_without_a_seal_are_all_sealed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one seal takes; none of them may leave the older ones behind."""
    monkeypatch.setattr("cortez.audit.seals.LOT", 2)
    for _ in range(5):
        await make.student()
    ago = "datetime('now', '-5 days')" if make.database.is_sqlite else "now() - interval '5 days'"
    async with unguarded(make.database) as connection:
        await connection.execute(text(f"UPDATE audit_log SET created_at = {ago}"))
    await sealed(make.database)
    found = await verified(make.database)
    assert (found.intact, found.entries, found.waiting) == (True, 5, 0)


@pytest.mark.parametrize("seed", range(20))
def test_of_what_was_sealed_the_highest_transaction_above_a_position_is_known(seed: int) -> None:
    """The staircase of `Sealed` against looking at everything."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    found, known = Sealed(), list[tuple[int, int]]()
    for position in chance.sample(range(40), 40):
        xid = chance.randrange(30)
        assert found.forbids(position, xid) == any(above > position and other >= xid for above, other in known)
        found.add(position, xid)
        known.append((position, xid))
        assert found.highest == max(known)[0]


def test_the_root_is_that_of_rfc_6962() -> None:
    """Over one, two and three leaves, worked out by hand."""

    def node(left: bytes, right: bytes) -> bytes:
        return hashlib.sha256(b"\x01" + left + right).digest()

    one, two, three, four, five = (hashlib.sha256(bytes([0, n])).digest() for n in range(5))
    assert root_of([one]) == one
    assert root_of([one, two, three]) == node(node(one, two), three)
    assert root_of([one, two, three, four, five]) == node(node(node(one, two), node(three, four)), five)


async def test_only_an_admin_reads_the_log(make: Make) -> None:
    for someone in (await make.student(), await make.teacher(), await make.tutor(), await make.key("read")):
        for path in ("/audit", "/audit/verify"):
            assert (await someone.get(path)).status_code == 403


async def test_the_log_is_filtered_and_paged(make: Make) -> None:
    admin = await make.admin()
    for _ in range(3):
        await make.key()
    everything = (await admin.get("/audit?count=true")).json()
    assert everything["total"] == 4
    page = (await admin.get("/audit?table=api_keys&limit=2")).json()
    assert [one["operation"] for one in page["items"]] == ["insert", "insert"]
    rest = (await admin.get(f"/audit?cursor={page['next_cursor']}")).json()
    assert len(rest["items"]) == 1
    since = page["items"][0]["created_at"]
    assert len((await admin.get("/audit", params={"since": since})).json()["items"]) == 1
    assert (await admin.get(f"/audit?row_id={uuid4()}")).json()["items"] == []
    assert (await admin.get("/audit?table=x;y")).status_code == 422


async def test_what_happened_within_a_millisecond_is_listed_in_its_order(make: Make) -> None:
    await make.add(*[ApiKey(name=str(number), key_hash=str(number).encode()) for number in range(50)])
    listed = (await (await make.admin()).get("/audit?table=api_keys")).json()["items"]
    assert [one["after"]["name"] for one in listed] == [str(number) for number in reversed(range(50))]


async def test_a_person_without_a_key_is_named_no_more(make: Make) -> None:
    """What erasure leaves: the entries, and seals that still hold, but nobody behind the aliases."""
    admin, student = await make.admin(), await make.student()
    await sealed(make.database)
    async with make.database.unit() as session:
        await session.execute(delete(SubjectKey).where(SubjectKey.subject.in_([str(student.id), student.student_id])))
    assert (await verified(make.database)).intact
    text_ = (await admin.get("/audit")).text
    assert str(student.id) not in text_
    assert student.student_id not in text_


async def test_the_service_s_role_can_write_everything_but_the_log(make: Make, worker: str) -> None:
    """The two roles of `docs/audit.md`."""
    if make.database.is_sqlite:
        return  # a file has no roles
    role = f"cortez_service_{worker}"
    owner = make.database.settings
    url = await create_database(os.environ["CORTEZ_TEST_POSTGRES"], f"roles_{worker}")
    mine = replace(owner, database_url=url)
    connection = await asyncpg.connect(url)
    await connection.execute(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN")
    await asyncio.to_thread(runner.upgrade, mine, grant_to=role)
    as_service = url.replace("cortez@", f"{role}@")
    async with live(create_app(replace(mine, database_url=as_service))) as app, Make(app, client_of) as own:
        admin = await own.admin()
        body = {"email": "ana@example.edu", "username": "ana", "roles": ["student"]}
        assert (await admin.post("/users", json=body)).status_code == 201
        assert len((await admin.get("/audit")).json()["items"]) == 2
        assert (await admin.get("/audit/verify")).json()["intact"]
        guest = {"student_id": "moodle-7", "activity_id": (await own.activity()).activity_id}
        await own.add(LearningSession(**guest))  # of whom the log knows nothing yet, and so has no key
        assert (await admin.delete("/students/moodle-7/data")).status_code == 200
        for statement in (
            "INSERT INTO audit_log SELECT * FROM audit_log",
            "DELETE FROM audit_log",
            "UPDATE audit_seals SET number = 5",
            "UPDATE subject_keys SET alias = 'x'",
            "ALTER TABLE users DISABLE TRIGGER ALL",
            "SET session_replication_role = replica",
        ):
            with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
                async with own.database.engine.begin() as service:
                    await service.execute(text(statement))
    await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    await connection.close()


async def test_what_a_restored_database_brings_along_is_sealed_at_once(make: Make) -> None:
    """Its transactions have numbers of another server, which may be higher than those of this one."""
    await make.student()
    async with unguarded(make.database) as connection:
        await connection.execute(text("UPDATE audit_log SET xid = xid + 1000000000000"))
    await make.student()
    await sealed(make.database)
    async with make.database.reading() as session:
        found = await verify(session)
    assert (found.intact, found.entries) == (True, 2)


async def test_the_command_verifies_and_ends_with_1_where_something_was_changed(make: Make) -> None:
    await make.student()
    own = {**os.environ, "DATABASE_URL": make.database.settings.database_url, "CORTEZ_SECRET_KEY": SECRET}

    async def run() -> tuple[int, str]:
        command = [sys.executable, "-m", "cortez", "audit", "verify"]
        done = await asyncio.to_thread(subprocess.run, command, env=own, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    await sealed(make.database)
    assert (await run())[0] == 0
    async with unguarded(make.database) as connection:
        await connection.execute(text("UPDATE audit_log SET operation = 'delete'"))
    code, said = await run()
    assert code == 1
    assert "The entry was changed." in said

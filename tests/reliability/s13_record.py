"""Nobody makes the judged record another unseen: late, back-dated, forged and replayed writes."""

import asyncio
import sqlite3
from collections import Counter
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from cortez.audit.seals import seal_all, verify
from cortez.core.db.engine import Database
from factory import Make, Someone
from matrix_bodies import ALERT, PERIOD, PLAN, RISK
from record import Record, tried, trouble, writes
from reliability.stage import Outcome, Stage
from running import client_of
from tampering import unguarded

FIGURE = "S13"
CLAIM = "late, back-dated, forged and replayed writes against sessions in every state and the audit log"
TARGET = "0 change what is judged, or are stored unmarked; forged entries refused or found; 0 replays without the right"
QUICK_SHARE = 3  # in the short form each third write

FORGED = """INSERT INTO audit_log
    (id, created_at, updated_at, position, xid, table_name, row_id, operation, actor_kind, salt)
    SELECT {id}, {created_at}, created_at, {position}, xid, table_name, row_id, 'delete', actor_kind, salt
    FROM audit_log WHERE position = (SELECT min(position) FROM audit_log)"""
PLACES = {  # of a forged entry: days ago, position
    "ten days ago": (10, "(SELECT max(position) + 1 FROM audit_log)"),
    "ten days ago, before all": (10, "-1"),
    "now, before all": (0, "-1"),
    "now, in the middle": (0, "(SELECT max(position) FROM audit_log) - 1"),
}


async def run(stage: Stage) -> Outcome:
    async with stage.app() as app, Make(app, client_of) as make:
        record = await Record.of(make)
        wrong, accepted, asked = await written(record, QUICK_SHARE if stage.quick else 1)
        judged = await judged_again(record)
        shown, places = await shown_as_late(record)
        refused, found, forged = await forgeries(make)
        replayed, replays = await replays_without_right(make)
    for line in (*wrong, *judged, *shown, *forged, *replayed):
        print(line)  # noqa: T201
    counts = Counter(line.partition(": ")[2].partition(": ")[2].partition(":")[0] for line in wrong)
    kinds = f" ({', '.join(f'{number} {kind}' for kind, number in counts.most_common())})" if wrong else ""
    said = f"{asked} writes, {accepted} accepted, {len(wrong)} wrong{kinds}"
    more = f"late shown in {places - len(shown)} of {places} places; {len(judged)} of 2 judgements moved"
    log = f"{refused} forged entries refused, {found} found, {len(forged)} unseen"
    last = f"{len(replayed)} of {replays} replays answered without the right"
    return Outcome(f"{said}; {more}; {log}; {last}", not (wrong or judged or shown or forged or replayed))


async def written(record: Record, share: int) -> tuple[list[str], int, int]:
    """What is wrong with each write that is, how many were stored, and how many there were."""
    wrong, accepted, asked = [], 0, 0
    for write in list(writes(record))[::share]:
        answer, found = await tried(record, write)
        asked += 1
        accepted += bool(found)
        if said := trouble(record, write, answer, found):
            wrong.append(f"{write}: {said}")
    return wrong, accepted, asked


async def judged_again(record: Record) -> list[str]:
    """A student's late delivery of many good steps: what the rules say of the session afterwards is what they said."""
    path, moments = f"/sessions/{record.sessions['judged'].id}", record.moments("judged")
    before = await generated(record, path)
    step = {"interaction_type": "hypothesis_formulation", "content": "It may be the index.", "cognitive_state": None}
    step |= {"decision_justification": "Because I thought about it for a long time."}
    late = [{**step, "occurred_at": moments["just before the end"].isoformat()} for _ in range(30)]
    late = [{name: value for name, value in one.items() if value is not None} for one in late]
    await record.student.post(f"{path}/traces/batch", json=late)
    after = await generated(record, path)
    wrong = [] if before == after else [f"the student moved the score from {before} to {after}"]
    reply = {"interaction_type": "ai_response", "content": "x", "ai_involvement": 1.0, "cognitive_state": "depuracion"}
    by_key = [{**reply, "occurred_at": moments["just before the end"].isoformat()} for _ in range(10)]
    await record.key.post(f"{path}/traces/batch", json=by_key)
    without = await generated(record, f"{path}", "?late=false")
    return wrong + ([] if without == before else [f"without late steps the score is {without}, not {before}"])


async def generated(record: Record, path: str, query: str = "") -> Any:
    answer = await record.teacher.post(f"{path}/evaluations/generate{query}")
    return answer.json().get("overall_score", answer.text[:100])


async def shown_as_late(record: Record) -> tuple[list[str], int]:
    """Where what came late does not say so, and how many places there are."""
    session, at = record.sessions["judged"], record.moments("judged")["just before the end"].isoformat()
    path, student = f"/sessions/{session.id}", record.student.student_id
    step = {"interaction_type": "ai_response", "content": "x", "occurred_at": at, "ai_involvement": 0.1}
    trace = (await record.key.post(f"{path}/traces", json=step)).json()
    commit = {"event_type": "commit", "commit_hash": f"{14:040x}", "commit_message": "x", "author_name": "Ana"}
    commit |= {"author_email": "a@example.edu", "timestamp": at, "branch_name": "main"}
    git = (await record.key.post(f"{path}/git-traces", json=commit)).json()
    risk = (await record.teacher.post(f"{path}/risks", json=RISK | {"trace_ids": [trace["id"]]})).json()
    found = await record.teacher.post(f"{path}/evaluations/generate")
    places = [
        *(f"/traces/{trace['id']}", f"{path}/traces", f"{path}?include=traces,risks,evaluations"),
        *(f"{path}/cognitive-path", f"{path}/traceability", f"/students/{student}/history"),
        *(f"/git-traces/{git['id']}", f"{path}/git-traces", f"/risks/{risk['id']}", f"{path}/risks"),
        *(f"/evaluations/{found.json()['id']}", f"{path}/evaluations/latest", f"/exports/sessions/{session.id}"),
    ]
    silent = []
    for place in places:
        answer = await record.teacher.get(place)
        if not says_late(answer.json()):
            silent.append(f"not said to be late: {place}")
    table = await record.teacher.get(f"/exports/traces?student_id={session.student_id}")
    if '"late":true' not in table.text:
        silent.append("not said to be late: /exports/traces")
    return silent, len(places) + 1


def says_late(value: Any) -> bool:
    """Whether something in an answer is late, or counts what is."""
    if isinstance(value, dict):
        return any((name.startswith("late") and bool(one)) or says_late(one) for name, one in value.items())
    return isinstance(value, list) and any(map(says_late, value))


async def forgeries(make: Make) -> tuple[int, int, list[str]]:
    """Entries of the audit log by hand: how many are refused and how many are found, and those that are neither."""
    for _ in range(3):
        await make.student()
        await seal_all(make.database)
    await make.student()
    refused, found, unseen = 0, 0, []
    for name, place in PLACES.items():
        for way in (as_a_role, as_a_program):
            if await way(make.database, forged(make.database, *place)):
                refused += 1
            else:
                unseen.append(f"{way.__name__} makes an entry of {name}")
        if await is_found(make.database, forged(make.database, *place)):
            found += 1
        else:
            unseen.append(f"an entry of {name} is intact for verify")
    return refused, found, unseen


def forged(database: Database, days: int, position: str) -> str:
    ago = f"datetime('now', '-{days} days')" if database.is_sqlite else f"now() - interval '{days} days'"
    new_id = "lower(hex(randomblob(16)))" if database.is_sqlite else "gen_random_uuid()"
    return FORGED.format(id=new_id, created_at=ago, position=position)


async def as_a_role(database: Database, statement: str) -> bool:
    """By a connection as the service has them; whether it is refused."""
    try:
        async with database.session(writes=True) as session:
            await session.execute(text(statement))
    except DBAPIError:
        return True
    return False


async def as_a_program(database: Database, statement: str) -> bool:
    """By another program; whether it is refused."""
    url = database.settings.url
    if database.is_sqlite:
        return await asyncio.to_thread(by_sqlite, str(url.database), statement)
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.PostgresError:
        return True
    finally:
        await transaction.rollback()
        await connection.close()
    return False


def by_sqlite(path: str, statement: str) -> bool:
    connection = sqlite3.connect(path)
    try:
        connection.execute(statement)
        connection.rollback()
    except sqlite3.Error:
        return True
    finally:
        connection.close()
    return False


async def is_found(database: Database, statement: str) -> bool:
    """By an owner who puts the triggers out of the way; whether `verify` sees it then. It is taken back."""
    async with unguarded(database) as session:
        nested = await session.begin_nested()
        try:
            await session.execute(text(statement))
            return not (await verify(session)).intact
        except DBAPIError:
            return True  # a constraint of the table
        finally:
            await nested.rollback()


async def replays_without_right(make: Make) -> tuple[list[str], int]:
    """Answers under Idempotency-Keys, asked for again by who has left the course, or only tutors it from now on."""
    await make.course("r")
    await make.activity(activity_id="r", course_id="r")
    student = await make.student(course="r")
    session = await make.session(student, activity_id="r", course_id="r", status="completed")
    boss = await make.teacher(course="r")
    about = {"student_id": student.student_id}
    bodies: dict[str, Any] = {
        "/reports": {"report_type": "cohort_summary", "course_id": "r", **PERIOD},
        "/alerts": ALERT | {"scope": "course", "course_id": "r"} | about,
        "/remediation-plans": PLAN | about | {"activity_id": "r"},
        "/interventions": about | {"session_id": str(session.id)},
        f"/sessions/{session.id}/risks": RISK,
        f"/sessions/{session.id}/evaluations": {"overall_score": 5},
        f"/sessions/{session.id}/traces": {
            "interaction_type": "teacher_feedback",
            "content": "x",
            "occurred_at": session.start_time.isoformat(),
        },
        "/courses/r/members/batch": [{"email": "new@example.edu"}],
    }
    wrong, asked = [], 0
    for loss in (gone, lessened, deactivated):
        someone = await make.teacher(course="r")
        sent = {path: {"json": body, "headers": {"Idempotency-Key": f"k-{path}"}} for path, body in bodies.items()}
        first = {path: await someone.post(path, **request) for path, request in sent.items()}
        await loss(make, boss, someone)
        for path, request in sent.items():
            again = await someone.post(path, **request)
            asked += first[path].is_success
            if first[path].is_success and again.is_success:
                wrong.append(f"replayed to who is {loss.__name__}: {path} {again.status_code}")
    return wrong, asked


async def gone(make: Make, boss: Someone, someone: Someone) -> None:
    assert (await boss.delete(f"/courses/r/members/{someone.id}")).status_code == 204


async def lessened(make: Make, boss: Someone, someone: Someone) -> None:
    answer = await boss.put(f"/courses/r/members/{someone.id}", json={"role": "tutor"})
    assert answer.status_code == 200


async def deactivated(make: Make, boss: Someone, someone: Someone) -> None:
    admin = await make.admin()
    assert (await admin.post(f"/users/{someone.id}/deactivate")).status_code == 200

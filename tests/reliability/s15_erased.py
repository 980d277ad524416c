"""Nothing that is kept, answered or exported leads to a student who was erased, or singles one out of a dataset."""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import httpx
from sqlalchemy import select

from cortez import tables
from cortez.accounts.models import CourseMember
from cortez.clock import utc_now
from cortez.evaluations.models import CompetencyLevel
from factory import Group, Make, Someone
from matrix_bodies import ALERT, PLAN
from planted import everything, plant
from reliability.stage import Outcome, Stage
from running import client_of

FIGURE = "S15"
CLAIM = "an erased student looked for by time, id, name and list, and written about; research exports compared"
TARGET = "0 leads; 0 writes taken; no difference of two datasets of one moment has fewer than k students"

# Rows about the erasure itself, or about who asked: they say when it was, and name none of the rows that are left.
ABOUT_IT = {"erasures", "former_students", "audit_log", "audit_leaves", "audit_seals", "access_log", "rate_limits"}
QUASI = ("course_id", "commission", "activity_id", "week", "competency_level")
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
STUDENTS, QUICK_STUDENTS = 40, 16

Rows = dict[tuple[str, Any], dict[str, Any]]


async def run(stage: Stage) -> Outcome:
    async with stage.app() as app, Make(app, client_of) as make:
        group, admin = await make.group(), await make.admin()
        await plant(make, group)
        open_one = await make.session(group.student, activity_id="a", course_id="c")
        await make.trace(open_one)
        await group.teacher.get(group.path)
        course = {"course_id": "audited", "title": "The admin is known to the audit log before"}
        assert (await admin.post("/courses", json=course)).status_code == 201
        await make.app.state.upkeep.journal.flush()
        before = await rows(make)
        began = utc_now()
        erasure = await admin.delete(f"/students/{group.student.student_id}/data")
        ended = utc_now()
        assert erasure.status_code == 200, erasure.text
        leads = led_by_times(before, await rows(make), began, ended)
        leads += await led_by_names(make, group, erasure)
        asked, found = await lists(make, group, admin)
        written = await writes(make, group, admin)
        datasets, single = await compared(make, admin, QUICK_STUDENTS if stage.quick else STUDENTS)
    for line in (*leads, *found, *written, *single):
        print(line)  # noqa: T201
    said = f"{len(leads)} leads in what is kept, {len(found)} in {asked} lists, {len(written)} writes taken"
    more = f"{datasets} pairs of datasets compared, {len(single)} with fewer than k"
    return Outcome(f"{said}; {more}", not (leads or found or written or single))


async def rows(make: Make) -> Rows:
    """Every row of every table, by table and id."""
    async with make.database.reading() as session:
        return {
            (table.name, row["id"]): dict(row)
            for table in tables.metadata.sorted_tables
            for row in (await session.execute(select(table))).mappings()
        }


def led_by_times(before: Rows, after: Rows, began: datetime, ended: datetime) -> list[str]:
    """The columns of kept rows that say when the erasure was, and the times of kept rows that it moved later."""
    wrong = []
    for (table, id_), row in after.items():
        old = before.get((table, id_), {})
        for name, value in row.items():
            if table in ABOUT_IT or not isinstance(value, datetime) or old.get(name) == value:
                continue
            if began <= value <= ended:
                wrong.append(f"{table}.{name} is the moment of the erasure")
    return wrong


async def led_by_names(make: Make, group: Group, erasure: httpx.Response) -> list[str]:
    """Where something stands that the person, or the answer to the erasure, was known by."""
    student, certificate = group.student, erasure.json()
    known = {"student_id": student.student_id, "user_id": str(student.id), "its hex form": student.id.hex}
    known |= {"name": "planted-name", "e-mail": "planted-mail@example.edu"}
    values = (await everything(make)).lower()
    wrong = [f"the {name} is still there" for name, value in known.items() if value in values]
    for (table, id_), row in (await rows(make)).items():
        if table not in ABOUT_IT and str(certificate["id"]) in str(row):
            wrong.append(f"{table} {id_} names the certificate")
        if table not in ABOUT_IT and erasure.headers["x-request-id"] in str(row):
            wrong.append(f"{table} {id_} names the request")
    return wrong


async def lists(make: Make, group: Group, admin: Someone) -> tuple[int, list[str]]:
    """Each GET that takes a student_id, asked for the one that was erased: how many, and which found something."""
    student_id, asked, wrong = group.student.student_id, 0, []
    published = (await admin.get(httpx.URL("http://test/schema/openapi.json"))).json()
    key = await make.key("read", "sessions", "traces", "git", "analysis", "grading", "simulators")
    for path, operations in published["paths"].items():
        place = path.removeprefix("/api/v1")
        named = {one["name"] for one in operations.get("get", {}).get("parameters", [])}
        if "student_id" not in named or place.count("{") > ("{student_id}" in place):
            continue
        url = place.replace("{student_id}", student_id)
        url += "" if "{student_id}" in place else f"?student_id={student_id}"
        for name, someone in (("teacher", group.teacher), ("admin", admin), ("key", key)):
            answer = await someone.get(url)
            asked += 1
            if answer.is_success and answer.text and answer.json().get("items") != []:
                wrong.append(f"{name}: GET {place}: {answer.text[:200]}")
    return asked, wrong


async def writes(make: Make, group: Group, admin: Someone) -> list[str]:
    """What was taken of the writes about the student, under the old name or the pseudonym: seen in the rows."""
    old = group.student.student_id
    [pseudonym] = {row["student_id"] for (table, _), row in (await rows(make)).items() if table == "sessions"}
    key = await make.key("sessions", "traces", "grading", "git", "simulators", "lti", "analysis")
    user, exercise = await make.student(course="c"), await make.exercise()
    before = {id_: row for id_, row in (await rows(make)).items() if pseudonym in str(row)}
    for student_id in (old, pseudonym):
        named = {"student_id": student_id}
        account = {"email": f"new-{len(student_id)}@example.edu", "username": f"new-{len(student_id)}"}
        line = [{"email": f"listed-{len(student_id)}@example.edu", **named}]
        tried = {"submitted_code": "x", **named}
        for someone in (group.teacher, admin, key):
            for path, body in (
                ("/sessions", named | {"activity_id": "a"}),
                ("/remediation-plans", named | PLAN | {"course_id": "c"}),
                ("/alerts", named | ALERT | {"scope": "student", "course_id": "c"}),
                ("/alerts", named | ALERT | {"scope": "institution"}),
                ("/interventions", named),
                ("/interventions", named | {"session_id": str(group.session.id)}),
                (f"/exercises/{exercise.id}/attempts", tried | {"course_id": "c"}),
                (f"{group.path}/traces", {"interaction_type": "teacher_feedback", "content": "x"}),
                (f"{group.path}/evaluations", {"overall_score": 5}),
                ("/users", account | named),
                ("/courses/c/members/batch", line),
            ):
                await someone.post(path, json=body)
            await someone.patch(f"/users/{user.id}", json=named)
            await someone.patch(f"/students/{student_id}/profile", json={"preferred_language": "es"})
    after = await rows(make)
    wrong = [f"{table} names the pseudonym anew" for table, id_ in new_or_changed(before, after, pseudonym)]
    return wrong + [
        f"{table} {name} names the old student_id"
        for (table, _), row in after.items()
        for name, value in row.items()
        if value == old
    ]


def new_or_changed(before: Rows, after: Rows, word: str) -> Iterator[tuple[str, Any]]:
    for id_, row in after.items():
        if id_[0] not in ABOUT_IT and word in str(row) and before.get(id_) != row:
            yield id_


async def compared(make: Make, admin: Someone, size: int) -> tuple[int, list[str]]:
    """The pairs of datasets of one moment, and those whose difference has fewer than k students of a group.

    A pseudonym is one student of one group, so that pseudonyms count students.
    """
    await classes(make, size)
    chosen: list[dict[str, Any]] = [{}]
    chosen += [{"course_id": course} for course in ("c1", "c2")]
    chosen += [{"activity_id": f"{course}-{number}"} for course in ("c1", "c2") for number in range(2)]
    chosen += [{"period_end": (MONDAY + timedelta(days=days)).isoformat()} for days in (1, 6, 7, 8)]
    chosen += [{"period_start": (MONDAY + timedelta(days=days)).isoformat()} for days in (3, 7, 10)]
    chosen += [{"course_id": "c1", **one} for one in chosen[7:]]
    wrong, pairs = [], 0
    for k in (2, 3):
        datasets = [await dataset(admin, {"k": k, **one}) for one in chosen]
        for (first, left), (second, right) in combinations(zip(chosen, datasets, strict=True), 2):
            pairs += 1
            if small := [group for group, names in (*apart(left, right), *apart(right, left)) if len(names) < k]:
                wrong.append(f"k={k}: {first} and {second} differ by {small[0]}")
    assert any(datasets)
    return pairs, wrong


def apart(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> Iterator[tuple[tuple[Any, ...], set[str]]]:
    """The students of each group who are in one dataset and not, with the same row, in the other."""
    known = {str(sorted(row.items(), key=str)) for row in right}
    groups: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for row in left:
        if str(sorted(row.items(), key=str)) not in known:
            groups[tuple(row[name] for name in QUASI)].add(row["pseudonym"])
    yield from groups.items()


async def dataset(admin: Someone, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await admin.post("/exports/research", json={"study": "one", **body})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def classes(make: Make, size: int) -> None:
    """Students of two courses, with habits of their own; each session has a length of its own, so that rows differ."""
    chance, minutes = random.Random(15), 0  # noqa: S311 - the same each time
    for course in ("c1", "c2"):
        await make.course(course)
        for number in range(2):
            await make.activity(activity_id=f"{course}-{number}", course_id=course)
    for _ in range(size):
        student = await make.student(commission=chance.choice(["A", "B", None]))
        await make.add(*[CourseMember(course_id=one, user_id=student.id, role="student") for one in ("c1", "c2")])
        for _ in range(4):
            course, minutes = chance.choice(["c1", "c2"]), minutes + 1
            start = MONDAY + timedelta(days=chance.randint(0, 13), hours=chance.randint(0, 23))
            place = {"course_id": course, "activity_id": f"{course}-{chance.randint(0, 1)}"}
            ends = {"start_time": start, "end_time": start + timedelta(minutes=minutes)}
            session = await make.session(student, **place, **ends)
            await make.trace(session)
            if chance.random() < 0.2:
                await make.evaluation(session, overall_competency_level=chance.choice(list(CompetencyLevel)))

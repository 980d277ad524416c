"""The dataset for research: what an attacker who knows quasi-identifiers can and cannot find in it."""

import asyncio
import csv
import io
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from click.testing import CliRunner
from litestar import Litestar
from sqlalchemy import event, insert, update
from uuid_utils.compat import uuid7

from cortez.accounts.models import CourseMember, User
from cortez.analysis.student_rules import week_of
from cortez.app import create_app
from cortez.clock import utc_now
from cortez.commands.cli import cli
from cortez.evaluations.models import CompetencyLevel
from cortez.exercises.models import ExerciseAttempt
from cortez.exports.research import LOT, MAX_SESSIONS
from cortez.exports.rules import Group, Pseudonyms, Selection, end_of_week, monday_of, separate
from cortez.git.models import GitTrace
from cortez.sessions.models import LearningSession
from factory import Make, Someone
from running import client_of, live, settings_for

RESEARCH = "/exports/research"
QUASI = ("course_id", "commission", "activity_id", "week", "competency_level")
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)  # of the tenth ISO week

Row = dict[str, Any]


def attack(rows: Sequence[Row], student_of: dict[Any, str], k: int) -> None:
    """What somebody may know, and whom it leads to. `student_of` is the truth, by `row["secret"]`."""
    for size in range(1, len(QUASI) + 1):
        for known in combinations(QUASI, size):
            assert least(rows, lambda row, known=known: tuple(row[name] for name in known), student_of) >= k
    groups_of: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
    for row in rows:
        groups_of[row["pseudonym"]].add(tuple(row[name] for name in QUASI))
    meant = {row["pseudonym"]: student_of[row["secret"]] for row in rows}
    assert all(meant[row["pseudonym"]] == student_of[row["secret"]] for row in rows)
    for trail in groups_of.values():  # all that the rows of a pseudonym give away, and any part of it
        for size in range(1, len(trail) + 1):
            for part in combinations(sorted(trail, key=str), size):
                followers = {meant[name] for name, groups in groups_of.items() if groups.issuperset(part)}
                assert len(followers) >= k, part


def least(rows: Iterable[Row], key: Any, student_of: dict[Any, str]) -> int:
    """How many students the smallest set of rows that agree in `key` has."""
    found: dict[Any, set[str]] = defaultdict(set)
    for row in rows:
        found[key(row)].add(student_of[row["secret"]])
    return min((len(students) for students in found.values()), default=10**6)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same each time


def world(chance: random.Random) -> Iterator[Selection]:
    """A few dozen students with habits of their own: alike enough to make groups, different enough to stand out."""
    for student in range(chance.randint(1, 40)):
        course, commission = chance.choice([None, "c1", "c2"]), chance.choice([None, "A", "B"])
        for _ in range(chance.randint(1, 8)):
            level = chance.choice([None, None, *CompetencyLevel])
            activity, week = f"a{chance.randint(1, 3)}", f"2026-W{chance.randint(10, 12)}"
            yield Selection(uuid4(), f"s{student}", Group(course, commission, activity, week, level), {})


@pytest.mark.parametrize("seed", range(40))
def test_no_knowledge_of_quasi_identifiers_leads_to_fewer_than_k_students(seed: int) -> None:
    chance = seeded(seed)
    selections, k = list(world(chance)), chance.choice([2, 3, 5, 8])
    released, suppressed = separate(selections, k)
    pseudonyms = Pseudonyms("secret", "study")
    rows = [
        {**msgspec.structs.asdict(one.group), "pseudonym": pseudonyms.of(one), "secret": one.id} for one in released
    ]
    attack(rows, {one.id: one.student_id for one in selections}, k)
    assert {one.id for one in released} | {one.id for one in suppressed} == {one.id for one in selections}
    for group in {one.group for one in suppressed}:  # nothing is left out without need
        assert len({one.student_id for one in selections if one.group == group}) < k


def test_the_worlds_of_the_attack_are_not_empty() -> None:
    kept = [len(separate(world(seeded(seed)), 3)[0]) for seed in range(40)]
    assert sum(number > 0 for number in kept) > 20


def test_rows_of_a_pseudonym_stand_in_no_order_that_can_be_known() -> None:
    group = Group("c", "A", "a", "2026-W10", None)
    selections = [Selection(uuid7(), f"s{number % 5}", group, {}) for number in range(60)]
    pseudonyms = Pseudonyms("secret", "study")
    ordered = pseudonyms.ordered(selections)
    assert ordered == pseudonyms.ordered(reversed(selections))
    assert [pseudonyms.of(one) for one in ordered] == sorted(pseudonyms.of(one) for one in selections)
    begun = [one.id for one in ordered if one.student_id == "s0"]
    assert len(begun) == 12
    assert begun != sorted(begun)


def test_weeks_are_iso_weeks_in_utc_and_periods_are_whole_ones() -> None:
    days = (MONDAY, MONDAY - timedelta(microseconds=1), MONDAY + timedelta(weeks=44))
    assert [week_of(day.date()) for day in days] == ["2026-W10", "2026-W09", "2027-W01"]
    assert monday_of(MONDAY + timedelta(days=6, hours=23)) == monday_of(MONDAY) == MONDAY
    week = timedelta(weeks=1)
    for moment, end in ((MONDAY, MONDAY), (MONDAY + timedelta(microseconds=1), MONDAY + week), (MONDAY + week,) * 2):
        assert end_of_week(moment) == end


class Class:
    """A course with a teacher, an activity, and students who each worked on it once in one week."""

    teacher: Someone
    course: str
    activity: str
    students: list[Someone]


async def taught(make: Make, size: int, course: str = "c", **values: Any) -> Class:
    made = Class()
    made.course = await make.course(course)
    made.teacher = await make.teacher(course=course)
    made.activity = (await make.activity(activity_id=f"in-{course}", course_id=course)).activity_id
    made.students = [await make.student(course=course, commission="A", **values) for _ in range(size)]
    for student in made.students:
        await work(make, made, student)
    return made


async def work(make: Make, group: Class, student: Someone, steps: int = 1, **values: Any) -> LearningSession:
    defaults = {"activity_id": group.activity, "course_id": group.course, "start_time": MONDAY}
    session = await make.session(student, **(defaults | values))
    for _ in range(steps):
        await make.trace(session)
    return session


async def asked(someone: Someone, **body: Any) -> Row:
    answer = await someone.post(RESEARCH, json={"study": "one", **body})
    assert answer.status_code == 200, answer.text
    found: Row = answer.json()
    return found


async def test_a_dataset_from_the_database_stands_the_same_attack(make: Make) -> None:
    """Each session has a length of its own, by which the test knows it again. Filters choose whole groups."""
    chance, admin = seeded(7), await make.admin()
    truth: dict[int, str] = {}
    for course in ("c1", "c2"):
        await make.course(course)
        for number in range(2):
            await make.activity(activity_id=f"{course}-{number}", course_id=course)
    for _ in range(14):
        course, commission = chance.choice(["c1", "c2"]), chance.choice(["A", "B", None])
        student = await make.student(commission=commission)
        await make.add(*[CourseMember(course_id=one, user_id=student.id, role="student") for one in ("c1", "c2")])
        for _ in range(4):
            start = MONDAY + timedelta(days=chance.randint(0, 13), hours=chance.randint(0, 23))
            minutes = len(truth) + 1
            truth[minutes] = student.student_id
            values = {"course_id": course, "activity_id": f"{course}-{chance.randint(0, 1)}", "start_time": start}
            session = await make.session(student, **values, end_time=start + timedelta(minutes=minutes))
            await make.trace(session)
            if chance.random() < 0.2:
                await make.evaluation(session, overall_competency_level=chance.choice(list(CompetencyLevel)))
    for k in (2, 3):
        found = await asked(admin, k=k)
        rows = [{**row, "secret": row["duration_minutes"]} for row in found["items"]]
        attack(rows, truth, k)
        assert len(rows) == found["released"]["rows"] > 0 < found["suppressed"]["rows"]
        assert found["released"]["rows"] + found["suppressed"]["rows"] == len(truth)
        named = {truth[row["secret"]] for row in rows}
        assert (found["released"]["students"], found["suppressed"]["students"]) == (len(named), 14 - len(named))
        for body in (
            {"course_id": "c1"},
            {"activity_id": "c2-1"},
            {"period_end": "2026-03-08T12:34:56Z"},
            {"period_start": "2026-03-09T00:00:00Z", "course_id": "c2"},
            {"period_start": "2026-03-04T00:00:00Z", "period_end": "2026-03-05T00:00:00Z"},
        ):
            part = (await asked(admin, k=k, **body))["items"]
            chosen = {tuple(row[name] for name in QUASI) for row in part}
            assert part == [row for row in found["items"] if tuple(row[name] for name in QUASI) in chosen], body


async def test_k_counts_students_and_not_their_sessions(make: Make) -> None:
    group = await taught(make, 2)
    for _ in range(9):
        await work(make, group, group.students[0])
    for k, released in ((2, 11), (3, 0)):
        found = await asked(group.teacher, k=k)
        assert len(found["items"]) == released
        counts = {"groups": 1, "students": 2, "rows": 11}
        none = dict.fromkeys(counts, 0)
        assert [found["released"], found["suppressed"]] == ([counts, none] if released else [none, counts])
    assert (await asked(group.teacher))["k"] == 5


async def released(group: Class, k: int) -> int:
    return int((await asked(group.teacher, k=k))["released"]["rows"])


@pytest.mark.requirement("A4")
async def test_outsiders_do_not_count_towards_k(make: Make) -> None:
    """Else whoever wants the rows of one student starts a few sessions beside it."""
    group = await taught(make, 1)
    for _ in range(4):
        await work(make, group, await make.student(commission="A"))
    await work(make, group, await make.tutor(course=group.course, student_id="tutor", commission="A"))
    assert await released(group, 2) == 0
    second = await make.student(course=group.course, commission="A")
    await work(make, group, second)
    assert await released(group, 2) == 7  # those who count hide the others too
    assert await released(group, 3) == 0


@pytest.mark.requirement("A4")
async def test_who_did_nothing_does_not_count_towards_k(make: Make) -> None:
    group = await taught(make, 1)
    student = await make.student(course=group.course, commission="A")
    await work(make, group, student, steps=0)
    assert await released(group, 2) == 0
    await work(make, group, student)
    assert await released(group, 2) == 3


async def test_what_is_forgotten_does_not_count_towards_k(make: Make) -> None:
    """By a pseudonym for each run of retention, one student was many."""
    group, admin = await taught(make, 2), await make.admin()
    async with make.database.unit() as session:
        await session.execute(update(User).values(commission=None))  # as it is of the forgotten, who have no account
    assert await released(group, 2) == 2
    assert (await admin.delete(f"/students/{group.students[0].student_id}/data")).status_code == 200
    assert await released(group, 2) == 0


async def test_a_student_without_an_account_counts(make: Make) -> None:
    """Whom a tutor agent has named; nobody can say whether they are members."""
    course = await make.course("c")
    activity, admin = await make.activity(course_id=course), await make.admin()
    for name in ("moodle-1", "moodle-2"):
        values = {"activity_id": activity.activity_id, "course_id": course, "start_time": MONDAY}
        session = LearningSession(student_id=name, **values)
        await make.add(session)
        await make.trace(session)
    assert len((await asked(admin, k=2))["items"]) == 2


async def test_a_student_who_stands_out_is_left_out(make: Make) -> None:
    """By commission, week, activity, course or level: one row each that nobody else shares."""
    group = await taught(make, 3)
    first = group.students[0]
    await work(make, group, first, start_time=MONDAY + timedelta(weeks=1))
    await work(make, group, first, activity_id=(await make.activity()).activity_id)
    await work(make, group, first, course_id=None)
    await make.evaluation(await work(make, group, first))
    await work(make, group, await make.student(commission="B"))
    found = await asked(await make.admin(), k=2)
    assert found["released"] == {"groups": 1, "students": 3, "rows": 3}
    assert found["suppressed"] == {"groups": 5, "students": 1, "rows": 5}
    assert {row["commission"] for row in found["items"]} == {"A"}


async def test_pseudonyms_are_of_one_study_and_one_service(make: Make, app: Litestar) -> None:
    group = await taught(make, 4)
    await work(make, group, group.students[0])
    first, again, other = [await asked(group.teacher, k=2, study=study) for study in ("one", "one", "two")]
    assert first["items"] == again["items"]

    def names(found: Row) -> set[str]:
        return {row["pseudonym"] for row in found["items"]}

    assert len(names(first)) == len(names(other)) == 4
    assert not names(first) & names(other)
    settings = msgspec.structs.replace(
        settings_for(app.state.settings.database_url), secret_key="another secret, as long as the first"
    )
    async with live(create_app(settings)) as elsewhere, Make(elsewhere, client_of) as made:
        admin = await made.admin(student_id=str(uuid4()))
        assert not names(first) & names(await asked(admin, k=2))


async def test_a_row_says_in_numbers_what_hangs_on_the_session(make: Make) -> None:
    group = await taught(make, 1)
    student = await make.student(course="c", commission="A")
    session = await work(make, group, student, steps=0, end_time=MONDAY + timedelta(minutes=61.9))
    dimensions: list[dict[str, Any]] = [
        {
            "semantic_understanding": {"understanding_level": 0.25},
            "algorithmic_evolution": {"alternatives_explored": ["a", "b"]},
            "cognitive_reasoning": {"metacognitive_awareness": True},
            "interactional_data": {"prompt_quality_score": 1},
            "ethical_risk_data": {"academic_integrity_score": 7},
            "process_data": {"process_efficiency": "half"},
        },
        {
            "semantic_understanding": {"understanding_level": 0.5},
            "algorithmic_evolution": {"alternatives_explored": []},
            "cognitive_reasoning": {"metacognitive_awareness": False},
            "interactional_data": {"prompt_quality_score": None},
            "ethical_risk_data": {"academic_integrity_score": {}},
        },
    ]
    await make.trace(session, ai_involvement=0.5, **dimensions[0])
    await make.trace(session, ai_involvement=0.25, interaction_type="ai_response", **dimensions[1])
    await make.trace(session, ai_involvement=0.25, interaction_type="code_commit")
    for dimension, resolution in (("cognitive", None), ("cognitive", "confirmed"), ("ethical", "unfounded")):
        await make.risk(session, dimension=dimension, resolution=resolution, resolved=resolution is not None)
    own = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
    said = {"commit_message": "m", "author_name": "n", "author_email": "e", "branch_name": "main"}
    for place, kind in enumerate(("commit", "tag", "merge")):
        await make.add(GitTrace(**own, **said, event_type=kind, commit_hash=str(place) * 40, timestamp=utc_now()))
    exercise = (await make.exercise()).id
    for place, score in enumerate((4.5, 8.0, None), start=1):
        tried = {"student_id": session.student_id, "session_id": session.id, "submitted_code": "x"}
        await make.add(ExerciseAttempt(exercise_id=exercise, **tried, attempt_number=place, score=score))
    now = utc_now()
    for one in await make.all(LearningSession):
        await make.evaluation(one, overall_competency_level="inicial", created_at=now - timedelta(days=1))
        await make.evaluation(one, overall_competency_level="autonomo", overall_score=7.256, created_at=now)
    (found,) = [row for row in (await asked(group.teacher, k=2))["items"] if row["trace_count"] == 3]
    assert found.pop("pseudonym")
    assert found == {
        "course_id": "c",
        "commission": "A",
        "activity_id": "in-c",
        "week": "2026-W10",
        "competency_level": "autonomo",
        "trace_count": 3,
        "duration_minutes": 61,
        "ai_share": 0.33,
        "student_prompts": 1,
        "ai_responses": 1,
        "understanding_level": 0.38,
        "alternatives_explored": 1.0,
        "metacognitive_awareness": 0.5,
        "prompt_quality": 1.0,
        "academic_integrity": None,
        "process_efficiency": None,
        "risks_cognitive": 2,
        "risks_ethical": 0,
        "risks_epistemic": 0,
        "risks_technical": 0,
        "risks_governance": 0,
        "evaluation_score": 7.26,
        "commits": 2,
        "attempts": 3,
        "best_attempt_score": 8.0,
    }


async def test_a_dataset_names_nobody_and_quotes_nothing(make: Make) -> None:
    group = await taught(make, 2, full_name="Eva Soto")
    for session in await make.all(LearningSession):
        texts = {"content": "my words", "agent_id": "agent", "cognitive_intent": "intent", "context": {"a": "inside"}}
        await make.trace(session, **texts, decision_justification="because")
        await make.risk(session, description="finding", detected_by="somebody")
        await make.evaluation(session, key_strengths=["strength"])
    answer = await group.teacher.post(RESEARCH, json={"study": "one", "k": 2})
    assert len(answer.json()["items"]) == 2
    people = [value for user in await make.all(User) for value in (user.id, user.email, user.username, user.full_name)]
    rows = [value for session in await make.all(LearningSession) for value in (session.id, session.student_id)]
    said = "my words,agent,intent,inside,because,finding,somebody,strength".split(",")
    for hidden in map(str, filter(None, [*people, *rows, *said])):
        assert hidden not in answer.text, hidden


async def test_a_teacher_gets_their_own_courses_and_an_admin_all(make: Make, client: Any) -> None:
    left, right = await taught(make, 2, "left"), await taught(make, 3, "right")
    assert {row["course_id"] for row in (await asked(left.teacher, k=2))["items"]} == {"left"}
    assert len((await asked(await make.admin(), k=2))["items"]) == 5
    await make.add(CourseMember(course_id="right", user_id=left.teacher.id, role="student"))
    for body, code in (
        ({"course_id": right.course}, "COURSE_NOT_FOUND"),
        ({"course_id": "none"}, "COURSE_NOT_FOUND"),
        ({"activity_id": right.activity}, "ACTIVITY_NOT_FOUND"),
        ({"activity_id": "none"}, "ACTIVITY_NOT_FOUND"),
    ):
        answer = await left.teacher.post(RESEARCH, json={"study": "one", **body})
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    for someone in (left.students[0], await make.tutor(course="left"), await make.key(), await make.key("read")):
        assert (await someone.post(RESEARCH, json={"study": "one"})).status_code == 403
    assert (await client.post(RESEARCH, json={"study": "one"})).status_code == 401


@pytest.mark.parametrize(
    ("field", "pointer"),
    [
        ({"k": 1}, "/k"),
        ({"k": 51}, "/k"),
        ({"k": 5.5}, "/k"),
        ({"study": ""}, "/study"),
        ({"study": None}, "/study"),
        ({"study": "x" * 201}, "/study"),
        ({"course_id": "a b"}, "/course_id"),
        ({"period_start": "2026-03-02T00:00:00"}, "/period_start"),
        ({"period_start": "2026-03-02T00:00:00Z", "period_end": "2026-03-02T00:00:00Z"}, "/period_end"),
        ({"pseudonyms": False}, "/pseudonyms"),
    ],
    ids=str,
)
async def test_a_wrong_request_is_refused(make: Make, field: Row, pointer: str) -> None:
    answer = await (await make.admin()).post(RESEARCH, json={"study": "one", **field})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_an_answer_is_replayed_under_its_key(make: Make) -> None:
    group = await taught(make, 2)
    headers = {"Idempotency-Key": "once"}
    first = await group.teacher.post(RESEARCH, json={"study": "one", "k": 2}, headers=headers)
    await work(make, group, await make.student(commission="A"))
    again = await group.teacher.post(RESEARCH, json={"study": "one", "k": 2}, headers=headers)
    assert (first.status_code, again.content) == (200, first.content)
    assert len((await asked(group.teacher, k=2))["items"]) == 3


async def statements(make: Make, someone: Someone) -> int:
    seen: list[str] = []

    def count(connection: object, cursor: object, statement: str, *rest: object) -> None:
        seen.append(statement)

    event.listen(make.database.engine.sync_engine, "after_cursor_execute", count)
    await asked(someone, k=2)
    event.remove(make.database.engine.sync_engine, "after_cursor_execute", count)
    return len([statement for statement in seen if "SELECT" in statement])


@pytest.mark.requirement("P3")
async def test_statements_do_not_grow_with_rows(make: Make) -> None:
    group = await taught(make, 2)
    few = await statements(make, group.teacher)
    for _ in range(40):
        await work(make, group, group.students[0])
    assert await statements(make, group.teacher) == few <= 8
    assert LOT >= 42


async def test_more_sessions_than_an_answer_holds_are_refused(make: Make) -> None:
    group = await taught(make, 1)
    session = {"student_id": "s", "activity_id": group.activity, "course_id": group.course, "start_time": MONDAY}
    async with make.database.unit() as unit:
        await unit.execute(insert(LearningSession), [session for _ in range(MAX_SESSIONS)])
    refused = await group.teacher.post(RESEARCH, json={"study": "one"})
    assert (refused.status_code, refused.json()["code"]) == (422, "EXPORT_TOO_LARGE")
    assert (await asked(group.teacher, period_end="2026-03-02T00:00:00Z"))["items"] == []


async def test_the_command_gives_the_same_rows(make: Make) -> None:
    group = await taught(make, 3)
    await taught(make, 2, "other")
    await work(make, group, await make.student(commission="B"))
    settings = make.database.settings
    environment = {"DATABASE_URL": settings.database_url, "CORTEZ_SECRET_KEY": settings.secret_key}

    async def run(*options: str) -> Any:
        arguments = ["export", "research", "--study", "one", "--k", "2", *options]
        return await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=environment)

    found = await asked(await make.admin(), k=2)
    done = await run()
    assert done.exit_code == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(map(str, rows)) == sorted(map(str, found["items"]))
    assert done.stderr.splitlines() == [
        "Released: 5 sessions of 5 students in 2 groups.",
        "Left out: 1 sessions of 1 students in 1 groups.",
    ]
    table = csv.DictReader(io.StringIO((await run("--format", "csv", "--course-id", "c")).stdout))
    assert [row["course_id"] for row in table] == ["c"] * 3
    assert (await run("--course-id", "none")).stderr == "Error: There is no course none.\n"

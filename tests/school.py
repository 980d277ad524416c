"""A class and its service: who takes part, what is prepared, and a ledger of what was sent and what came back."""

import asyncio
import random
from collections.abc import Awaitable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from litestar import Litestar

from factory import PASSWORD, Make, Someone
from test_rubrics import RUBRIC

Json = dict[str, Any]

COURSE, OTHER_COURSE = "programming-1", "programming-2"
STUDENTS = 30
AT_ONCE = 6  # students who work at the same moment
KEYS = ("traces", "git", "grading", "simulators", "lti", "analysis")


@dataclass(frozen=True)
class Lesson:
    """An activity of the course and how many days ago its steps happened; they are delivered today."""

    activity_id: str
    days_ago: int
    more: Json = field(default_factory=dict)


LISTS = Lesson("lists", 21, {"policies": {"risk_thresholds": {"lack_justification": 0.0}}})
LOOPS = Lesson("loops", 14)
PROJECT = Lesson("project", 0)
LESSONS = (LISTS, LOOPS, PROJECT)


class Ledger:
    """What the class sent and received, kept beside the service and never asked of it again."""

    def __init__(self) -> None:
        self.sessions: dict[str, Json] = {}
        self.manner: dict[str, str] = {}
        self.traces: list[Json] = []
        self.commits: list[Json] = []
        self.attempts: dict[str, Json] = {}
        self.graded: dict[str, Json] = {}
        self.hints: list[Json] = []
        self.interviews: list[Json] = []
        self.incidents: list[Json] = []
        self.events: list[Json] = []
        self.risks: dict[str, Json] = {}
        self.evaluations: list[Json] = []
        self.sequences: list[Json] = []
        self.alerts: dict[str, Json] = {}
        self.scanned: Json = {}
        self.visited = ""
        self.reports: dict[str, Json] = {}

    def note_trace(self, session: Json, trace: Json, happened: str) -> None:
        """A step that the service acknowledged, with the keys of its session."""
        own = {"session_id": session["id"], "student_id": session["student_id"]}
        keys = own | {"activity_id": session["activity_id"], "course_id": session["course_id"]}
        came = {"happened": moment(happened), "late": session["status"] not in ("active", "paused")}
        self.traces.append({"ai_involvement": 0.0, "cognitive_state": None} | trace | keys | came)


class School:
    """The people and machines of one course, and a student and a teacher of another.

    One of the students learns in both courses.
    """

    admin: Someone
    teacher: Someone
    students: list[Someone]
    outsider: Someone
    commuter: Someone
    other_teacher: Someone
    keys: dict[str, Someone]
    exercise: str
    penalties: list[int]

    def __init__(self, make: Make) -> None:
        self.make = make
        self.ledger = Ledger()
        self.morning = datetime.now(UTC)

    def luck(self, *names: object) -> random.Random:
        """Of one student in one respect, so that the order in which students work does not matter."""
        return random.Random("-".join(["day", *map(str, names)]))  # noqa: S311 - the same day each time


async def done(request: Awaitable[httpx.Response], status: int = 200) -> Any:
    """The answer's document; the status is what it should be."""
    answer = await request
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def made(request: Awaitable[httpx.Response]) -> Any:
    return await done(request, 201)


async def in_groups(work: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """As many students at once as there are computers in the room."""
    waiting = list(work)
    while waiting:
        now, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        await asyncio.gather(*now)


async def everything(someone: Someone, path: str) -> list[Json]:
    """All pages of a list."""
    found: list[Json] = []
    mark = "&" if "?" in path else "?"
    page = await done(someone.get(f"{path}{mark}limit=100"))
    found += page["items"]
    while page["next_cursor"]:
        page = await done(someone.get(f"{path}{mark}limit=100&cursor={page['next_cursor']}"))
        found += page["items"]
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def open_school(app: Litestar, make: Make) -> School:
    """Accounts, keys, courses and their members; the admin is there from the command line."""
    school = School(make)
    school.admin = await make.admin()
    school.teacher = await hire(school, app, "tere")
    school.other_teacher = await hire(school, app, "otto")
    for course, teacher in ((COURSE, school.teacher), (OTHER_COURSE, school.other_teacher)):
        await made(school.admin.post("/courses", json={"course_id": course, "title": course}))
        member = f"/courses/{course}/members/{teacher.id}"
        await done(school.admin.put(member, json={"role": "teacher"}))
    school.keys = {scope: await key(school, app, scope) for scope in KEYS}
    school.students = await enrol(school, school.teacher, COURSE, [f"al-{n:02}" for n in range(1, STUDENTS + 1)])
    (school.outsider,) = await enrol(school, school.other_teacher, OTHER_COURSE, ["ex-01"])
    school.commuter = school.students[-1]
    line = {"email": f"{school.commuter.student_id}@example.edu"}
    joined = await done(school.other_teacher.post(f"/courses/{OTHER_COURSE}/members/batch", json=[line]))
    assert [one["status"] for one in joined["items"]] == ["added"]
    return school


async def hire(school: School, app: Litestar, name: str) -> Someone:
    """A teacher, who signs in by password."""
    account = {"email": f"{name}@example.edu", "username": name, "password": PASSWORD, "roles": ["teacher"]}
    user = await made(school.admin.post("/users", json=account))
    tokens = await done(school.admin.post("/auth/login", json={"login": name, "password": PASSWORD}))
    client = await school.make.clients.enter_async_context(school.make.client_of(app, tokens["access_token"]))
    return Someone(UUID(user["id"]), "", client)


async def key(school: School, app: Litestar, scope: str) -> Someone:
    """A machine with one scope, in one course; the tutor agent also starts sessions."""
    scopes = ["sessions", "traces", "read"] if scope == "traces" else [scope]
    body = {"name": scope, "scopes": scopes, "course_ids": [COURSE, OTHER_COURSE]}
    found = await made(school.admin.post("/api-keys", json=body))
    client = await school.make.clients.enter_async_context(school.make.client_of(app, found["key"]))
    return Someone(UUID(found["id"]), "", client)


async def enrol(school: School, teacher: Someone, course: str, student_ids: list[str]) -> list[Someone]:
    """A class list makes the accounts; the students then sign in."""
    lines = ["email;name;student_id;role", *(f"{one}@example.edu;Student {one};{one};student" for one in student_ids)]
    headers = {"content-type": "text/csv"}
    path = f"/courses/{course}/members/batch"
    result = await done(teacher.post(path, content="\n".join(lines), headers=headers))
    assert result["added"] == len(student_ids), result
    members = await everything(teacher, f"/courses/{course}/members?role=student")
    ids = {member["student_id"]: member["user_id"] for member in members}
    return [await school.make.sign_in(ids[student_id], student_id) for student_id in student_ids]


async def prepare(school: School) -> None:
    """Material, exercise and activities, published."""
    teacher = school.teacher
    await made(teacher.post("/subjects", json={"code": "PROG", "name": "Programming", "language": "python"}))
    for number in (1, 2):
        unit = await made(teacher.post("/subjects/PROG/unidades", json={"numero": number, "titulo": f"Unit {number}"}))
        path = f"/unidades/{unit['id']}"
        note = await made(teacher.post(f"{path}/apuntes", json={"titulo": "Notes", "contenido_markdown": "# Lists"}))
        await made(teacher.post(f"{path}/archivos", files={"file": ("plan.txt", b"Week by week")}))
        await done(teacher.post(f"/apuntes/{note['id']}/publish"))
        await done(teacher.post(f"{path}/publish"))
    await set_exercise(school)
    for lesson in LESSONS:
        body = {"activity_id": lesson.activity_id, "title": "An activity", "instructions": "Do it.", **lesson.more}
        await made(teacher.post("/activities", json=body | {"course_id": COURSE}))
        await done(teacher.post(f"/activities/{lesson.activity_id}/publish"))
    elsewhere = {"activity_id": "elsewhere", "title": "An activity", "instructions": "Do it."}
    await made(school.other_teacher.post("/activities", json=elsewhere | {"course_id": OTHER_COURSE}))
    await done(school.other_teacher.post("/activities/elsewhere/publish"))


async def set_exercise(school: School) -> None:
    """One with hints of known cost, tests and a rubric."""
    texts = {"title": "Mean", "mission_markdown": "Write the mean of a list.", "starter_code": "def mean(items): ..."}
    body = texts | {"subject_code": "PROG", "unit": 1, "difficulty": "Easy", "time_min": 20, "language": "python"}
    exercise = await made(school.teacher.post("/exercises", json=body))
    school.exercise = path = f"/exercises/{exercise['id']}"
    school.penalties = [5, 12]
    for penalty in school.penalties:
        await made(school.teacher.post(f"{path}/hints", json={"content": "Think.", "penalty_points": penalty}))
    for hidden in (False, True):
        test = {"input": "[1, 3]", "expected": "2", "is_hidden": hidden}
        await made(school.teacher.post(f"{path}/tests", json=test))
    await done(school.teacher.put(f"{path}/rubric", json=RUBRIC))


async def read_material(school: School, student: Someone) -> None:
    """What a student finds before the first lesson."""
    units = await everything(student, "/subjects/PROG/unidades")
    assert [unit["numero"] for unit in units] == [1, 2]
    view = await done(student.get(f"/unidades/{units[0]['id']}"))
    assert (len(view["apuntes"]), len(view["archivos"])) == (1, 1)
    exercise = await done(student.get(school.exercise))
    assert (len(exercise["hints"]), len(exercise["tests"])) == (0, 1)


def at(school: School, lesson: Lesson, seconds: float) -> str:
    """A moment of the lesson: half an hour before this morning, some days ago."""
    start = school.morning - timedelta(days=lesson.days_ago, minutes=30)
    return (start + timedelta(seconds=seconds)).isoformat()

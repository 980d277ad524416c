"""A teacher of another course who enrols home's students, and their helpers: what they ask, and what they may not get.

Built on the world of the matrix. The stranger taught home once and left an activity there; has a course of their own
with a tutor, a key limited to it and a row of every table; makes a further course; and enrols home's students by class
list and by PUT. The class list also names the student_id of rows that no account has, and of an account that is gone.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import httpx
from litestar import Litestar
from sqlalchemy import Table, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from cortez import tables
from cortez.accounts.models import CourseMember, User
from cortez.activities.models import Activity
from cortez.core.web.route_options import options_of
from cortez.evaluations.models import CompetencyLevel
from cortez.profiles import updates as profiles
from cortez.profiles.models import StudentProfile
from cortez.sessions.models import LearningSession
from factory import Make, Someone
from matrix import Matrix, Probe, said, sent_in, undone
from matrix_bodies import CROSSINGS, FILTERS
from matrix_material import MARK
from matrix_table import Row
from matrix_world import APART, Side, World, side
from strangers_bodies import ATTEMPTS, LEFT, UNCLAIMED, Attempt

STAFF = ("stranger", "own_tutor", "own_key")
WHO = (*STAFF, "sock", "heir")
VICTIMS = ("owner", "peer", "commuter")
UUIDS = re.compile(r"[0-9a-f-]{36}")
# Who somebody is, which those see who have enrolled them, and what every answer has of its own.
IDENTITY = {"id", "student_id", "user_id", "email", "username", "name", "full_name", "request_id", "instance", "detail"}
IDENTITY |= {"created_at", "updated_at"}
# Of these, what people set; the rest is worked out from what is stored, the stranger's own rows too.
DERIVED = {"student_profiles": ("name", "preferred_language", "cognitive_preferences"), "student_figures": ()}
SHARED = ("exercises", "exercise_tests", "exercise_hints", "exercise_rubric_criteria", "rubric_levels")  # grade all


async def estrange(make: Make, world: World) -> Side:
    """Adds the strangers to the world, by the requests that they would make; their own course."""
    await plainly(make)
    own = await side(make, world, "own", "plain")
    stranger = own.people["teacher"]
    world.who |= {"stranger": stranger, "own_tutor": own.people["tutor"], "own_key": own.people["key"]}
    world.who["own_student"] = own.people["owner"]
    await leave_an_activity(make, world, stranger)
    world.who["blank"] = await make.student(full_name="A name", student_id="blank")
    await make.add(StudentProfile(student_id="blank", user_id=world.who["blank"].id, name="A name"))
    await unclaimed(make, world)
    await enrol(make, world, stranger)
    for who, email in (("sock", "sock@example.edu"), ("heir", "heir@example.edu")):
        async with make.database.reading() as session:
            user = (await session.scalars(select(User).where(User.email == email))).one()
        world.who[who] = await make.sign_in(user.id, user.student_id or "")
    await profiles.rebuild(make.database)
    return own


async def plainly(make: Make) -> None:
    """Names are no secrets of home: they bear no mark."""
    async with make.database.unit() as session:
        await session.execute(update(User).values(full_name="A name"))
        await session.execute(update(StudentProfile).values(name="A name"))


async def leave_an_activity(make: Make, world: World, stranger: Someone) -> None:
    """In home, from which the stranger is removed; home's student works in it afterwards."""
    await make.add(CourseMember(course_id="home", user_id=stranger.id, role="teacher"))
    activity = {"activity_id": "home-theirs", "title": "Left behind", "instructions": "x", "course_id": "home"}
    await expect(201, await stranger.post("/activities", json=activity))
    await expect(200, await stranger.post("/activities/home-theirs/publish"))
    await expect(204, await world.who["teacher"].delete(f"/courses/home/members/{stranger.id}"))
    goal = {"learning_objective": {"text": MARK}}
    session = await make.session(world.who["owner"], activity_id="home-theirs", course_id="home", **goal)
    rows = {"": session, "trace": await make.trace(session, content=MARK)}
    rows["risk"] = await make.risk(session, description=MARK, risk_level="critical")
    rows["evaluation"] = await make.evaluation(session, improvement_areas=[MARK], overall_score=1.25)
    world.home.at |= {f"{{{name or 'session'}_id@theirs}}": str(row.id) for name, row in rows.items()}
    world.at |= world.home.at


async def unclaimed(make: Make, world: World) -> None:
    """Sessions in home of students without account."""
    leaver = await make.student(course="home", student_id=LEFT, full_name="A name")
    for student_id, id_ in ((UNCLAIMED, None), (LEFT, leaver.id)):
        place = {"activity_id": "home", "course_id": "home"}
        session = LearningSession(student_id=student_id, user_id=id_, learning_objective={"text": MARK}, **place)
        await make.add(session)
        await make.trace(session, content=MARK)
        await make.evaluation(session, improvement_areas=[MARK])
    await world.who["admin"].delete(f"/users/{leaver.id}")


async def enrol(make: Make, world: World, stranger: Someone) -> None:
    ids = [world.who[name].id for name in (*VICTIMS, "blank")]
    async with make.database.reading() as session:
        emails = list(await session.scalars(select(User.email).where(User.id.in_(ids))))
    await expect(201, await stranger.post("/courses", json={"course_id": "trap", "title": "Trap"}))
    lines: list[dict[str, str]] = [{"email": email} for email in emails]
    lines += [{"email": "sock@example.edu", "student_id": UNCLAIMED}, {"email": "heir@example.edu", "student_id": LEFT}]
    await expect(200, await stranger.post("/courses/trap/members/batch", json=lines))
    for id_ in ids:
        await expect(200, await stranger.put(f"/courses/own/members/{id_}", json={"role": "student"}))


async def expect(status: int, answer: httpx.Response) -> None:
    assert answer.status_code == status, said(answer)


# Who stands where in the crossings of the matrix, and what is asked of the list of students.
IN_THEIR_PLACE = {"far": "stranger", "far_key": "own_key", "far_tutor": "own_tutor", "far_student": "own_student"}
LIKE = {"stranger": "far", "own_key": "far_key"}
ABOUT = {("POST", f"/{name}") for name in ("alerts", "interventions", "remediation-plans")}  # a student in the body
LEVELS = tuple(CompetencyLevel)
RISKS = [f"/students?at_risk={which}{course}" for which in ("true", "false") for course in ("", "&course_id=own")]
LISTS = [*RISKS, *(f"/students?competency_level={level}" for level in LEVELS)]
MATERIAL = ("/subjects", "/unidades", "/apuntes", "/archivos", "/exercises", "/hints", "/tests")
COURSE = '"home"'
BRACES = str.maketrans("<>", "{}")


class Strangers(Matrix):
    """What the strangers ask of every route: no answer tells of home, and home is what it was."""

    before: str

    def __init__(self, app: Litestar, make: Make, world: World, own: Side) -> None:
        super().__init__(app, make, world)
        self.own = own
        ids = {place: value for place, value in world.home.at.items() if "user_id" not in place}
        self.marks = (COURSE, MARK, *(value for value in ids.values() if UUIDS.fullmatch(value)))
        self.victims = [world.who[who] for who in VICTIMS]
        self.held: dict[Table, set[Any]] = {}

    async def look(self) -> None:
        """Note what home is: called once all of it is made."""
        async with self.make.database.reading() as session:
            self.held = await self.of_home(session)
            self.before = await self.fingerprint(session)

    async def of_home(self, session: AsyncSession) -> dict[Table, set[Any]]:
        """The ids of the rows of home, of its students, and of the exercises of all."""
        found = {}
        for table in tables.metadata.sorted_tables:
            if table.name not in APART and (ours := self.ours(table)):
                found[table] = set(await session.scalars(select(table.c.id).where(or_(*ours))))
        return found

    def ours(self, table: Table) -> list[Any]:
        columns = table.c
        if table.name in SHARED:
            return [true()]
        students = [one.student_id for one in self.victims] + [UNCLAIMED, LEFT]
        conditions = self.added(table)
        if "student_id" in columns:
            conditions.append(columns.student_id.in_(students))
        if table.name == "users":
            conditions.append(columns.id.in_([one.id for one in self.victims]))
        return conditions

    def added(self, table: Table) -> list[Any]:
        """What makes a row one of home's own, a new one too."""
        sessions = select(LearningSession.id).where(LearningSession.course_id == "home")
        activities = select(Activity.activity_id).where(Activity.course_id == "home")
        wanted: dict[str, Any] = {"course_id": ["home"], "session_id": sessions, "activity_id": activities}
        return [table.c[name].in_(values) for name, values in wanted.items() if name in table.c]

    async def fingerprint(self, session: AsyncSession) -> str:
        """What the rows of home say, and how many there are of them."""
        found = hashlib.sha256()
        for table, ids in self.held.items():
            columns = [table.c[name] for name in DERIVED.get(table.name, table.c.keys())]
            statement = select(*columns).where(table.c.id.in_(ids)).order_by(table.c.id)
            for row in await session.execute(statement) if columns else ():
                found.update(repr(row).encode())
            if table.name not in DERIVED and (added := self.added(table)):
                found.update(repr(await session.scalar(select(func.count(table.c.id)).where(or_(*added)))).encode())
        return found.hexdigest()

    def probes(self) -> Iterator[Probe]:
        for row in self.rows:
            if row.cells:
                yield from self.of_stranger(row)
        for attempt in ATTEMPTS:
            yield self.of_attempt(attempt)
        for crossing in CROSSINGS:
            if who := IN_THEIR_PLACE.get(crossing.who):
                text = json.dumps(crossing.body(self.world, crossing.of_home(self.world)))
                body = json.loads(re.sub(r'(?<=")(plain-)?far(?=["-])', r"\1own", text))
                call = re.sub(r"{([^}]+)}", r"<\1>", crossing.call)
                yield self.of_attempt(Attempt(who, call, body))
        for path in LISTS:
            yield Probe(("GET", "/students"), f"GET {path}", "stranger", partial(self.lists_alike, path))

    def of_stranger(self, row: Row) -> Iterator[Probe]:
        """Material that is there for all who teach is no secret of home."""
        call = f"{row.verb} {row.place}"
        secret = not row.place.startswith(MATERIAL) and row.cells["far"] not in {"yes", "open"}
        for who in WHO if secret else STAFF[:1]:
            if row.verb == "GET" if who == "heir" else secret or row.verb != "GET":
                yield Probe(row.call, call, who, partial(self.is_kept_from, row, who, secret=secret), row.verb != "GET")
        if row.verb != "GET" or not secret:
            return
        if "{student_id}" in row.place:
            yield from (Probe(row.call, f"{call} as of blank", who, partial(self.alike, row, who)) for who in STAFF)
        elif "{" not in row.place:
            yield from self.of_named(row)

    def of_named(self, row: Row) -> Iterator[Probe]:
        """Every filter of a list that can name home."""
        query = options_of(self.handlers[row.verb, row.path]).query
        for who, name in product(STAFF, sorted(FILTERS.keys() & query.keys())):
            for value in FILTERS[name](self.world):
                call = f"{row.verb} {row.place} by {name}={value}"
                yield Probe(row.call, call, who, partial(self.finds_nothing, row, who, name, value))

    def of_attempt(self, attempt: Attempt) -> Probe:
        verb, place = attempt.call.split()
        path = re.sub(r"@\w+", "", place).partition("?")[0].translate(BRACES)
        return Probe((verb, path), f"{attempt.call} {attempt.body}", attempt.who, partial(self.fails, attempt))

    async def is_kept_from(self, row: Row, who: str, *, secret: bool) -> str:
        """Nothing is shown or changed; whom they enrol apart, they are who the table calls far."""
        listed = row.verb == "GET" and "count" in options_of(self.handlers[row.verb, row.path]).query
        path = self.at(row)
        if listed:
            path += ("&" if "?" in path else "?") + "count=true&limit=200"
        with undone(self.fingerprint) as after:
            answer = await self.send(row, who, path)
        cell = "" if "{student_id}" in row.place or row.call in ABOUT else row.cells.get(LIKE.get(who, ""), "")
        if cell.isdigit() and answer.status_code != int(cell):
            return f"not {cell}: {said(answer)}"
        return self.trouble(answer, after, secret=secret)

    async def finds_nothing(self, row: Row, who: str, name: str, value: str) -> str:
        path = row.place.partition("?")[0]
        answer = await self.world.who[who].get(path, params={name: value})
        trouble = self.trouble(answer, [])
        if trouble or name != "student_id" or answer.status_code != 200:
            return trouble
        of_blank = await self.world.who[who].get(path, params={name: "blank"})
        return self.difference(answer, of_blank)

    async def alike(self, row: Row, who: str) -> str:
        """Of a student who does nothing elsewhere they are shown the same."""
        path, student = self.at(row), self.world.at["{student_id}"]
        answer = await self.world.who[who].get(path)
        return self.difference(answer, await self.world.who[who].get(path.replace(student, "blank")))

    async def lists_alike(self, path: str) -> str:
        answer = await self.world.who["stranger"].get(f"{path}&limit=200")
        found = {one["student_id"] for one in answer.json()["items"]}
        wrong = [one.student_id for one in self.victims if (one.student_id in found) != ("blank" in found)]
        return f"differs for {wrong}: {said(answer)}" if wrong else self.trouble(answer, [])

    async def fails(self, attempt: Attempt) -> str:
        """Whether it fails to show or change anything of home."""
        verb = attempt.call.partition(" ")[0]
        path, body = attempt.sent(self.world, self.own.at)
        content = None if body is None else json.dumps(body)
        headers = {"content-type": "application/json"}
        with undone(self.fingerprint) as after:
            answer = await self.world.who[attempt.who].client.request(verb, path, content=content, headers=headers)
        return self.trouble(answer, after)

    def trouble(self, answer: httpx.Response, after: list[str], *, secret: bool = True) -> str:
        if answer.status_code >= 500:
            return said(answer)
        if set(after) - {self.before}:
            return f"home was changed: {said(answer)}"
        if secret and answer.is_success and (shown := self.shown(answer)):
            return f"tells of home ({shown}): {said(answer)}"
        return ""

    def shown(self, answer: httpx.Response) -> str:
        """A mark in the answer, apart from what was asked, and from who the students are."""
        asked = f"{answer.request.url}{sent_in(answer.request)}"
        text = answer.text
        for name in (*(one.student_id for one in self.victims), *ids_in(asked)):
            text = text.replace(name, "")
        public = "/activities" in asked  # an activity that is active is there for all, and names its course
        return next(
            (
                one
                for one in self.marks
                if one in text and one.strip('"') not in asked and not (public and one == COURSE)
            ),
            "",
        )

    def difference(self, answer: httpx.Response, other: httpx.Response) -> str:
        """Between what is shown of a student and of one who has done nothing anywhere."""
        if (answer.status_code, bare(answer)) == (other.status_code, bare(other)):
            return self.trouble(answer, [])
        return f"{said(answer)} is not as {said(other)}"

    async def views(self, *whose: str) -> dict[str, str]:
        """All that these people are shown by reading, apart from when things were changed."""
        found = {}
        for row, who in product(self.rows, whose):
            if row.verb == "GET" and row.cells and not row.place.startswith(MATERIAL):
                answer = await self.world.who[who].get(self.at(row))
                found[f"{who}: {row.place}"] = f"{answer.status_code} {bare(answer)}"
        return found


def ids_in(text: str) -> list[str]:
    return re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", text)


def bare(answer: httpx.Response) -> str:
    """What an answer says, apart from whom it is about, and when."""
    if answer.headers.get("content-type", "").partition(";")[0] not in {"application/json", "application/problem+json"}:
        return str(len(answer.content))
    return json.dumps(without(answer.json()), sort_keys=True)


def without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without(one) for name, one in value.items() if name not in IDENTITY}
    return [without(one) for one in value] if isinstance(value, list) else value

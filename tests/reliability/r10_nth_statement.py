"""The N-th statement of every writing call fails at the database, for every N, and then the commit itself.

The calls and their right bodies are those of the access matrix. A call is first made whole, to see that it changes
something and how many statements it takes (what it did is taken back). Then it is made again and again, each time with
another statement replaced by one that the database refuses: it must answer with an error, and every row of every table
must be as before.

Broken on purpose: without the rollback in `database.commit`, SQLite hands on a connection with an open transaction,
and the scenario stops there; with a commit whose failure is swallowed, each of the 121 calls but one answers 2xx.
"""

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from litestar import Litestar
from sqlalchemy import delete, event, select, update
from sqlalchemy.ext.asyncio import AsyncSession

import routes
from corpus import RIGHT
from cortez import tables
from cortez.accounts.models import RefreshToken, User
from cortez.clock import utc_now
from cortez.core.db import unit_of_work
from cortez.core.db.engine import Database
from cortez.core.security.passwords import Passwords
from cortez.core.security.tokens import digest, new_secret
from cortez.core.web.problems import PROBLEM_JSON
from cortez.core.web.rate_limit_store import LoginAttempt
from factory import PASSWORD, Make
from matrix import Matrix, undone
from matrix_table import Row
from matrix_world import world_of
from reliability.stage import Outcome, Stage
from running import client_of

FIGURE = "R10"
CLAIM = "the N-th statement of each writing call fails, for every N, and the commit"
TARGET = "no partial effect, no 2xx without its effect"
REFUSED = "SELECT no_such_function_in_this_database()"
APART = {"login_attempts", "rate_limits"}  # counted in units of work of their own, whatever comes of the request
IDLE = {  # right, and may find nothing to change
    "DELETE /activities/{activity_id}/moodle-link",
    "POST /alerts/scan",
    "POST /exports/research",
    "POST /users/{user_id}/reactivate",
    "PUT /lti/sessions/{launch_id}/session",
    "PUT /subjects/{code}/teachers/{user_id@colleague}",
}
# What the matrix leaves as it is: here it is to be another.
CHANGES: dict[str, dict[str, Any]] = {
    "/activities": {"title": "Another"},
    "/api-keys": {"name": "Another"},
    "/apuntes": {"titulo": "Another"},
    "/archivos": {"descripcion": "Another"},
    "/auth": {"full_name": "Another"},
    "/courses": {"title": "Another"},
    "/exercises": {"title": "Another"},
    "/hints": {"content": "Another"},
    "/interventions": {"notes": "Another"},
    "/lti": {"platform_name": "Another"},
    "/remediation-plans": {"description": "Another"},
    "/sessions": {"session_metrics": {"another": 1}},
    "/students": {"preferred_language": "fr"},
    "/subjects": {"name": "Another"},
    "/tests": {"description": "Another"},
    "/traces": {"cognitive_state": "reflexion"},
    "/unidades": {"titulo": "Another"},
    "/users": {"full_name": "Another"},
}
MEMBER = {"role": "tutor"}
ROLES = {"roles": ["student", "tutor"]}


class Fault:
    """Refuses one statement, or the commit after the last one; counts what it sees."""

    def __init__(self, database: Database, at: int = 0) -> None:
        self.engine, self.at, self.seen, self.struck = database.engine.sync_engine, at, 0, False

    @contextmanager
    def lurking(self) -> Iterator["Fault"]:
        event.listen(self.engine, "before_cursor_execute", self.execute, retval=True)
        event.listen(self.engine, "commit", self.commit)
        try:
            yield self
        finally:
            event.remove(self.engine, "before_cursor_execute", self.execute)
            event.remove(self.engine, "commit", self.commit)

    def strikes(self) -> bool:
        self.seen += 1
        if self.seen == self.at:
            self.struck = True
            return True
        return False

    def execute(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> Any:
        if not self.struck and self.strikes():
            return REFUSED, [()] if many else ()
        return statement, parameters

    def commit(self, connection: Any) -> None:
        if not self.struck and self.strikes():
            unit_of_work.COMMIT = REFUSED  # which it sends at once
            asyncio.get_running_loop().call_soon(setattr, unit_of_work, "COMMIT", "COMMIT")


async def everything(session: AsyncSession) -> str:
    """A digest of all rows of all tables."""
    told = hashlib.sha256()
    for table in tables.metadata.sorted_tables:
        if table.name not in APART:
            for row in await session.execute(select(table).order_by(table.c.id)):
                told.update(repr(row).encode())
    return told.hexdigest()


Send = Callable[[], Awaitable[httpx.Response]]


class Call(NamedTuple):
    """A request that is right, and may be sent again after it was taken back."""

    name: str
    send: Send

    @property
    def route(self) -> tuple[str, str]:
        verb, place = self.name.split()
        return verb, re.sub(r"@\w+", "", place).partition("?")[0]


def calls(matrix: Matrix) -> Iterator[Call]:
    """Every writing call of the matrix, by an admin where one may make it."""
    for row in matrix.rows:
        able = [who for who, cell in row.cells.items() if cell in {"yes", "open"}]
        if row.verb != "GET" and able:
            who, path = "admin" if "admin" in able else able[0], matrix.at(row)
            send: Send = partial(matrix.send, row, who, path)
            if change := change_of(row):
                send = partial(matrix.world.who[who].client.request, row.verb, path, json=change)
            yield Call(f"{row.verb} {row.place}", send)


def change_of(row: Row) -> dict[str, Any] | None:
    """The body, where the one of the matrix would leave all as it is."""
    if row.verb == "PUT" and row.path.endswith("/members/{user_id}"):
        return MEMBER
    if row.verb == "PUT" and row.path.endswith("/roles"):
        return ROLES
    return CHANGES.get("/" + row.path.split("/")[1]) if row.verb == "PATCH" else None


async def public(matrix: Matrix, make: Make) -> list[Call]:
    """Those that nobody has signed in for."""
    secret, reset = new_secret("cr_"), new_secret("cp_")
    someone, until = await make.student(), utc_now() + timedelta(hours=1)
    await make.add(RefreshToken(user_id=someone.id, family_id=someone.id, token_hash=digest(secret), expires_at=until))
    async with make.database.unit() as session:
        known = {"email": "r10@example.edu", "reset_hash": digest(reset), "reset_expires_at": until}
        known["hashed_password"] = await Passwords(make.app.state.settings).hash(PASSWORD)
        await session.execute(update(User).where(User.id == someone.id).values(known))
    bodies = {
        "register": RIGHT["RegisterIn"],
        "login": {"login": "r10@example.edu", "password": PASSWORD},
        "refresh": {"refresh_token": secret},
        "password-reset": {"token": reset, "password": "long enough"},
    }
    nobody = matrix.world.who["nobody"]
    return [Call(f"POST /auth/{name}", partial(nobody.post, f"/auth/{name}", json=bodies[name])) for name in bodies]


class Trial:
    """All writing calls on one world."""

    def __init__(self, app: Litestar, places: Callable[[int], Iterable[int]]) -> None:
        self.app, self.places = app, places
        self.database: Database = app.state.database
        self.calls = self.failures = 0
        self.faults: list[str] = []

    async def now(self) -> str:
        async with self.database.reading() as session:
            return await everything(session)

    async def try_call(self, call: Call, before: str) -> str:
        """What is there afterwards."""
        self.calls += 1
        for place in self.places(await self.whole(call, before)):
            await self.forget_guesses()
            with Fault(self.database, place).lurking() as fault:
                answer = await call.send()
            after = await self.now()
            self.failures += fault.struck
            if not fault.struck and call.name not in IDLE:
                self.faults.append(f"{call.name}: place {place} was not reached")
            elif fault.struck and (after != before or not is_our_error(answer)):
                effect = "something" if after != before else "nothing"
                self.faults.append(f"{call.name}, place {place}: {answer.status_code} and {effect} was changed")
            before = after
        return before

    async def forget_guesses(self) -> None:
        """A sign-in that fails for our reasons is a guess all the same, and an account has five in a row."""
        self.app.state.refusals.clear()
        async with self.database.unit() as session:
            await session.execute(delete(LoginAttempt))

    async def whole(self, call: Call, before: str) -> int:
        """At how many places it can fail."""
        with undone(everything) as seen:
            answer = await call.send()
        if not answer.is_success:
            self.faults.append(f"{call.name}: {answer.status_code} {answer.text[:200]}")
        elif not set(seen) - {before} and call.name not in IDLE:
            self.faults.append(f"{call.name}: {answer.status_code}, and nothing was changed")
        with undone(), Fault(self.database).lurking() as fault:
            await call.send()
        return fault.seen + len(seen)


def is_our_error(answer: httpx.Response) -> bool:
    return answer.status_code >= 500 and answer.headers["content-type"] == PROBLEM_JSON


async def run(stage: Stage) -> Outcome:
    async with stage.app() as app, Make(app, client_of) as make:
        matrix = Matrix(app, make, await world_of(app, make))
        trial = Trial(app, a_few if stage.quick else all_of_them)
        everybody = [*calls(matrix), *await public(matrix, make)]
        there = {(verb, path) for _, verb, path, _ in routes.calls(app) if verb != "GET"}
        named = {call.route for call in everybody}
        trial.faults += [f"{verb} {path} is not tried" for verb, path in sorted(there - named)]
        before = await trial.now()
        logging.disable(logging.CRITICAL)
        for call in everybody:
            before = await trial.try_call(call, before)
        logging.disable(logging.NOTSET)
        left = await asyncio.to_thread(lambda: list(Path(stage.settings.files, "incoming").glob("*")))
    for fault in trial.faults:
        print(fault)  # noqa: T201
    said = f"{trial.calls} calls, {trial.failures:,} statements and commits refused: {len(trial.faults)} faults, "
    return Outcome(said + f"{len(left)} files left on their way", not trial.faults and not left)


def all_of_them(places: int) -> Iterable[int]:
    return range(1, places + 1)


def a_few(places: int) -> Iterable[int]:
    """The first, one in the middle, and the last: the commit."""
    return sorted({1, places // 2 + 1, places})

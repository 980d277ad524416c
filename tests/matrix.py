"""The matrix: every call, by everybody, held against what `matrix_table.py` says.

A probe is one question with the answer that the contract gives to it. Probes share their rows: every write is taken
back as soon as it is answered (`undone`), so that each of them meets the world as it was made.
"""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import UUID

import httpx
import msgspec
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.repository import (
    ApiKeyRepository,
    InvitationRepository,
    MemberRepository,
    RefreshTokenRepository,
    UserRepository,
)
from cortez.audit.repository import AuditRepository
from cortez.core.db.repository import Repository
from cortez.core.db.unit_of_work import UnitOfWork
from cortez.core.openapi import document as operations
from cortez.core.security.principal import Principal
from cortez.core.web.route_options import options_of
from cortez.lti.repository import DeploymentRepository
from cortez.settings import Settings
from factory import Make
from matrix_bodies import CROSSINGS, FILTERS, Crossing, body_of
from matrix_questions import QUESTIONS, Question
from matrix_table import Row, rows
from matrix_world import World, fingerprint, lesser
from routes import calls

ABSENT = {
    "student_id": "nowhere",
    "course_id": "nowhere",
    "activity_id": "nowhere",
    "code": "nowhere",
    "type_": "nowhere",
}
NOBODY = str(UUID(int=7))
SENT_ALONG = ("request_id", "instance")


class Probe(msgspec.Struct, frozen=True):
    """A question; `ask` gives an empty text where the answer is right, else what is wrong with it."""

    call: tuple[str, str]
    name: str
    who: str
    ask: Callable[[], Awaitable[str]]
    refused: bool = False


@contextmanager
def undone(look: Callable[[AsyncSession], Awaitable[str]] | None = None) -> Iterator[list[str]]:
    """What is committed inside is rolled back instead, once it has been answered for. Nothing is logged meanwhile.

    Gives what `look` saw, each time, just before.
    """
    seen: list[str] = []

    async def undo(unit: UnitOfWork) -> None:
        if look:
            seen.append(await look(unit.session))
        await unit.close()

    logger = logging.getLogger("httpx")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with patch.object(UnitOfWork, "end", undo):
            yield seen
    finally:
        logger.setLevel(before)


@contextmanager
def having(settings: Settings, **changes: Any) -> Iterator[None]:
    """The settings that everybody holds are others for a moment."""
    before = {name: getattr(settings, name) for name in changes}
    for name, value in changes.items():
        msgspec.structs.force_setattr(settings, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            msgspec.structs.force_setattr(settings, name, value)


# Repositories that stand behind a guard: what each may show of itself to whom.
SECOND_LINE: list[tuple[type[Repository[Any]], str, Callable[[Any, UUID], bool]]] = [
    (UserRepository, "teacher", lambda row, id_: row.id == id_),
    (UserRepository, "key", lambda row, id_: False),
    (RefreshTokenRepository, "owner", lambda row, id_: row.user_id == id_),
    (ApiKeyRepository, "teacher", lambda row, id_: False),
    (MemberRepository, "far", lambda row, id_: row.course_id == "far"),
    (InvitationRepository, "far", lambda row, id_: row.course_id == "far"),
    (InvitationRepository, "key", lambda row, id_: False),
    (DeploymentRepository, "teacher", lambda row, id_: False),
    (AuditRepository, "teacher", lambda row, id_: False),
    (AuditRepository, "key", lambda row, id_: False),
]


class Matrix:
    """All probes on one world."""

    def __init__(self, app: Litestar, make: Make, world: World) -> None:
        self.app, self.make, self.world = app, make, world
        self.rows = rows()
        self.handlers = {(verb, path): handler for _, verb, path, handler in calls(app)}

    def probes(self) -> Iterator[Probe]:
        asked: set[tuple[str, str]] = set()
        for row in self.rows:
            yield from self.of_row(row)
            if "{" in row.place and row.cells and (row.verb, row.path) not in asked:
                yield Probe(row.call, f"{row.verb} {row.place}", "somebody about nothing", partial(self.is_silent, row))
                asked.add((row.verb, row.path))
        for row in self.rows:
            if row.cells and row.verb == "GET" and "{" not in row.place:
                yield from self.of_filters(row)
        for crossing in CROSSINGS:
            yield self.of_crossing(crossing)
        for question in QUESTIONS:
            yield self.of_question(question)
        for kind, who, seen in SECOND_LINE:
            name = f"{kind.__name__} without a guard"
            yield Probe(("", ""), name, who, partial(self.shows, kind, who, seen))

    def of_row(self, row: Row) -> Iterator[Probe]:
        call = f"{row.verb} {row.place}"
        if not row.cells:
            yield Probe(row.call, call, "nobody", partial(self.is_public, row))
            return
        for who, cell in row.cells.items():
            yield Probe(row.call, call, who, partial(self.holds, row, who, cell), cell.isdigit())
        for who in ("nobody", "revoked", *(["revoked_key"] if row.scopes else [])):
            yield Probe(row.call, call, who, partial(self.holds, row, who, "401"))
        if row.scopes:
            other = lesser(row.scopes)
            yield Probe(row.call, call, other, partial(self.holds, row, other, "403"), True)

    async def send(self, row: Row, who: str, path: str, **changes: Any) -> httpx.Response:
        """With a body that is right, where the call takes one."""
        client = self.world.who[who].client
        handler = self.handlers[row.verb, row.path]
        if options_of(handler).upload:
            return await client.request(row.verb, path, files={"file": ("a.txt", b"text")})
        sent: dict[str, Any] = {"headers": {}}
        for media, type_ in operations.bodies(handler).items():
            content = body_of(self.world, f"{row.verb} {row.path}", who, type_)
            sent = {"content": content, "headers": {"content-type": media}}
            if media == ("text/plain" if row.path.endswith("/import") else operations.JSON):
                break
        sent["headers"] |= changes.pop("headers", {})
        return await client.request(changes.pop("verb", row.verb), path, **sent)

    def at(self, row: Row) -> str:
        return re.sub(r"{[^}]+}", lambda place: self.world.at[place[0]], row.place)

    def nowhere(self, row: Row) -> str:
        return re.sub(r"{(\w+)[^}]*}", lambda place: ABSENT.get(place[1], NOBODY), row.place)

    async def is_public(self, row: Row) -> str:
        answer = await self.send(row, "nobody", row.place)
        asked = answer.json().get("code") in {"AUTHENTICATION_REQUIRED", "TOKEN_INVALID"}
        return said(answer) if asked or answer.status_code >= 500 else ""

    async def holds(self, row: Row, who: str, cell: str) -> str:
        """Whether the answer is what the cell says."""
        listed = row.verb == "GET" and "count" in options_of(self.handlers[row.verb, row.path]).query
        path = self.at(row)
        answer = await self.send(
            row, who, path + ("&" if "?" in path else "?") + "count=true&limit=200" if listed else path
        )
        if cell.isdigit():
            return said(answer) if answer.status_code != int(cell) or self.tells(answer) else ""
        if not answer.is_success or (listed and not counts(answer)):
            return said(answer)
        if cell == "none" and self.tells(answer):
            return f"tells of home: {said(answer)}"
        if cell == "yes" and listed and not any(mark in answer.text for mark in self.world.marks):
            return f"holds nothing of home: {said(answer)}"
        return ""

    def tells(self, answer: httpx.Response) -> bool:
        """Of home, apart from what the caller has said themselves."""
        text, asked = answer.text, f"{answer.request.url}{sent_in(answer.request)}"
        for place in ("{student_id}", "{session_id}"):
            if self.world.at[place] in asked:
                text = text.replace(self.world.at[place], "")
        return any(mark in text for mark in self.world.marks)

    async def is_silent(self, row: Row) -> str:
        """What is not yours looks as what is not there: for reading, HEAD, preconditions and writing alike."""
        hidden = [who for who, cell in row.cells.items() if cell == "404"]
        admin = await self.send(row, "admin", self.nowhere(row))
        if row.cells["admin"] == "yes" and admin.status_code != 404:
            return f"an admin: {said(admin)}"
        for who in hidden[:1]:
            there, nothing = await self.send(row, who, self.at(row)), await self.send(row, who, self.nowhere(row))
            if told(there, self.at(row)) != told(nothing, self.nowhere(row)):
                return f"{who}: {said(there)} is not as {said(nothing)}"
            if row.verb != "GET":
                continue
            head = await self.send(row, who, self.at(row), verb="HEAD", headers={"If-None-Match": "*"})
            if (head.status_code, head.content) != (404, b""):
                return f"{who}: HEAD {said(head)}"
        return ""

    def of_filters(self, row: Row) -> Iterator[Probe]:
        """Every filter that can name something of home, by those to whom home is nothing."""
        query = options_of(self.handlers[row.verb, row.path]).query
        for name in sorted(FILTERS.keys() & query.keys()):
            for who, cell in row.cells.items():
                if cell == "none" or (who, cell) == ("admin", "yes"):
                    for value in FILTERS[name](self.world):
                        call = f"{row.verb} {row.place} by {name}={value}"
                        yield Probe(row.call, call, who, partial(self.filters, row, who, name, value))

    async def filters(self, row: Row, who: str, name: str, value: str) -> str:
        counted = {"count": "true"} if "count" in options_of(self.handlers[row.verb, row.path]).query else {}
        path = row.place.partition("?")[0]
        answer = await self.world.who[who].get(path, params={name: value, **counted})
        if answer.status_code == 404 and row.cells[who] == "none" and not self.tells(answer):
            return ""
        if answer.status_code != 200 or (counted and not counts(answer)):
            return said(answer)
        if row.cells[who] == "none" and self.tells(answer):
            return f"tells of home: {said(answer)}"
        if who == "admin" and value != "home-old" and not any(mark in answer.text for mark in self.world.marks):
            return f"the filter finds nothing of home: {said(answer)}"
        return ""

    def of_question(self, question: Question) -> Probe:
        verb, place = question.call.split()
        path = re.sub(r"@\w+", "", place).partition("?")[0]
        return Probe((verb, path), question.call, question.who, partial(self.answers, question), True)

    async def answers(self, question: Question) -> str:
        client, verb = self.world.who[question.who].client, question.call.partition(" ")[0]
        path, body = question.told(self.world)
        with having(self.app.state.settings, **question.settings):
            answer = await client.request(verb, path, json=body)
        right = answer.status_code == question.status and question.text in answer.text
        return "" if right and question.hidden not in answer.text else said(answer)

    async def shows(self, kind: type[Repository[Any]], who: str, seen: Callable[[Any, UUID], bool]) -> str:
        """Whether a repository shows somebody nothing but what it may, where no guard stands before it."""
        id_ = self.world.who[who].id
        kinds = {"key": Principal(id=id_, kind="key"), "owner": Principal(id=id_, roles=frozenset({"student"}))}
        async with self.make.database.reading() as session:
            rows = list(await session.scalars(kind(session, kinds.get(who, teacher_of(id_))).select()))
        return "" if all(seen(row, id_) for row in rows) else f"shows {len(rows)} rows"

    async def told_of(self, crossing: Crossing, name: str) -> httpx.Response:
        verb, place = crossing.call.split()
        path = re.sub(r"{[^}]+}", lambda found: self.world.far.at.get(found[0]) or self.world.at[found[0]], place)
        content, headers = json.dumps(crossing.body(self.world, name)), {"content-type": "application/json"}
        return await self.world.who[crossing.who].client.request(verb, path, content=content, headers=headers)

    def of_crossing(self, crossing: Crossing) -> Probe:
        verb, place = crossing.call.split()
        call = verb, re.sub(r"@\w+", "", place).partition("?")[0]
        return Probe(
            call, f"{crossing.call} naming {crossing.names}", crossing.who, partial(self.crosses, crossing), True
        )

    async def crosses(self, crossing: Crossing) -> str:
        """A body that names a row of home: refused as one that names nothing, and home is what it was."""
        home, nothing = crossing.of_home(self.world), crossing.absent
        async with self.make.database.reading() as session:
            before = await fingerprint(session, self.world)
        with undone(lambda session: fingerprint(session, self.world)) as after:
            there = await self.told_of(crossing, home)
        absent = await self.told_of(crossing, nothing)
        if crossing.code not in there.text or self.tells(there):
            return said(there)
        if set(after) - {before}:
            return f"home was changed: {said(there)}"
        if crossing.alike and told(there, home) != told(absent, nothing):
            return f"{said(there)} is not as {said(absent)}"
        return ""


def teacher_of(id_: UUID) -> Principal:
    return Principal(id=id_, roles=frozenset({"teacher"}))


def counts(answer: httpx.Response) -> bool:
    """Whether the total of a list says how many there are."""
    found = answer.json()
    return bool(found["total"] == len(found["items"]))


def told(answer: httpx.Response, asked: str) -> tuple[int, str]:
    """What an answer tells, apart from what was asked and what every answer has of its own."""
    try:
        body = answer.json()
    except ValueError:
        return answer.status_code, answer.text
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in SENT_ALONG}
    text = json.dumps(body)
    for part in sorted({asked, *re.split(r"[/?]", asked)}, key=len, reverse=True):
        text = text.replace(part, "…") if len(part) > 3 else text
    return answer.status_code, text


def sent_in(request: httpx.Request) -> str:
    """The body of a request; an upload says nothing."""
    return request.content.decode() if isinstance(request.stream, httpx.ByteStream) else ""


def said(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.text[:160]}"

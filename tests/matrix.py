"""The matrix: every call, by everybody, held against what `matrix_table.py` says.

A probe is one question with the answer that the contract gives to it. Probes share their rows: every write is taken
back as soon as it is answered (`undone`), so that each of them meets the world as it was made.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_origin
from unittest.mock import patch
from uuid import UUID

import httpx
import msgspec
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncSession

from cortez import openapi
from factory import Make
from matrix_bodies import BODIES, CROSSINGS, FILTERS, Crossing, body_of
from matrix_table import Row, rows
from matrix_world import World, lesser
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

    name: str
    who: str
    ask: Callable[[], Awaitable[str]]


@contextmanager
def undone() -> Iterator[None]:
    """What is committed inside is rolled back instead, once it has been answered for."""
    with patch.object(AsyncSession, "commit", AsyncSession.rollback):
        yield


class Matrix:
    """All probes on one world."""

    def __init__(self, app: Litestar, make: Make, world: World) -> None:
        self.app, self.make, self.world = app, make, world
        self.rows = rows()
        self.handlers = {(verb, path): handler for _, verb, path, handler in calls(app)}

    def probes(self) -> Iterator[Probe]:
        for row in self.rows:
            yield from self.of_row(row)
        for row in self.rows:
            if row.cells and row.verb == "GET" and "{" not in row.place:
                yield from self.of_filters(row)
        for crossing in CROSSINGS:
            yield self.of_crossing(crossing)

    def of_row(self, row: Row) -> Iterator[Probe]:
        call = f"{row.verb} {row.place}"
        if not row.cells:
            yield Probe(call, "nobody", lambda: self.is_public(row))
            return
        for who, cell in row.cells.items():
            yield Probe(call, who, lambda who=who, cell=cell: self.holds(row, who, cell))  # type: ignore[misc]
        for who in ("nobody", "revoked", "revoked_key"):
            yield Probe(call, who, lambda who=who: self.holds(row, who, "401"))  # type: ignore[misc]
        other = lesser(row.scopes)
        yield Probe(call, other, lambda: self.holds(row, other, "403"))
        if "{" in row.place:
            yield Probe(call, "somebody about nothing", lambda: self.is_silent(row))

    async def send(self, row: Row, who: str, path: str, **changes: Any) -> httpx.Response:
        """With a body that is right, where the call takes one."""
        client = self.world.who[who].client
        handler = self.handlers[row.verb, row.path]
        if handler.opt.get("upload"):
            return await client.request(row.verb, path, files={"file": ("a.txt", b"text")})
        sent: dict[str, Any] = {"headers": {}}
        for media, type_ in openapi.bodies(handler).items():
            content = body_of(self.world, f"{row.verb} {row.path}", who, type_)
            sent = {"content": content, "headers": {"content-type": media}}
            if media == openapi.JSON or f"{row.verb} {row.path}" in BODIES:
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
        listed = row.verb == "GET" and "count" in self.handlers[row.verb, row.path].opt["query"]
        path = self.at(row)
        answer = await self.send(row, who, path + ("&" if "?" in path else "?") + "count=true" if listed else path)
        if cell.isdigit():
            return said(answer) if answer.status_code != int(cell) or self.tells(answer, path) else ""
        if not answer.is_success or (listed and not counts(answer)):
            return said(answer)
        if cell == "none" and self.tells(answer, path):
            return f"tells of home: {said(answer)}"
        if cell == "yes" and listed and not self.tells(answer):
            return f"holds nothing of home: {said(answer)}"
        return ""

    def tells(self, answer: httpx.Response, *said: str) -> bool:
        """Of home, apart from what the caller has said themselves."""
        text = answer.text
        for word in {word for one in said for word in re.split(r"[/?]", one)} - {""}:
            text = text.replace(word, "")
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
            known = await self.send(row, who, self.at(row), headers={"If-None-Match": "*"})
            head = await self.send(row, who, self.at(row), verb="HEAD")
            if (known.status_code, head.status_code, head.content) != (404, 404, b""):
                return f"{who}: If-None-Match {said(known)}, HEAD {said(head)}"
        return ""

    def of_filters(self, row: Row) -> Iterator[Probe]:
        """Every filter that can name something of home, by those to whom home is nothing."""
        query = self.handlers[row.verb, row.path].opt["query"]
        for name in sorted(FILTERS.keys() & query.keys()):
            for who, cell in row.cells.items():
                if cell in {"yes", "none"}:
                    for value in FILTERS[name](self.world):
                        call = f"{row.verb} {row.place} by {name}={value}"
                        yield Probe(call, who, lambda w=who, n=name, v=value: self.filters(row, w, n, v))  # type: ignore[misc]

    async def filters(self, row: Row, who: str, name: str, value: str) -> str:
        counted = {"count": "true"} if "count" in self.handlers[row.verb, row.path].opt["query"] else {}
        path = row.place.partition("?")[0]
        answer = await self.world.who[who].get(path, params={name: value, **counted})
        if answer.status_code != 200 or (counted and not counts(answer)):
            return said(answer)
        if row.cells[who] == "none" and self.tells(answer, value):
            return f"tells of home: {said(answer)}"
        if who == "admin" and not self.tells(answer):
            return f"the filter finds nothing of home: {said(answer)}"
        return ""

    def of_crossing(self, crossing: Crossing) -> Probe:
        return Probe(f"{crossing.call} naming {crossing.names}", crossing.who, lambda: self.crosses(crossing))

    async def crosses(self, crossing: Crossing) -> str:
        """A body that names a row of home: refused as one that names nothing, and home is what it was."""
        home, nothing = crossing.of_home(self.world), crossing.absent
        answers = []
        for name in (home, nothing):
            body = crossing.body(self.world, name)
            verb, place = crossing.call.split()
            path = re.sub(r"{[^}]+}", lambda found: self.world.far.at.get(found[0]) or self.world.at[found[0]], place)
            content = json.dumps(body)
            answers.append(
                await self.world.who[crossing.who].client.request(
                    verb, path, content=content, headers={"content-type": "application/json"}
                )
            )
        there, absent = answers
        if crossing.code not in there.text or self.tells(there, home):
            return said(there)
        if crossing.alike and told(there, home) != told(absent, nothing):
            return f"{said(there)} is not as {said(absent)}"
        return ""


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


def said(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.text[:160]}"

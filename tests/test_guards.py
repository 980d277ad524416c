"""Every call, taken from the application's own route table: refused, absent, and answered."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, get_origin
from uuid import uuid4

from litestar import Litestar

from corpus import RIGHT, at, places
from cortez import openapi
from cortez.accounts.models import Role, Scope
from factory import Make, Someone
from routes import calls

PEOPLE = (Role.STUDENT, Role.TUTOR, Role.TEACHER)
# What an admin finds empty, or may not do, though the place exists: a hint or an attempt is a student's.
STUDENTS_OWN = {"/exercises/{exercise_id}/hints/reveal", "/exercises/{exercise_id}/attempts"}
# What the rows of the fixture do not have: an evaluation, a file on disk.
NOT_THERE = {"/sessions/{session_id}/evaluations/latest", "/archivos/{file_id}/content"}
NEEDED = {"/students/compare": "?activity_id=there"}


def guarded(app: Litestar) -> Iterator[tuple[str, str, Any]]:
    for _, verb, path, handler in calls(app):
        if not handler.opt.get("public"):
            yield verb, path, handler


def absent(path: str) -> str:
    """The path to something that is not there."""
    for place in ("course_id", "activity_id", "student_id", "type_", "code"):
        path = path.replace(f"{{{place}}}", "nowhere")
    return re.sub(r"{\w+}", lambda _: str(uuid4()), path)


async def send(someone: Someone, verb: str, path: str, handler: Any) -> Any:
    """The call with a body that is right, where it takes one."""
    if handler.opt.get("upload"):
        return await someone.post(path, files={"file": ("a.txt", b"text")})
    for media, type_ in openapi.bodies(handler).items():
        body = json.dumps(RIGHT.get(getattr(type_, "__name__", ""), {})) if media == openapi.JSON else "x"
        content = "[]" if get_origin(type_) is Annotated else body
        return await someone.client.request(verb, path, content=content, headers={"content-type": media})
    return await someone.client.request(verb, path)


async def test_every_call_is_refused_to_those_it_does_not_name(app: Litestar, make: Make) -> None:
    people = {role.value: await make.user(role) for role in PEOPLE}
    nobody = Someone(uuid4(), "", await make.clients.enter_async_context(make.client_of(app)))
    refused = 0
    for verb, path, handler in guarded(app):
        allowed = openapi.roles_of(handler)
        others = [scope.value for scope in Scope if f"key:{scope.value}" not in allowed]
        strangers = [someone for role, someone in people.items() if role not in allowed]
        if others:
            strangers.append(await make.key(*others))
        for someone in strangers:
            answer = await send(someone, verb, absent(path), handler)
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN"), (verb, path, answer.text)
            refused += 1
        unknown = await send(nobody, verb, absent(path), handler)
        assert unknown.status_code == 401, (verb, path)
    assert refused > 400


async def test_every_call_on_what_is_not_there_is_not_found(app: Litestar, make: Make) -> None:
    admin = await make.admin()
    asked = 0
    for verb, path, handler in guarded(app):
        if "{" not in path or path in STUDENTS_OWN:
            continue
        answer = await send(admin, verb, absent(path), handler)
        assert answer.status_code == 404, (verb, path, answer.text)
        asked += 1
    assert asked > 100


async def test_every_reading_call_is_answered(app: Litestar, make: Make) -> None:
    admin = await make.admin()
    filled = {place.partition(":")[0] + "}": value for place, value in (await places(make)).items()}
    for verb, path, handler in guarded(app):
        if verb == "GET" and path not in NOT_THERE:
            answer = await send(admin, verb, at(path, filled) + NEEDED.get(path, ""), handler)
            assert answer.status_code == 200, (path, answer.text)

"""Every call that asks for a sign-in, on places where nothing is, with a body that is right."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, get_origin
from uuid import uuid4

from litestar import Litestar

from corpus import RIGHT
from cortez.core.openapi import document as operations
from cortez.core.web.route_options import options_of
from factory import Someone
from routes import calls


def guarded(app: Litestar) -> Iterator[tuple[str, str, Any]]:
    for _, verb, path, handler in calls(app):
        if not options_of(handler).public:
            yield verb, path, handler


def absent(path: str) -> str:
    """The path to something that is not there."""
    for place in ("course_id", "activity_id", "student_id", "type_", "code"):
        path = path.replace(f"{{{place}}}", "nowhere")
    return re.sub(r"{\w+}", lambda _: str(uuid4()), path)


async def send(someone: Someone, verb: str, path: str, handler: Any) -> Any:
    """The call with a body that is right, where it takes one."""
    if options_of(handler).upload:
        return await someone.post(path, files={"file": ("a.txt", b"text")})
    for media, type_ in operations.bodies(handler).items():
        body = json.dumps(RIGHT.get(getattr(type_, "__name__", ""), {})) if media == operations.JSON else "x"
        content = "[]" if get_origin(type_) is Annotated else body
        return await someone.client.request(verb, path, content=content, headers={"content-type": media})
    return await someone.client.request(verb, path)

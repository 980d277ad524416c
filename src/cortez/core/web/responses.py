"""Answers that can be stored before they are sent; every handler that makes its own answer makes one of these."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from litestar import Litestar, Response
from litestar.response.base import ASGIResponse
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from litestar.types import HTTPScope
from msgspec import Struct
from msgspec.structs import astuple

from cortez.core.db.pagination import Listing
from cortez.core.db.types import Items
from cortez.core.typing import JsonValue
from cortez.core.web.pagination import next_link
from cortez.core.web.preconditions import etag
from cortez.core.web.problems import PROBLEM_JSON, Problem, problem_of
from cortez.core.web.requests import ServiceRequest
from cortez.core.web.route_options import options_of, route
from cortez.core.web.schemas import Resource
from cortez.errors import CortezError

T = TypeVar("T")
V = TypeVar("V")

SHOWING = frozenset(range(200, 300)) - {HTTPStatus.NO_CONTENT}  # statuses of answers in which something is shown
# The options of a route that stores a thing once: the same again answers 200 with what is stored, which is shown.
STORED_ONCE = route(also=(HTTP_200_OK,), sent_back=HTTP_201_CREATED)


class Answer(Response[T]):
    """Remembers its rendered form for the unit of work, and adds the ETag of a resource and the Link of a page.

    `about` is what a file was made from, where the content itself does not say whom it shows.
    """

    def __init__(self, content: T, *, about: Struct | Sequence[Struct] | None = None, **options: Any) -> None:
        super().__init__(content, **options)
        self.about = about or content

    def to_asgi_response(self, app: Litestar | None, request: ServiceRequest, **kwargs: Any) -> ASGIResponse:
        rendered = super().to_asgi_response(app, request, **kwargs)
        if isinstance(self.content, Resource):
            rendered = tagged(rendered, etag(self.content, rendered.body), request)
        if isinstance(self.content, Listing) and self.content.next_cursor:
            rendered.headers["Link"] = next_link(request.scope, self.content.next_cursor)
        if attempt := request.scope["state"].get("attempt"):
            sent_back = options_of(request.scope["route_handler"]).sent_back == rendered.status_code
            attempt.answer, attempt.shown = rendered, set() if sent_back else shown_in(self.about)
        return rendered


def shown_in(content: V) -> set[str | UUID]:
    """Whose data is in an answer, at any depth: the student_id, or else the session, of everything that has one.

    What names students in another way says so itself, as `names_students`. Documents are not searched: anybody may
    have written a student_id into one.
    """
    found: set[str | UUID] = set()
    parts: list[Items] = [[content]]
    while parts:
        for part in parts.pop():
            if whose := getattr(part, "student_id", None) or getattr(part, "session_id", None):
                found.add(whose)
            elif isinstance(part, list):
                parts.append(part)
            elif isinstance(part, Struct):
                found.update(getattr(part, "names_students", ()))
                parts.append([value for value in astuple(part) if isinstance(value, Struct | list)])
    return found


def shown_again(body: bytes) -> set[str | UUID]:
    """Whose data is in an answer that is given from the store."""
    try:
        return named_in(msgspec.json.decode(body))
    except msgspec.DecodeError:
        return set()  # a file, which is given for what is in the path


def named_in(document: JsonValue) -> set[str | UUID]:
    """The student_id, or else the session_id, of every object in a decoded answer that has one."""
    if isinstance(document, list):
        return set().union(*map(named_in, document))
    if not isinstance(document, dict):
        return set()
    if isinstance(whose := document.get("student_id"), str):
        return {whose}
    if session_id := key_of_session(document.get("session_id")):
        return {session_id}
    return set().union(*map(named_in, document.values()))


def key_of_session(named: JsonValue) -> UUID | None:
    """The id of a session in a document; None where it is none."""
    try:
        return UUID(named) if isinstance(named, str) else None
    except ValueError:
        return None


def subjects_of(scope: HTTPScope, status: int, shown: set[str | UUID]) -> set[str | UUID]:
    """Whose data the answer to a request has shown, by its path and what is in it; nobody's that only sends back."""
    if status not in SHOWING or options_of(scope["route_handler"]).sent_back == status:
        return set()
    places = scope["path_params"]
    if "student_id" in places:
        return {places["student_id"]}
    return shown or {places[name] for name in places if name == "session_id"}


def tagged(rendered: ASGIResponse, tag: str, request: ServiceRequest) -> ASGIResponse:
    """With its ETag; only with that where the client, reading, has this very representation already."""
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if request.method == "GET" and known & {tag, "*"}:
        rendered = ASGIResponse(status_code=HTTPStatus.NOT_MODIFIED)
    rendered.headers["ETag"] = tag
    return rendered


def created(resource: T, location: str) -> Answer[T]:
    """201 with the resource and where it is, below /api/v1."""
    return Answer(resource, status_code=201, headers={"Location": f"/api/v1{location}"})


def refused(request: ServiceRequest, error: CortezError) -> Answer[Problem]:
    """An error as a returned answer: the unit of work commits."""
    return Answer(problem_of(request, error), status_code=error.status, media_type=PROBLEM_JSON, headers=error.headers)

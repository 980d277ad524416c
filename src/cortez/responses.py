"""Answers that can be stored before they are sent; every handler that makes its own answer makes one of these."""

from http import HTTPStatus
from typing import Any, TypeVar

from litestar import Request, Response
from litestar.response.base import ASGIResponse

from cortez.errors import PROBLEM_JSON, CortezError, Problem, problem_of
from cortez.paging import next_link
from cortez.schemas import Listing, Resource, etag

T = TypeVar("T")


class Answer(Response[T]):
    """Remembers its rendered form for the unit of work, and adds the ETag of a resource and the Link of a page."""

    def to_asgi_response(self, app: Any, request: Any, **kwargs: Any) -> ASGIResponse:
        rendered = super().to_asgi_response(app, request, **kwargs)
        if isinstance(self.content, Resource):
            rendered = tagged(rendered, etag(self.content, rendered.body), request)
        if isinstance(self.content, Listing) and self.content.next_cursor:
            rendered.headers["Link"] = next_link(request.scope, self.content.next_cursor)
        if unit := request.scope["state"].get("unit"):
            unit.answer, unit.shown = rendered, shown_in(self.content)
        return rendered


def shown_in(content: object) -> set[Any]:
    """Whose data an answer shows: the student_id, or else the session, of the resource or of each item."""
    listed = content.items if isinstance(content, Listing) else getattr(content, "students", None)
    items = listed if isinstance(listed, list) else [content]
    return {getattr(item, "student_id", None) or getattr(item, "session_id", None) for item in items} - {None}


def tagged(rendered: ASGIResponse, tag: str, request: Any) -> ASGIResponse:
    """With its ETag; only with that where the client, reading, has this very representation already."""
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if request.method == "GET" and known & {tag, "*"}:
        rendered = ASGIResponse(status_code=HTTPStatus.NOT_MODIFIED)
    rendered.headers["ETag"] = tag
    return rendered


def created(resource: T, location: str) -> Answer[T]:
    """201 with the resource and where it is, below /api/v1."""
    return Answer(resource, status_code=201, headers={"Location": f"/api/v1{location}"})


def refused(request: Request[Any, Any, Any], error: CortezError) -> Answer[Problem]:
    """An error as a returned answer: the unit of work commits."""
    return Answer(problem_of(request, error), status_code=error.status, media_type=PROBLEM_JSON, headers=error.headers)

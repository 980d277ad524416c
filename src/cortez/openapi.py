"""The OpenAPI document, from the route table and the types that decode and encode: what is published is what holds."""

import inspect
import re
from collections.abc import Iterator
from http import HTTPStatus
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from litestar import Litestar, Response
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition

from cortez.errors import PROBLEM_JSON, Problem
from cortez.examples import EXAMPLES
from cortez.responses import Answer
from cortez.schemas import Listing, Resource

Json = dict[str, Any]
UNIONS = (Union, UnionType)

DESCRIPTION = """The system of record for how students work with AI tutors.

Errors are RFC 9457 problem documents with a stable `code`. Lists come in keyset pages: send the `cursor` of one to get
the next. Times are RFC 3339 and answered in UTC; one without an offset is refused. What you may not see answers 404,
exactly as if it did not exist. A document (a free JSON object) has at most 12 levels and 64,000 bytes; no text holds
NUL."""

TAGS = {
    "auth": "Signing in and out, and one's own account.",
    "users": "Accounts, for admins.",
    "API keys": "Keys of machines such as tutor agents, for admins.",
    "courses": "Courses and who belongs to them.",
    "activities": "What students work on.",
    "sessions": "One student at work on one activity.",
    "session views": "A session seen as a whole.",
    "traces": "The steps of a session.",
    "students": "What is kept about a student over all sessions.",
    "alerts": "What calls for a teacher's look: stored, or live from active sessions.",
    "remediation": "Support that a teacher opens for a student.",
    "interventions": "What teachers and tutors did.",
    "operations": "Whether the service lives and is ready.",
}
QUERY = {
    "limit": "How many items a page holds.",
    "cursor": "`next_cursor` of the page before. It carries the filters; send the same ones, or none.",
    "count": "Adds `total`, counted to 10,000.",
    "order": "By the time of creation; a minus in front means newest first.",
    "atomic": "Whether one rejected item rejects all.",
}
HEADERS = {
    "Idempotency-Key": (
        "Makes a repeated send harmless: the first committed answer is replayed for 24 hours.",
        {"type": "string", "minLength": 1, "maxLength": 200},
    ),
    "If-Match": (
        "The ETag that was read: 412 where the entity has changed since.",
        {"type": "string", "maxLength": 1000},
    ),
}
ERRORS = {
    HTTPStatus.BAD_REQUEST: "The body is not JSON.",
    HTTPStatus.UNAUTHORIZED: "No valid token or key.",
    HTTPStatus.FORBIDDEN: "The role or scope does not allow this.",
    HTTPStatus.NOT_FOUND: "Missing, or not yours.",
    HTTPStatus.CONFLICT: "Against the present state: a duplicate, an illegal transition.",
    HTTPStatus.PRECONDITION_FAILED: "The entity has changed since you read it.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body has another media type.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A value is not allowed; `errors` says which.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database is away or busy; try again after `Retry-After` seconds.",
}


def document(app: Litestar, version: str) -> Json:
    """The whole document; every type that a route takes or gives is a component."""
    operations = sorted(routes(app), key=lambda found: (found[0], found[1]))
    types = [type_ for _, _, handler in operations for type_ in (*bodies(handler).values(), answer_type(handler))]
    fields = [field.raw for _, _, handler in operations for field in handler.opt["query"].values()]
    named = {repr(type_): type_ for type_ in [Problem, *types, *map(without_none, fields)] if type_ is not NoneType}
    schemas, components = msgspec.json.schema_components(named.values(), ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(named, schemas, strict=True))
    paths: Json = {}
    for path, verb, handler in operations:
        paths.setdefault(path, {})[verb.lower()] = operation(handler, path, verb, schema_of)
    found = {
        "openapi": "3.1.0",
        "info": {"title": "Cortez", "version": version, "description": DESCRIPTION, "license": {"name": "MIT"}},
        "tags": [{"name": name, "description": said} for name, said in TAGS.items()],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"bearer": BEARER}},
        "security": [{"bearer": []}],
    }
    complete: Json = without_python_patterns(found)
    return complete


BEARER = {"type": "http", "scheme": "bearer", "description": "An access token, or an API key (`ck_...`)."}


def routes(app: Litestar) -> Iterator[tuple[str, str, Any]]:
    """Path, verb and handler of every route that is part of the contract."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for verb, (handler, _) in route.route_handler_map.items():
                if verb != "OPTIONS" and handler.resolve_include_in_schema():
                    yield route.path_format, str(verb), handler


def bodies(handler: Any) -> dict[str, Any]:
    """The type of the body by media type; a route that reads the raw body says it in `opt["bodies"]`."""
    data = handler.parsed_fn_signature.parameters.get("data")
    return {"application/json": data.annotation} if data else dict(handler.opt.get("bodies", {}))


def answer_type(handler: Any) -> Any:
    """What is inside an Answer; a problem that is returned, so that it commits, is an error like others."""
    given = handler.parsed_fn_signature.return_type.annotation
    kinds = get_args(given) if get_origin(given) in UNIONS else (given,)
    bare = [get_args(kind)[0] if get_origin(kind) in (Answer, Response) else kind for kind in kinds]
    return next(kind for kind in bare if kind is not Problem)


def operation(handler: Any, path: str, verb: str, schema_of: dict[str, Json]) -> Json:
    name = handler.name or handler.fn.__name__
    made: Json = {
        "operationId": name,
        "summary": name.replace("_", " ").capitalize(),
        "tags": sorted(handler.resolve_tags() or []),
        "parameters": [*path_parameters(handler, path), *query_parameters(handler, schema_of), *headers(handler, verb)],
        "responses": responses(handler, path, verb, schema_of),
    }
    if said := inspect.getdoc(handler.fn):
        made["description"] = said
    if handler.opt.get("public") or handler.opt.get("outside"):
        made["security"] = []
    if given := bodies(handler):
        content = {media: {"schema": schema_of[repr(type_)], **example(type_)} for media, type_ in given.items()}
        made["requestBody"] = {"required": True, "content": content}
    return made


def example(type_: Any) -> Json:
    name = getattr(type_, "__name__", "")
    return {"example": EXAMPLES[name]} if name in EXAMPLES else {}


def path_parameters(handler: Any, path: str) -> Iterator[Json]:
    for name in re.findall(r"\{(\w+)\}", path):
        field = handler.parsed_fn_signature.parameters[name]
        schema = bounded({"type": "string"}, field)
        if field.annotation.__name__ == "UUID":
            schema["format"] = "uuid"
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def query_parameters(handler: Any, schema_of: dict[str, Json]) -> Iterator[Json]:
    for name, field in sorted(handler.opt["query"].items()):
        schema = bounded(dict(schema_of[repr(without_none(field.raw))]), field)
        if field.default not in (None, inspect.Parameter.empty) and field.has_default:
            schema["default"] = field.default
        said = {"description": QUERY[name]} if name in QUERY else {}
        yield {"name": name, "in": "query", "required": field.is_required, "schema": schema, **said}


def without_none(raw: Any) -> Any:
    """The type of a parameter that may be absent; it has no way to be null."""
    inner = get_args(raw)[0] if hasattr(raw, "__metadata__") else raw
    if get_origin(inner) in UNIONS:
        (inner,) = (kind for kind in get_args(inner) if kind is not NoneType)
    return inner


def bounded(schema: Json, field: FieldDefinition) -> Json:
    marker: Any = field.kwarg_definition
    bounds = {
        "minimum": marker.ge,
        "maximum": marker.le,
        "minLength": marker.min_length,
        "maxLength": marker.max_length,
        "pattern": marker.pattern,
    }
    return schema | {name: value for name, value in bounds.items() if value is not None} | (marker.schema_extra or {})


def headers(handler: Any, verb: str) -> Iterator[Json]:
    takes_key = verb == "POST" and not handler.opt.get("no_key")
    takes_match = "match" in handler.parsed_fn_signature.parameters
    for name, taken in (("Idempotency-Key", takes_key), ("If-Match", takes_match)):
        if taken:
            said, schema = HEADERS[name]
            yield {"name": name, "in": "header", "required": False, "description": said, "schema": schema}


def responses(handler: Any, path: str, verb: str, schema_of: dict[str, Json]) -> Json:
    found: Json = {}
    type_ = answer_type(handler)
    for status in (handler.status_code, *handler.opt.get("also", ())):
        said: Json = {"description": HTTPStatus(status).phrase}
        if type_ is not NoneType:
            said["content"] = {"application/json": {"schema": schema_of[repr(type_)], **example(type_)}}
        if given := answer_headers(type_, status):
            said["headers"] = {name: {"schema": {"type": "string"}, "description": why} for name, why in given.items()}
        found[str(int(status))] = said
    problem = {"content": {PROBLEM_JSON: {"schema": schema_of[repr(Problem)]}}}
    for status in errors(handler, path, verb):
        found[str(int(status))] = {"description": ERRORS[status], **problem}
    return found


def answer_headers(type_: Any, status: int) -> dict[str, str]:
    if isinstance(type_, type) and issubclass(type_, Resource):
        tag = {"ETag": "For If-Match, and If-None-Match."}
        return tag | ({"Location": "Where the entity is."} if status == HTTPStatus.CREATED else {})
    return {"Link": "The next page, if there is one."} if get_origin(type_) is Listing else {}


def errors(handler: Any, path: str, verb: str) -> list[HTTPStatus]:
    """What a route can answer besides its success."""
    if handler.opt.get("outside"):
        return []
    writes, takes_body = verb not in ("GET", "HEAD"), verb in ("POST", "PUT", "PATCH")
    can = {
        HTTPStatus.BAD_REQUEST: takes_body,
        HTTPStatus.UNAUTHORIZED: True,
        HTTPStatus.FORBIDDEN: True,
        HTTPStatus.NOT_FOUND: "{" in path or takes_body,
        HTTPStatus.CONFLICT: writes,
        HTTPStatus.PRECONDITION_FAILED: "match" in handler.parsed_fn_signature.parameters,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: True,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: True,
        HTTPStatus.UNPROCESSABLE_ENTITY: True,
        HTTPStatus.SERVICE_UNAVAILABLE: True,
    }
    return [status for status, possible in can.items() if possible]


def without_python_patterns(node: Any) -> Any:
    r"""Python's end of text (\Z) is the end anchor ($) of the patterns that JSON Schema knows."""
    if isinstance(node, dict):
        return {
            name: value.replace(r"\Z", "$") if name == "pattern" else without_python_patterns(value)
            for name, value in node.items()
        }
    return [without_python_patterns(item) for item in node] if isinstance(node, list) else node

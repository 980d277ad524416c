"""The OpenAPI document, from the route table and the types that decode and encode: what is published is what holds.

A route says in its options (`core/web/route_options.py`) what its signature cannot.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition
from msgspec import Meta, Struct

from cortez.core.db.pagination import Listing
from cortez.core.openapi.json_schema import ExampleOf, Json, Shapes
from cortez.core.typing import TypeForm
from cortez.core.web.problems import PROBLEM_JSON, Problem
from cortez.core.web.responses import Answer
from cortez.core.web.route_options import options_of
from cortez.core.web.schemas import Resource

UNIONS = (Union, UnionType)
VERBS = ("OPTIONS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
JSON, NDJSON = "application/json", "application/x-ndjson"

QUERY = {
    "limit": "How many items a page holds.",
    "cursor": "`next_cursor` of the page before. It carries the filters; send the same ones, or none.",
    "count": "Adds `total`, counted to 10,000.",
    "order": "By the time of creation; a minus in front means newest first.",
    "atomic": "Whether one rejected item rejects all.",
}
REQUEST_HEADERS = {
    "Idempotency-Key": (
        "Makes a repeated send harmless: the first committed answer is replayed for 24 hours.",
        {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[!-~]([ -~]*[!-~])?$"},
    ),
    "If-Match": (
        "The ETag that was read: 412 where the entity has changed since.",
        {"type": "string", "maxLength": 1000},
    ),
    "If-None-Match": (
        "The ETag that was read: 304 where the answer would be the same.",
        {"type": "string", "maxLength": 1000},
    ),
}
ANSWER_HEADERS = {
    "X-Request-ID": "Names this request, also in the log, which notes the one that a client sends beside it.",
    "ETag": "For If-Match, and If-None-Match.",
    "Location": "Where the new entity is.",
    "Link": 'The next page (`rel="next"`), if there is one.',
    "WWW-Authenticate": "`Bearer`.",
    "Retry-After": "Seconds to wait before the next attempt.",
}
# What each error status means, and one of the codes that come with it.
ERRORS = {
    HTTPStatus.BAD_REQUEST: ("The body is not JSON.", "MALFORMED_JSON"),
    HTTPStatus.UNAUTHORIZED: ("No valid token or key, or a wrong login.", "AUTHENTICATION_REQUIRED"),
    HTTPStatus.FORBIDDEN: ("The role or scope does not allow this.", "FORBIDDEN"),
    HTTPStatus.NOT_FOUND: ("Missing, or not yours.", "SESSION_NOT_FOUND"),
    HTTPStatus.REQUEST_TIMEOUT: ("The body comes too slowly.", "REQUEST_TIMEOUT"),
    HTTPStatus.CONFLICT: ("Against the present state: a duplicate, an illegal transition.", "SESSION_CLOSED"),
    HTTPStatus.PRECONDITION_FAILED: ("The entity has changed since you read it.", "PRECONDITION_FAILED"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("The body is too large.", "TOO_LARGE"),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("The body has another media type.", "UNSUPPORTED_MEDIA_TYPE"),
    HTTPStatus.UNPROCESSABLE_ENTITY: ("A value is not allowed; `errors` says which.", "VALIDATION_ERROR"),
    HTTPStatus.TOO_MANY_REQUESTS: ("Too many requests, or attempts at a login; wait.", "RATE_LIMITED"),
    HTTPStatus.SERVICE_UNAVAILABLE: ("The database is away or busy; try again.", "DATABASE_UNAVAILABLE"),
}
HEADERS_OF_ERRORS = {
    HTTPStatus.UNAUTHORIZED: ["WWW-Authenticate"],
    HTTPStatus.TOO_MANY_REQUESTS: ["Retry-After"],
    HTTPStatus.SERVICE_UNAVAILABLE: ["Retry-After"],
}
BEARER = {"type": "http", "scheme": "bearer", "description": "An access token, or an API key (`ck_...`)."}


class About(Struct, frozen=True):
    """What the document says of the whole service; `tags` describes each group of routes, in their order."""

    title: str
    version: str
    description: str
    tags: dict[str, str]


def document(app: Litestar, about: About, example_of: ExampleOf) -> Json:
    """The whole document; every type that a route takes or gives is a component.

    `example_of` returns a valid value of a type, as JSON has it.
    """
    operations = sorted(routes(app), key=lambda found: (found[0], found[1]))
    types = [type_ for path, _, handler in operations for type_ in types_of(handler, path)]
    shapes = Shapes(types, example_of)
    paths: Json = {}
    for path, verb, handler in operations:
        paths.setdefault(path, {})[verb.lower()] = operation(handler, path, verb, shapes)
    used = {tag for _, _, handler in operations for tag in handler.resolve_tags()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": about.title,
            "version": about.version,
            "description": about.description,
            "license": {"name": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": said} for name, said in about.tags.items() if name in used],
        "paths": paths,
        "components": {
            "schemas": shapes.components,
            "responses": {name_of(status): problem(status, shapes) for status in ERRORS},
            "headers": {
                name: {"description": said, "schema": {"type": "string"}} for name, said in ANSWER_HEADERS.items()
            },
            "securitySchemes": {"bearer": BEARER},
        },
        "security": [{"bearer": []}],
    }


def routes(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Path, verb and handler of every route that is part of the contract."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for verb, (handler, _) in sorted(route.route_handler_map.items(), key=lambda item: VERBS.index(item[0])):
                if verb != "OPTIONS" and handler.resolve_include_in_schema():
                    yield route.path_format, str(verb), handler


def types_of(handler: HTTPRouteHandler, path: str) -> Iterator[TypeForm]:
    """Every type that needs a schema for this route."""
    yield Problem
    yield from (kind for kind in (*bodies(handler).values(), *answers(handler).values()) if not isinstance(kind, dict))
    yield from (parameter_type(field) for field in (*places(handler, path), *options_of(handler).query.values()))


def bodies(handler: HTTPRouteHandler) -> dict[str, TypeForm]:
    """The type of the body by media type."""
    data = handler.parsed_fn_signature.parameters.get("data")
    given = dict(options_of(handler).bodies) or ({JSON: data.annotation} if data else {})
    most = Meta(max_length=options_of(handler).max_items)
    return {media: Annotated[kind, most] if get_origin(kind) is list else kind for media, kind in given.items()}


def answers(handler: HTTPRouteHandler) -> dict[str, TypeForm]:
    """The type of a successful answer by media type; nothing for 204."""
    if answers := options_of(handler).answers:
        return dict(answers)
    type_ = answer_type(handler)
    return {} if type_ is NoneType else {JSON: type_}


def answer_type(handler: HTTPRouteHandler) -> TypeForm:
    """What is inside an Answer; a problem that is returned, so that it commits, is an error like others."""
    given = handler.parsed_fn_signature.return_type.annotation
    kinds = get_args(given) if get_origin(given) in UNIONS else (given,)
    bare = [get_args(kind)[0] if get_origin(kind) in (Answer, Response) else kind for kind in kinds]
    return next(kind for kind in bare if kind is not Problem)


def roles_of(handler: HTTPRouteHandler) -> list[str]:
    """The roles and scopes (`key:…`) that may call it, besides admins."""
    held = [guard.roles for guard in options_of(handler).guards]
    return [role for roles in held for role in roles if role != "admin"]


def callers(handler: HTTPRouteHandler) -> str:
    """In words, who may make the call."""
    if options_of(handler).public or options_of(handler).outside:
        return "everybody"
    roles = [role for role in roles_of(handler) if not role.startswith("key:")]
    scopes = [role.removeprefix("key:") for role in roles_of(handler) if role.startswith("key:")]
    return ", ".join([*roles, "admin", *(f"key with `{scope}`" for scope in scopes)])


def operation(handler: HTTPRouteHandler, path: str, verb: str, shapes: Shapes) -> Json:
    name = handler.name or handler.fn.__name__
    said = "\n\n".join(part for part in (inspect.getdoc(handler.fn), f"For: {callers(handler)}.") if part)
    made: Json = {
        "operationId": name,
        "summary": name.replace("_", " ").capitalize(),
        "description": said,
        "tags": sorted(handler.resolve_tags()),
        "parameters": [*parameters(handler, path, shapes), *headers(handler, verb)],
        "responses": responses(handler, path, verb, shapes),
    }
    if options_of(handler).public or options_of(handler).outside:
        made["security"] = []
    if given := bodies(handler):
        made["requestBody"] = {"required": must_be_sent(given), "content": content(given, shapes)}
    return made


def must_be_sent(given: Mapping[str, TypeForm]) -> bool:
    """A body is optional where an empty object would do."""
    type_: TypeForm = given.get(JSON)
    is_struct = isinstance(type_, type) and issubclass(type_, msgspec.Struct)
    return not is_struct or any(field.required for field in msgspec.structs.fields(type_))


def content(given: Mapping[str, TypeForm], shapes: Shapes) -> Json:
    """Each media type with its schema and an example; a schema that is given as such has its own."""
    made: Json = {}
    for media, type_ in given.items():
        if isinstance(type_, dict):
            made[media] = {"schema": type_}
        else:
            made[media] = {"schema": shapes.of(type_), "example": shapes.example_of(type_)}
    if NDJSON in made and "example" in made.get(JSON, {}):
        lines = [msgspec.json.encode(item).decode() for item in made[JSON]["example"]]
        made[NDJSON]["example"] = "\n".join(lines) + "\n"
    return made


def parameters(handler: HTTPRouteHandler, path: str, shapes: Shapes) -> Iterator[Json]:
    for field in places(handler, path):
        yield {"name": field.name, "in": "path", "required": True, "schema": parameter(field, shapes)}
    own = list(handler.parsed_fn_signature.parameters)
    query = options_of(handler).query
    for name in sorted(query, key=lambda name: (own.index(name) if name in own else len(own), name)):
        field = query[name]
        said = {"description": QUERY[name]} if name in QUERY else {}
        schema = parameter(field, shapes)
        yield {"name": name, "in": "query", "required": field.is_required, **said, "schema": schema}


def places(handler: HTTPRouteHandler, path: str) -> list[FieldDefinition]:
    """The parameters that stand in the path, in order."""
    return [handler.parsed_fn_signature.parameters[name] for name in re.findall(r"\{(\w+)\}", path)]


def parameter(field: FieldDefinition, shapes: Shapes) -> Json:
    default = {} if field.default is None or not field.has_default else {"default": field.default}
    return shapes.of(parameter_type(field)) | default | (getattr(field.kwarg_definition, "schema_extra", None) or {})


def parameter_type(field: FieldDefinition) -> TypeForm:
    """The type with the bounds of Litestar's marker. A parameter may be absent, but has no way to be null."""
    inner = get_args(field.raw)[0] if hasattr(field.raw, "__metadata__") else field.raw
    if get_origin(inner) in UNIONS:
        (inner,) = (kind for kind in get_args(inner) if kind is not NoneType)
    marker = field.kwarg_definition
    bounds = {
        name: getattr(marker, name, None) for name in ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern")
    }
    bounds = {name: bound for name, bound in bounds.items() if bound is not None}
    return Annotated[inner, Meta(**bounds)] if bounds else inner


def headers(handler: HTTPRouteHandler, verb: str) -> Iterator[Json]:
    taken = {
        "Idempotency-Key": verb == "POST" and options_of(handler).takes_key,
        "If-Match": "match" in handler.parsed_fn_signature.parameters,
        "If-None-Match": verb == "GET" and is_resource(answer_type(handler)),
    }
    for name, (said, schema) in REQUEST_HEADERS.items():
        if taken[name]:
            yield {"name": name, "in": "header", "required": False, "description": said, "schema": schema}


def is_resource(type_: TypeForm) -> bool:
    return isinstance(type_, type) and issubclass(type_, Resource)


def responses(handler: HTTPRouteHandler, path: str, verb: str, shapes: Shapes) -> Json:
    found: Json = {}
    for status in (handler.status_code, *options_of(handler).also):
        found[str(int(status))] = success(handler, status, shapes)
    if verb == "GET" and is_resource(answer_type(handler)):
        said = "The answer would be the same as the one you have."
        found["304"] = {"description": said, "headers": header_references(["ETag"])}
    for status in errors(handler, path, verb):
        found[str(int(status))] = {"$ref": f"#/components/responses/{name_of(status)}"}
    return found


def success(handler: HTTPRouteHandler, status: int, shapes: Shapes) -> Json:
    type_ = answer_type(handler)
    names = {
        "ETag": is_resource(type_),
        "Location": status == HTTPStatus.CREATED,
        "Link": get_origin(type_) is Listing,
    }
    made: Json = {
        "description": HTTPStatus(status).phrase,
        "headers": header_references(name for name, has_it in names.items() if has_it),
    }
    if given := answers(handler):
        made["content"] = content(given, shapes)
        if status >= HTTPStatus.BAD_REQUEST:  # the same type, but the example is of what is well
            made["content"] = {media: {"schema": one["schema"]} for media, one in made["content"].items()}
    return made


def header_references(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *names)}


def name_of(status: HTTPStatus) -> str:
    return status.phrase.title().replace(" ", "")


def problem(status: HTTPStatus, shapes: Shapes) -> Json:
    meaning, code = ERRORS[status]
    named = {"type": f"urn:cortez:problem:{code.lower()}", "title": status.phrase, "status": int(status), "code": code}
    if status is HTTPStatus.UNPROCESSABLE_ENTITY:
        named |= {"errors": [{"pointer": "/content", "detail": "Expected `str` of length >= 1"}]}
    example = shapes.example_of(Problem) | {"detail": meaning} | named
    return {
        "description": meaning,
        "headers": header_references(HEADERS_OF_ERRORS.get(status, [])),
        "content": {PROBLEM_JSON: {"schema": shapes.of(Problem), "example": example}},
    }


def errors(handler: HTTPRouteHandler, path: str, verb: str) -> list[HTTPStatus]:
    """What a route can answer besides its success."""
    options = options_of(handler)
    if options.outside:
        return []
    public = options.public
    names = "{" in path or options.names or any(field.is_required for field in options.query.values())
    writes, takes_body = verb != "GET", verb in ("POST", "PUT", "PATCH")
    can = {
        HTTPStatus.BAD_REQUEST: takes_body,
        HTTPStatus.UNAUTHORIZED: True,
        HTTPStatus.FORBIDDEN: True,
        HTTPStatus.NOT_FOUND: names or (takes_body and not public),
        HTTPStatus.REQUEST_TIMEOUT: takes_body,
        HTTPStatus.CONFLICT: writes,
        HTTPStatus.PRECONDITION_FAILED: "match" in handler.parsed_fn_signature.parameters,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: True,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: True,
        HTTPStatus.UNPROCESSABLE_ENTITY: True,
        HTTPStatus.TOO_MANY_REQUESTS: True,
        HTTPStatus.SERVICE_UNAVAILABLE: True,
    }
    return [status for status, possible in can.items() if possible]

"""The published contract: complete, and true of what the service does."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin
from uuid import UUID

import httpx
import msgspec
import pytest
from litestar import Litestar, Response, get, post

from cortez.analysis.handlers import PARTS
from cortez.app import create_app
from cortez.core.openapi import document as published_routes
from cortez.core.web.decoding import decode
from cortez.core.web.requests import StrictRequest
from cortez.core.web.route_options import options_of, route
from cortez.core.web.schemas import Input
from cortez.enums import Choice
from cortez.examples.types import EXAMPLES
from cortez.examples.values import example_of
from cortez.pages import openapi
from cortez.pages.health import Live
from cortez.settings import Settings
from factory import Make
from json_schema import faults, resolve
from running import client_of

VERBS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
async def published(app: Litestar) -> dict[str, Any]:
    async with client_of(app) as client:
        answer = await client.get(httpx.URL("http://test/schema/openapi.json"))
    assert answer.headers["content-type"].startswith("application/vnd.oai.openapi+json")
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            yield path, verb, operation


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value)


def kinds(type_: type[Any]) -> Iterator[type[Any]]:
    for kind in type_.__subclasses__():
        yield kind
        yield from kinds(kind)


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every media type that the operation itself takes or gives."""
    yield from operation.get("requestBody", {}).get("content", {}).items()
    for response in operation["responses"].values():
        yield from response.get("content", {}).items()


def parameters(published: dict[str, Any], path: str, verb: str, place: str) -> dict[str, Any]:
    given = published["paths"][path][verb]["parameters"]
    return {parameter["name"]: parameter["schema"] for parameter in given if parameter["in"] == place}


def test_every_route_of_the_api_is_published(app: Litestar, published: dict[str, Any]) -> None:
    assert published["openapi"] == "3.1.0"
    there = {(path, verb.upper()) for path, verb, _ in operations(published)}
    assert there == {(path, verb) for path, verb, _ in published_routes.routes(app)}
    assert len(there) > 50


def test_the_document_has_the_structure_of_openapi(published: dict[str, Any]) -> None:
    assert {"openapi", "info", "servers", "tags", "paths", "components", "security"} == published.keys()
    assert {"title", "version", "description"} <= published["info"].keys()
    for path, verb, operation in operations(published):
        assert verb in VERBS
        given = operation["parameters"]
        places = [(parameter["in"], parameter["name"]) for parameter in given]
        assert len(places) == len(set(places))
        named = {parameter["name"] for parameter in given if parameter["in"] == "path" and parameter["required"]}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for status, answer in operation["responses"].items():
            assert 200 <= int(status) < 600
            assert resolve(published, answer)["description"]


def test_the_document_is_the_same_each_time(app: Litestar) -> None:
    assert openapi.document(app, "1") == openapi.document(app, "1")


def test_operations_have_names_words_and_tags(published: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(published)]
    assert len(names) == len(set(names))
    said = {tag["name"]: tag["description"] for tag in published["tags"]}
    used = set()
    for path, _, operation in operations(published):
        assert operation["summary"], path
        assert operation["tags"], path
        used |= set(operation["tags"])
    assert used == said.keys()
    assert all(said.values())


def test_every_error_is_a_problem_document(published: dict[str, Any]) -> None:
    for path, verb, operation in operations(published):
        answers = operation["responses"]
        if path.startswith("/api/"):
            assert {"401", "403", "422", "503"} <= answers.keys(), path
            assert ("412" in answers) is ("If-Match" in parameters(published, path, verb, "header")), path
        for status, answer in answers.items():
            content = resolve(published, answer).get("content", {})
            if int(status) >= 400 and path.startswith("/api/"):
                assert list(content) == ["application/problem+json"]
                assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert (content == {}) is (status in {"204", "304"}), (path, status)
    problem = published["components"]["schemas"]["Problem"]
    assert problem["properties"]["code"]["description"]
    assert "ValidationException" not in json.dumps(published)


def test_only_what_needs_no_login_is_published_without_one(app: Litestar, published: dict[str, Any]) -> None:
    assert published["security"] == [{"bearer": []}]
    assert "bearer" in published["components"]["securitySchemes"]
    for path, verb, handler in published_routes.routes(app):
        public = options_of(handler).public or options_of(handler).outside
        assert (published["paths"][path][verb.lower()].get("security") == []) is public, path


def test_every_reference_leads_somewhere(published: dict[str, Any]) -> None:
    references = [node for node in nodes(published) if isinstance(node.get("$ref"), str)]
    assert references
    for reference in references:
        assert resolve(published, reference)


def test_bodies_say_that_they_take_nothing_else(published: dict[str, Any]) -> None:
    inputs = {kind.__name__ for kind in kinds(Input)} & published["components"]["schemas"].keys()
    assert len(inputs) > 15
    for name in inputs:
        assert published["components"]["schemas"][name]["additionalProperties"] is False, name


def test_bounds_hold_for_values_that_may_be_null_or_absent(published: dict[str, Any]) -> None:
    fields = published["components"]["schemas"]["ActivityPatch"]["properties"]
    assert fields["title"] == {"type": "string", "minLength": 3, "maxLength": 200}
    assert {"type": "integer", "minimum": 1, "maximum": 100_000} in fields["estimated_duration_minutes"]["anyOf"]
    assert published["components"]["schemas"]["ActivityPatch"]["required"] == []
    trace = published["components"]["schemas"]["TraceIn"]["properties"]
    assert trace["ai_involvement"] == {"type": "number", "minimum": 0, "maximum": 1}
    assert {"type": "string", "format": "uuid"} in trace["parent_trace_id"]["anyOf"]
    assert trace["occurred_at"]["anyOf"][0]["format"] == "date-time"


def test_patterns_are_those_of_json_schema(published: dict[str, Any]) -> None:
    assert r"\Z" not in json.dumps(published)
    fields = published["components"]["schemas"]["ActivityIn"]["properties"]
    key = {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[A-Za-z0-9._~@:-]+$"}
    assert fields["activity_id"] == key
    path, listing = "/api/v1/activities/{activity_id}", "/api/v1/sessions"
    assert parameters(published, path, "get", "path")["activity_id"] == key
    assert parameters(published, listing, "get", "query")["activity_id"] == key


def test_parameters_are_published_with_their_bounds(published: dict[str, Any]) -> None:
    query = parameters(published, "/api/v1/sessions", "get", "query")
    assert query["limit"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert query["order"] == {"type": "string", "enum": ["-created_at", "created_at"]}
    assert query["started_after"]["format"] == "date-time"
    assert query["mode"] == {"$ref": "#/components/schemas/SessionMode"}
    path = parameters(published, "/api/v1/sessions/{session_id}", "get", "path")
    assert path == {"session_id": {"type": "string", "format": "uuid"}}


def test_enumerations_list_their_values(published: dict[str, Any]) -> None:
    enums = {kind.__name__: list(kind) for kind in Choice.__subclasses__()}
    shown = enums.keys() & published["components"]["schemas"].keys()
    assert len(shown) > 8
    for name in shown:
        schema = published["components"]["schemas"][name]
        assert (schema["type"], sorted(schema["enum"])) == ("string", sorted(enums[name]))
    assert "STUCK means atascado" in published["components"]["schemas"]["CognitiveState"]["description"]


def test_answers_say_which_fields_are_always_there(published: dict[str, Any]) -> None:
    schemas = published["components"]["schemas"]
    assert set(schemas["SessionOut"]["required"]) == schemas["SessionOut"]["properties"].keys()
    assert schemas["SessionOut"]["properties"]["created_at"] == {"type": "string", "format": "date-time"}
    assert schemas["SessionView"]["properties"].keys() - set(schemas["SessionView"]["required"]) == PARTS.keys() | {
        "more"
    }
    assert schemas["SessionOutPage"]["required"] == ["items", "next_cursor"]
    assert schemas["ItemResult"]["required"] == ["index", "status"]


def test_batches_are_described(published: dict[str, Any]) -> None:
    content = published["paths"]["/api/v1/traces/batch"]["post"]["requestBody"]["content"]
    items = {"$ref": "#/components/schemas/SessionTraceIn"}
    assert content["application/json"]["schema"] == {"type": "array", "items": items, "maxItems": 1_000}
    lines = content["application/x-ndjson"]
    assert "SessionTraceIn" in lines["schema"]["description"]
    assert [json.loads(line) for line in lines["example"].splitlines()] == content["application/json"]["example"]
    enrol = published["paths"]["/api/v1/courses/{course_id}/members/batch"]["post"]["requestBody"]["content"]
    assert set(enrol) == {"application/json", "text/csv"}


def test_a_body_is_optional_where_an_empty_object_would_do(published: dict[str, Any]) -> None:
    def required(path: str, verb: str) -> Any:
        return published["paths"][f"/api/v1{path}"][verb]["requestBody"]["required"]

    assert required("/sessions", "post") is True
    assert required("/traces/batch", "post") is True
    assert required("/auth/logout", "post") is False
    assert "requestBody" not in published["paths"]["/api/v1/sessions/{session_id}/pause"]["post"]


def test_headers_are_published_where_they_have_a_meaning(published: dict[str, Any]) -> None:
    def headers(path: str, verb: str) -> set[str]:
        return set(parameters(published, path, verb, "header"))

    assert headers("/api/v1/sessions", "post") == {"Idempotency-Key"}
    assert headers("/api/v1/auth/login", "post") == set()
    assert headers("/api/v1/sessions/{session_id}", "patch") == {"If-Match"}
    assert headers("/api/v1/sessions/{session_id}", "get") == {"If-None-Match"}
    assert headers("/api/v1/sessions", "get") == set()


def test_every_example_is_one_by_type_and_by_schema(app: Litestar, published: dict[str, Any]) -> None:
    shown = 0
    for path, verb, handler in published_routes.routes(app):
        for type_ in (*published_routes.bodies(handler).values(), *published_routes.answers(handler).values()):
            if not isinstance(type_, dict):
                decode(msgspec.json.encode(example_of(type_)), type_)
        for media, content in contents(published["paths"][path][verb.lower()]):
            if "example" in content:
                assert list(faults(published, content["schema"], content["example"])) == [], (path, media)
                shown += 1
    assert shown > 60
    for response in published["components"]["responses"].values():
        content = response["content"]["application/problem+json"]
        assert list(faults(published, content["schema"], content["example"])) == []


def test_every_body_has_an_example(published: dict[str, Any]) -> None:
    for path, _, operation in operations(published):
        for media, content in contents(operation):
            shown = "example" in content or "examples" in content["schema"]
            assert shown or "contentMediaType" in str(content) or path == "/health/ready", (path, media)


def test_examples_that_stand_alone_belong_to_a_type() -> None:
    types = {kind.__name__ for kind in kinds(msgspec.Struct)}
    assert EXAMPLES.keys() <= types


def test_the_types_of_bodies_are_closed_structures_or_lists_of_them(app: Litestar) -> None:
    for path, _, handler in published_routes.routes(app):
        for type_ in published_routes.bodies(handler).values():
            inner = get_args(type_)[0] if get_origin(type_) is Annotated else type_
            item = get_args(inner)[0] if get_origin(inner) is list else inner
            assert isinstance(item, dict) or issubclass(item, Input | UUID), path


FILE = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]}


@post("/probe/files", opt=route(bodies={"multipart/form-data": FILE}, also=(202,)), tags=["traces"])
async def store_file(request: StrictRequest) -> Live:
    return Live("ok")


@get("/probe/table", opt=route(answers={"text/csv": {"type": "string"}}), tags=["traces"])
async def read_table() -> Response[bytes]:
    return Response(b"")


def test_a_route_may_say_which_media_types_it_takes_and_gives(settings: Settings) -> None:
    paths = openapi.document(create_app(settings, extra=[store_file, read_table]), "1")["paths"]
    stored, table = paths["/probe/files"]["post"], paths["/probe/table"]["get"]
    assert stored["requestBody"] == {"required": True, "content": {"multipart/form-data": {"schema": FILE}}}
    assert {"201", "202", "413", "415"} <= stored["responses"].keys()
    assert table["responses"]["200"]["content"] == {"text/csv": {"schema": {"type": "string"}}}


# Who, verb, path as published, address where it is another, body, status.
WALK: list[tuple[str, str, str, str, Any, int]] = [
    ("admin", "get", "/users", "", None, 200),
    ("admin", "get", "/users", "?role=nobody", None, 422),
    ("admin", "get", "/users/{user_id}", "/users/00000000-0000-7000-8000-000000000000", None, 404),
    ("nobody", "get", "/users", "", None, 401),
    ("student", "get", "/users", "", None, 403),
    ("admin", "post", "/api-keys", "", {"name": "agent", "scopes": ["read"]}, 201),
    ("admin", "get", "/api-keys", "", None, 200),
    ("admin", "post", "/courses", "", {"course_id": "new", "title": "New"}, 201),
    ("admin", "post", "/courses", "", {"course_id": "new", "title": "New"}, 409),
    ("admin", "post", "/courses", "", {"course_id": "a b"}, 422),
    ("admin", "get", "/courses/{course_id}", "", None, 200),
    ("admin", "get", "/courses?count=true&limit=1", "", None, 200),
    ("admin", "post", "/courses/{course_id}/members/batch", "", [{"email": "eva@example.edu"}, {}], 200),
    ("admin", "get", "/courses/{course_id}/members", "", None, 200),
    ("student", "get", "/activities/{activity_id}", "", None, 200),
    ("student", "get", "/activities/{activity_id}", "/activities/none", None, 404),
    ("student", "post", "/sessions", "", {"activity_id": "there"}, 201),
    ("student", "post", "/sessions", "", {"activity_id": "none"}, 404),
    ("student", "post", "/sessions", "", {"activity_id": 7}, 422),
    ("student", "get", "/sessions", "", None, 200),
    ("student", "get", "/sessions/{session_id}?include=traces", "", None, 200),
    ("student", "post", "/sessions/{session_id}/traces", "", {"interaction_type": "QUESTION", "content": "x"}, 201),
    ("student", "post", "/sessions/{session_id}/traces/batch", "", [{"content": "x"}, {"interaction_type": 1}], 200),
    ("admin", "post", "/traces/batch?atomic=true", "", [{}], 422),
    ("student", "get", "/sessions/{session_id}/traces", "", None, 200),
    ("student", "get", "/sessions/{session_id}/cognitive-path", "", None, 200),
    ("student", "post", "/sessions/{session_id}/complete", "", None, 200),
    ("student", "post", "/sessions/{session_id}/complete", "", None, 409),
    ("student", "delete", "/sessions/{session_id}", "", None, 403),
    ("admin", "delete", "/sessions/{session_id}", "", None, 204),
    ("nobody", "post", "/auth/login", "", {"login": "x", "password": "y"}, 401),
    ("nobody", "post", "/auth/register", "", {"email": "a@b.co", "username": "ann", "password": "long enough"}, 201),
    ("nobody", "post", "/auth/login", "", {"login": "ann", "password": "long enough"}, 200),
    ("student", "get", "/auth/me", "", None, 200),
]


async def test_what_is_answered_is_what_is_published(
    make: Make, client: httpx.AsyncClient, published: dict[str, Any]
) -> None:
    """Statuses, headers, media types and values of a walk over real requests."""
    course, student = await make.course(), await make.student()
    activity = await make.activity(activity_id="there")
    session = await make.session(student, activity_id=activity.activity_id)
    clients = {"admin": (await make.admin()).client, "student": student.client, "nobody": client}
    places = {"{course_id}": course, "{activity_id}": activity.activity_id, "{session_id}": str(session.id)}
    for who, verb, template, address, body, status in WALK:
        path = (template if not address or address.startswith("?") else "") + address
        for place, value in places.items():
            path = path.replace(place, value)
        answer = await clients[who].request(verb, path, json=body)
        assert answer.status_code == status, (who, verb, path, answer.text)
        check_answer(published, published["paths"][f"/api/v1{template.partition('?')[0]}"][verb], answer)


def check_answer(published: dict[str, Any], operation: dict[str, Any], answer: httpx.Response) -> None:
    said = resolve(published, operation["responses"][str(answer.status_code)])
    sent = {name.lower() for name in answer.headers}
    assert {name.lower() for name in said["headers"]} - {"link"} <= sent
    if answer.status_code == 204:
        assert "content" not in said
        return
    schema = said["content"][answer.headers["content-type"].partition(";")[0]]["schema"]
    assert list(faults(published, schema, answer.json())) == [], answer.text


async def test_the_example_of_a_body_is_accepted(make: Make) -> None:
    """The examples make one story, in this order."""
    admin = await make.admin()
    for path, name in (("/courses", "CourseIn"), ("/users", "UserIn"), ("/activities", "ActivityIn")):
        answer = await admin.post(path, json=EXAMPLES[name])
        assert answer.status_code == 201, answer.text
    await admin.post("/activities/recursion-1/publish")
    started = await admin.post("/sessions", json=EXAMPLES["SessionIn"])
    assert started.status_code == 201, started.text
    path = f"/sessions/{started.json()['id']}"
    assert (await admin.patch(path, json=EXAMPLES["SessionPatch"])).status_code == 200
    assert (await admin.post(f"{path}/traces", json=EXAMPLES["TraceIn"])).status_code == 201
    assert (await admin.patch(f"/traces/{EXAMPLES['TraceIn']['id']}", json=EXAMPLES["TracePatch"])).status_code == 200
    for path, name in (("/remediation-plans", "PlanIn"), ("/alerts", "AlertIn")):
        answer = await admin.post(path, json=EXAMPLES[name])
        assert answer.status_code == 201, answer.text

"""The published contract: complete, and true of what the service does."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from conftest import client_of
from cortez import openapi
from cortez.examples import EXAMPLES
from cortez.schemas import Input
from factory import Make


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


def test_every_route_of_the_api_is_published(app: Litestar, published: dict[str, Any]) -> None:
    assert published["openapi"] == "3.1.0"
    there = {(path, verb.upper()) for path, verb, _ in operations(published)}
    assert there == {(path, verb) for path, verb, _ in openapi.routes(app)}
    assert len(there) > 50


def test_operations_have_names_tags_and_errors(published: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(published)]
    assert len(names) == len(set(names))
    said = {tag["name"] for tag in published["tags"]}
    for path, _, operation in operations(published):
        assert set(operation["tags"]) <= said, path
        assert operation["tags"], path
        if path.startswith("/api/"):
            assert {"401", "403", "422", "503"} <= operation["responses"].keys(), path


def test_every_reference_leads_somewhere(published: dict[str, Any]) -> None:
    references = {node["$ref"] for node in nodes(published) if "$ref" in node}
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in published["components"]["schemas"]


def test_bodies_say_that_they_take_nothing_else(published: dict[str, Any]) -> None:
    inputs = {kind.__name__ for kind in kinds(Input)} & published["components"]["schemas"].keys()
    assert len(inputs) > 15
    for name in inputs:
        assert published["components"]["schemas"][name]["additionalProperties"] is False, name


def test_bounds_hold_for_values_that_may_be_null_or_absent(published: dict[str, Any]) -> None:
    fields = published["components"]["schemas"]["ActivityPatch"]["properties"]
    assert fields["title"] == {"type": "string", "minLength": 3, "maxLength": 200}
    assert {"type": "integer", "minimum": 1, "maximum": 100_000} in fields["estimated_duration_minutes"]["anyOf"]
    assert r"\Z" not in json.dumps(published)


def test_batches_are_described(published: dict[str, Any]) -> None:
    content = published["paths"]["/api/v1/traces/batch"]["post"]["requestBody"]["content"]
    assert content["application/json"]["schema"]["items"] == {"$ref": "#/components/schemas/SessionTraceIn"}
    assert "application/x-ndjson" in content
    enrol = published["paths"]["/api/v1/courses/{course_id}/members/batch"]["post"]["requestBody"]["content"]
    assert set(enrol) == {"application/json", "text/csv"}


def test_headers_are_published_where_they_have_a_meaning(published: dict[str, Any]) -> None:
    def headers(path: str, verb: str) -> set[str]:
        given = published["paths"][path][verb]["parameters"]
        return {parameter["name"] for parameter in given if parameter["in"] == "header"}

    assert headers("/api/v1/sessions", "post") == {"Idempotency-Key"}
    assert headers("/api/v1/auth/login", "post") == set()
    assert headers("/api/v1/sessions/{session_id}", "patch") == {"If-Match"}
    assert headers("/api/v1/sessions/{session_id}", "get") == set()


def test_every_example_is_one(app: Litestar) -> None:
    types = {kind.__name__: kind for kind in (*kinds(Input), *kinds(msgspec.Struct))}
    for name, example in EXAMPLES.items():
        assert msgspec.convert(example, types[name]) is not None


def test_every_body_has_an_example(app: Litestar) -> None:
    for path, _, handler in openapi.routes(app):
        for type_ in openapi.bodies(handler).values():
            if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
                assert type_.__name__ in EXAMPLES, path


async def test_what_is_answered_is_what_is_published(make: Make, published: dict[str, Any]) -> None:
    """Statuses, media types and fields of a walk over real requests."""
    admin, student = await make.admin(), await make.student()
    course, activity = await make.course(), await make.activity()
    session = await make.session(student)
    trace = {"interaction_type": "student_prompt", "content": "x"}
    walk = [
        (admin, "get", "/users", "/users", None),
        (admin, "post", "/courses", "/courses", {"course_id": "new", "title": "New"}),
        (admin, "post", "/courses", "/courses", {"course_id": "new", "title": "New"}),
        (admin, "get", "/courses/{course_id}", f"/courses/{course}", None),
        (student, "post", "/courses", "/courses", {}),
        (student, "get", "/activities/{activity_id}", f"/activities/{activity.activity_id}", None),
        (student, "get", "/activities/{activity_id}", "/activities/none", None),
        (student, "post", "/sessions", "/sessions", {"activity_id": activity.activity_id}),
        (student, "post", "/sessions", "/sessions", {"activity_id": 7}),
        (student, "post", "/sessions/{session_id}/traces", f"/sessions/{session.id}/traces", trace),
        (student, "get", "/sessions/{session_id}/traces", f"/sessions/{session.id}/traces", None),
        (student, "get", "/sessions/{session_id}", f"/sessions/{session.id}?include=traces", None),
        (student, "get", "/sessions/{session_id}/cognitive-path", f"/sessions/{session.id}/cognitive-path", None),
        (student, "post", "/sessions/{session_id}/complete", f"/sessions/{session.id}/complete", None),
        (student, "post", "/sessions/{session_id}/complete", f"/sessions/{session.id}/complete", None),
    ]
    for someone, verb, template, path, body in walk:
        answer = await someone.client.request(verb, path, json=body)
        said = published["paths"][f"/api/v1{template}"][verb]["responses"]
        assert str(answer.status_code) in said, (verb, path, answer.status_code)
        media = answer.headers["content-type"].partition(";")[0]
        schema = said[str(answer.status_code)]["content"][media]["schema"]
        fields = published["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert set(fields["required"]) <= answer.json().keys() <= fields["properties"].keys(), path

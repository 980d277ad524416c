"""Idempotency keys, preconditions, error bodies and headers: no header that a client sends is silently ignored."""

import asyncio
import re

import pytest

from cortez.accounts.models import Course
from cortez.audit.models import AccessEntry, AuditEntry
from cortez.core.web.idempotency import IdempotencyRecord
from factory import Make

COURSE = {"course_id": "c-1", "title": "One"}
KEY = {"Idempotency-Key": "a key"}


async def test_the_same_key_replays_the_first_answer_byte_for_byte(make: Make) -> None:
    admin = await make.admin()
    first = await admin.post("/courses", json=COURSE, headers=KEY)
    again = await admin.post("/courses", json=COURSE, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    for name in ("location", "etag", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert len(await make.all(Course)) == 1


async def test_parallel_sends_of_one_key_have_one_effect_and_one_answer(make: Make) -> None:
    admin = await make.admin()
    answers = await asyncio.gather(*[admin.post("/courses", json=COURSE, headers=KEY) for _ in range(8)])
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(await make.all(Course)) == 1


async def test_a_key_used_for_another_body_is_refused(make: Make) -> None:
    admin = await make.admin()
    await admin.post("/courses", json=COURSE, headers=KEY)
    other = await admin.post("/courses", json=COURSE | {"title": "Two"}, headers=KEY)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_key_belongs_to_one_principal_and_one_path(make: Make) -> None:
    first, second = await make.teacher(), await make.teacher()
    assert (await first.post("/courses", json=COURSE, headers=KEY)).status_code == 201
    assert (await second.post("/courses", json=COURSE | {"course_id": "c-2"}, headers=KEY)).status_code == 201
    activity = {"activity_id": "a", "title": "Title", "instructions": "Do"}
    assert (await first.post("/activities", json=activity, headers=KEY)).status_code == 201


async def test_a_request_that_rolled_back_leaves_no_key(make: Make) -> None:
    admin = await make.admin()
    await make.course("c-1")
    assert (await admin.post("/courses", json=COURSE, headers=KEY)).status_code == 409
    assert await make.all(IdempotencyRecord) == []
    assert (await admin.post("/courses", json=COURSE | {"course_id": "c-2"}, headers=KEY)).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there"])
async def test_a_malformed_key_is_refused(make: Make, key: str) -> None:
    admin = await make.admin()
    answer = await admin.post("/courses", json=COURSE, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY_INVALID")


async def test_a_key_is_refused_where_it_means_nothing(make: Make) -> None:
    admin = await make.admin()
    login = {"login": "x", "password": "y"}
    for answer in (
        await admin.get("/courses", headers=KEY),
        await admin.post("/auth/login", json=login, headers=KEY),
        await admin.post("/api-keys", json={"name": "x"}, headers=KEY),
        await admin.patch("/auth/me", json={}, headers=KEY),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "HEADER_NOT_SUPPORTED")


async def test_a_change_under_an_old_etag_is_refused(make: Make) -> None:
    admin = await make.admin()
    tag = (await admin.post("/courses", json=COURSE)).headers["etag"]
    assert (await admin.patch("/courses/c-1", json={"title": "Two"}, headers={"If-Match": tag})).status_code == 200
    late = await admin.patch("/courses/c-1", json={"title": "Three"}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["code"]) == (412, "PRECONDITION_FAILED")
    current = (await admin.get("/courses/c-1")).headers["etag"]
    both = {"If-Match": f"{tag}, {current}"}
    assert (await admin.patch("/courses/c-1", json={"title": "Three"}, headers=both)).status_code == 200
    assert (await admin.patch("/courses/c-1", json={"title": "Four"}, headers={"If-Match": "*"})).status_code == 200


async def test_a_new_trace_does_not_change_the_revision_of_its_session(make: Make) -> None:
    admin = await make.admin()
    session = await make.session()
    tag = (await admin.get(f"/sessions/{session.id}")).headers["etag"]
    await make.trace(session)
    paused = await admin.post(f"/sessions/{session.id}/pause", headers={"If-Match": tag})
    assert paused.status_code == 200, paused.text
    assert (await admin.post(f"/sessions/{session.id}/resume", headers={"If-Match": tag})).status_code == 412


async def test_errors_are_problem_documents_with_the_request_s_id(make: Make) -> None:
    """The service's own: a client's could name a person, and is stored nowhere."""
    admin = await make.admin()
    answer = await admin.get("/courses/nowhere", headers={"X-Request-ID": "mine-1"})
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == body["request_id"]
    assert re.fullmatch(r"[0-9a-f]{32}", body["request_id"])
    assert {"type", "title", "status", "detail", "instance", "code"} <= body.keys()


async def test_the_id_that_a_client_gives_its_request_is_stored_nowhere(make: Make) -> None:
    group, admin = await make.group(), await make.admin()
    named = {"X-Request-ID": group.student.student_id, "Idempotency-Key": "once"}
    found = {"risk_type": "ai_dependency", "risk_level": "low", "description": "x"}
    for someone in (group.teacher, admin):
        answer = await someone.post(f"{group.path}/risks", json=found, headers=named)
        assert answer.status_code == 201
    await make.app.state.upkeep.journal.flush()
    stored = {one.request_id for model in (AuditEntry, AccessEntry) for one in await make.all(model)}
    assert answer.headers["x-request-id"] in stored
    assert group.student.student_id not in stored


async def test_head_answers_as_get_without_a_body(make: Make) -> None:
    student = await make.student()
    path = f"/sessions/{(await make.session(student)).id}"
    read, head = await student.get(path), await student.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-length", "content-type"):
        assert head.headers[name] == read.headers[name]
    assert (await student.client.head("/sessions/none")).status_code == 404
    assert (await student.client.head(f"{path}/pause")).status_code == 405


async def test_what_the_client_has_already_is_not_sent_again(make: Make) -> None:
    student = await make.student()
    session = await make.session(student)
    path = f"/sessions/{session.id}"
    tag = (await student.get(path)).headers["etag"]
    for given in (tag, f'"other", W/{tag}', "*"):
        again = await student.get(path, headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    await make.trace(session)
    assert (await student.get(path, headers={"If-None-Match": tag})).json()["trace_count"] == 1


async def test_a_list_is_sent_whatever_the_client_has(make: Make) -> None:
    admin = await make.admin()
    assert (await admin.get("/courses", headers={"If-None-Match": "*"})).status_code == 200
    assert (await admin.get("/courses/none", headers={"If-None-Match": "*"})).status_code == 404


async def test_where_get_is_allowed_so_is_head(make: Make) -> None:
    admin = await make.admin()
    refused = await admin.client.request("PUT", "/courses")
    assert refused.status_code == 405
    assert {"GET", "HEAD", "POST"} <= set(refused.headers["allow"].split(", "))
    assert "HEAD" not in (await admin.get("/auth/login")).headers["allow"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("status=done", "Invalid enum value 'done'; use one of: active, paused, completed, aborted, abandoned"),
        ("order=sideways", "Invalid enum value 'sideways'; use one of: created_at, -created_at"),
    ],
)
async def test_a_wrong_choice_in_a_filter_is_answered_with_the_right_ones(make: Make, query: str, detail: str) -> None:
    admin = await make.admin()
    answer = await admin.get(f"/sessions?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": query.partition("=")[0], "detail": detail}]
    assert detail in answer.json()["detail"]


@pytest.mark.requirement("P7")
async def test_a_choice_in_a_filter_is_found_in_any_case_and_by_its_other_names(make: Make) -> None:
    admin = await make.admin()
    session = await make.session()
    await make.trace(session, cognitive_state="atascado")
    await make.trace(session, cognitive_state="reflexion")
    for name in ("atascado", "ATASCADO", "Stuck", "estancamiento"):
        found = (await admin.get(f"/traces?cognitive_state={name}")).json()["items"]
        assert [trace["cognitive_state"] for trace in found] == ["atascado"], name
    assert len((await admin.get("/sessions?status=ACTIVE&mode=Tutor")).json()["items"]) == 1


async def test_answers_about_people_are_kept_by_no_cache(make: Make) -> None:
    admin = await make.admin()
    assert (await admin.get("/users")).headers["cache-control"] == "no-store"

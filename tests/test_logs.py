"""What is printed: one line a request and one a slow statement, and nothing in them that was sent."""

import logging
from typing import Any

import httpx
import msgspec
import pytest

from cortez.app import create_app
from cortez.core.observability.logging import as_json, as_text, told
from cortez.settings import Settings
from factory import Make
from running import client_of, live

PLANTED = "planted-secret"
STEP = {"interaction_type": "student_prompt", "content": PLANTED}
FIELDS = {"method", "route", "status", "ms", "principal", "statements", "database_ms"}


def lines(caplog: pytest.LogCaptureFixture, logger: str) -> list[dict[str, Any]]:
    """The fields of what a logger said."""
    return [vars(record)["fields"] for record in caplog.records if record.name == logger]


@pytest.fixture
def talkative(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "cortez")
    return caplog


async def test_a_request_is_one_line(make: Make, talkative: pytest.LogCaptureFixture) -> None:
    teacher, session = await make.teacher(), await make.session()
    await teacher.get(f"/sessions/{session.id}/traces?limit=7&order={PLANTED}")
    await teacher.post("/courses", json={"course_id": PLANTED, "title": PLANTED})
    (read, written) = lines(talkative, "cortez.requests")
    assert read.keys() == FIELDS
    assert (read["method"], read["route"], read["status"]) == ("GET", "/api/v1/sessions/{session_id}/traces", 422)
    assert (written["method"], written["route"], written["status"]) == ("POST", "/api/v1/courses", 201)
    assert read["principal"] == written["principal"] == f"person:{teacher.id}"
    assert written["statements"] > read["statements"] >= 1
    assert written["ms"] > written["database_ms"] > 0
    assert PLANTED not in str([read, written])
    assert str(session.id) not in str([read, written])


async def test_who_may_not_sign_in_or_finds_nothing_is_one_line_too(
    client: httpx.AsyncClient, talkative: pytest.LogCaptureFixture
) -> None:
    await client.get(f"/sessions?q={PLANTED}", headers={"Authorization": f"Bearer ck_{PLANTED}"})
    await client.get(f"http://test/{PLANTED}")
    found = lines(talkative, "cortez.requests")
    assert [line["route"] for line in found] == ["/api/v1/sessions", "unknown"]
    assert [line["principal"] for line in found] == [None, None]
    assert PLANTED not in str(found)


async def test_a_slow_statement_is_logged_without_its_values(
    settings: Settings, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    everything_is_slow = msgspec.structs.replace(settings, slow_query=0.0001)
    admin, session = await make.admin(), await make.session()
    async with live(create_app(everything_is_slow)) as app, client_of(app) as client:
        client.headers.update(admin.client.headers)
        await client.post(f"/sessions/{session.id}/traces/batch", json=[STEP, STEP])
        for _ in range(2):  # the second one fails, in the database too
            answer = await client.post("/courses", json={"course_id": PLANTED, "title": PLANTED})
    assert answer.status_code == 409
    found = lines(caplog, "cortez.core.db.instrumentation")
    verb = "INSERT INTO" if make.database.is_sqlite else "COPY"
    routes = {line["route"] for line in found if line["sql"].startswith(f"{verb} cognitive_traces")}
    assert routes == {"/api/v1/sessions/{session_id}/traces/batch"}
    inserts = [line for line in found if line["sql"].startswith("INSERT INTO courses")]
    assert len(inserts) == 2
    assert all(line["ms"] >= 0 and line["route"] == "/api/v1/courses" for line in inserts)
    assert PLANTED not in str(found)


async def test_nothing_is_slow_where_no_time_is_set(
    settings: Settings, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    admin = await make.admin()
    async with live(create_app(msgspec.structs.replace(settings, slow_query=0))) as app, client_of(app) as client:
        client.headers.update(admin.client.headers)
        assert (await client.get("/auth/me")).status_code == 200
    assert lines(caplog, "cortez.core.db.instrumentation") == []


@pytest.mark.parametrize(("sent", "logged"), [("told", "told"), ("a b", None), ("x" * 101, None)])
async def test_the_id_that_a_client_gives_its_request_is_in_the_log_alone(
    make: Make, talkative: pytest.LogCaptureFixture, sent: str, logged: str | None
) -> None:
    answer = await (await make.admin()).get("/auth/me", headers={"X-Request-ID": sent})
    (line,) = lines(talkative, "cortez.requests")
    assert line.get("client_request_id") == logged
    assert sent not in answer.text + str(answer.headers)


async def test_a_line_is_json_or_text(make: Make, talkative: pytest.LogCaptureFixture) -> None:
    await (await make.admin()).get("/auth/me", headers={"X-Request-ID": "told"})
    (record,) = [record for record in talkative.records if record.name == "cortez.requests"]
    line = msgspec.json.decode(as_json(told(record)))
    assert line.keys() == {"time", "level", "logger", "message", *FIELDS, "client_request_id"}
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "cortez.requests", "answered")
    assert line["time"].endswith("Z")
    text = as_text(told(record)).decode()
    assert text.startswith(line["time"])
    assert "INFO cortez.requests: answered method=GET route=/api/v1/auth/me status=200 ms=" in text

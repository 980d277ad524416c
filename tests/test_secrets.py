"""What is logged of an error: where it arose and in which request, never what it says, for that may quote people."""

import logging
from collections.abc import AsyncGenerator

import pytest
from litestar import get
from litestar.response import Stream
from sqlalchemy.exc import IntegrityError

from cortez.accounts.models import User
from cortez.app import BrokenOff, create_app
from cortez.core.db.errors import described
from cortez.core.observability.logging import as_json, told
from cortez.core.web.route_options import route
from cortez.settings import Settings
from factory import Make
from running import client_of, live

PLANTED = "planted-secret"


@get("/fails", opt=route(public=True))
async def fails() -> None:
    raise ValueError(PLANTED)


@get("/breaks", opt=route(public=True))
async def breaks() -> Stream:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"begun"
        raise ValueError(PLANTED)

    return Stream(pieces())


async def test_an_unexpected_error_is_logged_without_its_message(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "cortez")
    async with live(create_app(settings, [fails])) as app, client_of(app) as client:
        answer = await client.get("http://test/fails", headers={"Authorization": f"Bearer {PLANTED}"})
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
    assert PLANTED not in answer.text
    assert PLANTED not in caplog.text
    assert "ValueError" in caplog.text
    assert PLANTED not in str([as_json(told(record)) for record in caplog.records])
    assert answer.headers["x-request-id"] in caplog.text


async def test_an_answer_that_breaks_off_takes_nothing_along(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The server prints the traceback of what leaves the application: there is nothing in this one."""
    async with live(create_app(settings, [breaks])) as app:
        transport = client_of(app)._transport
        transport.raise_app_exceptions = True  # type: ignore[attr-defined]
        async with client_of(app) as client:
            client._transport = transport
            with pytest.raises(BrokenOff) as raised:
                await client.get("http://test/breaks")
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert PLANTED not in caplog.text
    assert "an answer broke off: ValueError" in caplog.text


async def test_an_error_of_the_database_is_described_without_its_values(make: Make) -> None:
    values = {"username": PLANTED, "hashed_password": "!"}
    await make.add(User(email=f"{PLANTED}@example.edu", **values))
    with pytest.raises(IntegrityError) as raised:
        await make.add(User(email=f"{PLANTED}-2@example.edu", **values))
    said = described(raised.value)
    assert PLANTED not in said
    assert "23505" in said
    assert "hidden" in str(raised.value)

"""Bad input: whatever is sent, the answer is a clear 4xx and nothing is half stored."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import func, select

from corpus import ENDING, corpus, places
from cortez import tables
from cortez.core.db.engine import Database
from factory import Make

SHARE = 37  # every so many-th of what `make reliability` sends; it has no factor in common with the lists of values


async def test_nothing_that_is_sent_gives_a_server_error(app: Litestar, make: Make) -> None:
    address, admin = await places(make), await make.admin()
    tried = 0
    for asked in list(corpus(app, address))[::SHARE]:
        someone = await make.admin() if any(end in asked.path for end in ENDING) else admin
        answer = await someone.client.request(
            asked.verb, asked.path, content=asked.content, headers=encoded(asked.headers)
        )
        assert answer.status_code < 500, (asked.where, asked.path[:200], answer.text)
        if answer.status_code >= 400 and asked.verb != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json", asked.where
            assert answer.json()["code"]
        if answer.status_code == 401:
            assert "/auth/" in asked.path, asked.where
        tried += 1
    assert tried > 1_000


def encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("utf-8")) for name, value in headers.items()]


async def rows(database: Database) -> int:
    async with database.reading() as session:
        counts = [select(func.count()).select_from(table) for table in tables.metadata.tables.values()]
        return sum([await session.scalar(count) or 0 for count in counts])


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"content-type": "text/plain"}, b"{}", 415),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=b", 415),
        ({}, b"{}", 415),
        ({"content-type": "application/json"}, b"{", 400),
        ({"content-type": "application/json"}, b"\xff\xfe", 400),
        ({"content-type": "application/json"}, b'{"title": "' + b"x" * 1_100_000 + b'"}', 413),
        ({"content-type": "application/json"}, b'{"course_id": "c", "title": "a\\u0000b"}', 422),
        ({"content-type": "application/json", "if-match": '"1"'}, b'{"course_id": "c", "title": "t"}', 422),
    ],
)
async def test_a_refused_body_stores_nothing(make: Make, headers: dict[str, str], content: bytes, status: int) -> None:
    admin = await make.admin()
    before = await rows(make.database)
    answer = await admin.post("/courses", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert await rows(make.database) == before


async def test_escaped_backslashes_before_u0000_are_no_nul(make: Make) -> None:
    admin = await make.admin()
    answer = await admin.post(
        "/courses",
        content=b'{"course_id": "c", "title": "print(\\\\u0000)"}',
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["title"] == "print(\\u0000)"


async def test_nothing_is_an_empty_object(make: Make) -> None:
    student = await make.student()
    missing = await student.post("/sessions")
    assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (422, "/activity_id")
    assert (await student.post("/auth/logout")).json() == {"signed_out": 1}


async def test_a_body_where_none_is_taken_is_refused(make: Make) -> None:
    admin = await make.admin()
    session = await make.session()
    assert (await admin.post(f"/sessions/{session.id}/pause", json={"force": True})).status_code == 422
    assert (await admin.post(f"/sessions/{session.id}/pause", json={})).status_code == 200


async def test_an_unknown_parameter_is_refused(make: Make) -> None:
    admin = await make.admin()
    answer = await admin.get("/sessions?studentid=x")
    assert (answer.status_code, answer.json()["code"]) == (422, "UNKNOWN_PARAMETER")


async def test_a_slow_body_holds_no_connection(app: Litestar, make: Make) -> None:
    admin = await make.admin()
    held: list[int] = []

    async def slow() -> AsyncIterator[bytes]:
        for part in (b'{"course_id": "slow",', b' "title": "Slow"}'):
            await asyncio.sleep(0.05)
            held.append(make.database.engine.pool.checkedout())
            yield part

    async def parallel() -> httpx.Response:
        return await admin.post("/courses", content=slow(), headers={"content-type": "application/json"})

    answers = await asyncio.gather(*[parallel() for _ in range(3)])
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert held[:3] == [0, 0, 0]

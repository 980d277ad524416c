"""Quotas: how many steps, and bytes of them, a session and a student may hold."""

import json
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import delete, select, update

from cortez.sessions.models import LearningSession
from cortez.traces.models import CognitiveTrace
from factory import Make
from forgeries import secret_of
from running import limited

STEP = {"interaction_type": "ai_response", "content": "Because."}
LONG = STEP | {"content": "é" * 3_000}


def codes(answer: Any) -> list[str | None]:
    assert answer.status_code == 200, answer.text
    return [item.get("code") for item in answer.json()["items"]]


async def held(make: Make) -> list[tuple[int, int]]:
    async with make.database.reading() as session:
        sums = select(LearningSession.trace_count, LearningSession.trace_bytes).order_by(LearningSession.created_at)
        return [(row[0], row[1]) for row in await session.execute(sums)]


async def test_a_session_takes_steps_up_to_its_quota(make: Make, app: Litestar) -> None:
    key, session = await make.key(), await make.session()
    path = f"/sessions/{session.id}/traces"
    async with limited(app, secret_of(key), session_steps=3) as client:
        assert codes(await client.post(f"{path}/batch", json=[STEP] * 2)) == [None, None]
        assert codes(await client.post(f"{path}/batch", json=[STEP] * 2)) == [None, "SESSION_QUOTA_REACHED"]
        refused = await client.post(path, json=STEP)
        assert (refused.status_code, refused.json()["code"]) == (429, "SESSION_QUOTA_REACHED")
        other = await make.session()
        assert (await client.post(f"/sessions/{other.id}/traces", json=STEP)).status_code == 201
    assert [count for count, _ in await held(make)] == [3, 1]


async def test_a_step_that_is_there_is_a_duplicate_also_where_nothing_has_room(make: Make, app: Litestar) -> None:
    key, session = await make.key(), await make.session()
    path, named = f"/sessions/{session.id}/traces", STEP | {"id": "0190a0a0-0000-7000-8000-000000000001"}
    async with limited(app, secret_of(key), session_steps=1) as client:
        assert (await client.post(path, json=named)).status_code == 201
        assert (await client.post(path, json=named)).status_code == 200


async def test_bytes_count_as_well_as_steps(make: Make, app: Litestar) -> None:
    key, session = await make.key(), await make.session()
    path = f"/sessions/{session.id}/traces"
    async with limited(app, secret_of(key), session_bytes=20_000) as client:
        assert codes(await client.post(f"{path}/batch", json=[LONG] * 4)) == [None] * 3 + ["SESSION_QUOTA_REACHED"]
        documents = STEP | {"context": {"code": "x" * 9_000}}
        assert (await client.post(path, json=documents)).json()["code"] == "SESSION_QUOTA_REACHED"
        assert (await client.post(path, json=STEP)).status_code == 201


async def test_a_student_has_a_quota_over_all_sessions(make: Make, app: Litestar) -> None:
    student, key = await make.student(), await make.key()
    first, second = [await make.session(student) for _ in range(2)]
    async with limited(app, secret_of(key), student_steps=3) as client:
        assert codes(await client.post(f"/sessions/{first.id}/traces/batch", json=[STEP] * 2)) == [None, None]
        both = [STEP | {"session_id": str(one.id)} for one in (first, second)]
        assert codes(await client.post("/traces/batch", json=both)) == [None, "STUDENT_QUOTA_REACHED"]
        own = await client.post(f"/sessions/{second.id}/traces", json=STEP)
        assert (own.status_code, own.json()["code"]) == (429, "STUDENT_QUOTA_REACHED")
        other = await make.session(await make.student())
        assert (await client.post(f"/sessions/{other.id}/traces", json=STEP)).status_code == 201
    async with limited(app, secret_of(key), student_bytes=1_000) as client:  # a process that has met nobody yet
        assert (await client.post(f"/sessions/{second.id}/traces", json=STEP)).status_code == 201
        refused = await client.post(f"/sessions/{second.id}/traces", json=LONG)
        assert refused.json()["code"] == "STUDENT_QUOTA_REACHED"


@pytest.mark.parametrize("media", ["application/json", "application/x-ndjson"])
async def test_a_batch_is_judged_by_what_it_takes_and_not_by_how_it_is_written(
    make: Make, app: Litestar, media: str
) -> None:
    """A number may be longer in the database than on the way there, and a letter shorter."""
    key, student = await make.key(), await make.student()
    numbers = '{"interaction_type": "ai_response", "content": "x", "context": {"a": [' + "1e15," * 500 + "1]}}"
    letters = json.dumps({"interaction_type": "ai_response", "content": "é" * 3_000}) + " " * 9_000
    assert (len(numbers), len(letters)) < (2_600, 28_000)

    async def send(client: httpx.AsyncClient, step: str) -> list[str | None]:
        session = await make.session(student)
        body = f"[{step}]" if media == "application/json" else step
        path = f"/sessions/{session.id}/traces/batch"
        return codes(await client.post(path, content=body, headers={"content-type": media}))

    async with limited(app, secret_of(key), student_bytes=20_000) as client:
        assert await send(client, letters) == [None]  # 6 kB
        assert await send(client, letters) == [None]
        assert await send(client, numbers) == ["STUDENT_QUOTA_REACHED"]  # 9 kB
        assert await send(client, letters) == [None]
        assert await send(client, letters) == ["STUDENT_QUOTA_REACHED"]


async def test_what_is_not_stored_takes_no_room(make: Make, app: Litestar) -> None:
    key, session = await make.key(), await make.session(await make.student())
    path = f"/sessions/{session.id}/traces"
    async with limited(app, secret_of(key), student_steps=10) as client:
        for _ in range(5):  # each is refused as a whole, for its last item
            refused = await client.post(f"{path}/batch?atomic=true", json=[*[STEP] * 5, {}])
            assert refused.status_code == 422
        assert codes(await client.post(f"{path}/batch", json=[STEP] * 11)) == [None] * 10 + ["STUDENT_QUOTA_REACHED"]


async def test_zero_sets_no_limit(make: Make, app: Litestar) -> None:
    key, session = await make.key(), await make.session()
    none = {"session_steps": 0, "session_bytes": 0, "student_steps": 0, "student_bytes": 0}
    async with limited(app, secret_of(key), **none) as client:
        assert codes(await client.post(f"/sessions/{session.id}/traces/batch", json=[STEP] * 5)) == [None] * 5


async def test_the_bytes_of_a_session_follow_its_steps(make: Make) -> None:
    first, second = await make.session(), await make.session()
    long, short = await make.trace(first, content="é" * 3_000), await make.trace(first)
    sizes = [size for _, size in await held(make)]
    assert 6_000 < sizes[0] < 8_000
    assert sizes[1] == 0
    async with make.database.unit() as session:
        moved = update(CognitiveTrace).where(CognitiveTrace.id == long.id).values(session_id=second.id)
        await session.execute(moved)
    sizes = [size for _, size in await held(make)]
    assert 0 < sizes[0] < 1_000
    assert 6_000 < sizes[1] < 8_000
    async with make.database.unit() as session:
        await session.execute(delete(CognitiveTrace).where(CognitiveTrace.id.in_([long.id, short.id])))
    assert [size for _, size in await held(make)] == [0, 0]

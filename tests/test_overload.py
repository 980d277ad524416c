"""What happens when there is too much, or the database is slow or away: a clear 503, and nothing held."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import text, update

from cortez.app import create_app
from cortez.clock import utc_now
from cortez.core.web import idempotency
from cortez.sessions.models import LearningSession
from cortez.settings import Settings
from factory import Make
from running import client_of, live, settings_for


@asynccontextmanager
async def locked(make: Make, session: LearningSession) -> AsyncIterator[None]:
    """While somebody else writes to this session, without an end."""
    async with make.database.session(writes=True) as other:
        await other.execute(
            update(LearningSession).where(LearningSession.id == session.id).values(updated_at=utc_now())
        )
        yield


@asynccontextmanager
async def set_to(settings: Settings, **changes: Any) -> AsyncIterator[Make]:
    async with live(create_app(msgspec.structs.replace(settings, **changes))) as app, Make(app, client_of) as make:
        yield make


def problem(answer: httpx.Response) -> tuple[int, str, bool]:
    return answer.status_code, answer.json()["code"], "retry-after" in answer.headers


async def test_who_finds_no_connection_is_told_soon_and_health_goes_on(settings: Settings, make: Make) -> None:
    async with set_to(settings, db_pool_size=2, db_max_overflow=0, db_lock_timeout=5.0) as small:
        session = await small.session()
        admin = await small.admin()
        async with locked(make, session):
            held = asyncio.create_task(admin.patch(f"/sessions/{session.id}", json={"session_metrics": {"x": 1}}))
            await asyncio.sleep(0.2)
            assert problem(await admin.get("/auth/me")) == (503, "POOL_EXHAUSTED", True)
            async with httpx.AsyncClient(transport=admin.client._transport, base_url="http://test") as client:
                assert (await client.get("/health/ready")).status_code == 200
        assert (await held).status_code == 200
        assert (await admin.get("/auth/me")).status_code == 200


async def test_a_request_ends_at_its_deadline_and_so_does_its_work(settings: Settings, make: Make) -> None:
    async with set_to(settings, request_timeout=0.5, db_lock_timeout=1.5) as hasty:
        session = await hasty.session()
        admin = await hasty.admin()
        async with locked(make, session):
            answer = await admin.patch(f"/sessions/{session.id}", json={"session_metrics": {"x": 1}})
        assert problem(answer) == (503, "DEADLINE_EXCEEDED", True)
        assert hasty.database.engine.pool.checkedout() == 0
        if not hasty.database.is_sqlite:
            async with make.database.reading() as other:
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
                assert await other.scalar(text(waiting)) == 1  # this very question
        assert (await admin.get(f"/sessions/{session.id}")).json()["session_metrics"] == {}


async def test_a_key_whose_first_request_goes_on_too_long_is_refused(settings: Settings, make: Make) -> None:
    """On SQLite whoever writes holds everybody up, and that is said."""
    session = await make.session()
    path, step = f"/sessions/{session.id}/traces", b'{"interaction_type":"student_prompt","content":"x"}'
    key = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    async with set_to(settings, db_lock_timeout=0.3) as hasty, make.database.session(writes=True) as other:
        admin = await hasty.admin()
        await idempotency.take(
            other, idempotency.Claim.of("k", f"person:{admin.id}", admin.id, f"POST /api/v1{path}", b"", step)
        )
        answer = await admin.post(path, content=step, headers=key)
        await other.close()
        assert (await admin.post(path, content=step, headers=key)).status_code == 201
    assert problem(answer)[:2] == ((503, "LOCK_TIMEOUT") if make.database.is_sqlite else (409, "REQUEST_IN_PROGRESS"))


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"this is no database, and never was one" * 100, "DATABASE_DAMAGED"), (None, "DATABASE_UNAVAILABLE")],
)
async def test_a_file_that_is_no_database_is_said(tmp_path: Path, content: bytes | None, code: str) -> None:
    file = tmp_path / "cortez.db"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    async with live(create_app(settings_for(f"sqlite:///{file}"))) as app, client_of(app, "ck_" + "x" * 43) as client:
        assert problem(await client.get("/auth/me")) == (503, code, True)


@pytest.mark.parametrize("path", ["nothing-there", "postgres"])
async def test_a_server_that_does_not_listen_is_said(path: str) -> None:
    url = f"postgresql://nobody@127.0.0.1:9/{path}"
    async with live(create_app(settings_for(url))) as app, client_of(app, "ck_" + "x" * 43) as client:
        assert problem(await client.get("/auth/me")) == (503, "DATABASE_UNAVAILABLE", True)


async def test_a_plan_made_before_a_migration_is_made_anew(make: Make) -> None:
    admin, course = await make.admin(), await make.course()
    path = f"/courses/{course}"

    async def widen(length: int) -> None:
        async with make.database.engine.begin() as connection:
            await connection.execute(text(f"ALTER TABLE courses ALTER COLUMN title TYPE varchar({length})"))

    if make.database.is_sqlite:
        return
    for length in (300, 200):
        assert (await admin.get(path)).status_code == 200
        assert (await admin.patch(path, json={"title": f"A title, {length}"})).status_code == 200
        await widen(length)
        assert (await admin.patch(path, json={"title": f"A title, wider than {length}"})).status_code == 200
        await widen(length + 1)
        assert (await admin.get(path)).status_code == 200
    await widen(200)

"""The client of `docs/tutor-agents.md` delivers every step once, whatever becomes of the service."""

import asyncio
import json
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from uuid import uuid4

import pytest

from cortez.core.db.engine import Database
from cortez.sessions.models import LearningSession
from cortez.settings import Settings
from factory import Make
from pages import BLOCK, ROOT, SERVED_AT
from running import SECRET
from serving import serving

PAGE = ROOT / "docs" / "tutor-agents.md"
LOT = 100


def a_lot() -> str:
    steps = ({"id": str(uuid4()), "interaction_type": "ai_response", "content": f"Hint {n}"} for n in range(LOT))
    return "".join(json.dumps(step) + "\n" for step in steps)


def running(folder: Path, key: str, session: str) -> Popen[str]:
    command = [sys.executable, "agent.py", key, session]
    return Popen(command, cwd=folder, text=True, stdin=PIPE, stdout=PIPE, stderr=PIPE)


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
async def test_the_client_delivers_every_step_once(
    database: Database, settings: Settings, make: Make, tmp_path: Path
) -> None:
    key, started = await make.key(), await make.session()
    url = settings.url.render_as_string(hide_password=False)
    environment = {"DATABASE_URL": url, "CORTEZ_SECRET_KEY": SECRET, "DB_LOCK_TIMEOUT": "0.1"}
    (program,) = (block[3] for block in BLOCK.finditer(PAGE.read_text("utf-8")) if block[2] == "agent.py")
    with serving(tmp_path, environment) as server:
        (tmp_path / "agent.py").write_text(program.replace(SERVED_AT, server.address))
        token = key.client.headers["authorization"].split()[1]
        with running(tmp_path, token, str(started.id)) as agent:
            assert agent.stdin
            assert agent.stderr
            async with database.unit() as session:
                await session.get(LearningSession, started.id, with_for_update=True)
                agent.stdin.write(a_lot())
                agent.stdin.flush()
                assert "LOCK_TIMEOUT" in await asyncio.to_thread(agent.stderr.readline)
            server.kill()
            assert "again" in await asyncio.to_thread(agent.stderr.readline)
            server.start()
            said, _ = await asyncio.to_thread(agent.communicate, a_lot())
        server.kill()
    assert (agent.returncode, said) == (0, "")
    read = await (await make.admin()).get(f"/sessions/{started.id}")
    assert read.json()["trace_count"] == 2 * LOT

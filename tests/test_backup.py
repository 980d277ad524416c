"""A backup that is taken while the service writes, restored beside it, as docs/deployment.md has it."""

import asyncio
import contextlib
import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from click.testing import CliRunner

from conftest import POSTGRES
from cortez.app import create_app
from cortez.audit.seals import seal_all
from cortez.commands.cli import cli
from cortez.content.models import Subject
from cortez.settings import Settings
from factory import Group, Make, Someone
from postgres import binaries, create_database
from running import SECRET, client_of, live, settings_for

DOCS = Path(__file__).parents[1] / "docs"
SCRIPT = str(DOCS / "deploy" / "backup.sh")
BLOCK = re.compile(r"<!-- restore: (\w+) -->\n```console\n(.*?)```", re.DOTALL)
RESTORE = dict(BLOCK.findall((DOCS / "deployment.md").read_text()))


async def run(command: list[str], settings: Settings, **more: str) -> None:
    """A command of the documentation, with these settings."""
    own = {
        "PATH": f"{binaries()}:{os.environ['PATH']}",
        "DATABASE_URL": settings.database_url,
        "CORTEZ_FILES": settings.files,
    }
    done = await asyncio.to_thread(subprocess.run, command, env=own | more, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def cortez(settings: Settings, *words: str) -> str:
    own = {"DATABASE_URL": settings.database_url, "CORTEZ_FILES": settings.files, "CORTEZ_SECRET_KEY": SECRET}
    done = await asyncio.to_thread(CliRunner().invoke, cli, words, env=own)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
async def elsewhere(settings: Settings, worker: str, tmp_path: Path) -> Settings:
    """A new place to restore to."""
    url = f"sqlite:///{tmp_path}/restored/cortez.db"
    (tmp_path / "restored").mkdir()
    if settings.url.get_backend_name() == "postgresql":
        url = await create_database(os.environ[POSTGRES], f"restored_{worker}", "template0")
    return settings_for(url, files=f"{tmp_path}/restored/files")


async def write(group: Group, number: int) -> str:
    """One step; its id, once it is acknowledged."""
    step = {"id": str(uuid4()), "interaction_type": "student_prompt", "content": f"Step {number}"}
    answer = await group.student.post(f"{group.path}/traces", json=step)
    assert answer.status_code == 201, answer.text
    return step["id"]


async def write_on(group: Group) -> None:
    for number in range(10_000):
        await write(group, number)


@contextlib.asynccontextmanager
async def writing(group: Group) -> AsyncIterator[None]:
    """Steps are written, one after the other, until this is left."""
    task = asyncio.create_task(write_on(group))
    yield
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


async def upload(make: Make) -> str:
    """A file of a unit; where it is read."""
    await make.add(Subject(code="S", name="A subject", language="python"))
    teacher = await make.teacher()
    unit = (await teacher.post("/subjects/S/unidades", json={"numero": 1, "titulo": "Loops"})).json()
    sent = await teacher.post(f"/unidades/{unit['id']}/archivos", files={"file": ("notes.txt", b"Loops.")})
    return f"/archivos/{sent.json()['id']}/content"


async def test_a_backup_under_load_restores_to_a_service_that_goes_on(
    settings: Settings, elsewhere: Settings, make: Make, tmp_path: Path
) -> None:
    group, file = await make.group(), await upload(make)
    await seal_all(make.database)
    before = [await write(group, number) for number in range(20)]
    async with writing(group):
        await run(["sh", SCRIPT, f"{tmp_path}/backup"], settings)
    await run(["sh", "-euc", RESTORE[settings.url.get_backend_name()]], elsewhere, BACKUP=f"{tmp_path}/backup")

    assert "✗" not in await cortez(elsewhere, "doctor")
    assert "; 0 wait." in await cortez(elsewhere, "audit", "verify")
    async with live(create_app(elsewhere)) as app, client_of(app) as client:
        client.headers["Authorization"] = group.student.client.headers["Authorization"]
        page = (await client.get(f"{group.path}/traces?limit=20&count=true")).json()
        assert [step["id"] for step in page["items"]] == before
        assert await count(client, group) == page["total"] < await count(group.student, group)
        step = {"interaction_type": "student_prompt", "content": "And on"}
        assert (await client.post(f"{group.path}/traces", json=step)).status_code == 201
        assert await count(client, group) == page["total"] + 1
        client.headers["Authorization"] = group.teacher.client.headers["Authorization"]
        assert (await client.get(file)).content == b"Loops."


async def count(client: httpx.AsyncClient | Someone, group: Group) -> int:
    """As the triggers keep it."""
    found: int = (await client.get(group.path)).json()["trace_count"]
    return found


async def test_a_backup_is_not_written_over_another(settings: Settings, make: Make, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    with pytest.raises(AssertionError, match="File exists"):
        await run(["sh", SCRIPT, f"{tmp_path}/backup"], settings)
    with pytest.raises(AssertionError, match="unable to open database file"):
        await run(["sh", SCRIPT, f"{tmp_path}/other"], settings_for(f"sqlite:///{tmp_path}/mistyped.db", files="."))
    assert not (tmp_path / "mistyped.db").exists()

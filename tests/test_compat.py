"""Names that libraries promise nothing about: what each must do for us."""

import re
import tomllib
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic.script import ScriptDirectory
from litestar import Litestar, post
from litestar.connection import Request
from sqlalchemy import create_engine, event, select
from sqlalchemy.exc import SQLAlchemyError

from cortez.core import compat
from cortez.core.db.engine import Database
from cortez.core.migrations.revisions import revisions
from cortez.core.migrations.runner import location

ROOT = Path(__file__).parents[1]
OURS = [*sorted((ROOT / "src" / "cortez").rglob("*.py")), ROOT / "alembic" / "env.py"]
PRIVATE = re.compile(
    r"(?<![\w.])(?!self\.|cls\.)[\w.]+(?:\([^()]*\))?\._(?!asdict|fields|replace|mapping|_)\w+|import _\w|\._\w+ import"
)
DOCUMENTED = {"logging._srcfile"}  # in Python's logging HOWTO


@pytest.mark.parametrize("file", OURS, ids=lambda file: str(file.relative_to(ROOT)))
def test_private_names_stand_in_one_module(file: Path) -> None:
    found = {match[0] for match in PRIVATE.finditer(file.read_text())} - DOCUMENTED
    assert found == ({"script._upgrade_revs"} if file == ROOT / "src/cortez/core/compat.py" else set())


def test_their_libraries_have_an_upper_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = {re.split(r"[\[><]", one)[0]: "<" in one for one in project["dependencies"]}
    assert all(bounds[name] for name in ("alembic", "asyncpg", "litestar", "sqlalchemy"))


def test_a_uuid_of_the_driver_is_one_of_python_s() -> None:
    plain = uuid4()
    fast = compat.FastUUID(str(plain))
    assert isinstance(fast, UUID)
    assert (fast, hash(fast), str(fast)) == (plain, hash(plain), str(plain))


async def test_a_guest_works_on_the_connection_that_it_is_given(database: Database) -> None:
    """It begins nothing, ends nothing, and takes no other connection when its own is lost."""

    def work() -> int:
        engine = database.engine.sync_engine
        pooled = engine.raw_connection()
        guest = compat.guest_connection(engine, pooled)
        assert guest.scalar(select(1)) == 1
        for end in (guest.commit, guest.rollback):
            with pytest.raises(TypeError):
                end()
        pooled.invalidate()
        with pytest.raises(SQLAlchemyError):
            guest.scalar(select(1))
        count: int = engine.pool.checkedout()  # type: ignore[attr-defined]
        return count

    assert await compat.greenlet_spawn(work) == 0


async def test_a_function_may_await_in_its_greenlet() -> None:
    async def answer() -> int:
        return 42

    assert await compat.greenlet_spawn(lambda: compat.await_only(answer())) == 42


def test_observers_are_those_that_listen() -> None:
    engine = create_engine("sqlite://")
    heard: list[str] = []
    event.listen(engine, "commit", heard.append)
    compat.observers(engine).commit("told")
    assert heard == ["told"]


def test_steps_lead_from_one_revision_to_another() -> None:
    script = ScriptDirectory.from_config(location())
    assert len(list(compat.steps_to(script, "head", "base"))) == len(revisions().known)
    assert list(compat.steps_to(script, "head", script.get_current_head() or "")) == []


@post("/probe/echo")
async def echo(request: Request[Any, Any, Any]) -> str:
    return (await request.body()).decode()


def test_an_attempt_has_a_state_of_its_own() -> None:
    """With the handlers of errors, without what the attempt before has left, and with the body that was read."""
    app = Litestar([echo], openapi_config=None)
    scope: Any = {"type": "http", "state": {}, "headers": [], "app": app}
    compat.body_is_read(scope, b"first")
    ((name, state),) = scope["state"].items()
    state.exception_handlers = {500: print}
    own = compat.own_state(state)
    assert (own is state, own.exception_handlers) == (False, {500: print})
    scope["state"] = {name: own, "other": 1}
    assert compat.own_state(1) == 1
    compat.body_is_read(scope, b"second")
    assert (state.body, own.body) == (b"first", b"second")


async def test_a_body_that_is_read_is_not_awaited() -> None:
    async def receive() -> Any:
        raise AssertionError("The body was read already.")

    scope: Any = {"type": "http", "state": {}, "headers": [], "app": Litestar([echo], openapi_config=None)}
    compat.body_is_read(scope, b"read")
    assert await Request[Any, Any, Any](scope, receive=receive).body() == b"read"

"""While the house is rebuilt, nothing that anybody sees or stores changes; see `behaviour.py`."""

import json
import os
from typing import Any

import pytest
from litestar import Litestar

from behaviour import FILE, lived, published, schema, the_school_day, the_tour
from cortez.core.db.engine import Database


def compare(part: str, found: dict[str, str]) -> None:
    """Hold it against the file; with CORTEZ_WRITE_BEHAVIOUR set it is written there instead."""
    known: dict[str, Any] = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    if os.environ.get("CORTEZ_WRITE_BEHAVIOUR"):
        FILE.write_text(json.dumps(known | {part: found}, indent=1, sort_keys=True) + "\n", "utf-8")
        return
    before = known[part]
    assert {name for name in before.keys() | found.keys() if before.get(name) != found.get(name)} == set()


def test_what_is_published(app: Litestar) -> None:
    compare("published", published(app))


async def test_the_schema(database: Database) -> None:
    compare(f"schema {database.engine.dialect.name}", await schema(database))


@pytest.mark.parametrize("act", [the_tour, the_school_day])
async def test_answers_and_rows(app: Litestar, act: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one does something after the other."""
    monkeypatch.setattr("school.AT_ONCE", 1)
    compare(f"{act.__name__} {app.state.database.engine.dialect.name}", await lived(app, act))

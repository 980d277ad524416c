"""Imports follow the layers."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cortez
from architecture.layers import CORE, DOMAINS, FOR_LANDED_REVISIONS, GROUND, TOPS, below, room_of
from structure import imported, name_of

SOURCE = Path(cortez.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
FRAME = sorted((SOURCE / "core").rglob("*.py"))
EMPTY = {"cortez", "cortez.core"}


def allowed(room: str) -> set[str]:
    """What a module of this room may import, beside its own room."""
    if room in GROUND:
        return GROUND
    if room in FOR_LANDED_REVISIONS:
        return {"core.migrations"}
    if room in CORE:
        return GROUND | below({room}, CORE)
    if room in DOMAINS:
        examples = {"examples"} if room == "exports" else set()
        return GROUND | CORE.keys() | below({room}, DOMAINS) | examples
    return GROUND | CORE.keys() | DOMAINS.keys() | below({room}, TOPS)


def used_by(file: Path) -> set[str]:
    """Modules and packages of cortez that a file imports."""
    return {name for name in imported(ast.parse(file.read_text("utf-8"))) if name.startswith("cortez.")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_follow_the_layers(file: Path) -> None:
    name = name_of(file, SOURCE)
    if name in EMPTY:
        return
    rooms = {room_of(one) for one in used_by(file) if one not in EMPTY}
    assert rooms - allowed(room_of(name)) - {room_of(name)} == set()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_no_domain_imports_the_handlers_of_another(file: Path) -> None:
    """What two share is in `access`, `dependencies` or `repository`. Only the application wires handlers."""
    room = room_of(name_of(file, SOURCE) + ".x")
    handlers = {one for one in used_by(file) if any(part.endswith("handlers") for part in one.split("."))}
    assert room == "app" or {one for one in handlers if room_of(one) != room} == set()


def test_every_module_has_a_room() -> None:
    rooms = {room_of(name_of(file, SOURCE)) for file in FILES if name_of(file, SOURCE) not in EMPTY}
    assert rooms == GROUND | CORE.keys() | DOMAINS.keys() | TOPS.keys() | FOR_LANDED_REVISIONS
    assert all(below({room}, order) for order in (CORE, DOMAINS, TOPS) for room in order)  # ends: no cycle


def test_few_modules_lie_beside_the_packages() -> None:
    assert len([*SOURCE.glob("[a-z_]*.py")]) - 1 <= 10  # without __init__


def test_uvicorn_is_known_in_one_room() -> None:
    """Another server is a change there."""
    knowing = {
        file for file in FILES if any(one.startswith("uvicorn") for one in imported(ast.parse(file.read_text())))
    }
    assert {file.parent.name for file in knowing} == {"server"}


def test_commands_load_no_routes() -> None:
    """A command that ends idle sessions each night starts without the framework."""
    code = "import cortez.commands.cli as it; it.main()"
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, "sessions", "abandon-idle", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert "cortez.sessions.repository" in loaded
    assert [
        name for name in loaded if name.partition(".")[0] in ("litestar", "uvicorn") or name.endswith("_handlers")
    ] == []


# Words of domains that the frame knows, and why.
KNOWN_IN_CORE = {
    "core/security/principal.py": {"student_id", "course", "course_ids", "teacher", "tutor"},  # who asks
    "core/web/guards.py": {"student", "teacher", "teachers", "tutor"},
    "core/web/middleware.py": {"student_ids"},
    "core/db/compiled_queries.py": {"student_id", "courses", "course_ids"},  # parameters that say who asks
    "core/db/classification.py": {
        "student",
        "students",
        "student_id",
        "Risk",
        "risk_type",
        "Apuntes",
        "unidad_id",
    },  # whose data
    "core/db/repository.py": {"student", "student_id"},  # what is left of an erased student is not changed
    "core/db/expressions.py": {"Activity", "course_id", "courses"},  # examples in docstrings
    "core/web/responses.py": {"students", "student_id", "names_students"},  # whose data an answer shows
    "core/web/request_attempt.py": {"students"},
    "core/web/schemas.py": {"student"},
    "core/web/idempotency.py": {"users"},  # a key of its table
}
DOMAIN_WORDS = re.compile(
    r"\b((?:names_)?(?:students?|teachers?|tutors?|courses?|exercises?|rubrics?|activity|activities|simulators?|interviews?|"
    r"incidents?|risks?|alerts?|interventions?|apuntes|unidad(?:es)?|archivos?|lti|subjects?_code|users)"
    r"(?:_ids?|_type|_changed)?)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    "file", sorted((SOURCE / "core").rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE))
)
def test_the_frame_knows_no_domain(file: Path) -> None:
    name = str(file.relative_to(SOURCE))
    found = set(DOMAIN_WORDS.findall(file.read_text("utf-8")))
    assert found - KNOWN_IN_CORE.get(name, set()) == set()

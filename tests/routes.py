"""Writes `docs/routes.md`: every call of the service, and who may make it. `python tests/routes.py`"""

import inspect
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cortez.app import create_app
from cortez.core.openapi import document as operations
from cortez.settings import Settings
from matrix_table import CELLS, WHO, Row, rows

PAGE = Path(__file__).parents[1] / "docs" / "routes.md"
HEAD = """# Routes

Every call under `/api/v1`, who may make it, and what it gives them. Bodies, answers and errors are at `/docs`.

The narrow columns are about the rows of one course: a student, a session and what hangs on it, what was written about
them. What you may not see does not exist (404); what you see, or could not even ask about, may still not be yours to
do (403). Without a sign-in, or with one that has ended, every call but those for everybody is 401.

"""
FOOT = """
Made by `python tests/routes.py` from the application and from `tests/matrix_table.py`. A test says when it is old, and
another asks every call as each of these people (`tests/test_matrix.py`).
"""
ROWS = """
## Rows of their own

Where it depends on which row it is. `hidden` is what is not published, `old` is archived, `loose` and `bare` belong to
no course, `elsewhere` to another one; `?deleted=true` lists what may be restored.

"""
SIGNS = {"yes": "●", "open": "●", "none": "○"}


def calls(app: Any) -> Iterator[tuple[str, str, str, Any]]:
    """Tag, verb, path and handler of each call of the API."""
    for path, verb, handler in operations.routes(app):
        if path.startswith("/api/v1/"):
            yield sorted(handler.resolve_tags())[0], verb, path.removeprefix("/api/v1"), handler


def page(app: Any) -> str:
    areas: dict[str, list[str]] = {}
    table = rows()
    plain = {row.call: row for row in reversed(table)} | {row.call: row for row in table if row.place == row.path}
    for tag, verb, path, handler in calls(app):
        name = handler.fn.__name__.replace("_", " ").capitalize() + "."
        said = (inspect.getdoc(handler.fn) or name).partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        line = f"| {verb} | `{path}` | {operations.callers(handler)} | {said} | {cells(plain[verb, path])} |"
        areas.setdefault(tag, []).append(line)
    parts = [HEAD, legend(), FOOT]
    names = f"{' | '.join(WHO).replace('_', ' ')} |\n|---|---|{'---|' * len(WHO)}"
    for tag, lines in areas.items():
        parts.append(f"\n## {tag[0].upper()}{tag[1:]}\n\n| verb | path | who | what | {names}---|---|\n")
        parts.append("\n".join(lines) + "\n")
    special = [f"| {row.verb} | `{row.place}` | {cells(row)} |" for row in table if row is not plain[row.call]]
    parts.append(f"{ROWS}| verb | path | {names}\n" + "\n".join(special) + "\n")
    return "".join(parts)


def legend() -> str:
    """What the columns and their signs mean."""
    signs = {"●": "answered; a list holds the rows of the course", "○": CELLS["none"]}
    people = [f"- **{name.replace('_', ' ')}**: {said}" for name, said in WHO.items()]
    return "\n".join([*people, "", *(f"- {sign} {said}" for sign, said in signs.items())]) + "\n"


def cells(row: Row) -> str:
    """The columns of the table; a call for everybody asks nobody who they are."""
    return " | ".join(SIGNS.get(row.cells.get(who, "open"), row.cells.get(who, "")) for who in WHO)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite:///{folder}/none.db", secret_key="x" * 32)
        PAGE.write_text(page(create_app(settings)), "utf-8")

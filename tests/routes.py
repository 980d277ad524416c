"""Writes `docs/routes.md`: every call of the service, and who may make it. `python tests/routes.py`"""

import inspect
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cortez import openapi
from cortez.app import create_app
from cortez.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "routes.md"
HEAD = """# Routes

Every call under `/api/v1`, and who may make it. That somebody may make a call does not say that they see every row:
what you may not see does not exist (404). Bodies, answers and errors are at `/docs`.

Made by `python tests/routes.py` from the application itself; a test says when it is old.
"""


def calls(app: Any) -> Iterator[tuple[str, str, str, Any]]:
    """Tag, verb, path and handler of each call of the API."""
    for path, verb, handler in openapi.routes(app):
        if path.startswith("/api/v1/"):
            yield sorted(handler.resolve_tags())[0], verb, path.removeprefix("/api/v1"), handler


def page(app: Any) -> str:
    areas: dict[str, list[str]] = {}
    for tag, verb, path, handler in calls(app):
        name = handler.fn.__name__.replace("_", " ").capitalize() + "."
        said = (inspect.getdoc(handler.fn) or name).partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        areas.setdefault(tag, []).append(f"| {verb} | `{path}` | {openapi.callers(handler)} | {said} |")
    parts = [HEAD]
    for tag, lines in areas.items():
        parts.append(f"\n## {tag[0].upper()}{tag[1:]}\n\n| verb | path | who | what |\n|---|---|---|---|\n")
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite:///{folder}/none.db", secret_key="x" * 32)
        PAGE.write_text(page(create_app(settings)), "utf-8")

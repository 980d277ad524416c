"""Writes the tables of `docs/privacy.md` from the models' own classification. `python tests/privacy_page.py`"""

from pathlib import Path
from typing import Any

from cortez import tables
from cortez.privacy.subjects import about_students

PAGE = Path(__file__).parents[1] / "docs" / "privacy.md"
BEGIN, END = "<!-- made by tests/privacy_page.py -->\n", "<!-- end -->\n"
HEAD = "| table | found by | kept | renamed | emptied | removed |\n|---|---|---|---|---|---|\n"


def listed(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split())


def line(model: Any) -> str:
    privacy = model.privacy
    kinds = (privacy.keep, privacy.pseudonymise, privacy.empty, privacy.removed)
    return f"| `{model.__tablename__}` | `{privacy.by}` | {' | '.join(map(listed, kinds))} |\n"


def made() -> str:
    personal = sorted(about_students(), key=lambda model: str(model.__tablename__))
    others = sorted(set(tables.metadata.tables) - {model.__tablename__ for model in personal})
    rest = f"\nAbout no student: {listed(' '.join(others))}. In the lists of `course_reports` a student is renamed.\n"
    return HEAD + "".join(map(line, personal)) + rest


def page(text: str) -> str:
    """The page with its tables made anew."""
    head, _, rest = text.partition(BEGIN)
    return head + BEGIN + made() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")

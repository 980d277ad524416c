"""What the pages list is what there is: settings, errors, commands, links, packages."""

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import click
import pytest
from litestar.exceptions import ClientException, MethodNotAllowedException, NotFoundException

import cortez
from architecture.layers import DOMAINS
from cortez import tables
from cortez.commands.cli import cli
from cortez.settings import NAMES
from pages import PAGES, ROOT

SOURCE = Path(cortez.__file__).parent
README = (ROOT / "README.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")

# Codes of one word are these: Conflict and Unavailable are never raised without one of their own.
CODE = re.compile(r"[A-Z]+(?:_[A-Z]+)+|FORBIDDEN|DUPLICATE")
# Litestar's own, whose code is the name of the status.
FRAMEWORK = (ClientException, NotFoundException, MethodNotAllowedException)
# Rows that are never asked for one by one.
NEVER_MISSING = {"audit entry", "criterion", "refresh token", "simulator event"}

LINKED = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def test_every_setting_is_in_the_readme_and_nothing_else() -> None:
    table = README.partition("| setting | default |")[2].partition("\n\n")[0]
    names = [name for line in table.splitlines()[2:] for name in re.findall(r"`([A-Z_]+)`", line.split("|")[1])]
    assert sorted(names) == sorted(NAMES.values())


def answered() -> Iterator[str]:
    """Every code in the source: constants where errors are known, and one for each noun that may not be found."""
    for file in SOURCE.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        if file.name == "errors.py" or "from cortez.errors import" in ast.unparse(tree):
            constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
            yield from (text for text in constants if isinstance(text, str) and CODE.fullmatch(text))
        yield from duplicates(tree)
        for noun in nouns(tree):
            yield f"{noun.upper().replace(' ', '_')}_NOT_FOUND"
    yield from (HTTPStatus(error.status_code).name for error in FRAMEWORK)


def duplicates(tree: ast.Module) -> Iterator[str]:
    """Codes that models have for a broken uniqueness."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name("Duplicate"), [ast.Constant(str(code)), *_]):
                yield code


def nouns(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name("noun")], ast.Constant(str(noun))) if noun not in NEVER_MISSING:
                yield noun
            case ast.Call(ast.Name("NotFound"), [ast.Constant(str(noun)), *_]):
                yield noun


def test_every_code_is_explained_and_no_other() -> None:
    told = re.findall(r"`([A-Z]+_?[A-Z_]+)`", (ROOT / "docs" / "errors.md").read_text("utf-8"))
    codes = sorted(set(told) - set(NAMES.values()))
    assert codes == sorted({*answered()} - set(NAMES.values()))


def commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Every command under its name, the group's in front."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", found) for inner, found in commands(command))
        elif command:
            yield name, command


def test_every_command_is_explained_with_its_options_and_no_other() -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    told = {
        name: set(re.findall(r"`(--[a-z-]+)`", line))
        for name, line in re.findall(r"^\| `cortez ([a-z-]+(?: [a-z-]+)?)(.*)$", page, re.MULTILINE)
    }
    known = {
        name: {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        for name, command in commands(cli)
    }
    assert told == {name: options - {"--output"} for name, options in known.items()}


def test_the_picture_of_the_packages_is_the_order_of_imports() -> None:
    arrows = re.findall(r"^ +(\w+) --> (\w+)$", ARCHITECTURE, re.MULTILINE)
    assert sorted(arrows) == sorted((upper, lower) for upper, below in DOMAINS.items() for lower in below)


def test_the_page_says_what_goes_when_its_parent_goes() -> None:
    """A row for each parent: what goes with it, what loses the reference, what refuses."""
    rows = (line.split("|")[1:-1] for line in ARCHITECTURE.splitlines() if re.match(r"\| `\w+` \|", line))
    told = {
        (parent.strip(" `"), effect, child)
        for parent, *cells in rows
        for effect, cell in zip(("CASCADE", "SET NULL", "RESTRICT"), cells, strict=True)
        for child in re.findall(r"`([\w.]+)`", cell)
    }
    keys = (key for table in tables.metadata.sorted_tables for key in table.foreign_keys)
    assert told == {(key.column.table.name, key.ondelete, str(key.parent)) for key in keys}


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Where a page leads to: files, as paths from it, and places in them."""
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if not re.match(r"https?:|mailto:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: Path) -> set[str]:
    """The places of a page, named from its headings as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.name))
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, to_read = set[Path](), {ROOT / "README.md"}
    while to_read:
        page = to_read.pop()
        reached.add(page)
        ahead = {(page.parent / path).resolve() for path, _ in links(page) if path.endswith(".md")}
        to_read |= ahead - reached
    assert set(LINKED) <= reached

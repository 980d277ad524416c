"""What every module and every route has in common, and what `make structure` prints."""

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

import cortez
from cortez.core.web.route_options import options_of
from structure import figures

SOURCE = Path(cortez.__file__).parent


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_module_is_one_thing(file: Path) -> None:
    assert len(file.read_text().splitlines()) < 400
    assert file.name != "__init__.py" or not file.read_text()


def routes(app: Litestar) -> Iterator[tuple[str, str, Any, Any]]:
    """Verb, path, handler and what its parameters are resolved from."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for verb, (handler, model) in route.route_handler_map.items():
                yield str(verb), route.path_format, handler, model


def dependencies(model: Any) -> set[str]:
    def names(dependency: Any) -> set[str]:
        return {dependency.key}.union(*(names(inner) for inner in dependency.dependencies))

    return set().union(*(names(dependency) for batch in model.dependency_batches for dependency in batch))


def test_every_route_that_writes_depends_on_the_one_session(app: Litestar) -> None:
    writing = [entry for entry in routes(app) if entry[0] not in ("GET", "HEAD", "OPTIONS")]
    assert len(writing) > 30
    assert [path for _, path, _, model in writing if "session" not in dependencies(model)] == []


def test_there_is_one_generator_dependency(app: Litestar) -> None:
    found = set()
    for _, _, handler, _ in routes(app):
        for name, provide in handler.resolve_dependencies().items():
            if inspect.isasyncgenfunction(provide.dependency) or inspect.isgeneratorfunction(provide.dependency):
                found.add(name)
    assert found == {"session"}


def test_every_route_denies_unless_it_is_public_or_guarded(app: Litestar) -> None:
    for verb, path, handler, _ in routes(app):
        options = options_of(handler)
        if verb != "OPTIONS" and not (options.outside or options.public):
            assert options.guards, (verb, path)


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*handlers.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_options_are_those_of_a_route(file: Path) -> None:
    """The options of a route replace those of its router as a whole."""
    calls = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
    routers = [call for call in calls if ast.unparse(call.func) == "Router"]
    assert [one.arg for call in routers for one in call.keywords if one.arg == "opt"] == []


def test_a_place_in_a_path_takes_one_type(app: Litestar) -> None:
    """`/x/{id:uuid}` beside `/x/{key:str}` on one verb would make one of the two a dead route."""
    places: dict[tuple[str, str], set[str]] = defaultdict(set)
    for route in app.routes:
        parts = route.path.strip("/").split("/")
        for index, part in enumerate(parts):
            if part.startswith("{"):
                before = "/".join("{}" if one.startswith("{") else one for one in parts[:index])
                for verb in getattr(route, "http_methods", ()):
                    places[str(verb), before].add(part.rpartition(":")[2].rstrip("}"))
    assert {place: types for place, types in places.items() if len(types) > 1} == {}


def test_every_address_is_answered_by_its_own_handler(app: Litestar) -> None:
    seen = [(verb, path) for verb, path, _, _ in routes(app) if verb != "OPTIONS"]
    assert len(seen) == len(set(seen))


def test_what_make_structure_prints_is_counted(tmp_path: Path) -> None:
    source, tests = tmp_path / "cortez", tmp_path / "tests"
    for folder in (source, source / "core", tests):
        folder.mkdir()
    (source / "__init__.py").touch()
    (source / "core" / "__init__.py").touch()
    (source / "core" / "compat.py").write_text("def one() -> None:\n    pass\n")
    (source / "core" / "db.py").write_text(
        "from typing import Any, cast\n\n\ndef two(of: Any) -> object:\n    return cast(int, of)\n"
    )
    (source / "a.py").write_text("from cortez import b\nfrom cortez.core.db import two\n")
    (source / "b.py").write_text("def later() -> None:\n    from cortez.a import two  # type: ignore\n\n    two(1)\n")
    (tests / "test_a.py").write_text("\n" * 26)
    assert figures(source, tests) == {
        "modules beside the packages": "2",
        "modules, lines": "6, 13",
        "imports that close a cycle": "1",
        "longest chain of imports": "2",
        "lines of a module": "median 3, p90 6",
        "functions, lines of one": "3, median 2, p90 5",
        "Any, object, cast, type: ignore for each 1,000 lines": "307.7",
        "lines of tests for one of code": "2.00",
        "share of core/compat.py": "15.4%",
    }

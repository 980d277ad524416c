"""Print figures of how the code is built, as a Markdown table: `make structure`."""

import ast
import re
import statistics
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "cortez"
VAGUE = {"Any", "object"}  # what says nothing of a value's type, where it stands in an annotation

Graph = dict[str, list[str]]


def name_of(file: Path, source: Path) -> str:
    parts = file.relative_to(source.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(node: ast.AST) -> Iterator[str]:
    """What is imported when the code runs, wherever it stands."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ImportFrom) and child.module:
            yield child.module
            yield from (f"{child.module}.{name.name}" for name in child.names)
        elif isinstance(child, ast.Import):
            yield from (name.name for name in child.names)
        yield from imported(child)


def graph_of(trees: dict[str, ast.Module]) -> Graph:
    """By module, which others of the package it imports; a package is not its parts."""
    return {
        name: sorted({one for one in imported(tree) if one in trees and one != name}) for name, tree in trees.items()
    }


def without_cycles(graph: Graph) -> tuple[Graph, int]:
    """The graph without some imports, so that no module imports itself through others; how many those are."""
    left = {name: [*used] for name, used in graph.items()}
    cut = 0
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            used, by, *_ = error.args[1]  # each is imported by the next
            left[by].remove(used)
            cut += 1
        else:
            return left, cut


def longest_chain(graph: Graph) -> int:
    """Modules of the longest chain of imports in a graph without cycles."""
    depth: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        depth[name] = 1 + max((depth[one] for one in graph[name]), default=0)
    return max(depth.values())


def annotations(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
            yield node.returns


def vague(text: str, tree: ast.Module) -> int:
    """Annotations with Any or object, casts, and ignored types."""
    names = [node.id for part in annotations(tree) for node in ast.walk(part) if isinstance(node, ast.Name)]
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    casts = [one for one in calls if isinstance(one, ast.Name) and one.id == "cast"]
    return sum(name in VAGUE for name in names) + len(casts) + len(re.findall(r"# type: ignore", text))


def lengths(trees: Iterable[ast.Module]) -> list[int]:
    """Lines of each function, its decorators left out."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, kinds))
    return [(node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes]


def spread(numbers: list[int]) -> str:
    return f"median {statistics.median(numbers):g}, p90 {statistics.quantiles(numbers, n=10)[-1]:.0f}"


def figures(source: Path, tests: Path) -> dict[str, str]:
    """Each figure by its name."""
    texts = {name_of(file, source): file.read_text("utf-8") for file in sorted(source.rglob("*.py"))}
    trees = {name: ast.parse(text) for name, text in texts.items()}
    graph, cut = without_cycles(graph_of(trees))
    sizes = {name: len(text.splitlines()) for name, text in texts.items()}
    lines = sum(sizes.values())
    beside = [file for file in source.glob("*.py") if file.stem != "__init__"]
    functions = lengths(trees.values())
    compat = sizes.get(f"{PACKAGE}.core.compat", 0)
    tested = sum(len(file.read_text("utf-8").splitlines()) for file in tests.rglob("*.py"))
    return {
        "modules beside the packages": str(len(beside)),
        "modules, lines": f"{len(texts)}, {lines:,}",
        "imports that close a cycle": str(cut),
        "longest chain of imports": str(longest_chain(graph)),
        "lines of a module": spread([size for size in sizes.values() if size]),
        "functions, lines of one": f"{len(functions):,}, {spread(functions)}",
        "Any, object, cast, type: ignore for each 1,000 lines": f"{vague_in(texts, trees) / lines * 1000:.1f}",
        "lines of tests for one of code": f"{tested / lines:.2f}",
        "share of core/compat.py": f"{compat / lines:.1%}",
    }


def vague_in(texts: dict[str, str], trees: dict[str, ast.Module]) -> int:
    return sum(vague(text, trees[name]) for name, text in texts.items())


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    print("| figure | measured |\n|---|---|")  # noqa: T201
    for name, value in figures(root / "src" / PACKAGE, root / "tests").items():
        print(f"| {name} | {value} |")  # noqa: T201


if __name__ == "__main__":
    main()

"""Takes every filter, guard and check away, one at a time, and asks the matrix whether it sees it.

All of them are found, none is listed: filters as functions that make a condition for a principal, guards at the
handlers, checks as statements that do nothing but refuse. Each is taken out of the running application, and only the
probes that came past it are asked again. One that no probe comes past is seen by none, which is known without trying.
"""

import ast
import gc
import importlib
import inspect
import logging
import pkgutil
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, get_origin

import msgspec
from msgspec import structs
from sqlalchemy import ColumnElement, CompoundSelect, Select, true, union

import cortez
from cortez.core.db.compiled_queries import STATEMENTS
from cortez.core.db.repository import Repository
from cortez.core.web.route_options import KEY, options_of
from matrix import Matrix, Probe

SOURCE = Path(cortez.__file__).parent
# What no request reaches: commands, and what revisions use (test_schema_changes.py sees what is required there).
APART = (
    "cortez.demo",
    "cortez.commands",
    "cortez.__main__",
    "cortez.core.migrations.operations",
)
KINDS = frozenset({"filter", "guard", "check"})
ABOUT = {"principal", "student_id", "student", "self"}
MARK = "_somebody_came_to_this_check"  # a name that a module has while it is watched
# What a statement says that does nothing but refuse.
REFUSES = re.compile(
    r"^(raise|return) (Forbidden|NotFound|(Invalid|Conflict)[^#]*"
    r"(_NOT_(FOUND|YOURS|ALLOWED|IN_COURSE)|another student\W))",
    re.DOTALL,
)
ASKS = re.compile(
    r"^(await )?([\w.]+\([^()]*\)\.|[\w.]+\.)?"
    r"(require\w*|taught|led|own|get|by_code|by_key|may_\w+|check_(scope|course))\("
)

# Mutants that the matrix does not see, and why that is as it should be.
EXCUSED = {
    "check cortez.accounts.auth_handlers:register: if not settings.registration_open": (
        "an operator's setting, not a question of who asks (test_accounts.py)"
    ),
    "check cortez.accounts.course_handlers:create_course: "
    "if settings.course_creation == 'admins' and (not courses.principal.is_admin)": (
        "an operator's setting (test_enrolment.py)"
    ),
    "check cortez.accounts.auth_handlers:change_password: if user.hashed_password != before": (
        "two changes at once: between the two reads no probe can come"
    ),
    "check cortez.content.file_handlers:upload_to_note: await unidades.get(note.unidad_id, lock=True)": (
        "a lock: a note whose unit is deleted is deleted with it, and so not found before"
    ),
    "check cortez.content.note_handlers:held: await unidades.get(note.unidad_id, lock=True)": (
        "a lock, and the refusal to restore a note into a deleted unit (test_content.py)"
    ),
    "check cortez.content.file_handlers:download_file: if not path.exists()": "a file that the disk has lost",
    "check cortez.pages.handlers:docs_asset: if asset not in ASSETS": "a public page's own files (test_openapi.py)",
    "check cortez.core.web.idempotency:take: "
    "if stored.rights and set(stored.rights).difference(await claimed.rights(session) or ())": (
        "rights that end between an answer and its replay (test_access.py)"
    ),
    "check cortez.exports.research:by_activity: await require(research, wanted)": "the command line's, for an operator",
}


class Mutant(msgspec.Struct, frozen=True):
    """`place` is where the probes that matter come past: a filter's code, a guard's call, a check's file and line."""

    kind: str
    name: str
    place: Any
    applied: Callable[..., Any]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def modules() -> list[ModuleType]:
    names = (found.name for found in pkgutil.walk_packages(cortez.__path__, "cortez."))
    return [importlib.import_module(name) for name in names if not name.startswith(APART)]


def filters() -> Iterator[Mutant]:
    """Functions and methods that say what somebody may see, as a condition, a statement or a yes."""
    for module in modules():
        for name, found in vars(module).items():
            if isinstance(found, FunctionType) and found.__module__ == module.__name__ and is_filter(found):
                yield Mutant("filter", f"{module.__name__}.{name}", found.__code__, partial(everywhere, found))
            if isinstance(found, type) and issubclass(found, Repository) and found.__module__ == module.__name__:
                yield from (
                    Mutant(
                        "filter",
                        f"{module.__name__}.{name}.{way}",
                        method.__code__,
                        partial(there, found, method),
                    )
                    for way, method in vars(found).items()
                    if isinstance(method, FunctionType) and is_filter(method) and not is_plain(method)
                )


def is_filter(function: FunctionType) -> bool:
    given = inspect.signature(function)
    result, names = given.return_annotation, list(given.parameters)
    if (
        not names
        or names[0] not in ABOUT
        or not set(names) <= {*ABOUT, "column"}
        or inspect.iscoroutinefunction(function)
    ):
        return False
    condition = result is bool or get_origin(result) in (ColumnElement, Select)
    return condition or (result is Any and names == ["principal"])


def is_plain(method: FunctionType) -> bool:
    """Abstract, or lets everything through by itself."""
    source = inspect.getsource(method).strip()
    return getattr(method, "__isabstractmethod__", False) or (
        source.count("return") == 1 and source.endswith("return true()")
    )


def everything(function: FunctionType) -> Callable[..., Any]:
    def opened(*given: Any, **named: Any) -> Any:
        made = function(*given, **named)
        return True if isinstance(made, bool) else without_where(made)

    return opened


def without_where(made: Any) -> Any:
    if isinstance(made, CompoundSelect):
        return union(*map(without_where, made.selects))
    if isinstance(made, Select):
        bare = made._generate()
        bare._where_criteria = ()
        return bare
    return true()


@contextmanager
def everywhere(function: FunctionType, instead: Any = everything) -> Iterator[None]:
    """In every module that has the function under a name."""
    opened = instead(function)
    holders = [(vars(one), name) for one in modules() for name, value in vars(one).items() if value is function]
    for names, name in holders:
        names[name] = opened
    try:
        yield
    finally:
        for names, name in holders:
            names[name] = function


@contextmanager
def there(owner: type, method: FunctionType, instead: Any = everything) -> Iterator[None]:
    setattr(owner, method.__name__, instead(method))
    try:
        yield
    finally:
        setattr(owner, method.__name__, method)


def guards(matrix: Matrix) -> Iterator[Mutant]:
    for (verb, path), handler in matrix.handlers.items():
        if options_of(handler).guards:
            yield Mutant("guard", f"{verb} {path}", (verb, path), partial(unguarded, handler))


@contextmanager
def unguarded(handler: Any) -> Iterator[None]:
    held = handler.opt[KEY]
    handler.opt[KEY] = structs.replace(held, guards=())
    try:
        yield
    finally:
        handler.opt[KEY] = held


def checks() -> Iterator[Mutant]:
    """Every statement that only refuses, replaced by nothing in the code of its function."""
    held = modules()
    living = functions()
    for module in held:
        path = str(module.__file__)
        source = Path(path).read_text("utf-8")
        for line, text in refusals(ast.parse(source)):
            without = code_in(compile(removed(ast.parse(source), line), path, "exec"))
            for key, function in living.items():
                code, new = function.__code__, without.get(key)
                if code.co_filename == path and new and line in lines_of(code) and innermost(key, line, living, path):
                    name = f"{module.__name__}:{code.co_qualname}: {text}"
                    yield Mutant("check", name, (path, line), partial(recoded, function, new))


def functions() -> dict[tuple[str, str, int], FunctionType]:
    found = (one for one in gc.get_objects() if isinstance(one, FunctionType))
    return {key_of(one.__code__): one for one in found if one.__code__.co_filename.startswith(str(SOURCE))}


def key_of(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def code_in(code: CodeType) -> dict[tuple[str, str, int], CodeType]:
    found = {key_of(code): code}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= code_in(constant)
    return found


def lines_of(code: CodeType) -> set[int]:
    return {line for _, _, line in code.co_lines() if line}


def innermost(key: tuple[str, str, int], line: int, living: dict[Any, FunctionType], path: str) -> bool:
    """Whether no other function that holds the line begins after this one."""
    others = (one.__code__ for one in living.values() if one.__code__.co_filename == path)
    return all(other.co_firstlineno <= key[2] for other in others if line in lines_of(other))


def refusals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and is_check(node):
            yield node.lineno, f"if {ast.unparse(node.test)}" if isinstance(node, ast.If) else ast.unparse(node)


def is_check(node: ast.stmt) -> bool:
    """Whether it does nothing but refuse."""
    if isinstance(node, ast.If):
        return len(node.body) == 1 and not node.orelse and bool(REFUSES.match(ast.unparse(node.body[0])))
    return isinstance(node, ast.Expr) and bool(ASKS.match(ast.unparse(node)))


def changed(tree: ast.Module, change: Callable[[ast.stmt], Any]) -> ast.Module:
    """With what `change` makes of each check in its place."""

    class Changer(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> Any:
            self.generic_visit(node)
            return change(node) if is_check(node) else node

        def visit_Expr(self, node: ast.Expr) -> Any:
            return change(node) if is_check(node) else node

    Changer().visit(tree)
    return ast.fix_missing_locations(tree)


def removed(tree: ast.Module, line: int) -> ast.Module:
    return changed(tree, lambda node: ast.copy_location(ast.Pass(), node) if node.lineno == line else node)


def marked(tree: ast.Module) -> ast.Module:
    """Each check says first that somebody has come to it."""

    def mark(node: ast.stmt) -> list[ast.stmt]:
        says = ast.parse(f"{MARK}({node.lineno})").body[0]
        return [ast.copy_location(says, node), node]

    return changed(tree, mark)


@contextmanager
def rebuilt() -> Iterator[None]:
    """No statement from before the change is used in it, and none of it afterwards."""
    STATEMENTS.clear()
    try:
        yield
    finally:
        STATEMENTS.clear()


@contextmanager
def recoded(function: FunctionType, code: CodeType) -> Iterator[None]:
    before = function.__code__
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = before


@contextmanager
def silence() -> Iterator[None]:
    """Nothing is logged: mutants fail in all ways."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class Trail:
    """What each probe comes past: filters say so themselves, and so do checks, while the trail is laid."""

    def __init__(self, mutants: list[Mutant]) -> None:
        self.filters = [mutant for mutant in mutants if mutant.kind == "filter"]
        self.files = {mutant.place[0] for mutant in mutants if mutant.kind == "check"}
        self.reached: dict[Any, list[Probe]] = {}
        self.passed: set[Any] = set()

    @contextmanager
    def laid(self) -> Iterator[None]:
        with ExitStack() as stack:
            for mutant in self.filters:
                stack.enter_context(mutant.applied(instead=self.noting))
            for module in modules():
                if module.__file__ in self.files:
                    stack.enter_context(self.watched(module))
            yield

    def noting(self, function: FunctionType) -> Callable[..., Any]:
        def noted(*given: Any, **named: Any) -> Any:
            self.passed.add(function.__code__)
            return function(*given, **named)

        return noted

    @contextmanager
    def watched(self, module: ModuleType) -> Iterator[None]:
        """All checks of a module."""
        path = str(module.__file__)
        codes = code_in(compile(marked(ast.parse(Path(path).read_text("utf-8"))), path, "exec"))
        with ExitStack() as stack:
            for key, function in functions().items():
                if key in codes:
                    stack.enter_context(recoded(function, codes[key]))
            vars(module)[MARK] = lambda line: self.passed.add((path, line))
            yield
        del vars(module)[MARK]

    async def ask(self, probe: Probe) -> str:
        self.passed = set()
        STATEMENTS.clear()  # what was built before does not come past its filter again
        try:
            return await probe.ask()
        finally:
            for place in self.passed:
                self.reached.setdefault(place, []).append(probe)


async def seen(mutant: Mutant, probes: Iterable[Probe]) -> Probe | None:
    """The first of these that gets another answer than it should without what the mutant takes away."""
    with mutant.applied(), rebuilt():
        for probe in sorted(probes, key=lambda one: not one.refused):
            if await probe.ask():
                return probe
    return None


class Hunt:
    """A run of the probes, then of the mutants, of which checks take time to find; call it inside of `undone`."""

    def __init__(self, matrix: Matrix, kinds: Collection[str] = KINDS) -> None:
        self.matrix = matrix
        self.mutants = [*filters(), *guards(matrix), *(checks() if "check" in kinds else ())]
        self.trail = Trail(self.mutants)
        self.by_call: dict[tuple[str, str], list[Probe]] = {}
        self.wrong: dict[int, str] = {}
        self.asked = 0

    async def matrix_holds(self) -> list[str]:
        with self.trail.laid():
            for probe in self.matrix.probes():
                self.asked += 1
                self.by_call.setdefault(probe.call, []).append(probe)
                if trouble := await self.trail.ask(probe):
                    self.wrong[id(probe)] = f"{probe.who}: {probe.name}: {trouble}"
        return [*self.wrong.values()]

    def past(self, mutant: Mutant) -> list[Probe]:
        """The probes that came past it."""
        return (self.by_call if mutant.kind == "guard" else self.trail.reached).get(mutant.place, [])

    async def sees(self, mutant: Mutant) -> bool:
        """Whether some probe that came past it, and was right before, now gets another answer."""
        return bool(await seen(mutant, [one for one in self.past(mutant) if id(one) not in self.wrong]))

    def unasked(self) -> list[Mutant]:
        """Those that no probe comes past."""
        return [one for one in self.mutants if not self.past(one)]

    async def survivors(self, kinds: Collection[str] = KINDS, every: int = 1) -> tuple[list[Mutant], int]:
        """Those that nothing sees, and how many were tried: of the guards each `every`-th."""
        found = [one for one in self.mutants if one.kind in kinds and self.past(one)]
        sampled = [one for one in found if one.kind != "guard"]
        sampled += [one for one in found if one.kind == "guard"][::every]
        with silence():
            return [one for one in sampled if not await self.sees(one)], len(sampled)

"""Statements that are built once and run many times: building one costs more than a small one takes to run."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from sqlalchemy import Select

from cortez.security import Principal

MOST = 300  # some 10 KB each

STATEMENTS: dict[Any, Select[Any]] = {}


class Seen(Protocol):
    """What builds statements for somebody: a repository."""

    principal: Principal


def once(build: Callable[..., Select[Any]]) -> Callable[..., Select[Any]]:
    """Keep what a repository's method builds, for its principal (whose filter is in it) and its arguments.

    What differs from call to call is a `bindparam` without a value, so that it cannot be forgotten.
    """

    @wraps(build)
    def built(repository: Seen, *arguments: Any) -> Select[Any]:
        key = (build, type(repository), repository.principal, arguments)
        found = STATEMENTS.get(key)
        if found is None:
            if len(STATEMENTS) >= MOST:
                STATEMENTS.clear()
            found = STATEMENTS[key] = build(repository, *arguments)
        return found

    return built

"""Statements that are built once and run many times: building one costs more than a small one takes to run."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

import msgspec
from sqlalchemy import Select, String, Uuid, bindparam
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.security import Principal

MOST = 300  # some 10 KB each

STATEMENTS: dict[Any, Select[Any]] = {}
# Stand for what is a principal's own in a statement that is kept for all of their kind.
OWN: dict[str, Any] = {
    "id": bindparam("asking_id", type_=Uuid()),
    "student_id": bindparam("asking_student_id", type_=String()),
    "course_ids": bindparam("asking_course_ids", type_=String(), expanding=True),
}


class Seen(Protocol):
    """What builds statements for somebody: a repository."""

    principal: Principal

    def __init__(self, session: AsyncSession, principal: Principal) -> None: ...


def asking(principal: Principal) -> dict[str, Any]:
    """The parameters of a kept statement that say who asks."""
    courses = None if principal.course_ids is None else [*principal.course_ids]
    return {"asking_id": principal.id, "asking_student_id": principal.student_id, "asking_course_ids": courses}


def once(build: Callable[..., Select[Any]]) -> Callable[..., Select[Any]]:
    """Keep what a repository's method builds, for its principal's kind (whose filter is in it) and its arguments.

    `Repository.run` runs it. What differs from call to call is a `bindparam` without a value, so
    that none can be forgotten.
    """

    @wraps(build)
    def built(repository: Seen, *arguments: Any) -> Select[Any]:
        who = repository.principal
        has = tuple(getattr(who, name) is not None for name in OWN)
        key = (build, type(repository), who.kind, who.roles, who.scopes, has, arguments)
        found = STATEMENTS.get(key)
        if found is None:
            if len(STATEMENTS) >= MOST:
                STATEMENTS.clear()
            found = STATEMENTS[key] = build(for_all_like(repository), *arguments)
        return found

    return built


def for_all_like(repository: Any) -> Any:
    """The repository of somebody of whom only the kind is known."""
    who: Principal = repository.principal
    own = {name: value for name, value in OWN.items() if getattr(who, name) is not None}
    return type(repository)(repository.session, msgspec.structs.replace(who, family_id=None, **own))

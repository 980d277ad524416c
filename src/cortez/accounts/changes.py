"""Which students a unit of work has changed, for what is kept about them elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

CHANGED = "changed_students"

# By student what was added to the figures, nothing where only the account changed, or None: work all of them out.
Changed = Mapping[str, Sequence[Any] | None]


def student_changed(session: AsyncSession, *student_ids: str | None, by: Sequence[Any] | None = None) -> None:
    """Let what is kept about these students follow, once, before this unit of work commits.

    `by` is what was added to their figures, as `profiles.updates` knows it: that costs the same however much they have
    done. Nothing in it means that only the account has changed. Without it all their figures are worked out.
    """
    changed: dict[str, list[Any] | None] = session.info.setdefault(CHANGED, {})
    for student_id in student_ids:
        if student_id:
            before = changed.get(student_id, [])
            changed[student_id] = None if by is None or before is None else [*before, *by]


def take_changed(session: AsyncSession) -> Changed:
    """The students that have changed since the last call."""
    changed: Changed = session.info.pop(CHANGED, {})
    return changed

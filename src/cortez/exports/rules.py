"""How a dataset is made anonymous: whole groups or nothing, and pseudonyms that lead from no group to another.

A group holds the sessions that agree in every quasi-identifier. One with fewer than k different students is left out
whole, so every value or combination of values in the dataset is shared by k students. Who counts as one of them must
have worked, be a member of the group's course where that can be known, and not be forgotten: else somebody could start
a few empty sessions of outsiders beside one student, and have that one's rows. The pseudonym is keyed by study
and group: were it one for all of a study, somebody who knows two groups that a student belongs to could look for the
pseudonyms in both, and often find a single one. As it is, all that leads from row to row stays within a group.

A group does not depend on the filters, only on what is stored: two datasets of the same day, filtered differently, hold
it with the same rows or not at all, so that comparing them tells nothing new.
"""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from cortez.exports.schemas import Counts

WEEK = timedelta(weeks=1)


class Group(Struct, frozen=True):
    """The quasi-identifiers: what somebody may know of a student's session from elsewhere."""

    course_id: str | None
    commission: str | None
    activity_id: str
    week: str
    competency_level: str | None


class Selection(Struct, frozen=True):
    """A session as it is chosen for research, before anything about it is hidden.

    `counts`: by it the student is one of the k of the group.
    """

    id: UUID
    student_id: str
    group: Group
    figures: dict[str, Any]
    counts: bool = True


def separate(selections: Iterable[Selection], k: int) -> tuple[list[Selection], list[Selection]]:
    """Those in groups of at least k students who count, and the rest."""
    groups: dict[Group, list[Selection]] = defaultdict(list)
    for selection in selections:
        groups[selection.group].append(selection)
    released: list[Selection] = []
    suppressed: list[Selection] = []
    for members in groups.values():
        students = {selection.student_id for selection in members if selection.counts}
        (released if len(students) >= k else suppressed).extend(members)
    return released, suppressed


class Tally:
    """What was released and what was left out."""

    def __init__(self) -> None:
        self.released = Amount()
        self.suppressed = Amount()

    def add(self, released: Sequence[Selection], suppressed: Sequence[Selection]) -> None:
        self.released.add(released)
        self.suppressed.add(suppressed)

    def counts(self) -> tuple[Counts, Counts]:
        """A student of whom some row is released is not counted as suppressed."""
        hidden = self.suppressed.students - self.released.students
        left_out = Counts(self.suppressed.groups, len(hidden), self.suppressed.rows)
        return Counts(self.released.groups, len(self.released.students), self.released.rows), left_out


class Amount:
    def __init__(self) -> None:
        self.groups = 0
        self.students: set[str] = set()
        self.rows = 0

    def add(self, selections: Sequence[Selection]) -> None:
        """Of groups of which nothing was added before."""
        self.groups += len({selection.group for selection in selections})
        self.students |= {selection.student_id for selection in selections}
        self.rows += len(selections)


class Pseudonyms:
    """Of one study: without the service's secret nobody can make them, or tell whom they mean."""

    def __init__(self, secret: str, study: str) -> None:
        self.key = hashlib.sha256(b"research:" + secret.encode()).digest()
        self.study = study

    def of(self, selection: Selection) -> str:
        return self._mac(selection.group, selection.student_id)

    def place(self, selection: Selection) -> str:
        """To order the rows of a pseudonym by: ids would tell in which order the sessions began."""
        return self._mac(selection.group, str(selection.id))

    def ordered(self, selections: Iterable[Selection]) -> list[Selection]:
        """By group, pseudonym, and nothing else that can be known."""
        return sorted(selections, key=lambda one: (*names(one.group), self.of(one), self.place(one)))

    def _mac(self, group: Group, name: str) -> str:
        said = msgspec.json.encode([self.study, *names(group), name])
        return hmac.digest(self.key, said, "sha256")[:16].hex()


def names(group: Group) -> list[str]:
    return [getattr(group, name) or "" for name in Group.__struct_fields__]


def monday_of(moment: datetime) -> datetime:
    """The beginning of its ISO week."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def end_of_week(moment: datetime) -> datetime:
    """The first instant after the ISO week in which `moment` is reached."""
    return monday_of(moment - timedelta(microseconds=1)) + WEEK

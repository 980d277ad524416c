"""A lot of rows on its way: what they refer to, what may be there only once, and storing them."""

from collections.abc import Sequence
from itertools import chain
from typing import Protocol
from uuid import UUID

from sqlalchemy import Table, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from cortez.adoption.keys import as_uuid, new_id, old_key
from cortez.adoption.models import Quarantined
from cortez.adoption.rows import Fitter, Making, referred
from cortez.adoption.rules import Unique
from cortez.adoption.source import Row, Source
from cortez.adoption.values import Fit, Old, plain
from cortez.core.db.types import AnyColumn
from cortez.core.security.identifiers import key_of
from cortez.sessions.models import LearningSession

LATER = "parent_trace_id: the parent comes later, set at the end"
SESSIONS = LearningSession.__table__
PARTS = 500  # values in one condition


class Referred(Protocol):
    """What is read of a row that others refer to."""

    id: UUID


class Lot:
    """Rows of one table, from what they were to what is stored of them."""

    def __init__(self, session: AsyncSession, source: Source, fitter: Fitter, rows: list[Making]) -> None:
        self.session = session
        self.source = source
        self.fitter = fitter
        self.table: Table = fitter.table
        self.rows = rows

    @property
    def alive(self) -> list[Making]:
        return [row for row in self.rows if not row.refusal]

    async def store(self) -> None:
        await self.follow_sessions()
        references = [column.name for column in self.table.columns if referred(column)]
        for name in references:
            if referred(self.table.c[name]) != self.table.name:
                await self.follow(name)
        await self.follow_lists()
        for row in self.alive:
            self.fitter.complete(row)
        for unique in (Unique(("id",)), *self.fitter.rule.unique):
            await self.part(unique)
        for name in references:
            if referred(self.table.c[name]) == self.table.name:
                await self.follow_own(name)
        if made := [row.values for row in self.alive]:
            await self.session.execute(insert(self.table), made)
        await self.keep()
        await self.fitter.register.store(self.session)

    async def follow_sessions(self) -> None:
        """The student and the activity of a session are those of all that hangs on it: access goes by them."""
        copies = {"student_id", "activity_id"} & set(self.table.columns.keys())
        if "session_id" not in self.table.columns or not copies:
            return
        columns = (SESSIONS.c.id, SESSIONS.c.student_id, SESSIONS.c.activity_id)
        found = {one.id: one for one in await self.look(SESSIONS.c.id, "session_id", columns)}
        for row in self.rows:
            if session := found.get(row.values["session_id"]):
                for name in copies:
                    copy(row, name, getattr(session, name))

    async def follow(self, name: str) -> None:
        """An id that no row has: the row without it where that can be, else the whole row in the quarantine."""
        column = self.table.c[name]
        target: Table = next(iter(column.foreign_keys)).column.table
        there = {one.id for one in await self.look(target.c.id, name, (target.c.id,))}
        reason = f"no row of {target.name} has this id"
        for row in self.alive:
            if row.values[name] is None or row.values[name] in there:
                continue
            if column.nullable:
                row.lose(name, reason, None, row.old.get(name))
            else:
                row.refuse(f"{name}: {reason}")

    async def follow_own(self, name: str) -> None:
        """Of ids of the same table: one that comes later is set at the end, when it is there."""
        there = {one.id for one in await self.look(self.table.c.id, name, (self.table.c.id,))}
        waiting = []
        for row in self.alive:
            if row.values[name] is not None and row.values[name] not in there:
                waiting.append(row)
            there.add(row.values["id"])
        coming = await self.coming(waiting, name)
        for row in waiting:
            if row.values[name] in coming:
                row.values[name] = None
                row.changes.append(LATER)
            else:
                row.lose(name, f"no row of {self.table.name} has this id", None, row.old.get(name))

    async def coming(self, rows: list[Making], name: str) -> set[UUID]:
        """Which of the rows that are referred to the predecessor has."""
        keys = list({str(row.old[name]) for row in rows})
        found = [await self.source.there(self.table.name, keys[at : at + PARTS]) for at in range(0, len(keys), PARTS)]
        return {new_id(self.table.name, key) for key in chain.from_iterable(found)}

    async def look(self, key: AnyColumn, name: str, columns: tuple[AnyColumn, ...]) -> Sequence[Referred]:
        """Columns of the rows that a column of the lot refers to."""
        wanted = list({row.values[name] for row in self.alive if row.values[name] is not None})
        parts = [wanted[at : at + PARTS] for at in range(0, len(wanted), PARTS)]
        return [one for part in parts for one in await self.session.execute(select(*columns).where(key.in_(part)))]

    async def follow_lists(self) -> None:
        """Ids in lists become the ids of now; one that led nowhere is taken out, a text that is none stays."""
        rule = self.fitter.rule
        for name, tables in (*rule.ids.items(), *rule.mentions.items()):
            texts = {item for row in self.alive for item in row.values[name] or [] if isinstance(item, str)}
            odd = {item for item in texts if as_uuid(item) is None}
            places = tuple(f"{table}.id" for table in tables)
            known = await self.fitter.register.look_up(self.session, places, odd)
            if name in rule.mentions:
                known = {old_key(item): item for item in odd} | known
            for row in self.alive:
                renew(row, name, known)

    async def part(self, unique: Unique) -> None:
        """Rows that agree where no two may, with each other or with what is stored: the later one gives way."""
        rows = [row for row in self.alive if applies(unique, row.values)]
        places = Places(unique)
        first = self.table.c[unique.columns[0]]
        firsts = list({row.values[first.name] for row in rows})
        columns = [self.table.c[name] for name in (*unique.columns, *unique.reads)]
        for at in range(0, len(firsts), PARTS):
            found = await self.session.execute(select(*columns).where(first.in_(firsts[at : at + PARTS])))
            for one in found.mappings():
                if applies(unique, dict(one)):
                    places.take(dict(one))
        for row in rows:
            if places.is_taken(row.values):
                places.give_way(row)
            if not row.refusal and applies(unique, row.values):
                places.take(row.values)

    async def keep(self) -> None:
        entries = [
            {
                "id": uuid7(),
                "table_name": self.table.name,
                "column_name": loss.column,
                "old_id": old_key(row.old_id),
                "new_id": None if row.refusal else str(row.values["id"]),
                "reason": loss.reason,
                "original": plain(loss.original if isinstance(loss.original, dict) else {"value": loss.original}),
                "student_id": row.owner(),
            }
            for row in self.rows
            for loss in row.kept()
        ]
        if entries:
            await self.session.execute(insert(Quarantined), entries)


def copy(row: Making, name: str, value: str) -> None:
    if row.values[name] not in (None, value):
        row.lose(name, "not that of its session", value, row.old.get(name))
    elif row.values[name] is None:
        row.put(name, Fit(value, "taken from its session"))


def renew(row: Making, name: str, known: dict[str, str]) -> None:
    given = row.values[name]
    if not isinstance(given, list):
        return
    made = [renewed(item, known) for item in given]
    if made == given:
        return
    kept: list[Old] = [item for item in made if item is not None]
    row.put(name, Fit(kept, "ids as they are now", is_loss=len(kept) < len(given)))


def renewed(item: Old, known: dict[str, str]) -> Old:
    """None where the id led nowhere."""
    if not isinstance(item, str):
        return item
    id_ = as_uuid(item)
    return str(id_) if id_ else known.get(old_key(item))


def applies(unique: Unique, values: Row) -> bool:
    return all(values[name] is not None for name in unique.columns) and unique.living(values)


class Places:
    """What is taken of what may be there only once."""

    def __init__(self, unique: Unique) -> None:
        self.unique = unique
        self.taken: set[tuple[Old, ...]] = set()
        self.highest: dict[tuple[Old, ...], int] = {}

    def key(self, values: Row) -> tuple[Old, ...]:
        return tuple(values[name] for name in self.unique.columns)

    def is_taken(self, values: Row) -> bool:
        return self.key(values) in self.taken

    def take(self, values: Row) -> None:
        *group, last = self.key(values)
        self.taken.add((*group, last))
        if self.unique.remedy == "next":
            number: int = values[self.unique.columns[-1]]
            self.highest[tuple(group)] = max(number, self.highest.get(tuple(group), number))

    def give_way(self, row: Making) -> None:
        *group, last = self.key(row.values)
        name, reason = self.unique.columns[-1], f"another row has this {' and '.join(self.unique.columns)}"
        match self.unique.remedy:
            case "next":
                row.lose(name, reason, self.highest[tuple(group)] + 1, last)
            case "suffix":
                row.lose(name, reason, f"{row.values[name]}.{str(row.values['id'])[:8]}", last)
                if (key := f"{name}_key") in row.values:
                    row.values[key] = key_of(row.values[name])
            case "empty":
                row.lose(name, reason, None, last)
            case "close":
                row.lose("status", reason, "resolved", row.values["status"])
                row.values["resolved_at"] = row.values["resolved_at"] or row.values["updated_at"]
            case "refuse":
                row.refuse(reason)

"""Adoption: every row of a predecessor's database, table by table and lot by lot, into a new one."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct, field
from sqlalchemy import exists, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.models import Course, User
from cortez.activities.models import Activity, ActivityStatus
from cortez.adoption import legacy
from cortez.adoption.keys import Register, new_id, new_key, old_key
from cortez.adoption.lots import LATER, Lot
from cortez.adoption.models import AdoptionStep, Quarantined
from cortez.adoption.rows import Fitter, Making
from cortez.adoption.rules import RULES, Row
from cortez.adoption.source import Position, Source, Unusable
from cortez.adoption.uploads import take_file
from cortez.adoption.values import plain
from cortez.clock import utc_now
from cortez.content.models import Subject
from cortez.content.storage import Storage
from cortez.core.db.base import Base
from cortez.core.db.engine import Database
from cortez.traces.models import CognitiveTrace

NOT_ALONE = "If another cortez adopt stores into this database, let it end; then run this again."
LOT = 500  # rows of one unit of work
SUBMISSIONS, KNOWLEDGE = "user_exercise_submissions", "knowledge_documents"
PARENTS, ALL = "cognitive_traces.parent_trace_id", "*"
BY_TABLE = {rule.model.__tablename__: rule for rule in RULES}
# The least that a predecessor has, and what only this service has.
NEEDED, OURS = {"users", "sessions", "cognitive_traces"}, {"audit_log", "adoption_steps", "alembic_version"}

Lots = list[tuple[Position, Row]]
Report = Callable[[str, int, int], None]  # what is being read, rows done, of how many


class Tally(Struct):
    """What became of a lot."""

    written: int = 0
    quarantined: int = 0
    changes: Counter[str] = field(default_factory=Counter)

    def add(self, rows: list[Making]) -> None:
        for row in rows:
            self.written += not row.refusal
            self.quarantined += bool(row.refusal)
            self.changes.update([row.refusal] if row.refusal else row.changes)


class Adoption:
    """One source into one database. What is done is stored with the rows, so that it can go on after being killed."""

    def __init__(self, database: Database, source: Source, files: Path | None, report: Report) -> None:
        self.database = database
        self.source = source
        self.files = files
        self.storage = Storage(database.settings.files)
        self.report = report
        self.was_done = False
        self.register = Register()
        self.fitters = {name: Fitter(rule, self.register) for name, rule in BY_TABLE.items()}

    async def run(self) -> list[AdoptionStep]:
        """What became of every table; nothing is done a second time.

        Raises Unusable where the databases do not fit together.
        """
        check_source(self.source)
        await self.check_target()
        if await self.is_done(ALL):
            self.was_done = True
            return await self.steps()
        self.check_files()
        for name in BY_TABLE:
            await self.table(
                name, self.exercises if name == "exercises" else lambda *lot, own=name: self.rows(own, *lot)
            )
            await self.make_named(name)
            if name == CognitiveTrace.__tablename__:
                await self.parents()
        await self.table(SUBMISSIONS, self.submissions)
        await self.table(KNOWLEDGE, self.knowledge)
        await self.finish(await self.step(ALL))
        return await self.steps()

    async def steps(self) -> list[AdoptionStep]:
        async with self.database.reading() as session:
            return list(await session.scalars(select(AdoptionStep).order_by(AdoptionStep.id)))

    async def is_done(self, name: str) -> bool:
        return any(step.table_name == name and step.finished_at for step in await self.steps())

    async def check_target(self) -> None:
        """Empty but for accounts, or holding what was adopted from this very source."""
        steps = await self.steps()
        if other := [step.source for step in steps if step.source != self.source.name]:
            raise Unusable(
                f"The database holds what was adopted from {other[0]}. Adopt another one into a new database."
            )
        if steps:
            return
        async with self.database.reading() as session:
            for rule in RULES:
                if rule.model is not User and await session.scalar(select(exists().where(rule.model.id.is_not(None)))):
                    held = rule.model.__tablename__
                    raise Unusable(f"The database holds {held} already. Set DATABASE_URL to a new one.")

    def check_files(self) -> None:
        found = self.source.tables.get("archivos_adjuntos")
        if found and found.rows and self.files is None:
            raise Unusable(
                f"There are {found.rows:,} uploaded files. Give --files, the folder that their ruta_relativa starts "
                "from; rows whose file is not there go to the quarantine."
            )

    async def step(self, name: str) -> AdoptionStep:
        async with self.database.unit() as session:
            found = await session.scalar(select(AdoptionStep).where(AdoptionStep.table_name == name))
            if found is None:
                found = AdoptionStep(source=self.source.name, table_name=name)
                session.add(found)
        return found

    async def finish(self, step: AdoptionStep) -> None:
        step.finished_at = utc_now()
        async with self.database.unit() as session:
            await save(session, step, step.rows_read)

    async def table(self, name: str, store: Callable[[AsyncSession, Lots], Awaitable[Tally]]) -> None:
        """All rows of a table, from where an earlier run was stopped; each lot is one unit of work."""
        if name not in self.source.tables:
            return
        step = await self.step(name)
        if step.finished_at:
            return
        of = self.source.tables[name].rows
        self.report(name, step.rows_read, of)
        async for lot in self.source.lots(name, Position(step.after_time, step.after_key), LOT):
            try:
                async with self.database.unit() as session:
                    before = step.rows_read
                    advance(step, lot, await store(session, lot))
                    await save(session, step, before)
            except IntegrityError as error:
                raise Unusable(f"Rows of {name} were refused: {error.orig}. {NOT_ALONE}") from error
            self.report(name, step.rows_read, of)
        await self.finish(step)

    async def rows(self, name: str, session: AsyncSession, lot: Lots) -> Tally:
        fitter = self.fitters[name]
        rows = [fitter.begin(position.key, row) for position, row in lot]
        if name == "archivos_adjuntos":
            for row in rows:
                await asyncio.to_thread(take_file, row, self.files, self.storage)
        return await self.stored(session, fitter, rows)

    async def stored(self, session: AsyncSession, fitter: Fitter, rows: list[Making]) -> Tally:
        await Lot(session, self.source, fitter, rows).store()
        tally = Tally()
        tally.add(rows)
        return tally

    async def exercises(self, session: AsyncSession, lot: Lots) -> Tally:
        """Those of the first mapping bring their hints and tests along."""
        if any("difficulty_level" in row for _, row in lot):
            await self.make_subject(session)
        tally = await self.rows("exercises", session, [(position, legacy.exercise(row)) for position, row in lot])
        for table, parts in (("exercise_hints", legacy.hints), ("exercise_tests", legacy.tests)):
            made = [(Position(key=str(part["id"])), part) for _, row in lot for part in parts(row)]
            if made:
                added = await self.rows(table, session, made)
                tally.changes[f"{table}: made of what the exercise listed"] += added.written
                tally.changes += added.changes
        return tally

    async def make_subject(self, session: AsyncSession) -> None:
        if not await session.scalar(select(exists().where(Subject.code == legacy.SUBJECT))):
            session.add(Subject(code=legacy.SUBJECT, name="Adopted exercises", language="python"))
            await session.flush()

    async def submissions(self, session: AsyncSession, lot: Lots) -> Tally:
        """As attempts; a submission knows the account, an attempt the student."""
        ids = {new_id("users", row["user_id"]): str(row["user_id"]) for _, row in lot if row.get("user_id")}
        found = await session.execute(select(User.id, User.student_id).where(User.id.in_(ids)))
        students = {ids[one.id]: one.student_id for one in found if one.student_id}
        return await self.rows(
            "exercise_attempts", session, [(position, legacy.attempt(row, students)) for position, row in lot]
        )

    async def knowledge(self, session: AsyncSession, lot: Lots) -> Tally:
        """Fragments for a tutor's retrieval: the service has no table for them, so they are kept whole."""
        reason = "Cortez keeps no fragments for retrieval"
        rows = [
            {"table_name": KNOWLEDGE, "old_id": old_key(position.key), "reason": reason, "original": plain(row)}
            for position, row in lot
        ]
        await session.execute(insert(Quarantined), rows)
        return Tally(quarantined=len(rows), changes=Counter({reason: len(rows)}))

    async def parents(self) -> None:
        """Traces whose parent was made after them get it now."""
        name = CognitiveTrace.__tablename__
        later = sum(step.changes.get(LATER, 0) for step in await self.steps() if step.table_name == name)
        if not later or await self.is_done(PARENTS):
            return
        step = await self.step(PARENTS)
        columns = ("id", "parent_trace_id")
        async for lot in self.source.lots(name, Position(step.after_time, step.after_key), LOT, only=columns):
            async with self.database.unit() as session:
                before = step.rows_read
                advance(step, lot, await give_parents(session, lot))
                await save(session, step, before)
            self.report(PARENTS, step.rows_read, self.source.tables[name].rows)
        await self.finish(step)

    async def make_named(self, table: str) -> None:
        """A row for every key that others name and that no row has; an activity is archived, a subject not shown."""
        for model, name, naming in NAMED.get(table, ()):
            values = {value for other, column in naming for value in await self.source.values(other, column)}
            keys = {new_key(value, getattr(model, name).type.length): value for value in values}
            async with self.database.unit() as session:
                there = set(await session.scalars(select(getattr(model, name))))
                missing = sorted(keys.keys() - there)
                if not missing:
                    continue
                for key in missing:
                    self.register.note(f"{model.__tablename__}.{name}", keys[key], key, None)
                await session.execute(insert(model), [placeholder(model, name, key, keys[key]) for key in missing])
                await self.register.store(session)
            step = await self.step(f"{model.__tablename__} ({name})")
            step.changes = {f"{name}: a row was made for a key that only others name": len(missing)}
            await self.finish(step)


IS_PARENT = Quarantined.column_name == "parent_trace_id"

# After which table what is made, and what names it.
NAMED: dict[str, tuple[tuple[type[Base], str, tuple[tuple[str, str], ...]], ...]] = {
    "subjects": ((Subject, "code", (("exercises", "subject_code"), ("unidades", "materia_code"))),),
    "activities": (
        (Activity, "activity_id", (("sessions", "activity_id"),)),
        (
            Course,
            "course_id",
            (("sessions", "course_id"), ("course_reports", "course_id"), ("risk_alerts", "course_id")),
        ),
    ),
}


def placeholder(model: type[Base], name: str, key: str, old: str) -> Row:
    title = str(plain(old))[:100]
    if model is Subject:
        return {name: key, "name": title, "language": "python", "is_active": False}
    if model is Course:
        return {name: key, "title": title}
    said = "Made at adoption: sessions name this activity, and the predecessor had no row of it."
    return {name: key, "title": title, "instructions": said, "status": ActivityStatus.ARCHIVED.value}


async def give_parents(session: AsyncSession, lot: Lots) -> Tally:
    """Where a trace had to be stored without its parent; a parent that went to the quarantine itself is kept there."""
    traces = CognitiveTrace.metadata.tables[CognitiveTrace.__tablename__]
    parents = {new_id(traces.name, row["id"]): row["parent_trace_id"] for _, row in lot}
    without = select(traces.c.id, traces.c.student_id).where(
        traces.c.id.in_(parents), traces.c.parent_trace_id.is_(None)
    )
    waiting = {one.id: one.student_id for one in await session.execute(without)}
    known = select(Quarantined.new_id).where(Quarantined.new_id.in_([str(id_) for id_ in waiting]), IS_PARENT)
    said = set(await session.scalars(known))
    wanted = {id_: new_id(traces.name, parents[id_]) for id_ in waiting if str(id_) not in said}
    there = set(await session.scalars(select(traces.c.id).where(traces.c.id.in_(set(wanted.values())))))
    lost = [
        {
            "table_name": traces.name,
            "column_name": "parent_trace_id",
            "old_id": old_key(parents[id_]),
            "new_id": str(id_),
            "reason": "its parent is in the quarantine",
            "original": {"value": plain(parents[id_])},
            "student_id": waiting[id_],
        }
        for id_, parent in wanted.items()
        if parent not in there
    ]
    if lost:
        await session.execute(insert(Quarantined), lost)
    found = {id_: parent for id_, parent in wanted.items() if parent in there}
    for id_, parent in found.items():
        await session.execute(update(traces).where(traces.c.id == id_).values(parent_trace_id=parent))
    return Tally(written=len(found))


def check_source(source: Source) -> None:
    if source.tables.keys() >= OURS:
        raise Unusable("That is a database of Cortez itself; adoption is for the predecessor's. Copy it with a backup.")
    if missing := sorted(NEEDED - source.tables.keys()):
        raise Unusable(f"That is no database of the predecessor: it has no table {', '.join(missing)}.")


def advance(step: AdoptionStep, lot: Lots, tally: Tally) -> None:
    last, _ = lot[-1]
    step.after_time, step.after_key = last.time, last.key
    step.rows_read += len(lot)
    step.rows_written += tally.written
    step.rows_quarantined += tally.quarantined
    step.changes = dict(Counter(step.changes) + tally.changes)


async def save(session: AsyncSession, step: AdoptionStep, before: int) -> None:
    """Raises Unusable where somebody else has stored rows of the table since `before` of them had been read."""
    columns = ("after_time", "after_key", "rows_read", "rows_written", "rows_quarantined", "changes", "finished_at")
    values = {name: getattr(step, name) for name in columns}
    mine = (AdoptionStep.id == step.id, AdoptionStep.rows_read == before)
    saved = await session.execute(update(AdoptionStep).where(*mine).values(values).returning(AdoptionStep.id))
    if saved.one_or_none() is None:
        raise Unusable(NOT_ALONE)

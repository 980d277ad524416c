"""What an adoption is going to do, and what it did, in lines."""

import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from typing import Self

from rich.progress import Progress, TaskID
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.models import Course, Role, User
from cortez.adoption.adopt import ALL, BY_TABLE, KNOWLEDGE, PARENTS, SUBMISSIONS
from cortez.adoption.models import AdoptionStep, Quarantined
from cortez.adoption.source import Source
from cortez.core.db.expressions import holds

SHOWN = 12  # columns named in one line
MANY = 50


def plan(source: Source) -> Iterator[str]:
    """What is there, what is missing, what is not taken over."""
    known = {*BY_TABLE, SUBMISSIONS, KNOWLEDGE}
    found = source.tables
    rows = sum(table.rows for name, table in found.items() if name in known)
    yield f"{source.name}: {len(found.keys() & known)} tables to adopt, {rows:,} rows."
    if absent := sorted(BY_TABLE.keys() - found.keys()):
        yield f"  Not there, so nothing comes of them: {', '.join(absent)}."
    for name, rule in BY_TABLE.items():
        if name in found:
            yield from differences(name, set(rule.model.__table__.columns.keys()), set(found[name].columns))
    for name, table in found.items():
        if name not in known:
            yield f"  Not a table of the predecessor, left where it is: {name} ({table.rows:,} rows)."


def differences(name: str, ours: set[str], theirs: set[str]) -> Iterator[str]:
    if unknown := sorted(theirs - ours - {"trace_count"}):
        yield f"  {name} has columns of its own, kept in the quarantine: {', '.join(unknown[:SHOWN])}."
    if "deleted_at" in ours - theirs:
        yield f"  {name} has no deleted_at: every row is taken to be alive."


def report(steps: Sequence[AdoptionStep]) -> Iterator[str]:
    """Rows in, rows out, and what was changed, how often, and why."""
    yield f"{'table':32}{'rows in':>12}{'rows out':>12}{'quarantined':>13}"
    shown = [step for step in steps if step.table_name not in (ALL, PARENTS)]
    for step in shown:
        if step.rows_read:
            yield (f"{step.table_name:32}{step.rows_read:>12,}{step.rows_written:>12,}{step.rows_quarantined:>13,}")
    read, written = sum(step.rows_read for step in shown), sum(step.rows_written for step in shown)
    kept = sum(step.rows_quarantined for step in shown)
    yield f"{'all':32}{read:>12,}{written:>12,}{kept:>13,}"
    for step in shown:
        for reason, count in sorted(step.changes.items()):
            yield f"  {step.table_name}: {count:,} x {reason}"


async def advice(session: AsyncSession) -> AsyncIterator[str]:
    """What a person should look at now."""
    admins = list(await session.scalars(select(User.email).where(holds(User.roles, Role.ADMIN.value)).limit(MANY)))
    if admins:
        yield f"The predecessor let anybody register as an admin. Look at these: {', '.join(sorted(admins))}."
    known = or_(User.hashed_password.startswith("$2"), User.hashed_password.startswith("$argon2"))
    if lost := await session.scalar(select(func.count()).where(~known).select_from(User)):
        yield f"{lost} accounts have no password that can be checked: POST /api/v1/users/{{id}}/password-reset."
    if courses := await session.scalar(select(func.count()).select_from(Course)):
        yield f"{courses} courses have no members yet: who teaches and learns in them was not recorded."
    if kept := await session.scalar(select(func.count()).select_from(Quarantined)):
        yield f"{kept} entries are in the quarantine: cortez export quarantine."
    yield "Run cortez profiles rebuild: figures of students are then worked out anew from what is stored."


class Told:
    """How far it is: a bar for each table on a terminal, elsewhere a line for every tenth of it."""

    def __init__(self) -> None:
        self.progress = Progress(disable=not sys.stdout.isatty())
        self.tasks: dict[str, TaskID] = {}
        self.tenths: dict[str, int] = {}

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def __call__(self, name: str, done: int, of: int) -> None:
        if self.progress.disable:
            self.say(name, done, of)
            return
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name)
        self.progress.update(self.tasks[name], completed=done, total=of)

    def say(self, name: str, done: int, of: int) -> None:
        tenth = done * 10 // of if of else 10
        if tenth > self.tenths.get(name, 0):
            self.tenths[name] = tenth
            print(f"{name}: {done:,} of {of:,}", flush=True)  # noqa: T201

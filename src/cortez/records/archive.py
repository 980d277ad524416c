"""All that is held of a student, as one archive: a JSON document for each table, code as files, and what is in it."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec
from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.database import Database
from cortez.db import utc_now, written
from cortez.exercises.models import ExerciseAttempt
from cortez.oversight.models import CourseReport
from cortez.records.audit_models import AuditEntry, SubjectKey
from cortez.records.personal import Person, about_students, is_about, mentioning, rows_of
from cortez.simulators.models import InterviewSession
from cortez.simulators.schemas import without_key_points
from cortez.traces.git_models import GitTrace

LOT = 500
HELD = 5_000_000  # bytes in memory; a larger archive is written to a file that has no name
PIECE = 64_000

README = """What this service holds about you, {student_id}, on {made_at}.

data/      one document for each table; every row as it is stored, except hashes of secrets
code/      the code of your attempts
patches/   the changes of your commits
manifest.json   how many rows of each table

data/access_log.json says who has read your data. data/audit_log.json says what was changed: values that are personal
appear there as digests only. Of an interview that is going on, the points that an answer should name are left out.
"""


async def archive(database: Database, person: Person) -> IO[bytes]:
    """The archive from its beginning. Rows are read some at a time."""
    target: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=HELD)  # noqa: SIM115 - whoever sends it closes it
    counts: dict[str, int] = {}
    made_at = written(utc_now())
    async with database.reading() as session:
        with ZipFile(target, "w", ZIP_DEFLATED) as file:
            file.writestr("README.txt", README.format(student_id=person.student_id, made_at=made_at))
            for name, rows in parts(session, person):
                counts[name] = await add(file, f"data/{name}.json", rows)
            await add_texts(file, session, person)
            manifest = {"student_id": person.student_id, "made_at": made_at, "rows": counts}
            file.writestr("manifest.json", msgspec.json.format(msgspec.json.encode(manifest)))
    target.seek(0)
    return target


def parts(session: AsyncSession, person: Person) -> list[tuple[str, AsyncIterator[dict[str, Any]]]]:
    found = [
        (model.__tablename__, documents(session, model, select(model).where(rows_of(model, person))))
        for model in about_students()
        if model is not SubjectKey  # a key is no datum, and would open the log
    ]
    aliases = select(SubjectKey.alias).where(SubjectKey.subject.in_(person.subjects))
    entries = select(AuditEntry).where(AuditEntry.subject.in_(aliases))
    found.append(("audit_log", documents(session, AuditEntry, entries)))
    found.append(("course_reports", mentions(session, person)))
    return sorted(found)


async def documents(session: AsyncSession, model: Any, statement: Select[Any]) -> AsyncGenerator[dict[str, Any]]:
    """Rows in the order they were stored."""
    async for row in stored_rows(session, model, statement):
        yield row.to_dict() | withheld(row)


def withheld(row: Any) -> dict[str, Any]:
    """What stands in place of the answers to an interview that is going on: they are shown once it is over."""
    going = isinstance(row, InterviewSession) and row.duration_minutes is None
    return {"questions_asked": without_key_points(row.questions_asked)} if going else {}


async def stored_rows(session: AsyncSession, model: Any, statement: Select[Any]) -> AsyncGenerator[Any]:
    place, ordered = tuple_(model.created_at, model.id), statement.order_by(model.created_at, model.id).limit(LOT)
    rows = list(await session.scalars(ordered))
    while rows:
        for row in rows:
            yield row
        last = rows[-1]
        session.expunge_all()
        rows = list(await session.scalars(ordered.where(place > tuple_(last.created_at, last.id))))


async def mentions(session: AsyncSession, person: Person) -> AsyncGenerator[dict[str, Any]]:
    """Of a report on a whole course, the lines about this student."""
    statement = select(CourseReport).where(mentioning(CourseReport, person))
    async for report in stored_rows(session, CourseReport, statement):
        lines = {
            name: [item for item in getattr(report, name) if is_about(item, person)]
            for name in CourseReport.privacy.mentions.split()
        }
        yield {"id": report.id, "course_id": report.course_id, "created_at": report.created_at, **lines}


async def add(file: ZipFile, name: str, rows: AsyncIterator[dict[str, Any]]) -> int:
    """A JSON list; how many rows it holds."""
    count = 0
    with file.open(name, "w") as entry:
        async for row in rows:
            entry.write(b",\n" if count else b"[\n")
            entry.write(msgspec.json.encode(row))
            count += 1
            if count % 50 == 0:
                await asyncio.sleep(0)  # others have their turn
        entry.write(b"\n]\n" if count else b"[]\n")
    return count


async def add_texts(file: ZipFile, session: AsyncSession, person: Person) -> None:
    attempts = select(ExerciseAttempt).where(rows_of(ExerciseAttempt, person))
    async for attempt in stored_rows(session, ExerciseAttempt, attempts):
        file.writestr(f"code/{attempt.exercise_id}/{attempt.attempt_number}.txt", attempt.submitted_code)
    commits = select(GitTrace).where(rows_of(GitTrace, person), GitTrace.diff != "")
    async for commit in stored_rows(session, GitTrace, commits):
        file.writestr(f"patches/{commit.session_id}/{commit.commit_hash}.patch", commit.diff)


async def sent(archived: IO[bytes]) -> AsyncGenerator[bytes]:
    """Piece by piece; gone when it is sent, or when the other side has gone."""
    with archived:
        while piece := await asyncio.to_thread(archived.read, PIECE):
            yield piece

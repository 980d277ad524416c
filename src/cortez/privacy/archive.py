"""All that is held of a student, as one archive: a JSON document for each table, code as files, and what is in it.

It is sent while it is made, so that the largest record can be handed out too: nothing of it lies on disk, no more than
a few rows in memory, it is compressed beside the event loop, and no connection is held while the other side is slow.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec
from sqlalchemy import Select, select

from cortez.audit.models import AuditEntry, SubjectKey
from cortez.clock import utc_now, written
from cortez.core.concurrency.worker_pools import be_nice
from cortez.core.db.base import Base
from cortez.core.db.engine import Database
from cortez.core.db.types import Document
from cortez.exercises.models import ExerciseAttempt
from cortez.exports.streams import listed, stored_rows
from cortez.git.models import GitTrace
from cortez.privacy.subjects import Person, about_students, is_about, mentioning, rows_of
from cortez.reports.models import CourseReport
from cortez.simulators.models import InterviewSession
from cortez.simulators.schemas import without_key_points

M = TypeVar("M", bound=Base)
COMPRESSING = ThreadPoolExecutor(1, "archives", initializer=be_nice)  # of all archives, a piece of each in turn

Rows = AsyncIterator[Document]

README = """What this service holds about you, {student_id}, on {made_at}.

data/      one document for each table; every row as it is stored, except hashes of secrets
code/      the code of your attempts
patches/   the changes of your commits
manifest.json   how many rows of each table

data/access_log.json says who has read your data. data/audit_log.json says what was changed: values that are personal
appear there as digests only. Of an interview that is going on, the points that an answer should name are left out.
"""


class Sink:
    """Where the archive is written to, and taken from piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self.pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """There is nothing behind this."""

    def taken(self) -> bytes:
        taken, self.pieces = b"".join(self.pieces), []
        return taken


async def archive(database: Database, person: Person) -> AsyncGenerator[bytes]:
    """The archive from its beginning, piece by piece."""
    counts: dict[str, int] = {}
    made_at, sink, loop = written(utc_now()), Sink(), asyncio.get_running_loop()
    with ZipFile(sink, "w", ZIP_DEFLATED) as file:  # type: ignore[call-overload]  # it needs no more
        file.writestr("README.txt", README.format(student_id=person.student_id, made_at=made_at))
        for name, rows in parts(database, person):
            with file.open(f"data/{name}.json", "w", force_zip64=True) as entry:
                async for piece, counts[name] in listed(rows):
                    await loop.run_in_executor(COMPRESSING, entry.write, piece)
                    yield sink.taken()
        async for path, text in texts(database, person):
            await loop.run_in_executor(COMPRESSING, file.writestr, path, text)
            yield sink.taken()
        manifest = {"student_id": person.student_id, "made_at": made_at, "rows": counts}
        file.writestr("manifest.json", msgspec.json.format(msgspec.json.encode(manifest)))
    yield sink.taken()


def parts(database: Database, person: Person) -> list[tuple[str, Rows]]:
    found = [
        (model.__tablename__, documents(database, model, select(model).where(rows_of(model, person))))
        for model in about_students()
        if model is not SubjectKey  # a key is no datum, and would open the log
    ]
    aliases = select(SubjectKey.alias).where(SubjectKey.subject.in_(person.subjects))
    entries = select(AuditEntry).where(AuditEntry.subject.in_(aliases))
    found.append(("audit_log", documents(database, AuditEntry, entries)))
    found.append(("course_reports", mentions(database, person)))
    return sorted(found)


async def documents(database: Database, model: type[M], statement: Select[M]) -> AsyncGenerator[Document]:
    """Rows in the order they were stored."""
    async for row in stored_rows(database, model, statement):
        yield row.to_dict() | withheld(row)


def withheld(row: Base) -> Document:
    """What stands in place of the answers to an interview that is going on: they are shown once it is over."""
    if isinstance(row, InterviewSession) and row.duration_minutes is None:
        return {"questions_asked": without_key_points(row.questions_asked)}
    return {}


async def mentions(database: Database, person: Person) -> AsyncGenerator[Document]:
    """Of a report on a whole course, the lines about this student."""
    statement = select(CourseReport).where(mentioning(CourseReport, person))
    async for report in stored_rows(database, CourseReport, statement):
        lines = {
            name: [item for item in getattr(report, name) if is_about(item, person)]
            for name in CourseReport.privacy.mentions.split()
        }
        yield {"id": report.id, "course_id": report.course_id, "created_at": report.created_at, **lines}


async def texts(database: Database, person: Person) -> AsyncGenerator[tuple[str, str]]:
    """The code of attempts and the patches of commits, each with its path."""
    attempts = select(ExerciseAttempt).where(rows_of(ExerciseAttempt, person))
    async for attempt in stored_rows(database, ExerciseAttempt, attempts):
        yield f"code/{attempt.exercise_id}/{attempt.attempt_number}.txt", attempt.submitted_code
    commits = select(GitTrace).where(rows_of(GitTrace, person), GitTrace.diff != "")
    async for commit in stored_rows(database, GitTrace, commits):
        yield f"patches/{commit.session_id}/{commit.commit_hash}.patch", commit.diff

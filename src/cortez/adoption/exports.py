"""The quarantine, to be read by people."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import select

from cortez.adoption.models import Quarantined
from cortez.core.db.engine import Database
from cortez.core.db.types import Document

LOT = 500


class QuarantinedOut(Struct, frozen=True):
    """One entry; `column_name` is null for a whole row, `original` what was there."""

    id: UUID
    table_name: str
    column_name: str | None
    old_id: str
    new_id: str | None
    reason: str
    original: Document
    student_id: str | None
    created_at: datetime


async def quarantine_lots(database: Database) -> AsyncGenerator[Sequence[QuarantinedOut]]:
    """In the order they were stored."""
    statement, after = select(Quarantined).order_by(Quarantined.id).limit(LOT), None
    while True:
        async with database.reading() as session:
            behind = statement if after is None else statement.where(Quarantined.id > after)
            rows = list(await session.scalars(behind))
        if rows:
            names = QuarantinedOut.__struct_fields__
            yield [QuarantinedOut(**{name: getattr(row, name) for name in names}) for row in rows]
            after = rows[-1].id
        if len(rows) < LOT:
            return

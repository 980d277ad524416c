"""The predecessor's keys, and what they are here: worked out from the old key alone, so that every row agrees."""

import hashlib
import re
import unicodedata
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from cortez.adoption.models import LegacyId
from cortez.adoption.values import Old, plain
from cortez.core.db.classification import ERASED
from cortez.core.db.upsert import insert_into
from cortez.core.web.schemas import KEY_PATTERN

NAMESPACE = UUID(
    "6f0a1d0e-6b1c-5e0d-9a55-4c0e7a3b9d21"
)  # of ids that are made of old ones; any number, the same forever
BUSINESS_KEY = re.compile(KEY_PATTERN)
LONGEST = 500
KNOWN = 50_000  # keys remembered as noted, so that each is stored once


def as_uuid(raw: Old) -> UUID | None:
    """The key where it is a UUID in any spelling."""
    try:
        return raw if isinstance(raw, UUID) else UUID(str(raw).strip())
    except ValueError:
        return None


def old_key(raw: Old) -> str:
    """A key as the register holds it."""
    text = str(plain(raw if isinstance(raw, str) else str(raw)))
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}…{hashlib.sha256(text.encode()).hexdigest()}"


def new_id(table: str, raw: Old) -> UUID:
    """A UUID stays; any other key becomes one that follows from it and its table."""
    return as_uuid(raw) or uuid5(NAMESPACE, f"{table}:{old_key(raw)}")


def new_key(raw: Old, length: int = 100) -> str:
    """A business key that a path can carry; a changed one ends with a digest of the old, so that two stay two."""
    text = str(raw)
    if BUSINESS_KEY.match(text) and len(text) <= length and not text.startswith(ERASED):
        return text
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9._~@:-]+", "-", ascii_text).strip("-").removeprefix(ERASED)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{slug[: length - 11] or 'key'}.{digest}"


class Register:
    """Notes which old key became which new one, in the unit of work of the rows that have it."""

    def __init__(self) -> None:
        self.noted: set[tuple[str, str]] = set()
        self.waiting: dict[tuple[str, str], dict[str, str | None]] = {}

    def note(self, place: str, raw: Old, new: UUID | str, student_id: str | None) -> bool:
        """Whether the key is written differently here."""
        if str(raw) == str(new):
            return False
        one = (place, old_key(raw))
        if one not in self.noted:
            self.waiting[one] = {"new_key": str(new), "student_id": student_id}
        return True

    async def store(self, session: AsyncSession) -> None:
        if not self.waiting:
            return
        rows = [
            {"id": uuid7(), "place": place, "old_key": old, **values} for (place, old), values in self.waiting.items()
        ]
        await session.execute(
            insert_into(session, LegacyId).on_conflict_do_nothing(index_elements=["place", "old_key"]), rows
        )
        if len(self.noted) + len(rows) > KNOWN:
            self.noted.clear()
        self.noted.update(self.waiting)
        self.waiting.clear()

    async def look_up(self, session: AsyncSession, places: tuple[str, ...], keys: set[str]) -> dict[str, str]:
        """What keys of these places became, of those that were changed."""
        if not keys:
            return {}
        wanted = (LegacyId.place.in_(places), LegacyId.old_key.in_([old_key(key) for key in keys]))
        found = await session.execute(select(LegacyId.old_key, LegacyId.new_key).where(*wanted))
        return {one.old_key: one.new_key for one in found}

"""Keyset pages: an opaque, tamper-evident cursor carries the place and the filters it belongs to."""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Generic, Literal, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from cortez.errors import Invalid

T = TypeVar("T")

# Parameters of a page that are no filters.
VIEW = {"limit", "cursor", "count"}
DEFAULT_LIMIT = 50
MAX_COUNTED = 10_000

Order = Literal["created_at", "-created_at"]


class Place(Struct, frozen=True, array_like=True):
    """Where a page ended, and under which filters."""

    created_at: datetime
    id: UUID
    filters: list[tuple[str, str]]


class Cursors:
    """Seals cursors for one path with the first secret, and opens those of the older ones too."""

    def __init__(self, *secrets: str) -> None:
        self.keys = [hashlib.sha256(b"cursor:" + secret.encode()).digest() for secret in secrets]

    def seal(self, path: str, place: Place) -> str:
        packed = msgspec.msgpack.encode(place)
        return base64.urlsafe_b64encode(_mac(self.keys[0], path, packed) + packed).rstrip(b"=").decode()

    def open(self, path: str, cursor: str) -> Place:
        """Raises Invalid (CURSOR_INVALID) where this service did not make the cursor for this path."""
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            if any(hmac.compare_digest(raw[:16], _mac(key, path, raw[16:])) for key in self.keys):
                return msgspec.msgpack.decode(raw[16:], type=Place)
        except (ValueError, msgspec.DecodeError):
            pass
        raise Invalid.at("cursor", "This cursor is not one of this list. Begin again without it.", "CURSOR_INVALID")


def _mac(key: bytes, path: str, packed: bytes) -> bytes:
    return hmac.digest(key, path.encode() + b"\0" + packed, "sha256")[:16]


class Page(Struct, frozen=True):
    """What a list was asked for."""

    cursors: Cursors
    path: str
    query: bytes
    limit: int
    after: Place | None
    count: bool
    order: Order | None

    @property
    def place(self) -> tuple[datetime, UUID] | None:
        """The row after which it begins."""
        return (self.after.created_at, self.after.id) if self.after else None

    def next_cursor(self, created_at: datetime, id_: UUID) -> str:
        return self.cursors.seal(self.path, Place(created_at, id_, filters_of(pairs_of(self.query))))


def pairs_of(query: bytes) -> list[tuple[str, str]]:
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []


def filters_of(query: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in query if name not in VIEW)


class Listing(Struct, Generic[T], frozen=True):
    """A page of a list; `total` only where it was asked for, counted to 10,000."""

    items: list[T]
    next_cursor: str | None = None
    total: int | UnsetType = UNSET
    total_is_capped: bool | UnsetType = UNSET

"""What the audit triggers need from a connection: who writes, in which request, and on SQLite the digests.

The triggers themselves belong to the schema; each model says what they record (`audit`).
"""

import hashlib
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection

AUTHOR = "author"  # of a pooled connection: who writes on it


class Author(NamedTuple):
    """Who makes the changes of a unit of work (`kind:id`), and in which request."""

    actor: str
    request_id: str | None


SERVICE = Author("service", None)


def naming(author: Author) -> str:
    """What PostgreSQL's triggers read, to be sent after BEGIN: the settings of one transaction."""
    actor, request_id = author
    settings = {"cortez.actor": actor, "cortez.request_id": request_id or ""}
    return "; SELECT " + ", ".join(f"set_config('{name}', {quoted(value)}, true)" for name, value in settings.items())


def quoted(text: str) -> str:
    """A literal of PostgreSQL's, whatever it takes backslashes for."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def add_functions(connection: "AsyncAdapt_aiosqlite_connection", info: Mapping[str, Author]) -> None:
    """SQLite: what its triggers call. A program without these functions cannot write past the log."""

    def author() -> Author:
        return info.get(AUTHOR, SERVICE)

    connection.create_function("cortez_actor_kind", 0, lambda: author().actor.partition(":")[0])
    connection.create_function("cortez_actor", 0, lambda: author().actor.partition(":")[2] or None)
    connection.create_function("cortez_request_id", 0, lambda: author().request_id)
    connection.create_function("cortez_new_pads", 0, new_pads)
    connection.create_function("cortez_hmac", 2, keyed_digest, deterministic=True)
    connection.create_function("cortez_changed", 2, changed, deterministic=True)


def new_pads() -> bytes:
    """The inner and the outer block of HMAC-SHA256 (RFC 2104) with a new key of 256 bits."""
    key = secrets.token_bytes(32).ljust(64, b"\0")
    return bytes(byte ^ 0x36 for byte in key) + bytes(byte ^ 0x5C for byte in key)


def keyed_digest(pads: bytes, value: str | bytes | float | None) -> str | None:
    """HMAC-SHA256 of a value as text, with the key that is in the blocks."""
    if value is None:
        return None
    inner = hashlib.sha256(pads[:64] + str(value).encode()).digest()
    return "hmac:" + hashlib.sha256(pads[64:] + inner).hexdigest()


def changed(entry: str, other: str) -> str:
    """The members of one JSON object that differ in another with the same names."""
    mine, theirs = msgspec.json.decode(entry), msgspec.json.decode(other)
    return msgspec.json.encode({name: value for name, value in mine.items() if value != theirs[name]}).decode()

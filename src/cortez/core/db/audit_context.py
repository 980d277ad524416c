"""What the audit triggers need from a connection: who acts, in which request, and on SQLite the digests.

The triggers themselves belong to the schema; each model says what they record (`audit`).
"""

import hashlib
import secrets
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from cortez.core.db.base import models
from cortez.core.db.lending import UnitSession

ACTOR, SAID = "actor", "actor_said"


class Audited(NamedTuple):
    """Tables by the statements that the audit triggers see; a DELETE may cascade into any of them."""

    inserts: frozenset[str]
    inserts_by_people: frozenset[str]
    updates: frozenset[str]


@cache
def audited() -> Audited:
    """As the models say."""
    audits = {table: model.audit for table, model in models().items() if model.audit}
    return Audited(
        frozenset(table for table, audit in audits.items() if audit.inserts),
        frozenset(table for table, audit in audits.items() if audit.by_people is not None),
        frozenset(table for table, audit in audits.items() if "UPDATE" in audit.events),
    )


class WritingSession(UnitSession):
    """A session whose changes the audit log knows the author of."""


def act_for(session: AsyncSession, actor: str, request_id: str) -> None:
    """Say who makes the changes of this unit of work (`kind:id`), and in which request."""
    session.info[ACTOR] = (actor, request_id)


@event.listens_for(WritingSession, "after_begin")
def remember_actor(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    connection.info[ACTOR], connection.info[SAID] = session.info[ACTOR], False


def tell_the_audit_log(engine: AsyncEngine) -> None:
    """PostgreSQL: set the actor before the first statement of a transaction that a trigger may see.

    It costs a round trip where such a table is written or anything is deleted, and nothing on any other path.
    """

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def tell_actor(connection: Connection, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        if connection.info.get(SAID, True) or not is_seen(context, connection.info[ACTOR][0]):
            return
        connection.info[SAID] = True
        actor, request_id = connection.info[ACTOR]
        connection.exec_driver_sql(
            "SELECT set_config('cortez.actor', $1, true), set_config('cortez.request_id', $2, true)",
            (actor, request_id or ""),
        )


def is_person(actor: str) -> bool:
    return actor.startswith("person:")


def is_seen(context: Any, actor: str) -> bool:
    """Whether a trigger may see the statement of this actor."""
    if context.isinsert:
        table = context.compiled.statement.table.name
        return table in audited().inserts or (table in audited().inserts_by_people and is_person(actor))
    if context.isupdate:
        return context.compiled.statement.table.name in audited().updates
    return bool(context.isdelete)


def add_functions(connection: Any, info: dict[str, Any]) -> None:
    """SQLite: what its triggers call. A program without these functions cannot write past the log."""

    def said() -> tuple[str, str | None]:
        told: tuple[str, str | None] = info.get(ACTOR, ("service", None))
        return told

    connection.create_function("cortez_actor_kind", 0, lambda: said()[0].partition(":")[0])
    connection.create_function("cortez_actor", 0, lambda: said()[0].partition(":")[2] or None)
    connection.create_function("cortez_request_id", 0, lambda: said()[1])
    connection.create_function("cortez_new_pads", 0, new_pads)
    connection.create_function("cortez_hmac", 2, keyed_digest, deterministic=True)
    connection.create_function("cortez_changed", 2, changed, deterministic=True)


def new_pads() -> bytes:
    """The inner and the outer block of HMAC-SHA256 (RFC 2104) with a new key of 256 bits."""
    key = secrets.token_bytes(32).ljust(64, b"\0")
    return bytes(byte ^ 0x36 for byte in key) + bytes(byte ^ 0x5C for byte in key)


def keyed_digest(pads: bytes, value: object) -> str | None:
    """HMAC-SHA256 of a value as text, with the key that is in the blocks."""
    if value is None:
        return None
    inner = hashlib.sha256(pads[:64] + str(value).encode()).digest()
    return "hmac:" + hashlib.sha256(pads[64:] + inner).hexdigest()


def changed(entry: str, other: str) -> str:
    """The members of one JSON object that differ in another with the same names."""
    mine, theirs = msgspec.json.decode(entry), msgspec.json.decode(other)
    return msgspec.json.encode({name: value for name, value in mine.items() if value != theirs[name]}).decode()

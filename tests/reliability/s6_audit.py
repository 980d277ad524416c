"""The audit log is append-only, and who puts its guards out of the way cannot change a byte of it unseen."""

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, type_coerce, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import NullType

from cortez.audit.models import AuditEntry, AuditLeaf, AuditSeal
from cortez.audit.seals import backlog, seal_all, verify
from cortez.core.db.base import Base
from cortez.core.db.engine import Database
from factory import Make
from reliability.stage import Outcome, Stage
from running import client_of
from tampering import unguarded

FIGURE = "S6"
CLAIM = "single bytes of the sealed audit log changed; UPDATE, DELETE and TRUNCATE of it"
TARGET = "1,000 changes, all found; all refused"
MODELS: Sequence[type[Base]] = (AuditEntry, AuditLeaf, AuditSeal)
SEED = 6


async def run(stage: Stage) -> Outcome:
    chance, tries = random.Random(SEED), 100 if stage.quick else 1_000  # noqa: S311 - which byte is no secret
    async with stage.app() as app, Make(app, client_of) as make:
        for _ in range(3):
            await fill(make)
        async with unguarded(make.database) as session:
            found = sum([await is_found(session, chance) for _ in range(tries)])
        intact = await is_intact(make.database)
        refused = sum([await is_refused(make.database, statement) for statement in statements(make.database)])
    asked = len(statements(make.database))
    said = f"{found} of {tries} found, {refused} of {asked} refused, then {'intact' if intact else 'NOT intact'}"
    return Outcome(said, found == tries and refused == asked and intact)


async def fill(make: Make) -> None:
    """Some entries of each kind under one more seal."""
    group = await make.session(await make.student())
    await make.risk(group)
    await make.key()
    async with make.database.unit() as session:
        await session.execute(text("UPDATE users SET is_verified = true"))
    while await waiting(make.database):
        await seal_all(make.database)


async def waiting(database: Database) -> int:
    async with database.reading() as session:
        return await backlog(session)


async def is_intact(database: Database) -> bool:
    async with database.reading() as session:
        return (await verify(session)).intact


async def is_found(session: AsyncSession, chance: random.Random) -> bool:
    """Change one byte of one value, verify, and put it back."""
    model = chance.choice(MODELS)
    columns = [type_coerce(column, NullType()).label(column.name) for column in model.__table__.columns]
    row = chance.choice((await session.execute(select(*columns))).all())
    name = chance.choice([column for column, value in row._mapping.items() if value is not None])
    nested = await session.begin_nested()
    try:
        await change(session, model, row.id, name, changed(row._mapping[name], chance))
        return not (await verify(session)).intact
    except IntegrityError:
        return True  # a check of the table has seen it already
    finally:
        await nested.rollback()


async def change(session: AsyncSession, model: type[Base], id_: Any, name: str, value: Any) -> None:
    plain = value if isinstance(value, dict) else type_coerce(value, NullType())
    values = {"updated_at": model.__table__.c.updated_at, name: plain}
    await session.execute(update(model).where(type_coerce(model.id, NullType()) == id_).values(values))


def changed(value: Any, chance: random.Random) -> Any:
    """One byte of its stored form is another."""
    if isinstance(value, bytes):
        place = chance.randrange(len(value))
        return value[:place] + bytes([value[place] ^ 1 << chance.randrange(8)]) + value[place + 1 :]
    if isinstance(value, int):
        return value ^ 1 << chance.randrange(8)
    if isinstance(value, UUID):
        return UUID(bytes=changed(value.bytes, chance))
    if isinstance(value, dict):  # PostgreSQL's document, which has no bytes of its own
        name = chance.choice([*value])
        return value | {name: changed(str(value[name]), chance)}
    if isinstance(value, str):
        places = [place for place, sign in enumerate(value) if sign.isalnum()]
        place = chance.choice(places)
        other = chance.choice([sign for sign in "0123456789" if sign != value[place]])
        return value[:place] + other + value[place + 1 :]
    return value.replace(microsecond=value.microsecond ^ 1)


def statements(database: Database) -> list[str]:
    tables = [model.__tablename__ for model in MODELS]
    verbs = [
        "UPDATE {} SET updated_at = created_at",
        "DELETE FROM {}",
        *([] if database.is_sqlite else ["TRUNCATE {} CASCADE"]),
    ]
    return [verb.format(table) for table in tables for verb in verbs]


async def is_refused(database: Database, statement: str) -> bool:
    try:
        async with database.engine.begin() as connection:
            await connection.execute(text(statement))
    except DBAPIError as error:
        return "escape the audit log" in str(error)
    return False

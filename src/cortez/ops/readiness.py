"""Whether the service lives, and whether it is ready: database reachable, schema at head."""

import asyncio
from typing import NamedTuple

from sqlalchemy import Connection, inspect

from cortez.core.db import diagnostics
from cortez.core.db.base import Base
from cortez.core.db.engine import Database
from cortez.core.db.replica import Replica
from cortez.core.migrations.revisions import complaint, is_ahead, revision_of

SECONDS = 2.0


class Condition(NamedTuple):
    """What keeps the service from working, each with what to do, and what does not."""

    shortcomings: list[str]
    notices: list[str]


async def condition_of(database: Database) -> Condition:
    """By the revision alone, except under a newer one, where the tables are looked at."""
    try:
        async with asyncio.timeout(SECONDS), database.engine.connect() as connection:
            found = await connection.run_sync(by_revision)
    except Exception as error:
        said = (
            diagnostics.happened(error, database.settings.url) or f"failed ({type(error).__name__}). Run: cortez doctor"
        )
        return Condition([f"The database {said}"], [])

    return found._replace(notices=found.notices + notices_of(database.replica))


def notices_of(replica: Replica | None) -> list[str]:
    """As it was when it was last tried: health must not wait for a replica."""
    return [f"Reads go to the primary. Of the replica: {replica.trouble}."] if replica and replica.trouble else []


def by_revision(connection: Connection) -> Condition:
    found = revision_of(connection)
    told = complaint(found)
    if told is None:
        return Condition([], [])
    if not is_ahead(found):
        return Condition([told], [])
    return Condition([f"{told} {one}" for one in hindrances_of(connection)], [told])


def hindrances_of(connection: Connection) -> list[str]:
    """Where a newer schema no longer takes what this version writes, or gives what it reads.

    A rollout migrates first, so the old workers meet the new schema and must go on serving, as long as it only added.
    """
    live = {table: columns for (_, table), columns in inspect(connection).get_multi_columns().items()}
    for name, table in Base.metadata.tables.items():
        found = {column["name"]: column for column in live.get(name, ())}
        known = {column.name for column in table.columns}
        for column in sorted(known - found.keys()):
            return [f"It has no {name}.{column} any more."]
        for column in found.keys() - known:
            if not found[column]["nullable"] and found[column]["default"] is None:
                return [f"It wants {name}.{column}, which this version does not write."]
    return []

"""Whether the service lives, and whether it is ready: database reachable, schema at head."""

import asyncio
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from litestar import Request, Response, get
from msgspec import Struct
from sqlalchemy import Connection

from cortez.database import Database
from cortez.migrations import configuration

SECONDS = 2.0


class Live(Struct, frozen=True):
    status: str


class Ready(Struct, frozen=True):
    """`reasons` says what is missing, and is empty where all is well."""

    status: str
    reasons: list[str]


@get("/live", tags=["operations"])
async def live() -> Live:
    """The process answers."""
    return Live("ok")


@get("/ready", tags=["operations"], opt={"also": (503,)})
async def ready(request: Request[Any, Any, Any]) -> Response[Ready]:
    """503 with the reasons where a request would fail now."""
    state = request.app.state
    reasons = ["The service is stopping."] if state.stopping else await shortcomings(state.database)
    answer = Ready("unavailable" if reasons else "ok", reasons)
    return Response(answer, status_code=503 if reasons else 200)


async def shortcomings(database: Database) -> list[str]:
    """What keeps the service from working, each with what to do."""
    try:
        async with asyncio.timeout(SECONDS), database.engine.connect() as connection:
            found = await connection.run_sync(revision_of)
    except Exception as error:
        return [f"The database cannot be reached ({type(error).__name__}). Check DATABASE_URL and the server."]
    head = ScriptDirectory.from_config(configuration(database.settings)).get_current_head()
    if found == head:
        return []
    return [f"The schema is at revision {found}, this version needs {head}. Run: cortez migrate"]


def revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()

"""What goes to the database, as the engine tells it: how transactions end."""

from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from cortez.auditing import WritingSession
from cortez.metrics import COMMITTED, ROLLED_BACK


def watch_transactions(writer: AsyncEngine) -> None:
    """Count what became of each; a reading session on autocommit has none, though it is told to roll back."""

    @event.listens_for(writer.sync_engine, "rollback")
    def rolled_back(connection: Any) -> None:
        ROLLED_BACK.inc()


@event.listens_for(WritingSession, "after_commit")
def committed(session: WritingSession) -> None:
    COMMITTED.inc()

"""The life cycle of a session, as a table."""

from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from cortez.clock import utc_now
from cortez.core.db.types import Document
from cortez.core.lifecycle import Transitions, after
from cortez.errors import Invalid
from cortez.sessions.models import SessionStatus

ACTIVE, PAUSED = SessionStatus.ACTIVE, SessionStatus.PAUSED
CLOCKS = timedelta(minutes=5)  # by how much a client's clock may be wrong
FINAL = {SessionStatus.COMPLETED, SessionStatus.ABORTED, SessionStatus.ABANDONED}

TRANSITIONS: Transitions = {
    "pause": ({ACTIVE}, PAUSED),
    "resume": ({PAUSED}, ACTIVE),
    "complete": ({ACTIVE, PAUSED}, SessionStatus.COMPLETED),
    "abort": ({ACTIVE, PAUSED}, SessionStatus.ABORTED),
    "abandon": ({ACTIVE, PAUSED}, SessionStatus.ABANDONED),
}


class SessionRow(Protocol):
    """What others are judged by of their session, be it the entity or a row of these columns."""

    id: UUID
    student_id: str
    activity_id: str
    status: str
    start_time: datetime
    end_time: datetime | None


def too_early(pointer: str, moment: datetime | None, start: datetime) -> Invalid | None:
    """Why a student says nothing of that moment in a session that started then, if so."""
    if moment is None or moment >= start - CLOCKS:
        return None
    return Invalid.at(pointer, "This lies more than five minutes before the session's start.")


def next_status(status: str, action: str) -> Document:
    """What changes on a session by the action. Raises Conflict (ILLEGAL_TRANSITION)."""
    end = after(TRANSITIONS, "session", status, action)
    ended = {"end_time": utc_now()} if end in FINAL else {}
    return {"status": end, **ended}

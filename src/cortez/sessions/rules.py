"""The life cycle of a session, as a table."""

from typing import Any

from cortez.db import utc_now
from cortez.errors import Conflict
from cortez.sessions.models import SessionStatus

ACTIVE, PAUSED = SessionStatus.ACTIVE, SessionStatus.PAUSED
FINAL = {SessionStatus.COMPLETED, SessionStatus.ABORTED, SessionStatus.ABANDONED}

# Action -> the states it starts from, the state it ends in.
TRANSITIONS: dict[str, tuple[set[SessionStatus], SessionStatus]] = {
    "pause": ({ACTIVE}, PAUSED),
    "resume": ({PAUSED}, ACTIVE),
    "complete": ({ACTIVE, PAUSED}, SessionStatus.COMPLETED),
    "abort": ({ACTIVE, PAUSED}, SessionStatus.ABORTED),
    "abandon": ({ACTIVE, PAUSED}, SessionStatus.ABANDONED),
}


def next_status(status: str, action: str) -> dict[str, Any]:
    """What changes on a session by the action. Raises Conflict (ILLEGAL_TRANSITION)."""
    starts, end = TRANSITIONS[action]
    if status not in starts:
        raise Conflict("ILLEGAL_TRANSITION", f"A session that is {status} cannot {action}.")
    ended = {"end_time": utc_now()} if end in FINAL else {}
    return {"status": end.value, **ended}

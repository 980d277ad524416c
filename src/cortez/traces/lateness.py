"""Late deliveries: what a student may still add to a session that is over, and until when."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from cortez.errors import Conflict
from cortez.sessions.rules import FINAL, SessionRow

MINUTES = 10  # after the end, in which a student's client delivers what it could not send before


def is_late(session: SessionRow, moment: datetime | None, judged_at: datetime | None) -> bool:
    """Whether what happened at the moment comes after the session's end, or after a judgement that did not know it.

    `judged_at` is given for what the session's student adds: a step that is dated before the judgement and was not
    there when it was made. What the student does after it is work like any other, while the session is open.
    """
    if session.status in FINAL:
        return True
    return moment is not None and judged_at is not None and moment < judged_at


def closed_to_student(over: SessionRow, now: datetime, judged: Collection[UUID]) -> Conflict | None:
    """Why the student of the session that is over may add nothing more, if so; `judged` names those that were."""
    if over.end_time is None or now > over.end_time + timedelta(minutes=MINUTES):
        said = f"The session is {over.status}; its student delivers what is late within {MINUTES} minutes of its end."
        return Conflict("SESSION_CLOSED", said)
    if over.id in judged:
        return Conflict("SESSION_CLOSED", "The session is over and has been judged; its student adds nothing to it.")
    return None

"""Late deliveries: what a student may still add to a session that is over, and until when."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cortez.errors import Conflict

MINUTES = 10  # after the end, in which a student's client delivers what it could not send before


def closed_to_student(over: Any, now: datetime, judged: Collection[UUID]) -> Conflict | None:
    """Why the student of the session that is over may add nothing more, if so; `judged` as `judged_among` gives it."""
    if over.end_time is None or now > over.end_time + timedelta(minutes=MINUTES):
        said = f"The session is {over.status}; its student delivers what is late within {MINUTES} minutes of its end."
        return Conflict("SESSION_CLOSED", said)
    if over.id in judged:
        return Conflict("SESSION_CLOSED", "The session is over and has been judged; its student adds nothing to it.")
    return None

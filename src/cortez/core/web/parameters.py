"""Parameters of paths and queries, bounded. Litestar reads the bounds from its own markers only."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar.params import PathParameter, QueryParameter

from cortez.core.web.schemas import EARLIEST, KEY_PATTERN, LATEST, Instant
from cortez.errors import Invalid

PathKey = Annotated[str, PathParameter(pattern=KEY_PATTERN, min_length=1, max_length=100)]
QueryKey = Annotated[str | None, QueryParameter(pattern=KEY_PATTERN, min_length=1, max_length=100)]
QueryText = Annotated[str | None, QueryParameter(min_length=1, max_length=100)]
QueryNumber = Annotated[int | None, QueryParameter(ge=1, le=1_000_000)]
QueryTime = Annotated[str | None, QueryParameter(max_length=40, schema_extra={"format": "date-time"})]
QueryLimit = Annotated[int, QueryParameter(ge=1, le=200)]
QueryCursor = Annotated[str | None, QueryParameter(min_length=1, max_length=5000)]


def instant(name: str, text: str | None) -> datetime | None:
    """The time that a parameter names. Raises Invalid where it is none, has no offset, or lies beyond 1970 to 2200."""
    if text is None:
        return None
    try:
        moment = msgspec.convert(text, Instant)
    except msgspec.ValidationError:
        raise Invalid.at(name, "Send a time with its offset, such as 2026-03-01T12:00:00Z.") from None
    if not EARLIEST <= moment <= LATEST:
        raise Invalid.at(name, "The time must lie between 1970 and 2200.")
    return moment

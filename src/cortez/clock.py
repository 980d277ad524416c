"""The time, and how an instant is written."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)


def written(moment: datetime) -> str:
    """An instant in a document, as the API writes it elsewhere: RFC 3339 in UTC, with Z."""
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"

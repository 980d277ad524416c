"""ETag and If-Match."""

import hashlib
from datetime import datetime

from cortez.core.web.schemas import Resource
from cortez.errors import PreconditionFailed


def etag(resource: Resource, body: bytes) -> str:
    """The revision, for If-Match, then a digest of this very representation."""
    return f'"{revision(resource.updated_at)}-{hashlib.blake2b(body, digest_size=6).hexdigest()}"'


def revision(updated_at: datetime) -> str:
    return f"{round(updated_at.timestamp() * 1_000_000):x}"


class Match:
    """The If-Match header of a request."""

    def __init__(self, header: str | None) -> None:
        self.revisions = [
            tag.strip().removeprefix("W/").strip('"').partition("-")[0] for tag in (header or "*").split(",")
        ]

    def check(self, updated_at: datetime) -> None:
        """Raises PreconditionFailed where the entity has changed since the client read it."""
        if self.revisions != ["*"] and revision(updated_at) not in self.revisions:
            raise PreconditionFailed(None, "The entity has changed since you read it. Read it again, then repeat.")

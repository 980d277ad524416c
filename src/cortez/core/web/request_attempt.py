"""One attempt at a request: its unit of work, and what became of it."""

from collections.abc import AsyncGenerator
from uuid import UUID

from litestar.response.base import ASGIResponse
from litestar.types import Scope
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.db.errors import repeatable_cause
from cortez.core.db.replica import POSITION, Replica
from cortez.core.db.unit_of_work import unit_of
from cortez.core.web import idempotency


class Attempt:
    """One attempt at a request: its session, and what became of it."""

    def __init__(self, session: AsyncSession, writes: bool, claim: idempotency.Claim | None) -> None:
        self.session = session
        self.writes = writes
        self.claim = claim
        self.failure: BaseException | None = None
        self.answer: ASGIResponse | None = None
        self.shown: set[str | UUID] = set()  # the students and sessions that the answer is about
        self.replica: Replica | None = None  # where it reads there
        self.sent = False
        self.status = 0

    def rendered(self) -> ASGIResponse:
        """The answer about to be sent. A handler that made none of ours cannot be replayed, so it does not commit."""
        if self.answer is None:
            raise TypeError("A handler must return plain data or an Answer.")
        return self.answer

    @property
    def repeated_for(self) -> str | None:
        """Why it may be begun anew, where what failed is such."""
        return repeatable_cause(self.failure)

    def will_repeat(self, last: bool) -> bool:
        if last or self.sent or self.failure is None:
            return False
        return self.repeated_for is not None or (self.replica is not None and self.replica.must_give_way(self.failure))


async def provide_session(scope: Scope) -> AsyncGenerator[AsyncSession]:
    """The request's session: the one dependency that commits, and only for a method that writes."""
    attempt: Attempt = scope["state"]["attempt"]
    try:
        yield attempt.session
        if attempt.claim:
            await idempotency.store(attempt.session, attempt.claim, attempt.rendered())
        if attempt.writes:
            await unit_of(attempt.session).commit()
    except GeneratorExit:  # cancelled before the handler began: the middleware closes the session
        raise
    except BaseException as error:
        attempt.failure = error
        await unit_of(attempt.session).close()
        raise


def position_of(scope: Scope) -> str | None:
    """How far the primary had written when it said who asks, for what reads on sessions of its own."""
    position: str | None = scope["state"]["attempt"].session.info.get(POSITION)
    return position

"""What may still be tried at the doors: reserved before anything is verified, given back where it was right.

Every login as it is sent has an allowance of its own, whether an account has it or not, so that neither the answer nor
its time says which accounts exist. An account has two logins, its e-mail and its username; ten guesses at each in any
hour make at most twenty at the account. Whoever tries many accounts is stopped by their network: it pays for failures
only, so that a school may sign in from behind one address.
"""

import hashlib
import hmac
import time
from collections import OrderedDict

from litestar.types import Scope
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.database import Database
from cortez.errors import TooManyRequests
from cortez.networks import client_network
from cortez.settings import Settings
from cortez.throttling import Allowance, LoginAttempt, Meters

GUESSES = Allowance(burst=5, seconds=720)  # at one login: 5 + 3600 / 720 = 10 in any hour
FAILURES = Allowance(burst=600, seconds=4)  # of one network: 1,500 in any hour
MAX_KNOWN = 10_000
REGISTRATIONS = Allowance(burst=600, seconds=4)


class Try(Struct, frozen=True):
    """One attempt, by what it is counted."""

    key: bytes
    allowance: Allowance


class Refusals:
    """What this worker knows to be used up, and until when: a storm of guesses then costs no statements."""

    def __init__(self) -> None:
        self.until: OrderedDict[bytes, float] = OrderedDict()

    def seconds(self, one: Try) -> float:
        return self.until.get(one.key, 0) - time.time()

    def note(self, one: Try, seconds: float) -> None:
        self.until[one.key] = time.time() + seconds
        self.until.move_to_end(one.key)
        if len(self.until) > MAX_KNOWN:
            self.until.popitem(last=False)


class Attempts:
    """The attempts of one request."""

    def __init__(self, database: Database, settings: Settings, refusals: Refusals, scope: Scope) -> None:
        self.database = database
        self.refusals = refusals
        self.secret = hashlib.sha256(b"attempts:" + settings.secret_key.encode()).digest()
        self.network = client_network(scope, settings)

    def guess(self, login: str) -> Try:
        """At the password of this login, in any case; the e-mail of an account that is known otherwise."""
        return self._try("login", login.lower(), GUESSES)

    def failure(self) -> Try:
        return self._try("network", self.network, FAILURES)

    def registration(self) -> Try:
        return self._try("registration", self.network, REGISTRATIONS)

    def _try(self, kind: str, name: str, allowance: Allowance) -> Try:
        """The key is a digest with our secret: the table says nothing about who tried what."""
        return Try(hmac.digest(self.secret, f"{kind}:{name}".encode(), "sha256"), allowance)

    async def reserve(self, *tries: Try) -> None:
        """All of them or none, committed before it returns, so that parallel guesses count too.

        Raises TooManyRequests (LOGIN_THROTTLED).
        """
        for one in tries:
            refuse_for(self.refusals.seconds(one))
        async with self.database.unit() as session:
            meters = Meters(session, LoginAttempt)
            for one in tries:
                seconds = await meters.take(one.key, one.allowance, time.time())
                if seconds:
                    self.refusals.note(one, seconds)
                refuse_for(seconds)

    async def give_back(self, session: AsyncSession, *tries: Try) -> None:
        """In the unit of work of what went right: where that is rolled back, the attempt counts."""
        meters = Meters(session, LoginAttempt)
        for one in tries:
            await meters.give_back(one.key, one.allowance)


def refuse_for(seconds: float) -> None:
    if seconds > 0:
        raise TooManyRequests("LOGIN_THROTTLED", "Too many attempts; wait before the next one.", seconds)

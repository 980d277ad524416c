"""What may still be tried at the doors: reserved before a password is verified, given back where it was right.

Every login as it is sent has an allowance of its own, whether an account has it or not, so that neither the answer nor
its time says which accounts exist. An account has two logins, its e-mail and its username; five guesses at each in any
hour make ten by strangers. A network that has signed in to the account of late has an allowance there that strangers
cannot use up: ten more. So at most twenty guesses an hour are verified at an account by strangers and one such network.
Where strangers try many accounts, their network pays for the failures, and for nothing else: a school may sign in from
behind one address. A token of 256 bits cannot be guessed and needs no allowance.
"""

import hashlib
import hmac
import time
from collections import OrderedDict
from datetime import timedelta
from uuid import UUID

from litestar.types import Scope
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.database import Database
from cortez.db import utc_now
from cortez.errors import TooManyRequests
from cortez.identifiers import folded
from cortez.networks import client_network
from cortez.settings import Settings
from cortez.throttling import Allowance, LoginAttempt, Meters

GUESSES = Allowance(burst=4, seconds=3600)  # at one login, by strangers: 4 + 3600 / 3600 = 5 in any hour
OWN_GUESSES = Allowance(burst=5, seconds=720)  # from a network that has signed in to the account: 10 in any hour
KNOWN = timedelta(days=30)  # since the last sign-in from there
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
        self.settings = settings
        self.secret = secret_of(settings.secret_key)
        self.network = client_network(scope, settings)
        self.agent = dict(scope["headers"]).get(b"user-agent", b"").decode("latin-1")

    @property
    def clients(self) -> list[bytes]:
        """Tells one client from another by where it is and what it calls itself.

        A digest with each key of the service, the current one first: two workers may be at different ones.
        """
        client = f"client:{self.network}:{self.agent}".encode()
        return [hmac.digest(secret_of(key), client, "sha256") for key in self.settings.key_ring]

    def guesses(self, login: str, known: UUID | None) -> tuple[Try, ...]:
        """What a guess takes at this login, however it is spelled.

        `known`: the account, where this network is known to it.
        """
        if known:
            return (self.own_guess(known),)
        return self._try("login", folded(login), GUESSES), self._try("network", self.network, FAILURES)

    def own_guess(self, user_id: UUID) -> Try:
        """At the password of the account, from a network that is known to it, or by who has signed in."""
        return self._try("account", f"{user_id}:{self.network}", OWN_GUESSES)

    async def is_known(self, session: AsyncSession, user_id: UUID) -> bool:
        """Whether this network has signed in to the account of late."""
        return await Meters(session, LoginAttempt).stands(self._known(user_id), time.time())

    async def note_known(self, session: AsyncSession, user_id: UUID) -> None:
        await Meters(session, LoginAttempt).mark(self._known(user_id), utc_now() + KNOWN)

    def _known(self, user_id: UUID) -> bytes:
        return self._digest("known", f"{user_id}:{self.network}")

    def registration(self) -> Try:
        return self._try("registration", self.network, REGISTRATIONS)

    def _try(self, kind: str, name: str, allowance: Allowance) -> Try:
        """The key is a digest with our secret: the table says nothing about who tried what."""
        return Try(self._digest(kind, name), allowance)

    def _digest(self, kind: str, name: str) -> bytes:
        return hmac.digest(self.secret, f"{kind}:{name}".encode(), "sha256")

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


def secret_of(key: str) -> bytes:
    return hashlib.sha256(b"attempts:" + key.encode()).digest()


def refuse_for(seconds: float) -> None:
    if seconds > 0:
        raise TooManyRequests("LOGIN_THROTTLED", "Too many attempts; wait before the next one.", seconds)

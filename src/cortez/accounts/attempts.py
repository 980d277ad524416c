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
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.clock import utc_now
from cortez.core.db.engine import Database
from cortez.core.latest import Latest
from cortez.core.security.identifiers import folded
from cortez.core.web.client_address import client_network
from cortez.core.web.rate_limit_store import Allowance, LoginAttempt, Meters
from cortez.errors import TooManyRequests
from cortez.settings import Settings

if TYPE_CHECKING:
    from litestar.types import Scope

GUESSES = Allowance(burst=4, seconds=3600)  # at one login, by strangers: 4 + 3600 / 3600 = 5 in any hour
OWN_GUESSES = Allowance(burst=5, seconds=720)  # from a network that has signed in to the account: 10 in any hour
KNOWN = timedelta(days=30)  # since the last sign-in from there
FAILURES = Allowance(burst=600, seconds=4)  # of one network: 1,500 in any hour
MAX_KNOWN = 10_000
ACCOUNT_KNOWN = 60.0  # seconds for which a worker knows whose a login is
NO_ACCOUNT = UUID(int=0)  # whose a login is that no account has, so that it costs as much to ask for it
REGISTRATIONS = Allowance(burst=600, seconds=4)


class Try(Struct, frozen=True):
    """One attempt, by what it is counted."""

    key: bytes
    allowance: Allowance


class Refusals:
    """What this worker knows to be used up, and until when: a storm of guesses then costs no statements."""

    def __init__(self) -> None:
        self.until: Latest[bytes, float] = Latest(MAX_KNOWN)
        self.accounts: Latest[bytes, tuple[UUID, float]] = Latest(MAX_KNOWN)  # by login: whose it is, and known until

    def clear(self) -> None:
        self.until.clear()
        self.accounts.clear()

    def seconds(self, one: Try) -> float:
        return self.until.get(one.key, 0) - time.time()

    def note(self, one: Try, seconds: float) -> None:
        self.until[one.key] = time.time() + seconds

    def account(self, one: Try) -> UUID | None:
        """Whose the login is, where it was looked up in the last minute; for so long it counts as before."""
        account, until = self.accounts.get(one.key, (None, 0.0))
        return account if time.time() < until else None

    def note_account(self, one: Try, account: UUID) -> None:
        self.accounts[one.key] = account, time.time() + ACCOUNT_KNOWN


class Attempts:
    """The attempts of one request."""

    def __init__(self, database: Database, settings: Settings, refusals: Refusals, scope: "Scope") -> None:
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

    async def refuse_strangers(self, login: str) -> None:
        """Refuse a guess at a login that strangers have used up, for one statement, where this network is a stranger.

        Raises TooManyRequests (LOGIN_THROTTLED). `guesses` decides where this worker has not looked the login up.
        """
        at_login, _ = self.by_a_stranger(login)
        account, seconds = self.refusals.account(at_login), self.refusals.seconds(at_login)
        if account is None or seconds <= 0:
            return
        async with self.database.reading() as session:
            is_known = await self.is_known(session, account)
        if not is_known:
            refuse_for(seconds)

    def guesses(self, login: str, account: UUID, *, is_known: bool) -> tuple[Try, ...]:
        """What a guess takes at this login, whose account was looked up. It is NO_ACCOUNT if the login is unknown.

        `is_known`: whether this network is known to the account.
        """
        by_a_stranger = self.by_a_stranger(login)
        self.refusals.note_account(by_a_stranger[0], account)
        return (self.own_guess(account),) if is_known else by_a_stranger

    def by_a_stranger(self, login: str) -> tuple[Try, Try]:
        """What a guess takes at the login, however it is spelled, and of the network."""
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

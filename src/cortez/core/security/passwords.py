"""Hashing and verifying passwords."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cortez.core.concurrency.worker_pools import be_nice, threads
from cortez.core.security.guessable_passwords import refuse_guessable
from cortez.core.security.identifiers import nfc
from cortez.settings import Settings

DECOY = "$2b$12$" + "." * 52 + "u"  # of no password that anybody has; cost 12, which is bcrypt's default


class Verdict(NamedTuple):
    """Whether a password is the account's: it is true where it is.

    `is_outdated`: its hash is as an older version or the predecessor made it, and should be made again.
    """

    matches: bool
    is_outdated: bool

    def __bool__(self) -> bool:
        return self.matches


class Passwords:
    """argon2id, on a thread of its own: hashing holds neither the event loop nor a connection, and one core at most.

    A password is hashed in NFC, since keyboards differ in how they compose an accented letter. An older version hashed
    it as it was sent: where that is another text, both are compared, whatever the first comparison finds.

    An adopted account has a bcrypt hash until its next login. While there are any, every login costs both, so that
    the time does not tell which account has which.
    """

    def __init__(self, settings: Settings) -> None:
        self.hasher = PasswordHasher(time_cost=settings.password_time_cost, memory_cost=settings.password_memory_kib)
        thread = ThreadPoolExecutor(1, "passwords", initializer=be_nice)
        self.pool = threads(thread, 1)
        self.made = thread.submit(self.hasher.hash, secrets.token_urlsafe(16))

    @property
    def decoy(self) -> str:
        """A hash of no password that anybody has; it is made while the service starts."""
        return self.made.result()

    async def hash(self, password: str) -> str:
        return await self.pool.run(self.hasher.hash, nfc(password))

    async def choose(self, password: str, *names: str, pointer: str = "/password") -> str:
        """The hash of a password that is set now, for an account with these names.

        Raises Invalid (PASSWORD_GUESSABLE).
        """
        return await self.pool.run(self._choose, nfc(password), names, pointer)

    def _choose(self, password: str, names: tuple[str, ...], pointer: str) -> str:
        refuse_guessable(password, names, pointer)
        return self.hasher.hash(password)

    async def verify(self, hashed: str | None, password: str, *, some_adopted: bool = False) -> Verdict:
        """Takes as long for an unknown account (None), or one without a password, as for any other."""
        forms = dict.fromkeys((nfc(password), password))
        matches = await self.pool.run(self._match_all, hashed, tuple(forms), some_adopted)
        if hashed is None or not any(matches):
            return Verdict(False, False)
        return Verdict(True, is_adopted(hashed) or not matches[0])

    def _match_all(self, hashed: str | None, forms: tuple[str, ...], some_adopted: bool) -> list[bool]:
        return [self._matches(hashed, form, some_adopted) for form in forms]

    def _matches(self, given: str | None, password: str, some_adopted: bool) -> bool:
        hashed = given or self.decoy
        if is_adopted(hashed):
            self._matches_ours(self.decoy, password)
            return matches_bcrypt(hashed, password)
        if some_adopted:
            matches_bcrypt(DECOY, password)
        return self._matches_ours(hashed, password)

    def _matches_ours(self, hashed: str, password: str) -> bool:
        try:
            return self.hasher.verify(hashed, password)
        except InvalidHashError:
            self._matches_ours(self.decoy, password)
            return False
        except VerificationError:
            return False


def is_adopted(hashed: str) -> bool:
    """Whether it is a hash of the predecessor's: bcrypt."""
    return hashed.startswith("$2")


def matches_bcrypt(hashed: str, password: str) -> bool:
    """As the predecessor compared them: by the first 72 bytes."""
    try:
        return bcrypt.checkpw(password.encode()[:72], hashed.encode())
    except ValueError:
        return False

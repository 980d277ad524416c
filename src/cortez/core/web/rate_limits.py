"""How many requests a minute one may make: by principal and kind of request, by network where nobody has signed in.

The limits stop a client that runs away, not a class. All workers share an allowance through the database, yet hardly a
request costs a statement: a worker counts requests down from a block, a twentieth of the allowance, and takes the next
block when one is used up. The first block of each client is on the house, so that whoever stays below it is never
written down. In any minute at most twice the allowance passes (all of it at once, and what comes back meanwhile), plus
a block for each worker.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum

from litestar.types import HTTPScope
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.db.engine import Database
from cortez.core.latest import Latest
from cortez.core.observability.request_context import note_principal
from cortez.core.security.principal import Principal
from cortez.core.web.client_address import client_network
from cortez.core.web.rate_limit_store import Allowance, Meters, RateLimit
from cortez.core.web.route_options import options_of
from cortez.errors import TooManyRequests, Unauthorized

MINUTE = 60
BLOCKS = 20
MAX_LEASES = 10_000

Authenticate = Callable[[HTTPScope, AsyncSession], Awaitable[Principal | None]]


class Kind(StrEnum):
    """A kind of request that is counted by itself."""

    READ = "read"
    WRITE = "write"
    HEAVY = "heavy"
    ANONYMOUS = "anonymous"

    @classmethod
    def of(cls, scope: HTTPScope, principal: Principal | None) -> "Kind":
        if principal is None:
            return cls.ANONYMOUS
        if options_of(scope["route_handler"]).heavy:
            return cls.HEAVY
        return cls.READ if scope["method"] == "GET" else cls.WRITE


class Lease:
    """Requests that a worker may still let through, and, where the next block was refused, until when."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.refused_until = 0.0
        self.turn = asyncio.Lock()


class Rates:
    """The leases of this worker, the most recently used ones; `clock` gives seconds since 1970."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        settings = database.settings
        self.database = database
        self.secret = hashlib.sha256(b"rates:" + settings.secret_key.encode()).digest()
        self.clock = clock
        self.leases: Latest[tuple[Kind, str], Lease] = Latest(MAX_LEASES)
        self.limits = {
            Kind.READ: settings.rate_reads,
            Kind.WRITE: settings.rate_writes,
            Kind.HEAVY: settings.rate_heavy,
            Kind.ANONYMOUS: settings.rate_anonymous,
        }

    async def take(self, scope: HTTPScope, principal: Principal | None) -> None:
        """Raises TooManyRequests (RATE_LIMITED)."""
        kind = Kind.of(scope, principal)
        limit = self.limits[kind]
        if not limit:
            return
        who = f"{principal.kind}:{principal.id}" if principal else client_network(scope, self.database.settings)
        block = max(1, limit // BLOCKS)
        lease = self.lease(kind, who, block)
        if lease.left == 0:
            async with lease.turn:  # of many that wait here, one takes the next block
                if lease.left == 0:
                    await self.renew(lease, f"{kind}:{who}", Allowance(limit, MINUTE / limit), block)
                lease.left -= 1
                return
        lease.left -= 1

    def lease(self, kind: Kind, who: str, block: int) -> Lease:
        lease = self.leases.get((kind, who)) or Lease(block)
        self.leases[kind, who] = lease
        return lease

    async def renew(self, lease: Lease, name: str, allowance: Allowance, block: int) -> None:
        """A database that takes no writes, or is busy writing, is no reason not to answer."""
        now = self.clock()
        if now >= lease.refused_until:
            key = hmac.digest(self.secret, name.encode(), "sha256")
            try:
                async with self.database.unit() as session:
                    seconds = await Meters(session, RateLimit).take(key, allowance, now, block)
            except DBAPIError:
                seconds = 0
            lease.refused_until = now + seconds
        if now < lease.refused_until:
            raise TooManyRequests(None, "Too many requests; slow down.", lease.refused_until - now)
        lease.left = block


def limited(authenticate: Authenticate, rates: Rates) -> Authenticate:
    """Counts every request once it is known whose it is; one that may not sign in counts for its network."""

    async def admit(scope: HTTPScope, session: AsyncSession) -> Principal | None:
        try:
            principal = await authenticate(scope, session)
        except Unauthorized:
            await rates.take(scope, None)
            raise
        scope["user"] = principal  # known to whoever notes the answer, also where it is a refusal
        note_principal(f"{principal.kind}:{principal.id}" if principal else None)
        if principal or not options_of(scope["route_handler"]).unmetered:
            await rates.take(scope, principal)
        return principal

    return admit

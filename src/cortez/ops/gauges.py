"""What is looked at now and then rather than counted: the pool, what waits in memory, what waits in the database."""

import asyncio
import logging
import math
import time
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from cortez.audit.access_log import Journal
from cortez.audit.seals import unsealed_since
from cortez.clock import utc_now
from cortez.core.db.engine import Database
from cortez.core.db.errors import described
from cortez.core.observability import metrics
from cortez.core.observability.request_context import Exchange
from cortez.oversight.models import AlertSeverity, AlertStatus, RiskAlert

logger = logging.getLogger(__name__)

EVERY = 1.0  # seconds between two looks at this worker, for whichever worker is asked
FRESH = 15.0  # seconds for which what the database said is good enough
PATIENCE = 2.0  # seconds that the database has to say it
ALERTS_OPEN = metrics.gauge("alerts_open", "Alerts that nobody has closed", ("severity",), merge="newest")
OPEN = (AlertStatus.OPEN, AlertStatus.ACKNOWLEDGED, AlertStatus.INVESTIGATING)


class Gauges:
    """Sets the gauges of this worker."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self.database = database
        self.journal = journal
        self.asked_at = -math.inf

    async def run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        metrics.REQUESTS_IN_PROGRESS.set(Exchange.at_work)
        metrics.POOL_WAITING.set(self.database.gate.waiting)
        metrics.ACCESS_LOG_WAITING.set(len(self.journal.reads) + len(self.journal.used))
        self.look_at("primary", self.database.engine)
        if self.database.replica:
            self.look_at("replica", self.database.replica.engine)

    def look_at(self, server: str, engine: AsyncEngine) -> None:
        pool: Any = engine.pool
        metrics.POOL_SIZE.labels(server).set(pool.size())
        metrics.POOL_LIMIT.labels(server).set(pool.size() + self.database.settings.db_max_overflow)
        metrics.POOL_IN_USE.labels(server).set(pool.checkedout())
        metrics.POOL_OVERFLOW.labels(server).set(max(0, pool.overflow()))

    async def ask(self) -> None:
        """Ask the database, unless it was asked just now, by a connection that the gate keeps for such things.

        Where it does not answer, all that is known is that: the figures become NaN, which no rule compares with.
        """
        if time.monotonic() - self.asked_at < FRESH:
            return
        self.asked_at = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE), self.database.reading() as session:
                await tell(session)
            metrics.DATABASE_UP.set(1)
        except Exception as error:
            logger.warning("the database does not tell its figures: %s", described(error))
            metrics.DATABASE_UP.set(0)
            forget()


async def tell(session: AsyncSession) -> None:
    counted = select(RiskAlert.severity, func.count().label("alerts")).group_by(RiskAlert.severity)
    found = await session.execute(counted.where(RiskAlert.status.in_(OPEN)))
    alerts = {row.severity: row.alerts for row in found}
    entries, oldest = await unsealed_since(session)
    for severity in AlertSeverity:
        ALERTS_OPEN.labels(severity).set(alerts.get(severity, 0))
    metrics.AUDIT_UNSEALED.set(entries)
    metrics.AUDIT_UNSEALED_SECONDS.set((utc_now() - oldest).total_seconds() if oldest else 0)


def forget() -> None:
    for severity in AlertSeverity:
        ALERTS_OPEN.labels(severity).set(math.nan)
    metrics.AUDIT_UNSEALED.set(math.nan)
    metrics.AUDIT_UNSEALED_SECONDS.set(math.nan)

"""Queries of risks, and the one place where they are stored and resolved."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.clock import utc_now
from cortez.core.db.base import shown
from cortez.core.security.principal import Principal
from cortez.errors import Conflict, Invalid
from cortez.risks.findings import Finding
from cortez.risks.models import Resolution, Risk, RiskLevel
from cortez.risks.schemas import RiskOut
from cortez.sessions.changes import Counts, difference, figures_changed
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import OnSession
from cortez.traces.models import CognitiveTrace
from cortez.traces.repository import TraceRepository

RISKS = Risk.__table__
SHOWN = shown(RISKS, RiskOut)


class Kept(Struct, frozen=True):
    """What became of the findings of one analysis; `risks` in the order of the findings."""

    risks: list[Risk]
    new: int
    updated: int


async def require_traces(
    session: AsyncSession, principal: Principal, session_id: UUID, trace_ids: Collection[UUID], pointer: str
) -> bool:
    """Whether one of them is late. Raises Invalid where one is no trace of the session."""
    wanted = set(trace_ids)
    if not wanted:
        return False
    traces = TraceRepository(session, principal).select(CognitiveTrace.id, CognitiveTrace.late)
    known = traces.where(CognitiveTrace.session_id == session_id, CognitiveTrace.id.in_(wanted))
    late = {row.id: row.late for row in await session.execute(known)}
    if missing := sorted(map(str, wanted - late.keys())):
        raise Invalid.at(pointer, f"There is no trace {missing[0]} in this session.", "TRACE_NOT_FOUND")
    return any(late.values())


class RiskRepository(OnSession[Risk, RiskOut]):
    model = Risk
    noun = "risk"
    out = RiskOut
    columns = SHOWN
    order = (RISKS.c.created_at, RISKS.c.id)

    async def count_open(self, session_id: UUID) -> list[Any]:
        """How many unresolved risks of each dimension and level (`dimension`, `risk_level`, `risks`)."""
        statement = self.select(Risk.dimension, Risk.risk_level, func.count().label("risks"))
        mine = statement.where(Risk.session_id == session_id, Risk.resolved.is_(False))
        return list(await self.session.execute(mine.group_by(Risk.dimension, Risk.risk_level)))

    async def store(self, session: LearningSession, values: dict[str, Any]) -> Risk:
        """A risk that a person or a machine saw in the locked session."""
        trace_ids = [UUID(id_) for id_ in values["trace_ids"]]
        late = await require_traces(self.session, self.principal, session.id, trace_ids, "/trace_ids")
        risk = await self.add(Risk(**values, late=late, **belonging(session)))
        figures_changed(self.session, session, counts_of_risks([risk]))
        return risk

    async def keep(self, session: LearningSession, findings: Sequence[Finding]) -> Kept:
        """Store what the rules found in the locked session, each finding once.

        An open finding follows what is seen now, unless a newer version of its rule wrote it; a resolved one stays.
        """
        known = await self._found_before(session.id)
        before = counts_of_risks(known.values())
        kept, new, updated = [], 0, 0
        for finding in findings:
            risk = known.get((finding.rule, finding.subject))
            if risk is None:
                risk = Risk(rule=finding.rule, subject=finding.subject, **finding.columns(), **belonging(session))
                self.session.add(risk)
                known[finding.rule, finding.subject] = risk
                new += 1
            elif not risk.resolved and (risk.rule_version or 0) <= finding.version:
                updated += renewed(risk, finding)
            kept.append(risk)
        await self.session.flush()
        if new or updated:
            figures_changed(self.session, session, difference(counts_of_risks(known.values()), before))
        return Kept(kept, new, updated)

    async def _found_before(self, session_id: UUID) -> dict[tuple[str | None, str | None], Risk]:
        """Locked in the order of their ids, so that one being resolved is resolved first."""
        statement = self.select().where(Risk.session_id == session_id, Risk.rule.is_not(None)).order_by(Risk.id)
        locked = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
        return {(risk.rule, risk.subject): risk for risk in await self.session.scalars(locked)}

    async def resolve(self, risk: Risk, resolution: Resolution, notes: str) -> Risk:
        """Close the locked risk. Raises Conflict (RISK_RESOLVED)."""
        if risk.resolved:
            raise Conflict("RISK_RESOLVED", "This risk is closed already.")
        before = counts_of_risks([risk])
        closing = {"resolution": resolution.value, "resolution_notes": notes}
        await self.change(risk, {"resolved": True, "resolved_at": utc_now(), **closing})
        place = select(LearningSession.student_id, LearningSession.course_id, LearningSession.activity_id)
        session = (await self.session.execute(place.where(LearningSession.id == risk.session_id))).one()
        figures_changed(self.session, session, difference(counts_of_risks([risk]), before))
        return risk


def counts_of_risks(risks: Iterable[Risk]) -> Counts:
    """As figures count them: how many, how many critical ones, and by dimension the open and the confirmed ones.

    Those that a person judged unfounded do not count.
    """
    counts: Counts = Counter()
    for risk in risks:
        if risk.resolution != Resolution.UNFOUNDED:
            counts["risks",] += 1
            counts["critical_risks",] += risk.risk_level == RiskLevel.CRITICAL
            counts["risk_counts", str(risk.dimension), "confirmed" if risk.resolved else "open"] += 1
    return counts


def belonging(session: LearningSession) -> dict[str, Any]:
    return {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}


def renewed(risk: Risk, finding: Finding) -> bool:
    """Whether the finding says something new; if so, the risk now says it."""
    changes = {name: value for name, value in finding.columns().items() if getattr(risk, name) != value}
    for name, value in changes.items():
        setattr(risk, name, value)
    return bool(changes)

"""An analysis: every rule over one session, in a fixed number of queries."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace
from sqlalchemy import String, cast, func, select

from cortez.activities.models import Activity
from cortez.core.concurrency.worker_pools import BESIDE
from cortez.risks.event_rules import EVENT_RULES, SEEN
from cortez.risks.findings import Event, Finding, Step, Thresholds
from cortez.risks.repository import Kept, RiskRepository
from cortez.risks.rules import STEP_RULES
from cortez.sessions.models import LearningSession
from cortez.simulators.models import SimulatorEvent
from cortez.simulators.repository import EventRepository
from cortez.traces.repository import HAPPENED, TRACES, TraceRepository

MAX_STEPS, MAX_EVENTS = 5_000, 500  # of a session, the first
MAX_TEXT = 2_000  # characters of a step
MANY = 100  # steps, above which the rules may take longer than to ask another process

NAMES = frozenset(rule.__name__ for rule in (*STEP_RULES, *EVENT_RULES))

EVENTS = SimulatorEvent.__table__
COLUMNS = (
    *(
        TRACES.c[name]
        for name in (
            "id",
            "interaction_type",
            "cognitive_intent",
            "strategy_type",
            "decision_justification",
            "ai_involvement",
            "occurred_at",
            "late",
        )
    ),
    func.substr(TRACES.c.content, 1, MAX_TEXT).label("content"),
    TRACES.c.ethical_risk_data["delegation_attempts"].as_string().label("delegation_attempts"),
    (cast(TRACES.c.alternatives_considered, String) != "[]").label("has_alternatives"),
)


class Material(NamedTuple):
    """What the rules look at."""

    steps: list[Step]
    events: list[Event]
    thresholds: Thresholds


async def material_of(risks: RiskRepository, session: LearningSession) -> Material:
    policies = await risks.session.scalar(select(Activity.policies).where(Activity.activity_id == session.activity_id))
    steps, events = await steps_of(risks, session), await events_of(risks, session)
    return Material(steps, events, Thresholds.of(policies or {}))


async def look(load: Callable[[], Awaitable[Material]], steps: int) -> list[Finding]:
    """What the rules find. A session of many steps is loaded when a process is free for it, and not before."""
    if steps <= MANY:
        return await asyncio.to_thread(judge, *await load())
    return await BESIDE.run_on(load, judge)


async def analyse(risks: RiskRepository, session: LearningSession) -> Kept:
    """Look at the session and keep what is found, all in one unit of work."""
    return await risks.keep(session, await look(partial(material_of, risks, session), session.trace_count))


async def steps_of(risks: RiskRepository, session: LearningSession) -> list[Step]:
    """In the order they happened."""
    traces = TraceRepository(risks.session, risks.principal)
    mine = traces.select(*COLUMNS).where(TRACES.c.session_id == session.id)
    return [Step(**row._mapping) for row in await traces.many(mine.order_by(HAPPENED, TRACES.c.id).limit(MAX_STEPS))]


async def events_of(risks: RiskRepository, session: LearningSession) -> list[Event]:
    """Those that a rule looks at, in the order they happened."""
    columns = (EVENTS.c.id, EVENTS.c.event_type, EVENTS.c.event_data)
    statement = EventRepository(risks.session, risks.principal).select(*columns)
    mine = statement.where(EVENTS.c.session_id == session.id, EVENTS.c.event_type.in_(SEEN))
    rows = await risks.session.execute(mine.order_by(EVENTS.c.timestamp, EVENTS.c.id).limit(MAX_EVENTS))
    return [Event(**row) for row in rows.mappings()]


def judge(steps: Sequence[Step], events: Sequence[Event], thresholds: Thresholds) -> list[Finding]:
    """What every rule says, and whether it goes by steps that came late."""
    of_steps = [finding for rule in STEP_RULES for finding in rule(steps, thresholds)]
    late = {step.id for step in steps if step.late}
    marked = [replace(finding, late=not late.isdisjoint(finding.trace_ids)) for finding in of_steps]
    return marked + [finding for rule in EVENT_RULES for finding in rule(events)]

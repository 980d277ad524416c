"""Queries of interviews, incidents and events. Appends happen under the lock of their row."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, select
from uuid_utils.compat import uuid7

from cortez.clock import utc_now, written
from cortez.core.db.repository import Repository
from cortez.core.db.types import stored
from cortez.core.web.batches import ItemResult
from cortez.errors import Conflict, CortezError, Invalid
from cortez.sessions.access import on_visible_session
from cortez.sessions.models import LearningSession
from cortez.sessions.rules import too_early
from cortez.simulators.models import IncidentSimulation, InterviewSession, SimulatorEvent
from cortez.simulators.schemas import (
    MAX_STEPS,
    EventIn,
)

S = TypeVar("S", bound=InterviewSession | IncidentSimulation | SimulatorEvent)

# What makes two events with one id the same event.
CONTENT = ("session_id", "simulator_type", "event_type", "event_data", "description", "severity")


def minutes_since(moment: Any) -> int:
    return int((utc_now() - moment) / timedelta(minutes=1))


class OfSession(Repository[S]):
    """Rows that hang on a session."""

    def visible(self) -> ColumnElement[bool]:
        return on_visible_session(self.model.session_id, self.principal)


class InterviewRepository(OfSession[InterviewSession]):
    model = InterviewSession
    noun = "interview"

    async def going(self, id_: UUID) -> InterviewSession:
        """Locked. Raises Conflict (INTERVIEW_COMPLETED) where it is over."""
        interview = await self.get(id_, lock=True)
        if interview.duration_minutes is not None:
            raise Conflict("INTERVIEW_COMPLETED", "The interview is over.")
        return interview

    async def ask(self, interview: InterviewSession, question: dict[str, Any]) -> InterviewSession:
        """The next question. Raises Conflict (QUESTION_OPEN) while the last one is not answered."""
        if len(interview.questions_asked) > len(interview.responses):
            raise Conflict("QUESTION_OPEN", "The last question has no answer yet.")
        bounded(interview.questions_asked)
        asked = {"id": len(interview.questions_asked) + 1, **question, "timestamp": written(utc_now())}
        return await self.change(interview, {"questions_asked": [*interview.questions_asked, asked]})

    async def answer(self, interview: InterviewSession, response: dict[str, Any]) -> InterviewSession:
        """To the open question. Raises Conflict (NO_OPEN_QUESTION)."""
        if len(interview.questions_asked) <= len(interview.responses):
            raise Conflict("NO_OPEN_QUESTION", "Every question has its answer.")
        given = {"question_id": len(interview.responses) + 1, **response, "timestamp": written(utc_now())}
        return await self.change(interview, {"responses": [*interview.responses, given]})

    async def end(self, interview: InterviewSession, values: dict[str, Any]) -> InterviewSession:
        return await self.change(interview, values | {"duration_minutes": minutes_since(interview.created_at)})


class IncidentRepository(OfSession[IncidentSimulation]):
    model = IncidentSimulation
    noun = "incident"

    async def going(self, id_: UUID) -> IncidentSimulation:
        """Locked. Raises Conflict (INCIDENT_COMPLETED) where it is over."""
        incident = await self.get(id_, lock=True)
        if incident.time_to_resolve_minutes is not None:
            raise Conflict("INCIDENT_COMPLETED", "The incident is over.")
        return incident

    async def diagnose(self, incident: IncidentSimulation, step: dict[str, Any]) -> IncidentSimulation:
        bounded(incident.diagnosis_process)
        taken = {"step": len(incident.diagnosis_process) + 1, **step, "timestamp": written(utc_now())}
        return await self.change(incident, {"diagnosis_process": [*incident.diagnosis_process, taken]})

    async def end(self, incident: IncidentSimulation, values: dict[str, Any]) -> IncidentSimulation:
        return await self.change(incident, values | {"time_to_resolve_minutes": minutes_since(incident.created_at)})


def bounded(steps: Sequence[Any]) -> None:
    if len(steps) >= MAX_STEPS:
        raise Conflict("TOO_MANY_STEPS", f"A simulation has at most {MAX_STEPS} of these.")


class EventRepository(OfSession[SimulatorEvent]):
    model = SimulatorEvent
    noun = "simulator event"

    async def store(
        self, session: LearningSession, events: Sequence[EventIn | CortezError]
    ) -> list[ItemResult | CortezError]:
        """One outcome for each; the session is locked, so that a parallel batch of the same ids finds them."""
        ids = {event.id for event in events if not isinstance(event, CortezError)} - {None}
        found = await self.session.scalars(select(SimulatorEvent).where(SimulatorEvent.id.in_(ids)))
        known = {event.id: event for event in found}
        now, is_student = utc_now(), not self.principal.may("key:simulators")
        outcomes: list[ItemResult | CortezError] = []
        for index, event in enumerate(events):
            if isinstance(event, CortezError):
                outcomes.append(event)
                continue
            if is_student and (early := too_early("/timestamp", event.timestamp, session.start_time)):
                outcomes.append(early)
                continue
            values = values_of(event, session, now + timedelta(microseconds=index))
            outcomes.append(self._judge(index, values, known))
        await self.session.flush()
        return outcomes

    def _judge(self, index: int, values: dict[str, Any], known: dict[UUID, SimulatorEvent]) -> ItemResult | CortezError:
        if values["simulator_type"] is None:
            return Invalid.at("/simulator_type", "Name the simulator; the session has none.")
        there = known.get(values["id"])
        if there is None:
            known[values["id"]] = event = SimulatorEvent(**values)
            self.session.add(event)
            return ItemResult(index=index, id=event.id, status="created")
        if all(getattr(there, name) == values[name] for name in CONTENT):
            return ItemResult(index=index, id=there.id, status="duplicate")
        return Conflict("EVENT_CONFLICT", "An event with this id exists already, with other content.")


def values_of(event: EventIn, session: LearningSession, now: Any) -> dict[str, Any]:
    values = {name: stored(getattr(event, name)) for name in event.__struct_fields__}
    return {
        **values,
        "id": event.id or uuid7(),
        "simulator_type": values["simulator_type"] or session.simulator_type,
        "timestamp": event.timestamp or now,
        "session_id": session.id,
        "student_id": session.student_id,
        "activity_id": session.activity_id,
        "created_at": now,
        "updated_at": now,
    }


def keys_of(session: LearningSession) -> dict[str, Any]:
    return {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}

"""A session with everything that belongs to it, as one document that is sent while it is made."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.db.engine import Database
from cortez.core.db.repository import Place
from cortez.core.security.principal import Principal
from cortez.evaluations.models import Evaluation
from cortez.exercises.models import ExerciseAttempt
from cortez.exercises.schemas import AttemptOut
from cortez.exports.streams import ENCODER, PLACES, in_lots, listed, stored_rows
from cortez.git.models import GitTrace
from cortez.oversight.models import TeacherIntervention
from cortez.oversight.schemas import InterventionOut
from cortez.risks.models import Risk
from cortez.sequences.models import TraceSequence
from cortez.sessions.access import on_visible_session
from cortez.sessions.repository import SessionRepository
from cortez.sessions.schemas import SessionOut
from cortez.simulators.models import IncidentSimulation, InterviewSession, SimulatorEvent
from cortez.simulators.schemas import EventOut, IncidentOut, InterviewOut
from cortez.traces.repository import TraceRepository
from cortez.traces.schemas import TraceOut


class Part(NamedTuple):
    """Rows that belong to a session, under which name they are exported, and what of each is."""

    name: str
    model: Any
    show: Callable[[Any], Any]


def parts_of(session: SessionOut, principal: Principal) -> list[Part]:
    """What comes after the traces, as far as the principal may see it (`SessionExport`)."""
    mine = session.student_id == principal.student_id and not principal.is_admin
    teaches = principal.is_teaching and not mine
    interview = InterviewOut.of if teaches or principal.is_key else InterviewOut.for_student
    interventions = [Part("interventions", TeacherIntervention, InterventionOut.of)] if teaches else []
    return [
        Part("trace_sequences", TraceSequence, TraceSequence.to_dict),
        Part("risks", Risk, Risk.to_dict),
        Part("evaluations", Evaluation, Evaluation.to_dict),
        Part("git_traces", GitTrace, GitTrace.to_dict),
        Part("interviews", InterviewSession, interview),
        Part("incidents", IncidentSimulation, IncidentOut.of),
        Part("simulator_events", SimulatorEvent, EventOut.of),
        Part("attempts", ExerciseAttempt, AttemptOut.of),
        *interventions,
    ]


async def session_export(
    database: Database, principal: Principal, session_id: UUID, position: str | None = None
) -> AsyncGenerator[bytes]:
    """The document from its beginning, piece by piece. Raises NotFound before the first."""

    async def read_session(session: AsyncSession) -> SessionOut:
        return await SessionRepository(session, principal).read(session_id)

    found = await database.read(read_session, position)
    yield b'{"session":' + ENCODER.encode(found)
    yield b',"traces":'
    async for piece, _ in listed(steps_of(database, principal, session_id, position)):
        yield piece
    for name, model, show in parts_of(found, principal):
        yield f',"{name}":'.encode()
        seen = (on_visible_session(model.session_id, principal), model.session_id == session_id)
        rows = stored_rows(database, model, select(model).where(*seen), position)
        async for piece, _ in listed(show(row) async for row in rows):
            yield piece
    await database.read(read_session, position)  # it was there, and to be seen, to the end
    yield b"}\n"


def steps_of(
    database: Database, principal: Principal, session_id: UUID, position: str | None
) -> AsyncGenerator[TraceOut]:
    """In the order they happened."""

    async def places_after(session: AsyncSession, after: Place | None) -> list[Place]:
        return await TraceRepository(session, principal).places_of(session_id, PLACES, after)

    async def steps_at(session: AsyncSession, places: Sequence[Place]) -> list[TraceOut]:
        return await TraceRepository(session, principal).at(places)

    return in_lots(database, places_after, steps_at, position)

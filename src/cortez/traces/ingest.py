"""How traces get in: one trace or a thousand, each item judged for itself, all stored by one statement."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from sqlalchemy import Uuid, bindparam, insert, select, update
from uuid_utils.compat import uuid7

from cortez.clock import utc_now
from cortez.core.db.bulk_insert import copy_rows
from cortez.core.db.classification import ERASED
from cortez.core.db.compiled_queries import Kept
from cortez.core.db.expressions import within
from cortez.core.db.types import ListOf, default_of
from cortez.core.db.unit_of_work import unit_of
from cortez.core.security.principal import Principal
from cortez.core.web.batches import BatchResult, ItemResult, answer_of, refuse_rejections
from cortez.errors import Conflict, CortezError, Forbidden, Invalid, NotFound
from cortez.sessions.access import SESSIONS
from cortez.sessions.changes import Placed, counts_of_steps, figures_changed, millionths
from cortez.sessions.models import LearningSession, SessionStatus
from cortez.sessions.quotas import Held, Quotas
from cortez.sessions.repository import SessionRepository, judgements_of
from cortez.sessions.rules import CLOCKS, SessionRow, too_early
from cortez.traces.lateness import closed_to_student, is_late
from cortez.traces.models import STUDENT_TYPES, InteractionType
from cortez.traces.repository import SHOWN, TRACES
from cortez.traces.schemas import Analysis, SessionTraceIn, TraceIn, TraceOut, column_of

JUDGED = [
    SESSIONS.c[name]
    for name in (
        "id",
        "student_id",
        "course_id",
        "activity_id",
        "status",
        "start_time",
        "end_time",
        "trace_count",
        "trace_bytes",
    )
]
STORE = Kept(insert(TRACES).values({column.name: bindparam(column.name) for column in TRACES.c}).returning(*SHOWN))
STORED = Kept(
    select(TRACES.c.id, TRACES.c.session_id, TRACES.c.ingest_digest).where(
        within(TRACES.c.id, bindparam("ids", type_=ListOf(Uuid())))
    )
)

# How much longer a step may be stored than it was sent: 1e15 is stored as 1000000000000000.0, and what it leaves out
# as empty documents.
GROWTH, UNSAID_SIZE = 5, 100
OPEN = (SessionStatus.ACTIVE, SessionStatus.PAUSED)


Row = tuple[Any, ...]  # the values of COLUMNS
PLACE = ("session_id", "id", "student_id", "activity_id", "ingest_digest", "late", "created_at", "updated_at")
UNSAID: Row = tuple(default_of(TRACES.c[name]) for name in Analysis.__struct_fields__)  # an analysis that says nothing
LAST = TraceIn.__struct_fields__.index("id")
COLUMNS = (*PLACE, *map(column_of, TraceIn.__struct_fields__[:LAST]))
OCCURRED, STATE, SHARE = map(COLUMNS.index, ("occurred_at", "cognitive_state", "ai_involvement"))


class JudgedSession(SessionRow, Placed, Protocol):
    """The columns of JUDGED."""

    trace_count: int
    trace_bytes: int


class Item(Struct, frozen=True):
    """A well-formed item of a batch, with its place and its session."""

    index: int
    session_id: UUID
    trace: TraceIn
    size: int  # bytes that it takes at most, stored


class Whose(NamedTuple):
    """The session of a trace that is there, and its content where a client had named it."""

    session_id: UUID
    digest: bytes | None


class Known(Struct, frozen=True):
    """What the items are judged against, each read by one query."""

    now: datetime
    sessions: dict[UUID, JudgedSession]
    traces: dict[UUID, Whose]  # stored, or earlier in this batch
    judged: dict[UUID, datetime]  # of the principal's own sessions, when that was last
    held: dict[UUID, tuple[Held, Held]]  # what a session and its student hold, where not all items have room

    def open(self) -> set[UUID]:
        return {id_ for id_, session in self.sessions.items() if session.status in OPEN}


class Ingest:
    """Stores traces for one principal in the given unit of work."""

    def __init__(self, sessions: SessionRepository, quotas: Quotas) -> None:
        self.sessions = sessions
        self.quotas = quotas
        self.session = sessions.session
        self.principal: Principal = sessions.principal
        self.is_tutor_agent = self.principal.may("key:traces")

    async def one(self, session_id: UUID, trace: TraceIn) -> TraceOut | None:
        """The new trace; None where it is stored already. Raises what the item is rejected for."""
        size = len(msgspec.json.encode(trace))
        (result,), rows = await self._judged([Item(0, session_id, trace, size)], session_id)
        if isinstance(result, CortezError):
            raise result
        if not rows:
            return None
        (stored,) = await unit_of(self.session).fetch(STORE, dict(zip(COLUMNS, rows[0], strict=True)), TraceOut)
        new: TraceOut = stored
        return new

    async def batch(
        self, given: Sequence[TraceIn | CortezError], sizes: Sequence[int], session_id: UUID | None, *, atomic: bool
    ) -> BatchResult:
        """One result for every item, in order; with `atomic` any rejection raises and nothing is stored.

        `sizes`: in how many bytes each was sent, from which a bound follows of what it takes. Without `session_id`
        every item names its own.
        """
        items = [
            item_of(index, one, session_id, size) for index, (one, size) in enumerate(zip(given, sizes, strict=True))
        ]
        results, rows = await self._judged([item for item in items if isinstance(item, Item)], session_id)
        judged = iter(results)
        outcomes = [next(judged) if isinstance(item, Item) else item for item in items]
        if atomic:
            refuse_rejections(outcomes)
        if rows:
            await copy_rows(self.session, TRACES, COLUMNS, rows)
        return answer_of(outcomes)

    async def _judged(
        self, items: list[Item], session_id: UUID | None
    ) -> tuple[list[ItemResult | CortezError], list[Row]]:
        """A result for each item, and the rows that are to be stored. Raises NotFound where the one session is not."""
        known = await self._know(items, {item.session_id for item in items} | ({session_id} if session_id else set()))
        if session_id and session_id not in known.sessions:
            raise NotFound("session", session_id)
        rows: list[Row] = []
        results = [self._judge(item, known, rows) for item in items]
        for id_ in {session_id for session_id, *_ in rows} - known.open():
            await self._came_late(known.sessions[id_], [row for row in rows if row[0] == id_])
        return results, rows

    async def _came_late(self, session: JudgedSession, rows: list[Row]) -> None:
        """Steps of a session that has ended count at once. The end of an abandoned one was a guess: they move it."""
        last = max(row[OCCURRED] for row in rows)
        steps = counts_of_steps((row[STATE], 1, millionths(row[SHARE])) for row in rows)
        is_after = session.end_time is not None and last > session.end_time
        figures_changed(self.session, session, steps, last=last if is_after else None)
        if is_after:
            moved = update(LearningSession).where(LearningSession.id == session.id).values(end_time=last)
            await self.session.execute(moved.execution_options(synchronize_session=False))

    async def _know(self, items: list[Item], session_ids: set[UUID]) -> Known:
        """The sessions first, locked; then what is stored.

        A parallel batch of the same ids waits at the session, and finds them stored.
        """
        held = self.sessions.locking(*JUDGED)
        locked: Sequence[JudgedSession] = await self.sessions.run(held, session_ids=list(session_ids))
        sessions = {row.id: row for row in locked}
        ids = ({item.trace.id for item in items} | {item.trace.parent_trace_id for item in items}) - {None}
        found = await unit_of(self.session).fetch(STORED, {"ids": list(ids)}) if ids else ()
        traces = {row.id: Whose(row.session_id, row.ingest_digest) for row in found}
        own = [row.id for row in locked if self._is_own(row)]
        judged = await judgements_of(self.session, own) if own else {}
        return Known(utc_now(), sessions, traces, judged, await self._held(items, locked))

    async def _held(self, items: Sequence[Item], sessions: Sequence[JudgedSession]) -> dict[UUID, tuple[Held, Held]]:
        size = sum(item.size for item in items)
        theirs = await self.quotas.of_students(self.session, {row.student_id for row in sessions}, len(items), size)
        both = {
            row.id: (self.quotas.of_session(row.trace_count, row.trace_bytes), theirs[row.student_id])
            for row in sessions
        }
        return {id_: held for id_, held in both.items() if not all(one.takes(len(items), size) for one in held)}

    def _is_own(self, session: JudgedSession) -> bool:
        """Whether the principal is the student of the session, and nothing more."""
        return not self.is_tutor_agent and self.principal.student_id == session.student_id

    def _judge(self, item: Item, known: Known, rows: list[Row]) -> ItemResult | CortezError:
        """Decide on one item; a good one joins `rows`."""
        session = known.sessions.get(item.session_id)
        if session is None:
            return NotFound("session", item.session_id)
        given = item.trace.id  # without it nobody can send the same step again
        own = Whose(item.session_id, item.trace.digest() if given else None)
        if given and (there := known.traces.get(given)):
            return again(item, is_same=there == own)
        if refusal := self._refusal(item.trace, session, known):
            return refusal
        parent = item.trace.parent_trace_id
        if parent and (parent not in known.traces or known.traces[parent].session_id != item.session_id):
            return Invalid.at("/parent_trace_id", "The parent is no trace of this session.", "PARENT_NOT_FOUND")
        if full := self._full(known.held.get(session.id, ()), item.trace):
            return full
        self.quotas.count(session.student_id, item.size)
        id_ = given or uuid7()
        known.traces[id_] = own
        late = is_late(session, item.trace.occurred_at, known.judged.get(session.id))
        rows.append(row_of(id_, item, own, session, known.now, late=late))
        return ItemResult(index=item.index, id=id_, status="created")

    def _full(self, held: Sequence[Held], trace: TraceIn) -> CortezError | None:
        """Why a further step has no room, if so; else it is counted. Its size is worked out where it may matter."""
        size = len(msgspec.json.encode(trace)) if held else 0
        for one in held:
            if refusal := one.refusal(size):
                return refusal
        for one in held:
            one.add(size)
        return None

    def _refusal(self, trace: TraceIn, session: JudgedSession, known: Known) -> CortezError | None:
        """Why this principal may not add this trace to this session now, if so."""
        if not self.is_tutor_agent and (forbidden := forbidden_for(trace, self.principal, session.student_id)):
            return Forbidden("FORBIDDEN", forbidden)
        if trace.occurred_at and trace.occurred_at > known.now + CLOCKS:
            return Invalid.at("/occurred_at", "This lies more than five minutes ahead.")
        if self._is_own(session) and (early := too_early("/occurred_at", trace.occurred_at, session.start_time)):
            return early
        if session.student_id.startswith(ERASED):
            return Conflict("SESSION_CLOSED", "The student of this session was erased.")
        return None if session.status in OPEN else self._too_late(trace, session, known)

    def _too_late(self, trace: TraceIn, session: JudgedSession, known: Known) -> Conflict | None:
        """Why the trace may not be added to the session that is over, if so."""
        if trace.occurred_at is None or session.end_time is None:
            said = f"The session is {session.status}; send occurred_at for a late delivery."
            return Conflict("SESSION_CLOSED", said)
        is_guess = self.is_tutor_agent and session.status == SessionStatus.ABANDONED
        if trace.occurred_at > session.end_time and not is_guess:
            return Conflict("SESSION_CLOSED", f"The session is {session.status}; this happened after its end.")
        return closed_to_student(session, known.now, known.judged) if self._is_own(session) else None


def again(item: Item, *, is_same: bool) -> ItemResult | CortezError:
    """A trace whose id is there already, with the same content or other."""
    if is_same:
        return ItemResult(index=item.index, id=item.trace.id, status="duplicate")
    return Conflict("TRACE_CONFLICT", "A trace with this id exists already, with other content.")


def item_of(index: int, given: TraceIn | CortezError, session_id: UUID | None, size: int) -> Item | CortezError:
    """An item of the session that it names itself, or of the one session."""
    if isinstance(given, CortezError):
        return given
    own = given.session_id if isinstance(given, SessionTraceIn) else session_id
    assert own  # noqa: S101 - the route names the session, or every item does
    return Item(index, own, given, GROWTH * size + UNSAID_SIZE)


def forbidden_for(trace: TraceIn, principal: Principal, student_id: str) -> str:
    """What a person may not write in a trace of the student's session; an empty text where all is well."""
    if principal.student_id != student_id:
        allowed = trace.interaction_type == InteractionType.TEACHER_FEEDBACK
        return "" if allowed else "Those who teach write teacher_feedback only."
    if trace.interaction_type not in STUDENT_TYPES:
        return f"A student writes {', '.join(sorted(STUDENT_TYPES))} only."
    if fields := [*trace.analysed(), *(["agent_id"] if trace.agent_id else [])]:
        return f"A student does not write {', '.join(fields)}."
    return ""


def row_of(id_: UUID, item: Item, own: Whose, session: JudgedSession, now: datetime, *, late: bool) -> Row:
    """The columns of a new trace. Item i is stored i microseconds later, so that the order of a batch stays."""
    created_at = now + timedelta(microseconds=item.index)
    given = msgspec.structs.astuple(item.trace)
    said = [unsaid if value is UNSET else value for value, unsaid in zip(given, UNSAID, strict=False)]
    place = (own.session_id, id_, session.student_id, session.activity_id, own.digest, late, created_at, created_at)
    return (*place, *said, *given[len(UNSAID) : LAST])

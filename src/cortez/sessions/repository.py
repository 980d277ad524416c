"""Queries of sessions, and which of them a principal may see."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any, ClassVar, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Uuid,
    bindparam,
    func,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.changes import student_changed
from cortez.core.db.base import Base, shown
from cortez.core.db.compiled_queries import Kept, once
from cortez.core.db.expressions import within
from cortez.core.db.pagination import Listing, Page
from cortez.core.db.repository import LOT, MAX_BYTES, Listed, Place, Placed, gather, group_by, place_of, weight_of
from cortez.core.db.types import ListOf
from cortez.core.db.unit_of_work import unit_of
from cortez.core.lifecycle import after
from cortez.errors import Conflict, Forbidden
from cortez.sessions.access import SESSIONS, on_visible_session, require_worker, session_ids, visible_sessions
from cortez.sessions.changes import sessions_ended
from cortez.sessions.models import LearningSession
from cortez.sessions.rules import ACTIVE, FINAL, PAUSED, TRANSITIONS, next_status
from cortez.sessions.schemas import SessionOut

SHOWN = shown(SESSIONS, SessionOut)
WANTED = bindparam("session_ids", type_=ListOf(Uuid()))
ROWS = bindparam("row_ids", type_=ListOf(Uuid()))
FIRST = 2 * LOT  # rows, so that the parts of a session with a hundred steps take one statement each


async def judgements_of(session: AsyncSession, session_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """Of each of these sessions that was judged, when that was last: an evaluation, or a finding that was resolved."""
    found = await unit_of(session).fetch(last_judged(), {"session_ids": [*session_ids]})
    return {row.session_id: row.moment for row in found}


@cache
def last_judged() -> Kept:
    evaluations, risks = (Base.metadata.tables[name].c for name in ("evaluations", "risks"))  # they build on this
    evaluated = select(evaluations.session_id, evaluations.created_at.label("moment"))
    resolved = select(risks.session_id, func.coalesce(risks.resolved_at, risks.updated_at).label("moment"))
    judged = union_all(
        evaluated.where(within(evaluations.session_id, WANTED)),
        resolved.where(within(risks.session_id, WANTED), risks.resolved.is_(True)),
    ).subquery()
    last = func.max(judged.c.moment).label("moment")
    return Kept(select(judged.c.session_id, last).group_by(judged.c.session_id))


class OfSession(Placed, Protocol):
    """What is shown of a row that hangs on a session."""

    @property
    def session_id(self) -> UUID: ...


M = TypeVar("M", bound=Base)
O = TypeVar("O", bound=OfSession)  # noqa: E741 - an output type


class OnSession(Listed[M, O]):
    """Rows that hang on a session, and are seen with it."""

    order: ClassVar[Sequence[ColumnElement[Any]]]  # of those of one session

    def visible(self) -> ColumnElement[bool]:
        return on_visible_session(self.model.__table__.c.session_id, self.principal)

    def condition(self, name: str) -> ColumnElement[bool]:
        if name == "course_id":
            inside = session_ids(self.principal).where(SESSIONS.c.course_id == bindparam(name))
            wanted: ColumnElement[bool] = self.model.__table__.c.session_id.in_(inside)
            return wanted
        return super().condition(name)

    async def listed_of(self, session_id: UUID, page: Page, *, newest_first: bool = True, **wanted: Any) -> Listing[O]:
        """Those of one session. Raises NotFound where that is not seen."""
        listing = await self.listed(page, newest_first=newest_first, session_id=session_id, **wanted)
        if not listing.items:  # a row that is seen hangs on a session that is seen
            await SessionRepository(self.session, self.principal).require(session_id)
        return listing

    @once
    def first(self, places: bool, continued: bool) -> Select[Any]:
        """The first `page_size` rows of a session; `continued`: the first after a place; `places`: only theirs."""
        columns = self.order if places else self.columns
        mine = self.select(*columns).where(self.model.__table__.c.session_id == bindparam("session_id"))
        if continued:
            moment, id_ = self.order
            place = tuple_(bindparam("page_after", type_=moment.type), bindparam("page_after_id", type_=id_.type))
            mine = mine.where(tuple_(moment, id_) > place)
        return mine.order_by(*self.order).limit(bindparam("page_size", type_=Integer()))

    @once
    def these(self) -> Select[Any]:
        return self.select(*self.columns, of=within(self.model.__table__.c.id, ROWS)).order_by(*self.order)

    async def places_of(self, session_id: UUID, most: int, after: Place | None = None) -> list[Place]:
        """The first rows of a session, or the first after one, by their places in their order."""
        kept = self.first(True, after is not None)
        return await self.run(kept, lambda *place: place, session_id=session_id, **place_of(after, most))

    async def at(self, places: Sequence[Place]) -> list[O]:
        """The rows at these places, in their order."""
        return await self.run(self.these(), self.out, row_ids=[id_ for _, id_ in places])

    async def included(self, session_id: UUID, most: int) -> tuple[list[O], bool]:
        """The first rows of a session in their order, and whether it has more than these.

        They are no more than `most`, and no more than a page has by weight. Most sessions take one statement.
        """
        first = await self.run(self.first(False, False), self.out, session_id=session_id, page_size=FIRST)
        is_all = len(first) < FIRST
        if is_all and len(first) <= most and sum(map(weight_of, first)) <= MAX_BYTES:
            return first, False
        there = {one.id for one in first}
        places = [] if is_all else await self.places_of(session_id, most + 1)
        known, rest = iter(first), iter([(moment, id_) for moment, id_ in places if id_ not in there])

        async def next_lot(after: Place | None, size: int) -> Sequence[O]:
            return [*islice(known, size)] or await self.at([*islice(rest, size)])

        return await gather(next_lot, None, most)

    @once
    def of_sessions(self) -> Select[Any]:
        wanted = within(self.model.__table__.c.session_id, WANTED)
        return self.select(*self.columns, of=wanted).order_by(*self.order)

    async def get_by_session_ids(self, session_ids: Collection[UUID]) -> dict[UUID, list[O]]:
        """One query for all, each session's in their order."""
        shown = await self.run(self.of_sessions(), self.out, session_ids=[*session_ids])
        return group_by(shown, lambda one: one.session_id, session_ids)


class SessionRepository(Listed[LearningSession, SessionOut]):
    model = LearningSession
    noun = "session"
    out = SessionOut
    columns = SHOWN

    def visible(self) -> ColumnElement[bool]:
        return visible_sessions(self.principal)

    def condition(self, name: str) -> ColumnElement[bool]:
        if name == "started_after":
            return SESSIONS.c.start_time >= bindparam(name)
        if name == "started_before":
            return SESSIONS.c.start_time < bindparam(name)
        return super().condition(name)

    @once
    def seen(self, *columns: ColumnElement[Any]) -> Select[Any]:
        """These columns of `session_ids`, in the order of their ids."""
        return self.select(*columns, of=within(SESSIONS.c.id, WANTED)).order_by(SESSIONS.c.id)

    def locking(self, *columns: ColumnElement[Any]) -> Kept:
        """The same, locked in that order, as the counter's trigger does."""
        return self.seen(*columns).other("locked", lambda statement: statement.with_for_update(key_share=True))

    async def move(self, session: LearningSession, action: str) -> LearningSession:
        """Take the locked session through its life cycle. Raises Conflict on an illegal transition."""
        await self.change(session, next_status(session.status, action))
        if session.status in FINAL:
            await sessions_ended(self.session, [session])
        return session

    async def delete(self, session: LearningSession) -> None:
        await super().delete(session)
        student_changed(self.session, session.student_id)

    async def abandon_idle(self, before: datetime, limit: int) -> int:
        """End some of the open sessions in which nothing has happened since `before`; how many there were.

        Each ends when its last trace was stored, or else when it last changed.
        """
        trace: Any = LearningSession.traces.property.mapper.class_
        last = select(func.max(trace.created_at)).where(trace.session_id == LearningSession.id).scalar_subquery()
        living = LearningSession.status.in_([ACTIVE.value, PAUSED.value])
        quiet = self.select(LearningSession, last.label("last")).where(
            living, LearningSession.updated_at < before, func.coalesce(last, LearningSession.updated_at) < before
        )
        held = quiet.order_by(LearningSession.id).limit(limit).with_for_update(key_share=True, of=LearningSession)
        rows = (await self.session.execute(held)).all()
        for session, moment in rows:
            session.end_time = max(moment or session.updated_at, session.updated_at)
            session.status = after(TRANSITIONS, self.noun, session.status, "abandon")
        await self.session.flush()
        await sessions_ended(self.session, [session for session, _ in rows])
        return len(rows)

    async def require(self, id_: UUID) -> None:
        """Raises NotFound where it is not there to be seen."""
        await self.row((SESSIONS.c.id,), id_)

    async def own(self, id_: UUID) -> LearningSession:
        """Locked and open, and the principal's own as a student. Raises Forbidden, or Conflict (SESSION_CLOSED)."""
        session = await self.get(id_, lock=True)
        if session.student_id != self.principal.student_id:
            raise Forbidden(None, "The session is not your own.")
        return self._going(session)

    async def worked(self, id_: UUID) -> LearningSession:
        """Locked, for those who work in it. Raises Forbidden."""
        session = await self.get(id_, lock=True)
        require_worker(self.principal, session.student_id)
        return session

    async def open(self, id_: UUID) -> LearningSession:
        """The same, open until the unit ends. Raises Conflict (SESSION_CLOSED)."""
        return self._going(await self.worked(id_))

    def _going(self, session: LearningSession) -> LearningSession:
        if session.status in FINAL:
            raise Conflict("SESSION_CLOSED", f"The session is {session.status}.")
        return session

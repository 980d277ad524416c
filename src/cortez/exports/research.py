"""A dataset for research: of everything that is asked for at once, or of one activity after the other."""

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from cortez.accounts.repository import CourseRepository
from cortez.core.db.engine import Database
from cortez.core.security.principal import Principal
from cortez.errors import Invalid
from cortez.exports.repository import NOTHING, ResearchRepository
from cortez.exports.rules import Pseudonyms, Selection, Tally, separate
from cortez.exports.schemas import ResearchIn, ResearchOut, ResearchRow
from cortez.oversight.access import require_activity

LOT = 1_000  # sessions whose figures one statement gives
MAX_SESSIONS = 20_000  # in one answer


async def require(research: ResearchRepository, wanted: ResearchIn) -> None:
    """Raises NotFound where the course or the activity is not the principal's to teach."""
    if wanted.course_id is not None:
        await CourseRepository(research.session, research.principal).taught(wanted.course_id)
    if wanted.activity_id is not None:
        await require_activity(research.session, research.principal, wanted.activity_id)


async def dataset(database: Database, principal: Principal, wanted: ResearchIn) -> ResearchOut:
    """As one document. Raises Invalid (EXPORT_TOO_LARGE)."""
    async with database.reading() as session:
        research = ResearchRepository(session, principal)
        await require(research, wanted)
        selections = await research.selections(wanted, limit=MAX_SESSIONS + 1)
        if len(selections) > MAX_SESSIONS:
            detail = f"These are more than {MAX_SESSIONS:,} sessions: choose a course, an activity or a period."
            raise Invalid.at("", detail, "EXPORT_TOO_LARGE")
        tally = Tally()
        pseudonyms = Pseudonyms(database.settings.secret_key, wanted.study)
        items = await rows(research, selections, wanted.k, pseudonyms, tally)
    return ResearchOut(wanted.study, wanted.k, *tally.counts(), items)


async def by_activity(
    database: Database, principal: Principal, wanted: ResearchIn, tally: Tally
) -> AsyncGenerator[list[ResearchRow]]:
    """The same rows, those of one activity after the other: a group never spans two."""
    async with database.reading() as session:
        research = ResearchRepository(session, principal)
        await require(research, wanted)
        activities = await research.activities(wanted)
    pseudonyms = Pseudonyms(database.settings.secret_key, wanted.study)
    for activity_id in activities:
        async with database.reading() as session:
            research = ResearchRepository(session, principal)
            selections = await research.selections(msgspec.structs.replace(wanted, activity_id=activity_id))
            found = await rows(research, selections, wanted.k, pseudonyms, tally)
        yield found


async def rows(
    research: ResearchRepository, selections: list[Selection], k: int, pseudonyms: Pseudonyms, tally: Tally
) -> list[ResearchRow]:
    """What may be released of these sessions, counted in the tally."""
    released, suppressed = await asyncio.to_thread(separate, selections, k)
    await asyncio.to_thread(tally.add, released, suppressed)
    made: list[ResearchRow] = []
    ordered = await asyncio.to_thread(pseudonyms.ordered, released)
    for start in range(0, len(ordered), LOT):
        lot = ordered[start : start + LOT]
        figures = await research.figures([one.id for one in lot])
        made += [row_of(one, pseudonyms, figures[one.id]) for one in lot]
    return made


def row_of(selection: Selection, pseudonyms: Pseudonyms, figures: dict[str, object]) -> ResearchRow:
    values = {**msgspec.structs.asdict(selection.group), **NOTHING, **selection.figures, **figures}
    return msgspec.convert({"pseudonym": pseudonyms.of(selection), **values}, ResearchRow)

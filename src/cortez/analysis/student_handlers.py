"""Views over a session's four levels, and over what a student did in all sessions that may be seen."""

import asyncio
from typing import Annotated
from uuid import UUID

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from cortez.activities.repository import ActivityRepository
from cortez.analysis.access import comparers, view_readers
from cortez.analysis.comparison import compare
from cortez.analysis.student_repository import SessionViews
from cortez.analysis.student_rules import Trends, statistics_of, trend_of, weeks_of
from cortez.analysis.student_schemas import Comparison, PastSession, RiskStatistics, Traceability
from cortez.core.db.pagination import Listing, Page
from cortez.core.web.dependencies import provided
from cortez.core.web.parameters import PathKey
from cortez.core.web.route_options import HEAVY
from cortez.core.web.schemas import KEY_PATTERN
from cortez.sessions.models import LearningSession

QueryActivity = Annotated[str, QueryParameter(pattern=KEY_PATTERN, min_length=1, max_length=100)]


provide_views = provided(SessionViews)
Views = NamedDependency[SessionViews]


@get("/sessions/{session_id:uuid}/traceability", guards=[view_readers], opt=HEAVY)
async def read_session_traceability(session_id: FromPath[UUID], views: Views) -> Traceability:
    """What the session left behind on each of the four levels."""
    await views.require(session_id)
    return await views.traceability(LearningSession.id == session_id)


@get("/students/{student_id:str}/traceability", guards=[view_readers], opt=HEAVY)
async def read_student_traceability(student_id: PathKey, views: Views) -> Traceability:
    """The same over all of the student's sessions that may be seen."""
    return await views.traceability(await views.require_student(student_id))


@get("/students/{student_id:str}/history", guards=[view_readers])
async def list_student_history(student_id: PathKey, views: Views, page: NamedDependency[Page]) -> Listing[PastSession]:
    """The student's sessions that may be seen, newest first, each with what hangs on it."""
    statement = views.history(await views.require_student(student_id))
    return await views.page(statement, page, PastSession.of, newest_first=True)


@get("/students/{student_id:str}/trends", guards=[view_readers], opt=HEAVY)
async def read_student_trends(student_id: PathKey, views: Views) -> Trends:
    """By ISO week of the steps; weeks without a step are left out."""
    theirs = await views.require_student(student_id)
    weeks = await asyncio.to_thread(weeks_of, await views.days(theirs), await views.risks(theirs))
    return Trends(student_id, weeks, trend_of(weeks))


@get("/students/{student_id:str}/risks/statistics", guards=[view_readers])
async def read_risk_statistics(student_id: PathKey, views: Views) -> RiskStatistics:
    """How many findings there are in the student's sessions that may be seen, and what became of them."""
    return statistics_of(student_id, await views.risk_counts(await views.require_student(student_id)))


@get("/students/compare", guards=[comparers], opt=HEAVY)
async def compare_students(activity_id: QueryActivity, views: Views) -> Comparison:
    """The students of an activity side by side, over the sessions that may be seen."""
    await ActivityRepository(views.session, views.principal).by_key(activity_id)
    return await compare(views, activity_id)


router = Router(
    "/",
    route_handlers=[
        read_session_traceability,
        read_student_traceability,
        list_student_history,
        read_student_trends,
        read_risk_statistics,
        compare_students,
    ],
    dependencies={"views": provide_views},
    tags=["student views"],
)

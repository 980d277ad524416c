"""The git history of a session: what was committed, how it grew, and which steps lay near."""

import asyncio
from typing import Any
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.clock import utc_now
from cortez.core.db.engine import Database
from cortez.core.db.pagination import Listing, Page
from cortez.core.security.principal import Principal
from cortez.core.web.batches import BatchResult, batch_of, items_of
from cortez.core.web.dependencies import provided
from cortez.core.web.requests import StrictRequest
from cortez.core.web.responses import STORED_ONCE, Answer, created
from cortez.core.web.route_options import HEAVY, route
from cortez.git.access import readers, writers
from cortez.git.bundle import Found
from cortez.git.importing import PARSERS, GitIngest, read_history
from cortez.git.repository import GIT, SHOWN, GitSessionRepository, GitTraceRepository
from cortez.git.rules import window_of
from cortez.git.schemas import GitTraceIn, GitTraceOut, ImportResult
from cortez.git.views import GROWING, PLACED, Correlation, Evolution, correlation, evolution
from cortez.sessions.repository import SessionRepository

FILES = {media: {"type": "string", "contentMediaType": media} for media in PARSERS}
BATCH = batch_of(GitTraceIn)


provide_git_traces = provided(GitTraceRepository)


async def provide_git_ingest(
    session: NamedDependency[AsyncSession], principal: NamedDependency[Principal]
) -> GitIngest:
    return GitIngest(GitSessionRepository(session, principal))


GitTraces = NamedDependency[GitTraceRepository]
Ingesting = NamedDependency[GitIngest]


@post(
    "/sessions/{session_id:uuid}/git-traces",
    guards=[writers],
    opt=STORED_ONCE,
)
async def create_git_trace(
    session_id: FromPath[UUID], data: JSONBody[GitTraceIn], git_ingest: Ingesting, git_traces: GitTraces
) -> Answer[GitTraceOut]:
    """Store one event, made during the session. A commit that is there already answers 200 with the stored one."""
    id_, new = await git_ingest.one(session_id, data.commit())
    answer = created(GitTraceOut.of(await git_traces.row(SHOWN, id_)), f"/git-traces/{id_}")
    answer.status_code = 201 if new else 200
    return answer


@post("/sessions/{session_id:uuid}/git-traces/batch", guards=[writers], status_code=HTTP_200_OK, opt=BATCH)
async def create_git_traces(
    session_id: FromPath[UUID], request: StrictRequest, git_ingest: Ingesting, atomic: FromQuery[bool] = False
) -> BatchResult:
    """Up to 1,000 events, as a JSON array or as NDJSON; one result for each.

    A commit that the session has already is a duplicate.
    """
    sent = await items_of(request, GitTraceIn)
    return await git_ingest.batch(session_id, sent.items, atomic=atomic)


async def parsed(scope: Any, body: bytes, database: Database) -> Found:
    """The commits of the body during the session, before the unit of work begins: nothing is held meanwhile."""
    async with database.reading() as session:
        sessions = GitSessionRepository(session, scope["user"])
        window = window_of(await sessions.writable(scope["path_params"]["session_id"], lock=False), utc_now())
    return await read_history(body, Request[Any, Any, Any](scope).content_type[0].strip().lower(), window)


HISTORY = route(HEAVY, bodies=FILES, max_body=20_000_000, sent_back=HTTP_200_OK, before=parsed)


@post("/sessions/{session_id:uuid}/git-traces/import", guards=[writers], status_code=HTTP_200_OK, opt=HISTORY)
async def import_git_history(session_id: FromPath[UUID], request: StrictRequest, git_ingest: Ingesting) -> ImportResult:
    """The commits of a repository that were made during the session (five minutes of grace at either end).

    As application/x-git-bundle the file of `git bundle create work.bundle --all`; as text/plain the output of `git log
    --branches --numstat --summary --no-renames --pretty=format:%x1e%H%x1f%P%x1f%an%x1f%ae%x1f%cI%x1f%S%x1f%B%x1f`. At
    most 20 MB, and 1,000 commits during the session. Time is the committer's. The same again creates nothing.
    """
    return await git_ingest.history(session_id, request.state.prepared)


@get("/sessions/{session_id:uuid}/git-traces", guards=[readers])
async def list_git_traces(
    session_id: FromPath[UUID], git_traces: GitTraces, page: NamedDependency[Page]
) -> Listing[GitTraceOut]:
    """In the order they were stored; `…/evolution` has them in git's own."""
    await SessionRepository(git_traces.session, git_traces.principal).require(session_id)
    statement = git_traces.rows().where(GIT.c.session_id == session_id)
    return await git_traces.page(statement, page, GitTraceOut.of)


@get("/git-traces/{git_trace_id:uuid}", guards=[readers])
async def read_git_trace(git_trace_id: FromPath[UUID], git_traces: GitTraces) -> GitTraceOut:
    return GitTraceOut.of(await git_traces.row(SHOWN, git_trace_id))


@get("/sessions/{session_id:uuid}/git-traces/evolution", guards=[readers])
async def read_git_evolution(session_id: FromPath[UUID], git_traces: GitTraces) -> Evolution:
    """How the code grew, commit by commit; of the first 2,000."""
    await SessionRepository(git_traces.session, git_traces.principal).require(session_id)
    rows = await git_traces.in_order(session_id, GROWING)
    files = await git_traces.count_files([row.id for row in rows])
    return await asyncio.to_thread(evolution, rows, files)


@get("/sessions/{session_id:uuid}/git-traces/correlation", guards=[readers])
async def read_git_correlation(session_id: FromPath[UUID], git_traces: GitTraces) -> Correlation:
    """Each commit with the step nearest to it, at most 30 minutes away; of the first 2,000 commits."""
    await SessionRepository(git_traces.session, git_traces.principal).require(session_id)
    rows = await git_traces.in_order(session_id, PLACED)
    steps = await git_traces.steps(session_id, rows[0].timestamp, rows[-1].timestamp) if rows else []
    return await asyncio.to_thread(correlation, rows, steps)


router = Router(
    "/",
    route_handlers=[
        create_git_trace,
        create_git_traces,
        import_git_history,
        list_git_traces,
        read_git_trace,
        read_git_evolution,
        read_git_correlation,
    ],
    dependencies={"git_traces": provide_git_traces, "git_ingest": Provide(provide_git_ingest)},
    tags=["git traces"],
)

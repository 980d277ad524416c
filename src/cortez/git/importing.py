"""How commits get in: one, a batch, or a history that another process reads; each once, tied to the nearest step."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from cortez.clock import utc_now
from cortez.core.concurrency.worker_pools import BESIDE
from cortez.core.db.types import Document, stored
from cortez.core.web.batches import BatchResult, ItemResult, answer_of, refuse_rejections
from cortez.errors import Conflict, CortezError, Invalid
from cortez.git.bundle import Found, Window, read_commits
from cortez.git.log import read_log
from cortez.git.repository import GitSessionRepository, GitTraceRepository
from cortez.git.rules import Commit, complexity_of, links_of, patterns_of, window_of
from cortez.git.schemas import GitTraceIn, ImportResult
from cortez.sessions.repository import judgements_of
from cortez.sessions.rules import FINAL, SessionRow
from cortez.traces.lateness import closed_to_student, is_late

PARSERS: dict[str, Callable[[bytes, Window], Found]] = {
    "application/x-git-bundle": read_commits,
    "text/plain": read_log,
}


async def read_history(raw: bytes, media_type: str, window: Window) -> Found:
    """The commits of a bundle or a log that lie in the window."""
    if not raw:
        raise Invalid.at("", "Send a git bundle or the output of git log.")
    return await BESIDE.run(PARSERS[media_type], raw, window)


class GitIngest:
    """Stores commits for one principal in the given unit of work."""

    def __init__(self, sessions: GitSessionRepository) -> None:
        self.sessions = sessions
        self.commits = GitTraceRepository(sessions.session, sessions.principal)

    async def one(self, session_id: UUID, commit: Commit) -> tuple[UUID, bool]:
        """The id of the commit's row, and whether it is new. Raises what the commit is rejected for."""
        result = (await self._store(session_id, [commit]))[0]
        if isinstance(result, CortezError):
            raise result
        assert result.id  # noqa: S101 - a result that is no error names its row
        return result.id, result.status == "created"

    async def batch(self, session_id: UUID, items: Sequence[GitTraceIn | CortezError], *, atomic: bool) -> BatchResult:
        """One result for every item, in order; with `atomic` any rejection raises and nothing is stored."""
        commits = [item.commit() for item in items if isinstance(item, GitTraceIn)]
        judged = iter(await self._store(session_id, commits))
        outcomes = [
            at_place(next(judged), index) if isinstance(item, GitTraceIn) else item for index, item in enumerate(items)
        ]
        if atomic:
            refuse_rejections(outcomes)
        return answer_of(outcomes)

    async def history(self, session_id: UUID, found: Found) -> ImportResult:
        """Stored where they are new. The window was read before the parse; what it admitted is judged once more.

        Raises Conflict (SESSION_CLOSED) where one of them comes too late.
        """
        if not found.commits:
            return ImportResult(0, 0, found.outside)
        outcomes = await self._store(session_id, found.commits)
        if closed := next((outcome for outcome in outcomes if isinstance(outcome, Conflict)), None):
            raise closed
        count = Counter(outcome.status for outcome in outcomes if isinstance(outcome, ItemResult))
        outside = found.outside + sum(isinstance(outcome, CortezError) for outcome in outcomes)
        return ImportResult(count["created"], count["duplicate"], outside)

    async def _store(self, session_id: UUID, commits: Sequence[Commit]) -> list[ItemResult | CortezError]:
        """The session is locked first, so that parallel sends of a commit find it stored."""
        session = await self.sessions.writable(session_id, lock=True)
        now = utc_now()
        first, last = window_of(session, now)
        is_own = not self.commits.principal.may("key:git")
        judged = await judgements_of(self.commits.session, [session.id]) if is_own else {}
        closed = closed_to_student(session, now, judged) if is_own and session.status in FINAL else None
        known = await self.commits.by_hashes(session_id, {commit.commit_hash for commit in commits})
        fresh: dict[UUID, Commit] = {}
        results: list[ItemResult | CortezError] = []
        for index, commit in enumerate(commits):
            if id_ := known.get(commit.commit_hash):
                results.append(ItemResult(index=index, id=id_, status="duplicate"))
            elif not first <= commit.timestamp <= last:
                results.append(
                    Invalid.at("/timestamp", "The commit was not made during the session.", "COMMIT_OUTSIDE_SESSION")
                )
            elif closed:
                results.append(closed)
            else:
                id_ = known[commit.commit_hash] = uuid7()
                fresh[id_] = commit
                results.append(ItemResult(index=index, id=id_, status="created"))
        await self.commits.store(await self._rows(session, fresh, now, judged.get(session.id)))
        return results

    async def _rows(
        self, session: SessionRow, fresh: dict[UUID, Commit], now: datetime, judged_at: datetime | None
    ) -> list[Document]:
        """Commit i is stored i microseconds later, so that the order of one second's commits stays."""
        if not fresh:
            return []
        times = [commit.timestamp for commit in fresh.values()]
        steps = await self.commits.steps(session.id, min(times), max(times))
        moments = [step.happened for step in steps]
        return [
            row_of(commit, session)
            | links_of(commit, steps, moments)
            | {"late": is_late(session, commit.timestamp, judged_at)}
            | {"id": id_, "created_at": now + timedelta(microseconds=place)}
            | {"updated_at": now + timedelta(microseconds=place)}
            for place, (id_, commit) in enumerate(fresh.items())
        ]


def at_place(outcome: ItemResult | CortezError, index: int) -> ItemResult | CortezError:
    """A result counts the commits; in a batch there are items between them that are none."""
    return outcome if isinstance(outcome, CortezError) else msgspec.structs.replace(outcome, index=index)


def row_of(commit: Commit, session: SessionRow) -> Document:
    """The columns that the commit and its session give."""
    return {
        **{name: stored(getattr(commit, name)) for name in Commit.__struct_fields__},
        "session_id": session.id,
        "student_id": session.student_id,
        "activity_id": session.activity_id,
        "is_merge": commit.is_merge,
        "is_revert": commit.is_revert,
        "detected_patterns": patterns_of(commit),
        "complexity_delta": complexity_of(commit),
    }

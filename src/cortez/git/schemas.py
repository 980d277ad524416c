"""Git events in and out, and the views over a session's history."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from msgspec import Meta, Struct

from cortez.core.db.types import Document
from cortez.core.web.schemas import Input, Instant, Name, Prose, Resource
from cortez.git.models import GitEventType
from cortez.git.rules import MAX_DIFF, TRUNCATED, Commit, FileChange, shortened
from cortez.traces.models import CognitiveState

Hash = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{40}\Z")]
Lines = Annotated[int, Meta(ge=0, le=1_000_000)]
Complexity = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
Path = Annotated[str, Meta(min_length=1, max_length=500)]
Diff = Annotated[str, Meta(max_length=200_000)]


class FileChangeIn(Input):
    """One file of a commit; lines are 0 for a binary one."""

    file_path: Path
    change_type: Literal["added", "modified", "deleted", "renamed"] = "modified"
    lines_added: Lines = 0
    lines_deleted: Lines = 0
    is_binary: bool = False


class GitTraceIn(Input):
    """One event of a repository. `timestamp` is git's own; lines are summed over `files_changed`.

    A diff of more than 20,000 characters is cut there; credentials in `remote_url` are left out.
    """

    commit_hash: Hash
    commit_message: Prose
    author_name: Name
    author_email: Name
    timestamp: Instant
    event_type: GitEventType = GitEventType.COMMIT
    branch_name: Name = "main"
    parent_commits: Annotated[list[Hash], Meta(max_length=20)] = []
    files_changed: Annotated[list[FileChangeIn], Meta(max_length=500)] = []
    diff: Diff = ""
    repo_path: Path | None = None
    remote_url: Path | None = None

    def commit(self) -> Commit:
        names = FileChange.__struct_fields__
        return Commit(
            commit_hash=self.commit_hash.lower(),
            commit_message=self.commit_message,
            author_name=self.author_name,
            author_email=self.author_email,
            timestamp=self.timestamp,
            event_type=self.event_type,
            branch_name=self.branch_name,
            parent_commits=[parent.lower() for parent in self.parent_commits],
            files_changed=[FileChange(*(getattr(file, name) for name in names)) for file in self.files_changed],
            total_lines_added=sum(file.lines_added for file in self.files_changed),
            total_lines_deleted=sum(file.lines_deleted for file in self.files_changed),
            diff=shortened(self.diff, MAX_DIFF),
            repo_path=self.repo_path,
            remote_url=without_credentials(self.remote_url),
        )


def without_credentials(url: str | None) -> str | None:
    """The address without the user and password (or token) that may stand before its host."""
    if url is None or "@" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.netloc else url


class GitTraceOut(Resource):
    """A git event; `late` where it came after the session's end, or a judgement that the student dated it before."""

    session_id: UUID
    student_id: str
    activity_id: str
    event_type: GitEventType
    commit_hash: str
    commit_message: str
    author_name: str
    author_email: str
    timestamp: datetime
    branch_name: str
    parent_commits: list[str]
    files_changed: list[Document]
    total_lines_added: int
    total_lines_deleted: int
    diff: str
    is_merge: bool
    is_revert: bool
    detected_patterns: list[str]
    complexity_delta: int | None
    related_cognitive_traces: list[str]
    cognitive_state_during_commit: CognitiveState | None
    time_since_last_interaction_minutes: int | None
    repo_path: str | None
    remote_url: str | None
    late: bool
    message_truncated: bool
    diff_truncated: bool

    @classmethod
    def of(cls, row: Any) -> Self:
        flags = {"message_truncated", "diff_truncated"}
        return cls(
            **{name: getattr(row, name) for name in GitTraceOut.__struct_fields__ if name not in flags},
            message_truncated=row.commit_message.endswith(TRUNCATED),
            diff_truncated=row.diff.endswith(TRUNCATED),
        )


class ImportResult(Struct, frozen=True):
    """How many commits are new, were there already, or lie outside the session's time."""

    created: int
    duplicate: int
    outside: int

"""What a commit shows by itself, beside the others, and beside the steps of the session."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from cortez.core.db.types import Document
from cortez.git.models import GitEventType
from cortez.sessions.rules import CLOCKS, SessionRow
from cortez.traces.models import CognitiveState, InteractionType

# How near a step must be for a commit to be tied to it.
NEAR = timedelta(minutes=30)

# How far outside the session a commit may lie: clocks differ, and git counts whole seconds.

MAX_MESSAGE = 5_000
MAX_DIFF = 20_000
TRUNCATED = "\n[truncated]"


class FileChange(Struct, frozen=True):
    file_path: str
    change_type: str
    lines_added: int = 0
    lines_deleted: int = 0
    is_binary: bool = False


class Files(Struct, frozen=True):
    """How many files an event touches, and how many it and all before it do."""

    here: int
    so_far: int


class NearStep(Protocol):
    """What is said of a step near a commit: a row of the columns that `GitTraceRepository.steps` reads."""

    id: UUID
    interaction_type: InteractionType  # these two as texts, which equal them
    cognitive_state: CognitiveState | None
    occurred_at: datetime | None
    happened: datetime


class Commit(Struct, frozen=True, kw_only=True):
    """A git event, wherever it was read from; the fields are columns of git_traces."""

    commit_hash: str
    commit_message: str
    author_name: str
    author_email: str
    timestamp: datetime
    event_type: GitEventType
    branch_name: str
    parent_commits: list[str]
    files_changed: list[FileChange] = []
    total_lines_added: int = 0
    total_lines_deleted: int = 0
    diff: str = ""
    repo_path: str | None = None
    remote_url: str | None = None

    @property
    def is_merge(self) -> bool:
        return self.event_type == GitEventType.MERGE or len(self.parent_commits) > 1

    @property
    def is_revert(self) -> bool:
        return self.event_type == GitEventType.REVERT or self.commit_message.startswith('Revert "')


class Pattern(StrEnum):
    """What can be seen in a commit. None of them says how the code came to be, or that anything is wrong with it."""

    LARGE_ADDITION = "large_addition"
    LARGE_DELETION = "large_deletion"
    BALANCED_CHANGE = "balanced_change"
    SMALL_CHANGE = "small_change"
    PRINT_STATEMENTS = "print_statements"
    COMMENT_BLOCK = "comment_block"
    TESTS_TOUCHED = "tests_touched"
    BINARY_FILES = "binary_files"


LARGE = 200  # more lines than this
BALANCED = 50  # more lines than this on either side, and the smaller at least half the greater
SMALL = 10  # lines in all, at most
COMMENTS = 20  # more added comment lines than this

PRINTING = re.compile(r"\b(print|println|printf|puts|echo|console\.\w+|fmt\.Print\w*|Debug\.\w+|var_dump|dbg!)\s*\(")
COMMENT = re.compile(r"\s*(#|//|/\*|\*|--|<!--|%)")
TEST_PATH = re.compile(r"(^|[/_.-])tests?([/_.-]|$)|Tests?\.\w+$|\bspec\b")
DECISION = re.compile(r"\b(if|elif|for|foreach|while|case|catch|except|and|or)\b|&&|\|\||\?(?=[^?:]*:)")


def shortened(text: str, limit: int) -> str:
    """The text, cut with a mark where it is longer than `limit` characters."""
    return text if len(text) <= limit else text[: limit - len(TRUNCATED)] + TRUNCATED


def changed_lines(diff: str, sign: str) -> list[str]:
    """The lines of a unified diff that were added (+) or deleted (-), without their sign."""
    return [line[1:] for line in diff.splitlines() if line.startswith(sign) and not line.startswith(sign * 3)]


def patterns_of(commit: Commit) -> list[str]:
    """By number of lines, by path, and by what the (perhaps cut) diff adds."""
    added, deleted = commit.total_lines_added, commit.total_lines_deleted
    lines = changed_lines(commit.diff, "+")
    seen = {
        Pattern.LARGE_ADDITION: added > LARGE,
        Pattern.LARGE_DELETION: deleted > LARGE,
        Pattern.BALANCED_CHANGE: min(added, deleted) > BALANCED and 2 * min(added, deleted) >= max(added, deleted),
        Pattern.SMALL_CHANGE: 0 < added + deleted <= SMALL,
        Pattern.PRINT_STATEMENTS: any(PRINTING.search(line) for line in lines),
        Pattern.COMMENT_BLOCK: sum(COMMENT.match(line) is not None for line in lines) > COMMENTS,
        Pattern.TESTS_TOUCHED: any(TEST_PATH.search(file.file_path) for file in commit.files_changed),
        Pattern.BINARY_FILES: any(file.is_binary for file in commit.files_changed),
    }
    return [pattern.value for pattern, holds in seen.items() if holds]


def complexity_of(commit: Commit) -> int | None:
    """Decision points added less those deleted, by their words; None without a whole diff."""
    if not commit.diff or commit.diff.endswith(TRUNCATED):
        return None
    added, deleted = (
        sum(len(DECISION.findall(line)) for line in changed_lines(commit.diff, sign)) for sign in ("+", "-")
    )
    return added - deleted


def window_of(session: SessionRow, now: datetime) -> tuple[datetime, datetime]:
    """From when to when a commit belongs to the session: start to end (or now), with five minutes of grace."""
    return session.start_time - CLOCKS, (session.end_time or now) + CLOCKS


def nearest(steps: Sequence[NearStep], moments: Sequence[datetime], moment: datetime) -> NearStep | None:
    """The step nearest to the moment and at most 30 minutes away; of two equally near ones the earlier.

    `steps` are ordered by their `happened`, which `moments` repeats.
    """
    place = bisect_right(moments, moment)
    around = [step for step in steps[max(place - 1, 0) : place + 1] if abs(step.happened - moment) <= NEAR]
    return min(around, key=lambda step: abs(step.happened - moment), default=None)


def links_of(commit: Commit, steps: Sequence[NearStep], moments: Sequence[datetime]) -> Document:
    """The columns that tie a commit to the session's steps. The minutes are those since the last step, if near."""
    step = nearest(steps, moments, commit.timestamp)
    place = bisect_right(moments, commit.timestamp)
    since = commit.timestamp - moments[place - 1] if place else None
    return {
        "related_cognitive_traces": [str(step.id)] if step else [],
        "cognitive_state_during_commit": step.cognitive_state if step else None,
        "time_since_last_interaction_minutes": int(since / timedelta(minutes=1)) if since and since <= NEAR else None,
    }

"""The git history of a session as it grew, and beside the session's steps."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from cortez.git.rules import NEAR, Files, NearStep, nearest
from cortez.traces.models import CognitiveState, InteractionType


class EvolutionStep(Struct, frozen=True, kw_only=True):
    """One commit in its place; cumulative figures include it, `message` is its first line.

    `late` where it came after the session's end, or a judgement that the student dated it before.
    """

    id: UUID
    commit_hash: str
    timestamp: datetime
    branch_name: str
    message: str
    is_merge: bool
    is_revert: bool
    late: bool
    lines_added: int
    lines_deleted: int
    files: int
    cumulative_added: int
    cumulative_deleted: int
    cumulative_net: int
    cumulative_files: int
    minutes_since_previous: float | None
    detected_patterns: list[str]
    complexity_delta: int | None


class Evolution(Struct, frozen=True):
    """The commits in the order of git's time; `patterns` counts the commits that show each."""

    commits: list[EvolutionStep]
    total_commits: int
    lines_added: int
    lines_deleted: int
    files: int
    patterns: dict[str, int]


class Nearest(Struct, frozen=True):
    """`distance_seconds` is negative where the step came after the commit; `timed` where the step said itself when."""

    trace_id: UUID
    interaction_type: InteractionType
    cognitive_state: CognitiveState | None
    distance_seconds: float
    timed: bool


class Correlated(Struct, frozen=True):
    id: UUID
    commit_hash: str
    timestamp: datetime
    detected_patterns: list[str]
    nearest: Nearest | None


class Correlation(Struct, frozen=True):
    """Commits beside the steps of the session, as they are in this moment.

    `near`: share of the commits with a step of that type within the window, before or after; `after_ai_response`: with
    an answer of the AI in the window before. Both look only at steps that say when they happened, and are null or
    empty where no such step or no commit exists. A coincidence in time says nothing of who wrote the code.
    """

    window_minutes: int
    commits: list[Correlated]
    total_commits: int
    linked: int
    linked_share: float | None
    median_distance_seconds: float | None
    near: dict[str, float]
    after_ai_response: float | None


SAME = ("id", "commit_hash", "timestamp", "branch_name", "is_merge", "is_revert", "late", "detected_patterns")
GROWING = (*SAME, "complexity_delta", "commit_message", "total_lines_added", "total_lines_deleted")  # for `evolution`
PLACED = ("id", "commit_hash", "timestamp", "detected_patterns")  # for `correlation`


class PlacedCommit(Protocol):
    """A row of the columns of PLACED."""

    id: UUID
    commit_hash: str
    timestamp: datetime
    detected_patterns: list[str]


class GrownCommit(PlacedCommit, Protocol):
    """A row of the columns of GROWING."""

    branch_name: str
    is_merge: bool
    is_revert: bool
    late: bool
    complexity_delta: int | None
    commit_message: str
    total_lines_added: int
    total_lines_deleted: int


def evolution(rows: Sequence[GrownCommit], files: Sequence[Files]) -> Evolution:
    """Of git events in the order of git's time, and how many files each of them touches."""
    added = deleted = 0
    steps: list[EvolutionStep] = []
    for row, touched in zip(rows, files, strict=True):
        added, deleted = added + row.total_lines_added, deleted + row.total_lines_deleted
        since = (row.timestamp - steps[-1].timestamp).total_seconds() / 60 if steps else None
        steps.append(
            EvolutionStep(
                **{name: getattr(row, name) for name in SAME},
                complexity_delta=row.complexity_delta,
                message=row.commit_message.partition("\n")[0],
                lines_added=row.total_lines_added,
                lines_deleted=row.total_lines_deleted,
                files=touched.here,
                cumulative_added=added,
                cumulative_deleted=deleted,
                cumulative_net=added - deleted,
                cumulative_files=touched.so_far,
                minutes_since_previous=None if since is None else round(since, 2),
            )
        )
    patterns = Counter(pattern for row in rows for pattern in row.detected_patterns)
    return Evolution(steps, len(steps), added, deleted, files[-1].so_far if files else 0, dict(patterns.most_common()))


def correlation(rows: Sequence[PlacedCommit], steps: Sequence[NearStep]) -> Correlation:
    """Of git events and steps, both in the order they happened."""
    moments = [step.happened for step in steps]
    commits = [
        Correlated(
            row.id,
            row.commit_hash,
            row.timestamp,
            row.detected_patterns,
            described(nearest(steps, moments, row.timestamp), row.timestamp),
        )
        for row in rows
    ]
    distances = [abs(commit.nearest.distance_seconds) for commit in commits if commit.nearest]
    timed = [step for step in steps if step.occurred_at is not None]
    answers = times_of(timed, InteractionType.AI_RESPONSE)
    after = sum(any_within(answers, row.timestamp - NEAR, row.timestamp) for row in rows)
    return Correlation(
        window_minutes=int(NEAR / timedelta(minutes=1)),
        commits=commits,
        total_commits=len(rows),
        linked=len(distances),
        linked_share=share(len(distances), len(rows)),
        median_distance_seconds=median(distances) if distances else None,
        near=near(rows, timed),
        after_ai_response=share(after, len(rows)) if timed else None,
    )


def described(step: NearStep | None, moment: datetime) -> Nearest | None:
    if step is None:
        return None
    distance = (moment - step.happened).total_seconds()
    return Nearest(step.id, step.interaction_type, step.cognitive_state, distance, step.occurred_at is not None)


def near(rows: Sequence[PlacedCommit], timed: Sequence[NearStep]) -> dict[str, float]:
    """For each type of step, the share of the commits that have one within the window."""
    shares: dict[str, float] = {}
    for type_ in sorted({step.interaction_type for step in timed} if rows else ()):
        moments = times_of(timed, type_)
        hits = sum(any_within(moments, row.timestamp - NEAR, row.timestamp + NEAR) for row in rows)
        shares[type_] = round(hits / len(rows), 4)
    return shares


def times_of(steps: Sequence[NearStep], type_: str) -> list[datetime]:
    return [step.happened for step in steps if step.interaction_type == type_]


def any_within(moments: Sequence[datetime], first: datetime, last: datetime) -> bool:
    """Whether one of the ordered moments lies between the two, both included."""
    place = bisect_right(moments, last)
    return place > 0 and moments[place - 1] >= first


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None

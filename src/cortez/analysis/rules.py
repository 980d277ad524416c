"""A session's cognitive path: phases, transitions between them, and how much the AI did."""

from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby, pairwise

from msgspec import Struct

from cortez.traces.rules import TimedStep

WINDOW = 5


class Phase(Struct, frozen=True):
    """Consecutive steps in one state."""

    state: str
    started_at: datetime
    ended_at: datetime
    traces: int


class Transition(Struct, frozen=True, rename={"from_": "from"}):
    from_: str
    to: str
    count: int


class Dependency(Struct, frozen=True):
    """The AI's share in a step (0 to 1), and its mean over the last five."""

    occurred_at: datetime
    ai_involvement: float
    moving_average: float


class CognitivePath(Struct, frozen=True):
    """`late`: how many of the steps are late."""

    phases: list[Phase]
    transitions: list[Transition]
    dependency: list[Dependency]
    late: int


def cognitive_path(steps: Sequence[TimedStep]) -> CognitivePath:
    """Of steps in the order they happened."""
    phases = phases_of(steps)
    return CognitivePath(phases, transitions_of(phases), dependency_of(steps), sum(step.late for step in steps))


def phases_of(steps: Sequence[TimedStep]) -> list[Phase]:
    """Steps whose state nobody named belong to no phase and end none."""
    named = [step for step in steps if step.cognitive_state]
    groups = [(state, list(group)) for state, group in groupby(named, key=lambda step: step.cognitive_state or "")]
    return [Phase(state, group[0].happened, group[-1].happened, len(group)) for state, group in groups]


def transitions_of(phases: Sequence[Phase]) -> list[Transition]:
    """The most frequent first."""
    counts = Counter((before.state, after.state) for before, after in pairwise(phases))
    return [Transition(*states, count) for states, count in counts.most_common()]


def dependency_of(steps: Sequence[TimedStep]) -> list[Dependency]:
    recent: deque[float] = deque(maxlen=WINDOW)
    curve = []
    for step in steps:
        recent.append(step.ai_involvement)
        curve.append(Dependency(step.happened, step.ai_involvement, round(sum(recent) / len(recent), 4)))
    return curve

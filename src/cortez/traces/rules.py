"""What a row of steps says of how a student moved through the task."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol, TypeVar

from cortez.traces.models import STUDENT_TYPES, CognitiveState, InteractionType

# The phases of work, each next to the ones it naturally leads to and comes from. The other three states (confusion,
# progresando, atascado) say how it goes, not where one is: they neither begin a phase nor end one.
PHASES = (
    CognitiveState.EXPLORACION,
    CognitiveState.PLANIFICACION,
    CognitiveState.IMPLEMENTACION,
    CognitiveState.DEPURACION,
    CognitiveState.VALIDACION,
    CognitiveState.REFLEXION,
)
PLACE = {phase.value: place for place, phase in enumerate(PHASES)}

# Steps in which the student says that, or why, the course changes.
EXPLAINING = {
    InteractionType.STRATEGY_CHANGE,
    InteractionType.HYPOTHESIS_FORMULATION,
    InteractionType.SELF_CORRECTION,
}
MIN_JUSTIFICATION = 20


class Reasoned(Protocol):
    """What may give a reason: a step, be it an entity, a row of columns, or what rules made of it."""

    @property
    def decision_justification(self) -> str | None: ...


class Step(Reasoned, Protocol):
    """What the rules read of a step."""

    @property
    def interaction_type(self) -> str: ...
    @property
    def cognitive_state(self) -> str | None: ...


class TimedStep(Protocol):
    """What a path is made of: a row of the columns that `TraceRepository.steps` reads."""

    cognitive_state: str | None
    ai_involvement: float
    late: bool
    happened: datetime


S = TypeVar("S", bound=Step)


def is_justified(step: Reasoned) -> bool:
    """Whether the step gives a reason of at least 20 characters, spaces around it not counted."""
    return len((step.decision_justification or "").strip(" ")) >= MIN_JUSTIFICATION


def coherence(steps: Iterable[Step]) -> float | None:
    """How far the changes of phase are small or explained: 1 - unexplained jumps ÷ transitions, 0 to 1.

    None where there is no transition: nothing can be said then.
    """
    leaps = [is_leap for _, is_leap in transitions(steps)]
    return round(1 - sum(leaps) / len(leaps), 4) if leaps else None


def transitions(steps: Iterable[S]) -> Iterator[tuple[S, bool]]:
    """The steps that arrive in another phase, each with whether it gets there by an unexplained jump.

    `steps` come in the order they happened. Only the student's own steps count. A transition is a change between two
    consecutive phases; a jump is a transition over more than one place of PHASES, forward or backward. A jump is
    explained where the step that arrives is a strategy_change, a hypothesis_formulation or a self_correction, or is
    justified in at least 20 characters, or where such a step without a phase of its own lies between the two.
    """
    place, explained = None, False
    for step in steps:
        if step.interaction_type not in STUDENT_TYPES:
            continue
        explained = explained or step.interaction_type in EXPLAINING or is_justified(step)
        if step.cognitive_state in PLACE:
            there = PLACE[step.cognitive_state]
            if place is not None and place != there:
                yield step, abs(place - there) > 1 and not explained
            place, explained = there, False

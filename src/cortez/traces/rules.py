"""What a row of steps says of how a student moved through the task."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from cortez.traces.ingest import STUDENT_TYPES
from cortez.traces.models import CognitiveState, InteractionType

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


class Transition(Struct, frozen=True):
    """A change from one phase to another; `step` is the one that arrives."""

    before: str
    after: str
    step: Any
    explained: bool

    @property
    def is_unexplained_jump(self) -> bool:
        return abs(PLACE[self.before] - PLACE[self.after]) > 1 and not self.explained


def is_justified(step: Any) -> bool:
    """Whether the step gives a reason of at least 20 characters, spaces around it not counted."""
    return len((step.decision_justification or "").strip(" ")) >= MIN_JUSTIFICATION


def coherence(steps: Iterable[Any]) -> float | None:
    """How far the changes of phase are small or explained: 1 - unexplained jumps ÷ transitions, 0 to 1.

    None where there is no transition: nothing can be said then.
    """
    changes = list(transitions(steps))
    if not changes:
        return None
    return round(1 - sum(change.is_unexplained_jump for change in changes) / len(changes), 4)


def transitions(steps: Iterable[Any]) -> Iterator[Transition]:
    """The changes between consecutive phases of the student's own steps.

    `steps` come in the order they happened, each with `interaction_type`, `cognitive_state` and
    `decision_justification`. A jump is a transition over more than one place of PHASES, forward or backward. It is
    explained where the step that arrives is a strategy_change, a hypothesis_formulation or a self_correction, or is
    justified in at least 20 characters, or where such a step without a phase of its own lies between the two.
    """
    phase, explained = None, False
    for step in steps:
        if step.interaction_type not in STUDENT_TYPES:
            continue
        explained = explained or step.interaction_type in EXPLAINING or is_justified(step)
        if step.cognitive_state not in PLACE:
            continue
        if phase is not None and step.cognitive_state != phase:
            yield Transition(phase, step.cognitive_state, step, explained)
        phase, explained = step.cognitive_state, False

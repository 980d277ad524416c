"""The rule-based process evaluation: three figures of 0 to 10 on how a student worked, each with the traces behind it.

`docs/rules.md` gives the formula, an example and the limits.
"""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from cortez.core.db.types import Document
from cortez.errors import Conflict
from cortez.evaluations.models import CompetencyLevel
from cortez.traces.models import STUDENT_TYPES, CognitiveState, InteractionType
from cortez.traces.rules import PLACE, Step, is_justified, transitions

EVALUATOR, VERSION = "process-rules", "1"
MIN_STEPS = 5  # of the student
SHOWN = 200  # trace ids on each side of a figure
BANDS = ((8.5, CompetencyLevel.EXPERTO), (7.0, CompetencyLevel.AUTONOMO), (5.0, CompetencyLevel.EN_DESARROLLO))
STRONG, WEAK = 7.0, 5.0

# What is said of a figure that is high, and of one that is low.
STRENGTHS = {
    "planning": "Plans before implementing.",
    "self_explanation": "Gives reasons for the steps taken.",
    "coherence": "Moves from phase to phase without leaps, or says why.",
}
AREAS = {
    "planning": "Write down a plan or a hypothesis before implementing.",
    "self_explanation": "Say in a sentence why a step is taken.",
    "coherence": "Say what changed when jumping to another phase.",
}


class JudgedStep(Step, Protocol):
    """What an evaluation looks at of a step."""

    @property
    def id(self) -> UUID: ...
    @property
    def ai_involvement(self) -> float: ...
    @property
    def late(self) -> bool: ...


class Figure(Struct, frozen=True):
    """A score of 0 to 10: ten times the share of the `supporting` steps; the others are `lacking`."""

    name: str
    description: str
    supporting: Sequence[JudgedStep]
    lacking: Sequence[JudgedStep]

    @property
    def of(self) -> int:
        return len(self.supporting) + len(self.lacking)

    @property
    def score(self) -> float | None:
        """None where there is nothing to count."""
        return round(10 * len(self.supporting) / self.of, 2) if self.of else None

    def document(self) -> Document:
        """As a dimension of a stored evaluation."""
        score = self.score
        return {
            "name": self.name,
            "description": self.description,
            "level": None if score is None else level_of(score).value,
            "score": score,
            "counted": len(self.supporting),
            "of": self.of,
            "evidence": [f"{len(self.supporting)} of {self.of}" if self.of else "Nothing to count in this session."],
            "strengths": [STRENGTHS[self.name]] if score is not None and score >= STRONG else [],
            "weaknesses": [AREAS[self.name]] if score is not None and score < WEAK else [],
            "recommendations": [],
            "trace_ids": [str(step.id) for step in self.supporting[:SHOWN]],
            "lacking_trace_ids": [str(step.id) for step in self.lacking[:SHOWN]],
        }


def level_of(score: float) -> CompetencyLevel:
    """The band of a score of 0 to 10."""
    return next((level for least, level in BANDS if score >= least), CompetencyLevel.INICIAL)


def evaluate(steps: Sequence[JudgedStep], left_out: int = 0) -> Document:
    """The columns of an evaluation of these steps, in the order they happened; `left_out` others came late.

    Raises Conflict (TOO_LITTLE_EVIDENCE) where fewer than five of them are the student's.
    """
    own = [step for step in steps if step.interaction_type in STUDENT_TYPES]
    if len(own) < MIN_STEPS:
        raise Conflict("TOO_LITTLE_EVIDENCE", f"{len(own)} steps of the student are too few; {MIN_STEPS} are needed.")
    figures = (planning(own), self_explanation(own), coherent_moves(own))
    overall = round(fmean(figure.score for figure in figures if figure.score is not None), 2)
    documents = [figure.document() for figure in figures]
    areas = [text for document in documents for text in document["weaknesses"]]
    share = round(fmean(step.ai_involvement for step in steps), 4)
    return {
        "overall_score": overall,
        "overall_competency_level": level_of(overall).value,
        "dimensions": documents,
        "key_strengths": [text for document in documents for text in document["strengths"]],
        "improvement_areas": areas,
        "recommendations": {
            "student": areas,
            "teacher": ["Look at the steps behind a figure before you talk about it."],
        },
        "reasoning_analysis": {**reasoning(steps, own), "late_steps_left_out": left_out},
        "late": any(step.late for step in steps),
        "ai_dependency_score": share,
        "ai_dependency_metrics": {"score": share, "steps": len(steps)},
        "evaluator": EVALUATOR,
        "evaluator_version": VERSION,
    }


def planning(own: Iterable[JudgedStep]) -> Figure:
    """Of the runs of implementation, those that a plan or a hypothesis came before, since the run before.

    A run goes on through steps that name no phase; it ends with a plan, or with a step in another phase.
    """
    planned: list[JudgedStep] = []
    bare: list[JudgedStep] = []
    prepared = running = False
    for step in own:
        if plans(step):
            prepared, running = True, False
        elif implements(step):
            if not running:
                (planned if prepared else bare).append(step)
            prepared, running = False, True
        elif step.cognitive_state in PLACE:
            running = False
    return Figure("planning", "The runs of implementation that a plan or a hypothesis came before.", planned, bare)


def plans(step: JudgedStep) -> bool:
    if step.interaction_type == InteractionType.HYPOTHESIS_FORMULATION:
        return True
    return step.cognitive_state == CognitiveState.PLANIFICACION


def implements(step: JudgedStep) -> bool:
    """In the phase of implementation, or code in a state that names no phase."""
    if step.cognitive_state in PLACE:
        return step.cognitive_state == CognitiveState.IMPLEMENTACION
    return step.interaction_type == InteractionType.CODE_COMMIT


def self_explanation(own: Sequence[JudgedStep]) -> Figure:
    """Of the student's steps, those that give a reason of at least 20 characters."""
    reasoned, bare = [step for step in own if is_justified(step)], [step for step in own if not is_justified(step)]
    said = "The student's steps that give a reason of 20 characters or more."
    return Figure("self_explanation", said, reasoned, bare)


def coherent_moves(own: Iterable[JudgedStep]) -> Figure:
    """Of the changes of phase, those that are no unexplained jump; each is named by the step that arrives."""
    changes = list(transitions(own))
    said = "The changes of phase that lead to a neighbouring one, or are explained."
    return Figure("coherence", said, [to for to, leaps in changes if not leaps], [to for to, leaps in changes if leaps])


def reasoning(steps: Sequence[JudgedStep], own: Sequence[JudgedStep]) -> Document:
    """Counts beside the figures."""
    kinds = [step.interaction_type for step in steps]
    return {
        "cognitive_path": list(path(own))[:SHOWN],
        "strategy_changes": kinds.count(InteractionType.STRATEGY_CHANGE),
        "self_corrections": kinds.count(InteractionType.SELF_CORRECTION),
        "ai_critiques": kinds.count(InteractionType.AI_CRITIQUE),
        "late_steps": sum(step.late for step in steps),
    }


def path(own: Iterable[JudgedStep]) -> Iterator[str]:
    """The student's states, each once where it stays."""
    before = None
    for step in own:
        if step.cognitive_state not in (None, before):
            yield step.cognitive_state
            before = step.cognitive_state

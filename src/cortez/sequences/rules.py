"""The traces of a session rolled up: what each dimension holds, and what the student showed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from cortez.core.db.types import Document
from cortez.core.typing import JsonObject, JsonValue
from cortez.traces.models import STUDENT_TYPES
from cortez.traces.rules import EXPLAINING, MIN_JUSTIFICATION, coherence, is_justified

# Column of a sequence -> the dimension of a trace that it sums up.
SUMMARIES = {
    "semantic_summary": "semantic_understanding",
    "algorithmic_summary": "algorithmic_evolution",
    "cognitive_summary": "cognitive_reasoning",
    "interaction_summary": "interactional_data",
    "ethics_summary": "ethical_risk_data",
    "process_summary": "process_data",
}
MAX_KEYS = 50
MAX_VALUES = 20
MAX_HELD = 500  # different keys of a dimension, or values of a key, that are followed while reading
MAX_TEXT = 100
MAX_NUMBER = 1e15


class Key:
    """One key of a dimension over all traces: numbers as mean and range, truths, texts and members of lists counted."""

    def __init__(self) -> None:
        self.count = 0
        self.numbers: list[float] = []  # how many, their sum, the least and the greatest
        self.true: int | None = None
        self.values: Counter[str] = Counter()

    def add(self, value: JsonValue) -> None:
        self.count += 1
        if isinstance(value, bool):
            self.true = (self.true or 0) + value
        elif isinstance(value, int | float):
            self._number(value)
        elif isinstance(value, str):
            self._value(value)
        elif isinstance(value, list):
            for item in {item for item in value if isinstance(item, str | int | float)}:
                self._value(str(item))

    def _number(self, value: float) -> None:
        if abs(value) <= MAX_NUMBER:
            number, total, low, high = self.numbers or (0, 0.0, value, value)
            self.numbers = [number + 1, total + value, min(low, value), max(high, value)]

    def _value(self, text: str) -> None:
        text = text[:MAX_TEXT]
        if text in self.values or len(self.values) < MAX_HELD:
            self.values[text] += 1

    def summary(self) -> Document:
        shown: Document = {"count": self.count}
        if self.numbers:
            number, total, low, high = self.numbers
            shown |= {"mean": round(total / number, 4), "min": low, "max": high}
        if self.true is not None:
            shown["true"] = self.true
        if self.values:
            shown["values"] = dict(sorted(self.values.items(), key=lambda item: (-item[1], item[0]))[:MAX_VALUES])
        return shown


class Dimension:
    """One of the six, over all traces; nothing is kept of a trace but what the summary needs."""

    def __init__(self) -> None:
        self.traces = 0
        self.keys: dict[str, Key] = {}

    def add(self, document: JsonObject) -> None:
        self.traces += bool(document)
        for name, value in document.items():
            name = name[:MAX_TEXT]
            if value is not None and (name in self.keys or len(self.keys) < MAX_HELD):
                self.keys.setdefault(name, Key()).add(value)

    def summary(self) -> Document:
        """{traces: how many say anything, keys: {key: {count, mean, min, max | true | values: {value: count}}}}.

        The 50 most frequent keys, the 20 most frequent values of each; texts cut at 100 characters. A list counts each
        of its plain members once; of an object only its presence is counted.
        """
        if not self.traces:
            return {}
        shown = sorted(self.keys.items(), key=lambda item: (-item[1].count, item[0]))[:MAX_KEYS]
        return {"traces": self.traces, "keys": {name: key.summary() for name, key in shown}}


class Read(Protocol):
    """A row of the columns that a roll-up reads, beside the dimensions."""

    interaction_type: str
    cognitive_state: str | None
    strategy_type: str | None
    decision_justification: str | None
    ai_involvement: float


class Judgement(Protocol):
    """What is read of an evaluation."""

    overall_competency_level: str
    overall_score: float


class Step(Struct, frozen=True):
    """What the rules need of a trace once its documents are summed up; of a justification only its beginning."""

    interaction_type: str
    cognitive_state: str | None
    strategy_type: str | None
    decision_justification: str

    @classmethod
    def of(cls, row: Read) -> "Step":
        beginning = (row.decision_justification or "").strip(" ")[:MIN_JUSTIFICATION]
        return cls(row.interaction_type, row.cognitive_state, row.strategy_type, beginning)


class Rollup:
    """Takes the traces in the order they happened, some at a time, and gives the columns of a sequence."""

    def __init__(self) -> None:
        self.dimensions = {column: Dimension() for column in SUMMARIES}
        self.steps: list[Step] = []
        self.involvement = 0.0

    def add(self, rows: Iterable[Read]) -> None:
        for row in rows:
            self.involvement += row.ai_involvement
            self.steps.append(Step.of(row))
            for column, name in SUMMARIES.items():
                self.dimensions[column].add(getattr(row, name))

    def columns(self) -> Document:
        total = len(self.steps)
        return {
            "total_traces": total,
            "avg_ai_involvement": min(1.0, round(self.involvement / total, 6)) if total else 0.0,
            "cognitive_coherence": coherence(self.steps),
            **{column: dimension.summary() for column, dimension in self.dimensions.items()},
        }


def competencies(steps: Sequence[Step], evaluation: Judgement | None) -> Document:
    """What the student's own steps show, and what the latest evaluation said.

    {states, strategies: counts by value; self_regulation: steps that change or correct the course; justified_share:
    0 to 1, null without a step; level, score: of the latest evaluation, null without one}.
    """
    own = [step for step in steps if step.interaction_type in STUDENT_TYPES]
    justified = sum(is_justified(step) for step in own)
    strategies = Counter(step.strategy_type for step in own if step.strategy_type)
    return {
        "states": dict(Counter(step.cognitive_state for step in own if step.cognitive_state)),
        "strategies": dict(strategies.most_common(MAX_VALUES)),
        "self_regulation": sum(step.interaction_type in EXPLAINING for step in own),
        "justified_share": round(justified / len(own), 4) if own else None,
        "level": evaluation.overall_competency_level if evaluation else None,
        "score": evaluation.overall_score if evaluation else None,
    }

"""A model of a small class, invented and seeded: the same seed gives the same people, sessions and traces.

Each of the 30 students is of one archetype, which says how long they work, how often they ask instead of trying, how
much of a step the AI does, and how they move between cognitive states. A session is a Markov walk over the nine states
(`MOVES`, bent by the archetype), two to five minutes a step; most steps of a student are answered by the tutor. The six
dimensions follow from state, archetype and progress, so that what one says another does not deny. Over the twelve weeks
everybody improves a little, those of `IMPROVING` a lot. None of this was measured on real people.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from msgspec import Struct

from cortez.core.db.types import Document
from cortez.demo.material import ASSIGNMENTS, NAMES, STUDENT, TUTOR, Assignment

NAMESPACE = UUID("6f9619ff-8b86-d011-b42d-00cf4fc964ff")
WEEKS = 12
SESSIONS_EACH = 10
STILL_OPEN = 4  # the last sessions of these first students: three active, one paused
STATES = list(STUDENT)

# From a state to the next: the usual paths of somebody who works.
MOVES: dict[str, dict[str, float]] = {
    "exploracion": {"planificacion": 5, "exploracion": 3, "confusion": 2},
    "planificacion": {"implementacion": 6, "planificacion": 2, "exploracion": 1},
    "implementacion": {"implementacion": 4, "depuracion": 4, "progresando": 3},
    "depuracion": {"implementacion": 3, "depuracion": 3, "atascado": 2, "progresando": 2},
    "validacion": {"reflexion": 4, "depuracion": 2, "validacion": 2},
    "reflexion": {"planificacion": 3, "validacion": 2, "reflexion": 1},
    "confusion": {"exploracion": 4, "atascado": 3, "planificacion": 2},
    "progresando": {"validacion": 4, "implementacion": 4, "progresando": 2},
    "atascado": {"atascado": 3, "depuracion": 3, "confusion": 2, "planificacion": 2},
}


class Archetype(Struct, frozen=True):
    """`leaning` is the AI's usual share in a step (0 to 1), `bias` multiplies the moves into a state."""

    name: str
    leaning: float
    steps: tuple[int, int]
    justifies: float
    gives_up: float
    bias: dict[str, float]
    improving: float = 0.1


ARCHETYPES = [
    Archetype("steady", 0.3, (30, 60), 0.7, 0.03, {"validacion": 1.5}),
    Archetype("explorer", 0.35, (40, 80), 0.6, 0.05, {"exploracion": 2, "reflexion": 1.5}),
    Archetype("delegator", 0.8, (20, 35), 0.1, 0.1, {"atascado": 2.5, "reflexion": 0.2}, 0.05),
    Archetype("perfectionist", 0.2, (50, 90), 0.9, 0.02, {"validacion": 2.5, "depuracion": 1.5}),
    Archetype("improving", 0.65, (30, 60), 0.4, 0.05, {"confusion": 1.3}, 0.4),
    Archetype("struggling", 0.6, (20, 45), 0.3, 0.3, {"confusion": 2.5, "atascado": 2.5}),
]


class Student(Struct, frozen=True):
    number: int
    name: str
    archetype: Archetype

    @property
    def student_id(self) -> str:
        return f"al-{self.number:04}"


class Session(Struct, frozen=True):
    """`number` counts the student's sessions from 0; `traces` are bodies as the API takes them."""

    id: UUID
    student: Student
    number: int
    assignment: Assignment
    start_time: datetime
    end_time: datetime | None
    status: str
    traces: list[Document]


def students() -> list[Student]:
    return [Student(number, name, ARCHETYPES[number % len(ARCHETYPES)]) for number, name in enumerate(NAMES, start=1)]


def sessions(start: datetime, seed: int = 2026) -> Iterator[Session]:
    """About 300 sessions over the twelve weeks from `start`, each student's in order."""
    for student in students():
        chance = random.Random(f"{seed}:{student.number}")
        for count in range(SESSIONS_EACH):
            yield session(chance, student, count, start)


def session(chance: random.Random, student: Student, count: int, start: datetime) -> Session:
    """The `count`-th session of a student; the last few of the class are still open."""
    week = count * WEEKS / SESSIONS_EACH
    assignment = ASSIGNMENTS[min(int(week // 3), 3)]
    began = start + timedelta(weeks=week, hours=chance.uniform(8, 60))
    still_open = count == SESSIONS_EACH - 1 and student.number <= STILL_OPEN
    if still_open:
        began = start + timedelta(weeks=WEEKS, hours=-chance.uniform(8, 12))
    kind = student.archetype
    giving_up = chance.random() < kind.gives_up
    steps = chance.randint(*kind.steps) // (2 if giving_up else 1)
    id_ = uuid5(NAMESPACE, f"session:{student.number}:{count}")
    walker = Walker(chance, kind, assignment, count / SESSIONS_EACH)
    traces = list(walker.walk(id_, began, steps))
    ended = datetime.fromisoformat(traces[-1]["occurred_at"]) + timedelta(minutes=1)
    if still_open:
        status = "paused" if student.number == STILL_OPEN else "active"
        return Session(id_, student, count, assignment, began, None, status, traces)
    status = chance.choice(["abandoned", "aborted"]) if giving_up else "completed"
    return Session(id_, student, count, assignment, began, ended, status, traces)


class Walker:
    """Takes one student through one session; `progress` is how far the term has gone, 0 to 1."""

    def __init__(self, chance: random.Random, kind: Archetype, assignment: Assignment, progress: float) -> None:
        self.chance = chance
        self.kind = kind
        self.assignment = assignment
        self.leaning = kind.leaning * (1 - kind.improving * progress)
        self.state = "exploracion"
        self.versions = 0

    def walk(self, session_id: UUID, began: datetime, steps: int) -> Iterator[Document]:
        now, parent, number = began, None, 0
        for step in range(steps):
            now += timedelta(minutes=self.chance.uniform(0.5, 5))
            question = self.trace(session_id, number, now, parent, step / steps)
            yield question
            number, parent = number + 1, question["id"]
            if self.chance.random() < 0.6:
                now += timedelta(seconds=self.chance.uniform(2, 20))
                answer = self.answer(session_id, number, now, parent, step / steps)
                yield answer
                number, parent = number + 1, answer["id"]
            self.state = self.next_state()

    def next_state(self) -> str:
        moves = {state: weight * self.kind.bias.get(state, 1) for state, weight in MOVES[self.state].items()}
        return self.chance.choices(list(moves), list(moves.values()))[0]

    def said(self, text: str) -> str:
        words = self.assignment
        code = self.chance.choice(words.snippets)
        return text.format(concept=words.concept, trap=words.trap, step=words.step, code=code)

    def trace(self, session_id: UUID, number: int, now: datetime, parent: str | None, done: float) -> Document:
        """A step of the student."""
        kind, text = self.chance.choice(STUDENT[self.state])
        share = min(1.0, max(0.0, self.chance.gauss(self.leaning, 0.12)))
        self.versions += kind == "code_commit"
        body = self.body(session_id, number, now, parent, done, share)
        body |= {"interaction_type": kind, "content": self.said(text)}
        if self.chance.random() < self.kind.justifies:
            body["decision_justification"] = self.said("Elijo {step} porque así evito {trap}.")
            body["alternatives_considered"] = [self.said("Resolverlo todo junto, sin {step}")]
        return body

    def answer(self, session_id: UUID, number: int, now: datetime, parent: str, done: float) -> Document:
        """What the tutor says to it."""
        body = self.body(session_id, number, now, parent, done, self.leaning)
        text = self.said(self.chance.choice(TUTOR[self.state]))
        return body | {"interaction_type": "ai_response", "content": text, "agent_id": "TUTOR", "ai_involvement": 1.0}

    def body(
        self, session_id: UUID, number: int, now: datetime, parent: str | None, done: float, share: float
    ) -> Document:
        """What every trace has, the six dimensions included."""
        stuck = self.state in {"confusion", "atascado"}
        return {
            "id": str(uuid5(session_id, str(number))),
            "occurred_at": now.isoformat(),
            "parent_trace_id": parent,
            "trace_level": "n4_cognitivo",
            "cognitive_state": self.state,
            "cognitive_intent": self.said("entender {concept}") if stuck else self.said("{step}"),
            "strategy_type": "delegation" if share > 0.75 else "trial_and_error" if stuck else "decomposition",
            "ai_involvement": round(share, 3),
            **self.dimensions(number, done, share, stuck=stuck),
        }

    def dimensions(self, number: int, done: float, share: float, *, stuck: bool) -> Document:
        words = self.assignment
        grasp = round(min(1.0, 0.3 + 0.5 * done + 0.2 * (1 - share)), 2)
        return {
            "semantic_understanding": {
                "problem_interpretation": words.title,
                "key_concepts_identified": words.tags[: 1 + int(done * len(words.tags))],
                "misconceptions_detected": [words.trap] if stuck else [],
                "understanding_level": grasp,
            },
            "algorithmic_evolution": {
                "code_versions": [f"v{version + 1}" for version in range(min(self.versions, 5))],
                "alternatives_explored": [words.step],
                "design_decisions": [words.step] if done > 0.5 else [],
                "complexity_analysis": "O(n)" if done > 0.7 else "pendiente",
            },
            "cognitive_reasoning": {
                "explicit_reasoning": self.chance.random() < self.kind.justifies,
                "metacognitive_awareness": self.state == "reflexion",
                "problem_decomposition": words.tags,
                "strategy_justification": words.step,
            },
            "interactional_data": {
                "prompt_type": "pista" if stuck else "consulta",
                "prompt_quality_score": round(1 - share * 0.6, 2),
                "ai_response_type": "socratic_questioning" if share < 0.7 else "guided_hints",
                "interaction_depth": 1 + number // 10,
                "student_agency": round(1 - share, 2),
            },
            "ethical_risk_data": {
                "plagiarism_indicators": [],
                "delegation_attempts": int(share > 0.75),
                "academic_integrity_score": round(1 - max(0.0, share - 0.6), 2),
                "bias_detected": [],
                "ethical_concerns": [],
            },
            "process_data": {
                "time_to_response": round(self.chance.uniform(5, 240)),
                "sequence_position": number,
                "phase": self.state,
                "process_efficiency": grasp,
                "backtracking_count": int(stuck),
                "iteration_cycle": 1 + self.versions,
            },
        }

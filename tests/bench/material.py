"""What all programs are asked about: a key, and a session with a hundred steps, ten risks and five evaluations."""

import asyncio
import random
from typing import Any
from uuid import UUID

import msgspec

from cortez.app import create_app
from cortez.settings import Settings
from factory import Make
from forgeries import secret_of
from running import client_of, live

WORDS = "the loop ends when index reaches length so a guard before the call keeps list empty from failing here".split()
STATES = ("exploracion", "planificacion", "implementacion", "depuracion", "validacion", "reflexion")


class Place(msgspec.Struct, frozen=True):
    """Whom all programs are asked by, and about what."""

    token: str
    session: UUID  # with exactly fifty steps
    full: UUID  # with a hundred steps, ten risks, five evaluations
    open: list[UUID]  # where steps are written, one session for each client


def step(dice: random.Random) -> dict[str, Any]:
    """A step as a tutor agent sends it, some 1.3 KB."""
    return {
        "interaction_type": dice.choice(("student_prompt", "ai_response", "hypothesis_formulation", "ai_critique")),
        "content": sentence(dice, 60),
        "context": {"exercise": f"ex-{dice.randrange(500)}", "attempt": dice.randrange(9)},
        "metadata": {"client": "tutor/2.1", "model": "small"},
        "trace_level": dice.choice(("n3_interaccional", "n4_cognitivo")),
        "cognitive_state": dice.choice(STATES),
        "cognitive_intent": sentence(dice, 6),
        "ai_involvement": round(dice.random(), 3),
        "semantic_understanding": {"problem_interpretation": sentence(dice, 12), "understanding_level": "partial"},
        "algorithmic_evolution": {"design_decisions": [sentence(dice, 5), sentence(dice, 5)]},
        "cognitive_reasoning": {"explicit_reasoning": sentence(dice, 12), "metacognitive_awareness": 0.5},
        "interactional_data": {"prompt_type": "clarification", "interaction_depth": dice.randrange(5)},
        "ethical_risk_data": {"delegation_attempts": dice.randrange(3)},
        "process_data": {"time_to_response": dice.randrange(90), "phase": "coding"},
    }


def sentence(dice: random.Random, words: int) -> str:
    return " ".join(dice.choices(WORDS, k=words))


RISK = {
    "risk_type": "ai_dependency",
    "risk_level": "medium",
    "description": "Most steps were delegated.",
    "evidence": ["x"],
}
EVALUATION = {"overall_score": 6.5, "key_strengths": ["plans"], "improvement_areas": ["tests"]}


def prepare(settings: Settings, clients: int) -> Place:
    return asyncio.run(_prepare(settings, clients))


async def _prepare(settings: Settings, clients: int) -> Place:
    """Through the service itself, so that the rows are as it writes them."""
    dice = random.Random(7)  # noqa: S311 - texts, not secrets
    async with live(create_app(settings)) as app, Make(app, client_of) as make:
        key = await make.key("read", "sessions", "traces", "analysis")
        sessions = [(await make.session()).id for _ in range(2 + clients)]
        for session, count in ((sessions[0], 50), (sessions[1], 100)):
            await done(key.post(f"/sessions/{session}/traces/batch", json=[step(dice) for _ in range(count)]))
        for _ in range(10):
            await done(key.post(f"/sessions/{sessions[1]}/risks", json=RISK | {"description": sentence(dice, 20)}))
        for _ in range(5):
            await done(key.post(f"/sessions/{sessions[1]}/evaluations", json=EVALUATION))
        return Place(secret_of(key), sessions[0], sessions[1], sessions[2:])


async def done(sent: Any) -> None:
    answer = await sent
    assert answer.is_success, answer.text

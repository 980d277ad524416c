"""Trace sequences: a roll-up is what a plain recomputation of the traces gives."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from cortez.evaluations.models import Evaluation
from cortez.risks.models import Risk
from cortez.sequences.models import TraceSequence
from cortez.sessions.models import LearningSession
from cortez.traces.rules import coherence
from factory import Make, Someone

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
REASON = "because the list may be empty"


class Step:
    """A step as the rules read it."""

    def __init__(self, state: str | None, type_: str = "student_prompt", reason: str | None = None) -> None:
        self.cognitive_state, self.interaction_type, self.decision_justification = state, type_, reason


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], None),
        ([Step("exploracion")], None),
        ([Step("exploracion"), Step("exploracion")], None),
        ([Step("exploracion"), Step("planificacion"), Step("implementacion")], 1.0),
        ([Step("implementacion"), Step("depuracion"), Step("implementacion")], 1.0),
        ([Step("exploracion"), Step("depuracion")], 0.0),
        ([Step("validacion"), Step("exploracion")], 0.0),
        ([Step("exploracion"), Step("depuracion", reason=REASON)], 1.0),
        ([Step("exploracion"), Step("depuracion", reason=" " * 30 + "x")], 0.0),
        ([Step("exploracion", reason=REASON), Step("depuracion")], 0.0),
        ([Step("exploracion"), Step("depuracion", "self_correction")], 1.0),
        ([Step("exploracion"), Step(None, "strategy_change"), Step("depuracion")], 1.0),
        ([Step("exploracion"), Step("confusion", reason=REASON), Step("depuracion")], 1.0),
        ([Step("exploracion"), Step("atascado"), Step("planificacion")], 1.0),
        ([Step("exploracion"), Step("reflexion", "ai_response"), Step("planificacion")], 1.0),
        ([Step("exploracion"), Step("planificacion"), Step("reflexion"), Step("depuracion")], 0.3333),
    ],
)
def test_coherence_counts_the_jumps_that_nothing_explains(steps: list[Step], expected: float | None) -> None:
    assert coherence(steps) == expected


class Case:
    def __init__(self, make: Make, teacher: Someone, student: Someone, session: LearningSession) -> None:
        self.make, self.teacher, self.student, self.session = make, teacher, student, session
        self.path = f"/sessions/{session.id}/trace-sequences"


@pytest.fixture
async def case(make: Make) -> Case:
    course = await make.course()
    activity = await make.activity(course_id=course)
    student = await make.student(course=course)
    session = await make.session(student, activity_id=activity.activity_id, course_id=course)
    return Case(make, await make.teacher(course=course), student, session)


STATES = ["exploracion", "implementacion", "atascado", "depuracion", "validacion", "implementacion", None]
TYPES = ["student_prompt", "ai_response", "code_commit", "self_correction"]


def traces() -> Iterator[dict[str, Any]]:
    """Forty steps, the later stored first."""
    for n in reversed(range(40)):
        yield {
            "occurred_at": START + timedelta(minutes=n),
            "interaction_type": TYPES[n % 4],
            "cognitive_state": STATES[n % 7],
            "decision_justification": REASON if n % 3 == 0 else "so",
            "strategy_type": "divide" if n % 2 else None,
            "ai_involvement": n % 10 / 10,
            "semantic_understanding": {"concepts": ["loops", f"c{n % 2}"], "depth": n, "sure": n % 4 == 0},
            "process_data": {"phase": f"p{n % 30}", "nested": {"a": n}, "nothing": None} if n % 2 else {},
        }


async def test_a_roll_up_is_what_the_traces_hold(case: Case) -> None:
    steps = list(traces())[::-1]
    for values in list(traces()):
        await case.make.trace(case.session, **values)
    answer = await case.teacher.post(case.path)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/api/v1/trace-sequences/{made['id']}"
    assert (made["session_id"], made["student_id"]) == (str(case.session.id), case.student.student_id)
    assert made["total_traces"] == 40
    assert made["avg_ai_involvement"] == pytest.approx(sum(step["ai_involvement"] for step in steps) / 40)
    semantic = made["semantic_summary"]
    assert semantic["traces"] == 40
    assert semantic["keys"]["depth"] == {"count": 40, "mean": sum(range(40)) / 40, "min": 0, "max": 39}
    assert semantic["keys"]["sure"] == {"count": 40, "true": 10}
    assert semantic["keys"]["concepts"]["values"] == {"loops": 40, "c0": 20, "c1": 20}
    process = made["process_summary"]
    assert (process["traces"], process["keys"]["nested"]) == (20, {"count": 20})
    phases = [step["process_data"]["phase"] for step in steps if step["process_data"]]
    assert process["keys"]["phase"]["values"] == {phase: phases.count(phase) for phase in phases}
    assert "nothing" not in process["keys"]
    assert made["ethics_summary"] == {}
    own = [step for step in steps if step["interaction_type"] != "ai_response"]
    assert made["competencies"]["states"] == {
        state: sum(step["cognitive_state"] == state for step in own) for state in STATES if state
    }
    assert made["competencies"]["self_regulation"] == 10
    assert made["competencies"]["strategies"] == {"divide": sum(bool(step["strategy_type"]) for step in own)}
    justified = sum(step["decision_justification"] == REASON for step in own)
    assert made["competencies"]["justified_share"] == round(justified / len(own), 4)
    assert made["cognitive_coherence"] == plain_coherence(own)


def plain_coherence(own: list[dict[str, Any]]) -> float:
    """Again, from the words of the definition."""
    order = ["exploracion", "planificacion", "implementacion", "depuracion", "validacion", "reflexion"]
    phased = [n for n, step in enumerate(own) if step["cognitive_state"] in order]
    changes = bad = 0
    for before, after in pairwise(phased):
        distance = abs(order.index(own[before]["cognitive_state"]) - order.index(own[after]["cognitive_state"]))
        reasons = own[before + 1 : after + 1]
        explained = any(
            step["interaction_type"] == "self_correction" or len(step["decision_justification"]) >= 20
            for step in reasons
        )
        changes += distance > 0
        bad += distance > 1 and not explained
    assert 0 < bad < changes
    return round(1 - bad / changes, 4)


async def test_a_roll_up_names_standing_risks_and_the_latest_evaluation(case: Case) -> None:
    own = {
        "session_id": case.session.id,
        "student_id": case.session.student_id,
        "activity_id": case.session.activity_id,
    }
    risk = {**own, "risk_type": "ai_dependency", "risk_level": "high", "dimension": "cognitive", "description": "x"}
    standing = Risk(**risk)
    unfounded = Risk(**risk, resolved=True, resolution="unfounded")
    for n, level in enumerate(("inicial", "autonomo")):
        moment = START + timedelta(days=n)
        await case.make.add(
            Evaluation(**own, overall_competency_level=level, overall_score=3 + 4 * n, created_at=moment)
        )
    await case.make.add(standing, unfounded)
    made = (await case.teacher.post(case.path)).json()
    shown = {"id": str(standing.id), "risk_type": "ai_dependency", "risk_level": "high"}
    assert made["detected_risks"] == [shown]
    assert (made["competencies"]["level"], made["competencies"]["score"]) == ("autonomo", 7)


async def test_a_roll_up_of_nothing_is_empty(case: Case) -> None:
    made = (await case.teacher.post(case.path, json={})).json()
    assert (made["total_traces"], made["avg_ai_involvement"], made["cognitive_coherence"]) == (0, 0.0, None)
    assert made["semantic_summary"] == made["process_summary"] == {}
    assert made["competencies"]["justified_share"] is None


async def test_a_roll_up_stays_small_whatever_the_traces_hold(case: Case) -> None:
    for n in range(4):
        many = {f"key {n} {i}": "x" * 5_000 for i in range(100)}
        odd = {"list": [{"a": 1}, [2], "y" * 5_000, *range(400)], "huge": 10**30, "k" * 5_000: 1}
        await case.make.trace(case.session, semantic_understanding=many, process_data=odd)
    made = (await case.teacher.post(case.path)).json()
    assert len(made["semantic_summary"]["keys"]) == 50
    assert all(set(key["values"]) == {"x" * 100} for key in made["semantic_summary"]["keys"].values())
    keys = made["process_summary"]["keys"]
    assert keys["huge"] == {"count": 4}
    assert len(keys["list"]["values"]) == 20
    assert max(map(len, keys)) == 100


async def test_each_roll_up_is_kept(case: Case) -> None:
    first = (await case.teacher.post(case.path)).json()
    await case.make.trace(case.session)
    second = (await case.teacher.post(case.path)).json()
    listed = (await case.student.get(case.path)).json()["items"]
    assert listed == [second, first]
    assert [item["total_traces"] for item in listed] == [1, 0]
    assert (await case.student.get(f"/trace-sequences/{first['id']}")).json() == first


async def test_who_may_roll_up_and_who_may_read(case: Case) -> None:
    make = case.make
    tutor, stranger, classmate = await make.tutor(), await make.teacher(), await make.student()
    read, git = await make.key("read"), await make.key("git")
    for someone, status in ((case.student, 403), (tutor, 403), (read, 403), (git, 403), (stranger, 404)):
        assert (await someone.post(case.path)).status_code == status
    assert await make.all(TraceSequence) == []
    for scope in ("traces", "analysis"):
        assert (await (await make.key(scope)).post(case.path)).status_code == 201
    made = (await (await make.admin()).post(case.path)).json()
    for path in (case.path, f"/trace-sequences/{made['id']}"):
        for someone, status in ((case.student, 200), (case.teacher, 200), (read, 200), (git, 403)):
            assert (await someone.get(path)).status_code == status, path
        for someone in (stranger, classmate, tutor):
            assert (await someone.get(path)).status_code == 404, path
    assert (await case.teacher.post(case.path, json={"total_traces": 5})).status_code == 422
    missing = "00000000-0000-7000-8000-000000000000"
    for path in (f"/sessions/{missing}/trace-sequences", f"/trace-sequences/{missing}"):
        assert (await case.teacher.get(path)).status_code == 404

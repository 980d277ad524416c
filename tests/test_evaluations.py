"""Evaluations: stored as they are said, or counted by the rules from the steps that they name."""

import random
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from uuid_utils.compat import uuid7

from cortez.accounts.models import CourseMember, Role
from cortez.core.db.engine import Database
from cortez.errors import Conflict
from cortez.evaluations.models import Evaluation
from cortez.evaluations.rules import evaluate, level_of
from cortez.traces.models import STUDENT_TYPES, CognitiveState, InteractionType
from cortez.traces.rules import coherence
from factory import Group, Make, Someone
from watching import statements

DOCS = Path(__file__).parents[1] / "docs" / "rules.md"
REASON = "because lists can nest"
SAID = {"overall_score": 7.5}


class Step:
    """A step as the rules read it."""

    def __init__(self, state: str | None = None, type_: str = "student_prompt", reason: str | None = None) -> None:
        self.id = uuid7()
        self.cognitive_state, self.interaction_type, self.decision_justification = state, type_, reason
        self.ai_involvement, self.late = 0.0, False


PLAN, WRITE, TEST, LOOK = "planificacion", "implementacion", "validacion", "exploracion"


def figures(*steps: Step) -> dict[str, dict[str, Any]]:
    """The figures of these steps, filled up with some that count for none but self-explanation."""
    filler = [Step() for _ in range(5)]
    return {document["name"]: document for document in evaluate([*steps, *filler])["dimensions"]}


def places(steps: list[Step], ids: list[str]) -> list[int]:
    return [[str(step.id) for step in steps].index(id_) for id_ in ids]


@pytest.mark.parametrize(
    ("steps", "planned", "bare"),
    [
        ([Step(WRITE)], [], [0]),
        ([Step(PLAN), Step(WRITE)], [1], []),
        ([Step(None, "hypothesis_formulation"), Step(WRITE)], [1], []),
        ([Step(PLAN), Step(LOOK), Step(WRITE)], [2], []),
        ([Step(PLAN), Step(WRITE), Step(WRITE)], [1], []),
        ([Step(PLAN), Step(WRITE), Step(TEST), Step(WRITE)], [1], [3]),
        ([Step(PLAN), Step(WRITE), Step("atascado"), Step(WRITE), Step(None), Step(WRITE)], [1], []),
        ([Step(PLAN), Step(WRITE), Step(PLAN), Step(WRITE)], [1, 3], []),
        ([Step(None, "code_commit")], [], [0]),
        ([Step("confusion", "code_commit")], [], [0]),
        ([Step(TEST, "code_commit")], [], []),
        ([Step(PLAN, "ai_response"), Step(WRITE), Step(WRITE, "ai_response")], [], [1]),
        ([Step(TEST), Step(PLAN)], [], []),
    ],
)
def test_planning_counts_the_runs_that_a_plan_came_before(
    steps: list[Step], planned: list[int], bare: list[int]
) -> None:
    figure = figures(*steps)["planning"]
    assert (places(steps, figure["trace_ids"]), places(steps, figure["lacking_trace_ids"])) == (planned, bare)
    runs = len(planned) + len(bare)
    assert figure["score"] == (round(10 * len(planned) / runs, 2) if runs else None)
    assert (figure["counted"], figure["of"]) == (len(planned), runs)


def test_self_explanation_counts_reasons_of_twenty_characters() -> None:
    steps = [Step(reason=reason) for reason in ("x" * 20, "x" * 19, "  " + "x" * 19 + "  ", None, REASON)]
    steps += [Step(None, "ai_response", REASON)]
    figure = {one["name"]: one for one in evaluate(steps)["dimensions"]}["self_explanation"]
    assert (figure["score"], figure["counted"], figure["of"]) == (4.0, 2, 5)
    assert places(steps, figure["trace_ids"]) == [0, 4]
    assert places(steps, figure["lacking_trace_ids"]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("steps", "smooth", "leaps"),
    [
        ([Step(LOOK), Step(PLAN), Step(WRITE)], [1, 2], []),
        ([Step(LOOK), Step(WRITE)], [], [1]),
        ([Step(TEST), Step(LOOK)], [], [1]),
        ([Step(LOOK), Step(WRITE, reason=REASON)], [1], []),
        ([Step(LOOK), Step(None, "strategy_change"), Step(WRITE)], [2], []),
        ([Step(LOOK), Step("atascado", reason=REASON), Step(TEST)], [2], []),
        ([Step(LOOK, reason=REASON), Step(WRITE)], [], [1]),
        ([Step(LOOK), Step(LOOK)], [], []),
        ([Step(LOOK), Step(WRITE, "ai_response"), Step(PLAN)], [2], []),
    ],
)
def test_coherence_counts_the_changes_that_are_no_unexplained_jump(
    steps: list[Step], smooth: list[int], leaps: list[int]
) -> None:
    figure = figures(*steps)["coherence"]
    assert (places(steps, figure["trace_ids"]), places(steps, figure["lacking_trace_ids"])) == (smooth, leaps)


def some_steps(seed: int) -> list[Step]:
    pick = random.Random(seed)  # noqa: S311 - the same steps each time
    types, states = list(InteractionType), [*CognitiveState, None]
    return [
        Step(pick.choice(states), pick.choice(types), pick.choice([None, "so", REASON]))
        for _ in range(pick.randrange(40))
    ]


def test_an_evaluation_and_a_roll_up_mean_the_same_by_coherence() -> None:
    told = []
    for seed in range(300):
        steps = some_steps(seed)
        figure = figures(*steps)["coherence"]
        told.append(coherence(steps))
        assert figure["score"] == (None if told[-1] is None else pytest.approx(10 * told[-1], abs=0.01))
    assert len(set(told)) > 20


def test_any_steps_give_figures_within_their_range() -> None:
    judged = 0
    for seed in range(300):
        steps = some_steps(seed)
        if sum(step.interaction_type in STUDENT_TYPES for step in steps) < 5:
            with pytest.raises(Conflict):
                evaluate(steps)
            continue
        found = evaluate(steps)
        scores = [one["score"] for one in found["dimensions"] if one["score"] is not None]
        assert found["overall_score"] == round(sum(scores) / len(scores), 2)
        assert all(0 <= score <= 10 for score in scores)
        for one in found["dimensions"]:
            assert len(one["trace_ids"]) + len(one["lacking_trace_ids"]) == one["of"]
        judged += 1
    assert judged > 150


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (10, "experto"),
        (8.5, "experto"),
        (8.49, "autonomo"),
        (7, "autonomo"),
        (6.99, "en_desarrollo"),
        (5, "en_desarrollo"),
        (4.99, "inicial"),
        (0, "inicial"),
    ],
)
def test_a_score_has_a_band(score: float, level: str) -> None:
    assert level_of(score) == level


def test_a_figure_without_anything_to_count_is_no_score_and_not_in_the_mean() -> None:
    found = evaluate([Step(reason=REASON) for _ in range(5)])
    assert [one["score"] for one in found["dimensions"]] == [None, 10.0, None]
    assert (found["overall_score"], found["overall_competency_level"]) == (10.0, "experto")
    assert [one["level"] for one in found["dimensions"]] == [None, "experto", None]


def test_what_is_strong_and_what_is_weak_is_said() -> None:
    found = evaluate([Step(LOOK), Step(PLAN), Step(WRITE), Step(WRITE), Step(WRITE)])
    assert found["key_strengths"] == [
        "Plans before implementing.",
        "Moves from phase to phase without leaps, or says why.",
    ]
    assert (
        found["improvement_areas"] == ["Say in a sentence why a step is taken."] == found["recommendations"]["student"]
    )
    assert found["reasoning_analysis"]["cognitive_path"] == [LOOK, PLAN, WRITE]


@pytest.mark.requirement("D1")
def test_the_example_for_teachers_is_counted_as_it_says() -> None:
    text = DOCS.read_text()
    rows = re.findall(r"^\| \d+ \| (\w+) \| (\w+) \|(.*)\|$", text, re.M)
    found = evaluate([Step(state, type_, reason.strip() or None) for type_, state, reason in rows])
    told = re.findall(r"^- \*\*(\w+)(?:-explanation)? ([\d.]+)\*\*", text, re.M)
    scores = {one["name"].partition("_")[0]: one["score"] for one in found["dimensions"]}
    assert {name.lower(): float(score) for name, score in told} == scores | {"overall": found["overall_score"]}
    assert found["overall_competency_level"] == "inicial"
    assert len(rows) == 8


@pytest.fixture
async def group(make: Make) -> Group:
    return await make.group()


async def work(make: Make, group: Group, *states: str | None, **values: Any) -> list[str]:
    """A step in each of these states; their ids."""
    return [str((await make.trace(group.session, cognitive_state=state, **values)).id) for state in states]


async def generated(someone: Someone, group: Group) -> dict[str, Any]:
    answer = await someone.post(f"{group.path}/evaluations/generate")
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"].endswith(f"/evaluations/{found['id']}")
    return found


async def listed(someone: Someone, query: str = "") -> list[str]:
    answer = await someone.get(f"/evaluations?count=true&{query}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["items"])
    return [item["id"] for item in answer.json()["items"]]


async def test_the_rules_evaluate_a_session_by_the_steps_they_name(make: Make, group: Group) -> None:
    ids = await work(make, group, LOOK, PLAN, WRITE, TEST, WRITE)
    await make.trace(group.session, interaction_type="ai_response", ai_involvement=0.6)
    await make.trace(await make.session(group.student, course_id="c"), cognitive_state=WRITE)
    found = await generated(group.teacher, group)
    by_name = {one["name"]: one for one in found["dimensions"]}
    assert by_name["planning"]["score"] == 5.0
    assert (by_name["planning"]["trace_ids"], by_name["planning"]["lacking_trace_ids"]) == ([ids[2]], [ids[4]])
    assert by_name["self_explanation"]["score"] == 0
    assert by_name["coherence"]["score"] == 5.0
    assert by_name["coherence"]["lacking_trace_ids"] == [ids[3], ids[4]]
    assert (found["overall_score"], found["overall_competency_level"]) == (3.33, "inicial")
    assert (found["evaluator"], found["evaluator_version"]) == ("process-rules", "1")
    assert found["ai_dependency_score"] == 0.1
    assert (found["student_id"], found["activity_id"]) == (group.student.student_id, "a")
    assert (await group.student.get(f"/evaluations/{found['id']}")).json() == found


async def test_each_call_evaluates_the_session_as_it_is_then(make: Make, group: Group) -> None:
    await work(make, group, *[None] * 5)
    first = await generated(group.teacher, group)
    await work(make, group, *[None] * 5, decision_justification=REASON)
    second = await generated(group.key, group)
    assert (first["overall_score"], second["overall_score"]) == (0.0, 5.0)
    assert await listed(group.teacher) == [second["id"], first["id"]]
    latest = await group.student.get(f"{group.path}/evaluations/latest")
    assert latest.json() == second


async def test_too_little_is_not_evaluated(make: Make, group: Group) -> None:
    await work(make, group, *[None] * 4)
    await work(make, group, *[None] * 9, interaction_type="ai_response")
    refused = await group.teacher.post(f"{group.path}/evaluations/generate")
    assert (refused.status_code, refused.json()["code"]) == (409, "TOO_LITTLE_EVIDENCE")
    assert await make.all(Evaluation) == []
    await work(make, group, None)
    await generated(group.teacher, group)


async def test_an_evaluation_is_stored_as_it_is_said(make: Make, group: Group) -> None:
    (trace,) = await work(make, group, WRITE)
    dimension = {
        "name": "debugging",
        "description": "How faults were found.",
        "level": "experto",
        "score": 9.0,
        "evidence": ["Isolated the case."],
        "strengths": ["isolates"],
        "weaknesses": ["names"],
        "recommendations": ["Name the case."],
        "trace_ids": [trace],
    }
    said = {
        "overall_score": 8.0,
        "overall_competency_level": "EXPERTO",
        "dimensions": [dimension],
        "key_strengths": ["isolates"],
        "improvement_areas": ["names"],
        "recommendations": {"student": ["Name the case."], "teacher": ["Ask."]},
        "reasoning_analysis": {"phases_completed": 3},
        "git_analysis": {"total_commits": 2},
        "ai_dependency_score": 0.25,
        "ai_dependency_metrics": {"usage_patterns": ["asks first"]},
        "evaluator": "a model's prompt",
        "evaluator_version": "2026-03",
    }
    answer = await group.key.post(f"{group.path}/evaluations", json=said)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert {name: made[name] for name in said} == said | {"overall_competency_level": "experto"}
    assert answer.headers["location"].endswith(f"/evaluations/{made['id']}")
    assert (await group.tutor.get(f"/evaluations/{made['id']}")).json() == made


async def test_without_a_level_the_score_s_band_is_stored(group: Group) -> None:
    made = (await group.teacher.post(f"{group.path}/evaluations", json=SAID)).json()
    assert (made["overall_competency_level"], made["dimensions"], made["recommendations"]) == ("autonomo", [], {})
    assert made["evaluator"] is None


BAD: list[tuple[dict[str, Any], str]] = [
    ({"overall_score": 10.1}, "VALIDATION_ERROR"),
    ({"overall_score": None}, "VALIDATION_ERROR"),
    ({"overall_competency_level": "genius"}, "VALIDATION_ERROR"),
    ({"ai_dependency_score": -0.1}, "VALIDATION_ERROR"),
    ({"dimensions": [{"name": "x", "score": 11}]}, "VALIDATION_ERROR"),
    ({"dimensions": [{"score": 1}]}, "VALIDATION_ERROR"),
    ({"dimensions": [{"name": "x"}] * 31}, "VALIDATION_ERROR"),
    ({"dimensions": [{"name": "x", "trace_ids": ["00000000-0000-7000-8000-000000000000"]}]}, "TRACE_NOT_FOUND"),
    ({"recommendations": []}, "VALIDATION_ERROR"),
    ({"evaluator": "process-rules"}, "EVALUATOR_RESERVED"),
    ({"student_id": "x"}, "VALIDATION_ERROR"),
    ({"grade": 4}, "VALIDATION_ERROR"),
]


@pytest.mark.parametrize(("change", "code"), BAD, ids=str)
async def test_what_makes_no_sense_is_refused(make: Make, group: Group, change: dict[str, Any], code: str) -> None:
    answer = await group.teacher.post(f"{group.path}/evaluations", json=SAID | change)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await make.all(Evaluation) == []


async def test_a_trace_of_another_session_is_no_evidence(make: Make, group: Group) -> None:
    foreign = await make.trace(await make.session(group.student, course_id="c"))
    body = SAID | {"dimensions": [{"name": "x", "trace_ids": [str(foreign.id)]}]}
    answer = await group.key.post(f"{group.path}/evaluations", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/dimensions")


async def test_those_who_judge_evaluate(make: Make, group: Group) -> None:
    await work(make, group, *[None] * 5)
    guest = await make.user(Role.TEACHER)
    await make.add(CourseMember(course_id="c", user_id=guest.id, role="tutor"))
    limited = await make.key("analysis", course_ids=["elsewhere"])
    for path, body in ((f"{group.path}/evaluations", SAID), (f"{group.path}/evaluations/generate", {})):
        for someone in (group.student, group.tutor, guest, await make.key("read", "traces")):
            assert (await someone.post(path, json=body)).status_code == 403, path
        for someone in (group.stranger, limited):
            assert (await someone.post(path, json=body)).status_code == 404, path
        assert await make.all(Evaluation) == []
    for someone in (group.teacher, group.key, await make.admin()):
        assert (await someone.post(f"{group.path}/evaluations", json=SAID)).status_code == 201
        await generated(someone, group)


async def test_an_evaluation_is_seen_by_whose_it_is_and_who_teaches_them(make: Make, group: Group) -> None:
    made = await make.evaluation(group.session)
    paths = [f"{group.path}/evaluations", f"{group.path}/evaluations/latest", f"/evaluations/{made.id}"]
    for someone in (group.student, group.tutor, group.teacher, group.key, await make.key("read"), await make.admin()):
        assert [(await someone.get(path)).status_code for path in paths] == [200] * 3
        assert await listed(someone) == [str(made.id)]
    classmate, elsewhere = await make.student(course="c"), await make.key("read", course_ids=["elsewhere"])
    for someone in (group.stranger, classmate, elsewhere):
        assert [(await someone.get(path)).status_code for path in paths] == [404] * 3
        for query in ("", f"student_id={group.student.student_id}", "activity_id=a", "course_id=c"):
            assert await listed(someone, query) == []
    machine = await make.key("traces")
    assert [(await machine.get(path)).status_code for path in [*paths, "/evaluations"]] == [403] * 4


async def test_what_is_not_there_is_not_found(group: Group) -> None:
    for verb, path, code in (
        ("GET", f"{group.path}/evaluations/latest", "EVALUATION_NOT_FOUND"),
        ("GET", f"/sessions/{uuid4()}/evaluations", "SESSION_NOT_FOUND"),
        ("GET", f"/sessions/{uuid4()}/evaluations/latest", "SESSION_NOT_FOUND"),
        ("POST", f"/sessions/{uuid4()}/evaluations", "SESSION_NOT_FOUND"),
        ("POST", f"/sessions/{uuid4()}/evaluations/generate", "SESSION_NOT_FOUND"),
        ("GET", f"/evaluations/{uuid4()}", "EVALUATION_NOT_FOUND"),
    ):
        body = SAID if path.endswith("/evaluations") and verb == "POST" else None
        answer = await group.teacher.client.request(verb, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, code), (verb, path)


async def test_evaluations_are_listed_newest_first_by_what_is_asked(make: Make, group: Group) -> None:
    other = await make.session(await make.student(), activity_id="a")
    made = [await make.evaluation(session) for session in (group.session, group.session, other)]
    ids = [str(evaluation.id) for evaluation in made]
    admin = await make.admin()
    for query, wanted in {
        "": [2, 1, 0],
        f"student_id={group.student.student_id}": [1, 0],
        "activity_id=a": [2, 1, 0],
        "course_id=c": [1, 0],
        "student_id=nobody": [],
        "course_id=nowhere": [],
    }.items():
        assert await listed(admin, query) == [ids[place] for place in wanted], query
    for wrong in ("student_id=a b", "level=experto", "limit=0"):
        assert (await admin.get(f"/evaluations?{wrong}")).status_code == 422, wrong
    first = (await admin.get("/evaluations?limit=2&activity_id=a")).json()
    rest = (await admin.get(f"/evaluations?cursor={first['next_cursor']}")).json()
    assert [item["id"] for item in (*first["items"], *rest["items"])] == [ids[2], ids[1], ids[0]]
    inside = (await group.student.get(f"{group.path}/evaluations?count=true")).json()
    assert ([item["id"] for item in inside["items"]], inside["total"]) == ([ids[1], ids[0]], 2)


async def test_a_profile_follows_its_student_s_evaluations(make: Make, group: Group) -> None:
    async def profile() -> tuple[float | None, list[str], dict[str, str]]:
        found = (await group.teacher.get(f"/students/{group.student.student_id}/profile")).json()
        return found["average_competency_score"], found["strengths"], found["competency_levels"]

    said = SAID | {"key_strengths": ["isolates"], "dimensions": [{"name": "debugging", "score": 9}]}
    await group.key.post(f"{group.path}/evaluations", json=said)
    assert await profile() == (7.5, ["isolates"], {"debugging": "experto"})
    await work(make, group, *[None] * 5)
    await generated(group.teacher, group)
    assert await profile() == (3.75, [], {"self_explanation": "inicial"})


async def test_reading_and_evaluating_take_as_many_statements_for_many_rows_as_for_few(
    make: Make, group: Group, database: Database
) -> None:
    paths = [f"{group.path}{rest}" for rest in ("/evaluations", "/evaluations/latest", "?include=evaluations")]
    seen = []
    await work(make, group, *[WRITE] * 5)
    await generated(group.teacher, group)  # the first one works out the figures of the course
    for number in (5, 20):
        await work(make, group, *[WRITE] * number)
        for _ in range(number):
            await make.evaluation(group.session)
        with statements(database) as made:
            for path in (*paths, "/evaluations?course_id=c"):
                assert (await group.teacher.get(path)).status_code == 200
            await generated(group.teacher, group)
        seen.append(len(made))
    assert seen[0] == seen[1]


async def test_a_session_comes_with_its_risks_and_evaluations(make: Make, group: Group) -> None:
    risks = [str((await make.risk(group.session)).id) for _ in range(2)]
    evaluations = [str((await make.evaluation(group.session)).id) for _ in range(2)]
    await make.risk(await make.session(group.student, course_id="c"))
    everything = f"{group.path}?include=traces,risks,evaluations"
    for someone in (group.student, group.tutor, group.teacher, await make.key("read")):
        found = (await someone.get(everything)).json()
        assert [one["id"] for one in found["risks"]] == risks
        assert [one["id"] for one in found["evaluations"]] == evaluations
        assert found["traces"] == []
    only = (await group.student.get(f"{group.path}?include=risks")).json()
    assert only.keys() & {"traces", "risks", "evaluations"} == {"risks"}
    assert (await group.stranger.get(everything)).status_code == 404


async def test_a_machine_includes_only_what_its_scopes_let_it_see(make: Make, group: Group) -> None:
    machine, both = await make.key("sessions"), await make.key("sessions", "analysis")
    assert (await machine.get(group.path)).status_code == 200
    for part in ("traces", "risks", "evaluations"):
        assert (await machine.get(f"{group.path}?include={part}")).status_code == 403
    assert (await both.get(f"{group.path}?include=risks,evaluations")).status_code == 200
    assert (await both.get(f"{group.path}?include=risks,traces")).status_code == 403


@pytest.mark.requirement("A1")
async def test_nobody_judges_their_own_session(make: Make) -> None:
    """A teacher who is a student as well works in their own activity, in their own course or in none."""
    both = await make.user(Role.TEACHER, Role.STUDENT)
    await make.add(CourseMember(course_id=await make.course("own"), user_id=both.id, role="teacher"))
    for course_id in ("own", None):
        activity = await make.activity(teacher_id=both.id, course_id=course_id)
        session = await make.session(both, activity_id=activity.activity_id, course_id=course_id)
        risk = await make.risk(session)
        finding = {"risk_type": "plagiarism", "risk_level": "low", "description": "x"}
        sequence: dict[str, Any] = {}
        path = f"/sessions/{session.id}"
        for where, body in {
            f"{path}/evaluations": {"overall_score": 10},
            f"{path}/evaluations/generate": None,
            f"{path}/risks": finding,
            f"{path}/risks/analyze": None,
            f"{path}/trace-sequences": sequence,
            f"/risks/{risk.id}/resolve": {"resolution": "unfounded", "resolution_notes": "x"},
        }.items():
            answer = await both.post(where, json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN"), (where, answer.text)
        other = await make.session(activity_id=activity.activity_id, course_id=course_id)
        assert (await both.post(f"/sessions/{other.id}/evaluations", json={"overall_score": 1})).status_code == 201

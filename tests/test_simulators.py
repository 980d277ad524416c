"""Simulators: interviews and incidents step by step, and the events of a session."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from cortez.sessions.models import LearningSession
from cortez.simulators.models import SimulatorEvent
from factory import Make, Someone


class Play:
    student: Someone
    machine: Someone
    teacher: Someone
    session: LearningSession
    path: str


@pytest.fixture
async def play(make: Make) -> Play:
    made, course = Play(), await make.course()
    made.student, made.machine = await make.student(course=course), await make.key("simulators")
    made.teacher = await make.teacher(course=course)
    made.session = await make.session(made.student, course_id=course, mode="simulator", simulator_type="tech_lead")
    made.path = f"/sessions/{made.session.id}"
    return made


async def begun(play: Play, kind: str, body: dict[str, Any]) -> str:
    made = await play.machine.post(f"{play.path}/{kind}", json=body)
    assert made.status_code == 201, made.text
    return f"/{kind}/{made.json()['id']}"


async def interview(play: Play) -> str:
    return await begun(play, "interviews", {"interview_type": "design", "difficulty_level": "hard"})


async def incident(play: Play) -> str:
    return await begun(play, "incidents", {"incident_type": "Database", "incident_description": "It is slow."})


async def test_the_eleven_roles_are_described(make: Make) -> None:
    student = await make.student()
    roles = (await student.get("/simulators")).json()
    assert len(roles) == 11
    assert all(role["name"] and role["description"] for role in roles)
    assert (await student.get("/simulators/Tech_Lead")).json()["type"] == "tech_lead"
    assert (await student.get("/simulators/magician")).status_code == 404
    assert (await (await make.key("traces")).get("/simulators")).status_code == 403


async def test_an_interview_goes_from_question_to_answer_to_its_end(play: Play) -> None:
    path = await interview(play)
    assert (await play.machine.get(path)).json()["difficulty_level"] == "HARD"
    early = await play.student.post(f"{path}/responses", json={"response": "?"})
    assert (early.status_code, early.json()["code"]) == (409, "NO_OPEN_QUESTION")
    question = {"question": "Why a queue?", "expected_key_points": ["decoupling"]}
    assert (await play.machine.post(f"{path}/questions", json=question)).json()["questions_asked"][0]["id"] == 1
    twice = await play.machine.post(f"{path}/questions", json=question)
    assert (twice.status_code, twice.json()["code"]) == (409, "QUESTION_OPEN")
    assert "expected_key_points" not in (await play.student.get(path)).json()["questions_asked"][0]
    assert (await play.teacher.get(path)).json()["questions_asked"][0]["expected_key_points"] == ["decoupling"]
    assessed = {"response": "It decouples.", "evaluation": {"clarity_score": 1}}
    assert (await play.student.post(f"{path}/responses", json=assessed)).status_code == 403
    answered = (await play.student.post(f"{path}/responses", json={"response": "It decouples."})).json()
    assert (answered["responses"][0]["question_id"], answered["responses"][0]["response"]) == (1, "It decouples.")
    assert answered["responses"][0]["timestamp"].endswith("Z")
    end = {"evaluation_score": 0.8, "evaluation_breakdown": {"clarity": 1}, "feedback": "Good."}
    assert (await play.student.post(f"{path}/complete", json=end)).status_code == 403
    ended = (await play.machine.post(f"{path}/complete", json=end)).json()
    assert (ended["evaluation_score"], ended["evaluation_breakdown"], ended["duration_minutes"]) == (
        0.8,
        {"clarity": 1},
        0,
    )
    assert (await play.student.get(path)).json()["questions_asked"][0]["expected_key_points"] == ["decoupling"]
    for action, body in (("questions", question), ("responses", {"response": "x"}), ("complete", end)):
        over = await play.machine.post(f"{path}/{action}", json=body)
        assert (over.status_code, over.json()["code"]) == (409, "INTERVIEW_COMPLETED")


async def test_an_incident_is_diagnosed_step_by_step(play: Play) -> None:
    path = await incident(play)
    step = {"action": "Read the log", "finding": "A lock"}
    await play.student.post(f"{path}/diagnosis-steps", json=step)
    steps = (await play.student.post(f"{path}/diagnosis-steps", json=step)).json()["diagnosis_process"]
    assert [(one["step"], one["action"]) for one in steps] == [(1, "Read the log"), (2, "Read the log")]
    end = {"solution_proposed": "An index", "root_cause_identified": "A scan", "evaluation": {"communication": 0.5}}
    assert (await play.student.post(f"{path}/complete", json=end)).status_code == 403
    ended = (await play.machine.post(f"{path}/complete", json=end)).json()
    assert (ended["time_to_resolve_minutes"], ended["evaluation"]) == (0, {"communication": 0.5})
    over = await play.student.post(f"{path}/diagnosis-steps", json=step)
    assert (over.status_code, over.json()["code"]) == (409, "INCIDENT_COMPLETED")
    assert (await play.machine.post(f"{path}/complete", json=end)).status_code == 409


@pytest.mark.requirement("P4")
async def test_no_parallel_append_is_lost(play: Play) -> None:
    path = await incident(play)
    steps = [play.student.post(f"{path}/diagnosis-steps", json={"action": f"step {n}"}) for n in range(20)]
    assert {answer.status_code for answer in await asyncio.gather(*steps)} == {200}
    process = (await play.student.get(path)).json()["diagnosis_process"]
    assert [one["step"] for one in process] == list(range(1, 21))
    assert {one["action"] for one in process} == {f"step {n}" for n in range(20)}


async def test_who_sees_and_starts_simulations(make: Make, play: Play) -> None:
    talk, failure = await interview(play), await incident(play)
    stranger, other = await make.student(), await make.teacher()
    for someone in (stranger, other):
        for path in (
            talk,
            failure,
            f"{play.path}/interviews",
            f"{play.path}/incidents",
            f"{play.path}/simulator-events",
        ):
            assert (await someone.get(path)).status_code == 404
    assert (await stranger.post(f"{talk}/responses", json={"response": "x"})).status_code == 404
    for someone in (play.student, play.teacher, await make.key("traces")):
        assert (await someone.post(f"{play.path}/interviews", json={"interview_type": "DESIGN"})).status_code == 403
    for kind in ("interviews", "incidents"):
        assert len((await play.teacher.get(f"{play.path}/{kind}")).json()["items"]) == 1
        assert (await play.student.get(f"/{kind}/{uuid4()}")).status_code == 404
        assert (await play.machine.post(f"/sessions/{uuid4()}/{kind}", json={})).status_code in (404, 422)
        assert (await play.machine.post(f"{play.path}/{kind}", json={})).status_code == 422


async def test_a_closed_session_takes_no_simulation(play: Play) -> None:
    await play.student.post(f"{play.path}/complete")
    for kind, body in (
        ("interviews", {"interview_type": "DESIGN"}),
        ("incidents", {"incident_type": "DATABASE", "incident_description": "x"}),
        ("simulator-events", {"event_type": "test_executed"}),
    ):
        closed = await play.machine.post(f"{play.path}/{kind}", json=body)
        assert (closed.status_code, closed.json()["code"]) == (409, "SESSION_CLOSED")


async def test_events_take_their_simulator_from_the_session(make: Make, play: Play) -> None:
    event = {"event_type": "technical_decision_made", "event_data": {"justification": "Cost"}, "severity": "WARNING"}
    made = await play.student.post(f"{play.path}/simulator-events", json=event)
    assert (made.status_code, made.json()["simulator_type"], made.json()["severity"]) == (201, "tech_lead", "warning")
    plain = await make.session(play.student)
    nameless = await play.student.post(f"/sessions/{plain.id}/simulator-events", json=event)
    assert (nameless.status_code, nameless.json()["errors"][0]["pointer"]) == (422, "/simulator_type")
    named = event | {"simulator_type": "client"}
    assert (await play.student.post(f"/sessions/{plain.id}/simulator-events", json=named)).status_code == 201
    assert (await play.teacher.post(f"{play.path}/simulator-events", json=event)).status_code == 403
    old = event | {"timestamp": "2020-01-01T00:00:00Z"}
    early = await play.student.post(f"{play.path}/simulator-events", json=old)
    assert (early.status_code, early.json()["errors"][0]["pointer"]) == (422, "/timestamp")
    assert (await play.student.post(f"{play.path}/simulator-events/batch", json=[old])).json()["rejected"] == 1
    listed = (await play.teacher.get(f"{play.path}/simulator-events?count=true")).json()
    assert (listed["total"], listed["items"][0]["event_data"]) == (1, {"justification": "Cost"})


async def test_each_event_of_a_batch_has_its_result(make: Make, play: Play) -> None:
    same = {"id": str(uuid4()), "event_type": "test_executed", "event_data": {"passed": 3}}
    path = f"{play.path}/simulator-events"
    items = [same, same, same | {"event_data": {}}, {"event_type": "Not A Type"}, {"event_type": "x"}]
    answer = (await play.machine.post(f"{path}/batch", json=items)).json()
    assert [item.get("code", item["status"]) for item in answer["items"]] == [
        "created",
        "duplicate",
        "EVENT_CONFLICT",
        "VALIDATION_ERROR",
        "created",
    ]
    assert (await play.machine.post(path, json=same)).status_code == 200
    assert (await play.machine.post(path, json={"event_type": "x", "timestamp": "2020-01-01T00:00:00Z"})).is_success
    assert (await play.machine.post(path, json=same | {"event_data": {}})).status_code == 409
    atomic = await play.machine.post(f"{path}/batch?atomic=true", json=[{"event_type": "y"}, {}])
    assert (atomic.status_code, atomic.json()["code"]) == (422, "BATCH_REJECTED")
    assert len(await make.all(SimulatorEvent)) == 3
    sends = [play.machine.post(f"{path}/batch", json=[same | {"id": str(uuid4())}, same]) for _ in range(5)]
    assert {answer.json()["created"] for answer in await asyncio.gather(*sends)} == {1}


async def test_a_student_answers_no_more_once_the_session_is_over(play: Play) -> None:
    """What was said in an interview or an incident is the student's to add while the session goes on."""
    talk, outage = await interview(play), await incident(play)
    assert (await play.machine.post(f"{talk}/questions", json={"question": "Why?"})).status_code == 200
    assert (await play.student.post(f"{play.path}/complete")).status_code == 200
    answers = {f"{talk}/responses": {"response": "Because."}, f"{outage}/diagnosis-steps": {"action": "Looked."}}
    for path, body in answers.items():
        refused = await play.student.post(path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "SESSION_CLOSED")
        assert (await play.machine.post(path, json=body)).status_code == 200

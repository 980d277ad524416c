"""Traces: who may write which, when, and how a batch is judged item by item."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from cortez.clock import utc_now
from cortez.traces.models import CognitiveTrace, InteractionType
from factory import Make, Someone

ASK: dict[str, Any] = {"interaction_type": "student_prompt", "content": "Why?"}
ANSWER: dict[str, Any] = {"interaction_type": "ai_response", "content": "Because."}
STUDENT_TYPES = {"student_prompt", "code_commit", "strategy_change", "hypothesis_formulation", "self_correction"}
DIMENSIONS = {
    "semantic_understanding": {"key_concepts_identified": ["loop"], "understanding_level": 0.5},
    "algorithmic_evolution": {"code_versions": [1, 2]},
    "cognitive_reasoning": {"problem_decomposition": ["a", {"b": None}]},
    "interactional_data": {"prompt_type": "question"},
    "ethical_risk_data": {"delegation_attempts": 0},
    "process_data": {"phase": "planificación"},
}


def text(moment: datetime) -> str:
    return moment.isoformat()


def codes(answer: Any) -> list[str]:
    return [item.get("code", item["status"]) for item in answer.json()["items"]]


async def contents(someone: Someone, path: str) -> list[str]:
    answer = await someone.get(path)
    assert answer.status_code == 200, answer.text
    return [item["content"] for item in answer.json()["items"]]


@pytest.mark.parametrize("kind", list(InteractionType))
async def test_who_writes_which_kind_of_step(make: Make, kind: InteractionType) -> None:
    course = await make.course()
    student, teacher, tutor = await make.student(), await make.teacher(course=course), await make.tutor(course=course)
    session = await make.session(student, course_id=course)
    path, step = f"/sessions/{session.id}/traces", {"interaction_type": kind.upper(), "content": "x"}
    expected = {
        student: kind in STUDENT_TYPES,
        teacher: kind == "teacher_feedback",
        tutor: kind == "teacher_feedback",
        await make.key(): True,
    }
    for someone, allowed in expected.items():
        assert (await someone.post(path, json=step)).status_code == (201 if allowed else 403)
    assert (await (await make.key("read")).post(path, json=step)).status_code == 403


@pytest.mark.parametrize(
    "field",
    [
        {"ai_involvement": 0.1},
        {"cognitive_state": "atascado"},
        {"trace_level": "n1_superficial"},
        {"agent_id": "me"},
        {"process_data": {}},
    ],
    ids=str,
)
async def test_a_student_writes_no_analysis(make: Make, field: dict[str, Any]) -> None:
    student, key = await make.student(), await make.key()
    path = f"/sessions/{(await make.session(student)).id}/traces"
    assert (await student.post(path, json=ASK | field)).status_code == 403
    assert codes(await student.post(f"{path}/batch", json=[ASK | field])) == ["FORBIDDEN"]
    assert (await key.post(path, json=ASK | field)).status_code == 201


async def test_a_trace_comes_back_as_it_was_sent(make: Make) -> None:
    student, key = await make.student(), await make.key()
    session = await make.session(student)
    sent = {
        "id": str(uuid4()),
        **ANSWER,
        **DIMENSIONS,
        "metadata": {"model": "x"},
        "context": {"turn": 1},
        "cognitive_state": "ESTANCAMIENTO",
        "decision_justification": "It terminates.",
        "alternatives_considered": ["recursion", {"name": "fold"}],
        "ai_involvement": 1,
        "occurred_at": "2026-03-01T12:00:00+02:00",
    }
    made = await key.post(f"/sessions/{session.id}/traces", json=sent)
    assert (made.status_code, made.headers["location"]) == (201, f"/api/v1/traces/{sent['id']}")
    expected = sent | {"cognitive_state": "atascado", "occurred_at": "2026-03-01T10:00:00Z"}
    read = (await student.get(f"/traces/{sent['id']}")).json()
    assert expected.items() <= read.items()
    assert (read["student_id"], read["activity_id"]) == (session.student_id, session.activity_id)


async def test_a_closed_session_takes_only_what_happened_before_its_end(make: Make) -> None:
    key = await make.key()
    end = utc_now() - timedelta(hours=1)
    session = await make.session(status="completed", end_time=end)
    path = f"/sessions/{session.id}/traces"
    late = [ANSWER | {"occurred_at": text(end + timedelta(seconds=seconds))} for seconds in (-60, 0, 1)]
    assert codes(await key.post(f"{path}/batch", json=[*late, ANSWER])) == [
        "created",
        "created",
        "SESSION_CLOSED",
        "SESSION_CLOSED",
    ]
    single = await key.post(path, json=ANSWER)
    assert (single.status_code, single.json()["code"]) == (409, "SESSION_CLOSED")
    paused = await make.session(status="paused")
    assert (await key.post(f"/sessions/{paused.id}/traces", json=ANSWER)).status_code == 201


async def test_a_step_lies_at_most_five_minutes_ahead(make: Make) -> None:
    key = await make.key()
    path = f"/sessions/{(await make.session()).id}/traces"
    for minutes, status in ((4, 201), (6, 422)):
        moment = text(utc_now() + timedelta(minutes=minutes))
        assert (await key.post(path, json=ANSWER | {"occurred_at": moment})).status_code == status
    assert (await key.post(path, json=ANSWER | {"occurred_at": "2026-03-01T12:00:00"})).status_code == 422


async def test_a_parent_is_a_trace_of_the_same_session(make: Make) -> None:
    key = await make.key()
    session, elsewhere = await make.session(), await make.trace(await make.session())
    first, second = str(uuid4()), str(uuid4())
    items = [
        ANSWER | {"id": second, "parent_trace_id": first},
        ANSWER | {"id": first},
        ANSWER | {"parent_trace_id": first},
        ANSWER | {"parent_trace_id": str(elsewhere.id)},
        ANSWER | {"parent_trace_id": str(uuid4())},
    ]
    answer = await key.post(f"/sessions/{session.id}/traces/batch", json=items)
    assert codes(answer) == ["PARENT_NOT_FOUND", "created", "created", "PARENT_NOT_FOUND", "PARENT_NOT_FOUND"]
    child = (await key.post(f"/sessions/{session.id}/traces", json=ANSWER | {"parent_trace_id": first})).json()
    assert child["parent_trace_id"] == first


async def test_the_same_content_twice_is_one_trace_and_other_content_a_conflict(make: Make) -> None:
    key = await make.key()
    path = f"/sessions/{(await make.session()).id}/traces"
    step = ANSWER | {"id": str(uuid4()), "context": {"a": 1, "b": 2}}
    assert (await key.post(path, json=step)).status_code == 201
    same = await key.post(path, json=step | {"context": {"b": 2, "a": 1}})
    assert (same.status_code, same.json()["id"]) == (200, step["id"])
    other = await key.post(path, json=step | {"content": "No."})
    assert (other.status_code, other.json()["code"]) == (409, "TRACE_CONFLICT")
    named = {"session_id": path.split("/")[2]}
    assert codes(await key.post("/traces/batch", json=[step | named])) == ["duplicate"]
    elsewhere = f"/sessions/{(await make.session()).id}/traces"
    assert (await key.post(elsewhere, json=step)).json()["code"] == "TRACE_CONFLICT"
    fresh = ANSWER | {"id": str(uuid4())}
    items = [step, fresh, fresh, fresh | {"content": "No."}]
    assert codes(await key.post(f"{path}/batch", json=items)) == ["duplicate", "created", "duplicate", "TRACE_CONFLICT"]
    assert len(await make.all(CognitiveTrace)) == 2


async def test_an_id_that_lives_out_of_sight_is_a_conflict(make: Make) -> None:
    here, there = await make.course(), await make.course()
    key = await make.key(course_ids=[here])
    hidden = await make.trace(await make.session(course_id=there))
    mine = await make.session(course_id=here)
    path = f"/sessions/{mine.id}/traces"
    step = {"id": str(hidden.id), "interaction_type": "student_prompt", "content": "Why?"}
    assert codes(await key.post(f"{path}/batch", json=[step])) == ["TRACE_CONFLICT"]
    assert (await key.post(path, json=step)).json()["code"] == "TRACE_CONFLICT"


async def test_each_item_of_a_batch_over_sessions_is_judged_for_itself(make: Make) -> None:
    student, other = await make.student(), await make.student()
    mine, theirs = await make.session(student), await make.session(other)
    closed = await make.session(student, status="completed", end_time=utc_now())
    items: list[Any] = [
        ASK | {"session_id": str(mine.id)},
        ASK | {"session_id": str(theirs.id)},
        ASK | {"session_id": str(uuid4())},
        ASK | {"session_id": str(closed.id)},
        ASK,
        "text",
        ASK | {"session_id": str(mine.id), "content": "a\0b"},
        ANSWER | {"session_id": str(mine.id)},
    ]
    answer = await student.post("/traces/batch", json=items)
    assert codes(answer) == [
        "created",
        "SESSION_NOT_FOUND",
        "SESSION_NOT_FOUND",
        "SESSION_CLOSED",
        "VALIDATION_ERROR",
        "VALIDATION_ERROR",
        "VALIDATION_ERROR",
        "FORBIDDEN",
    ]
    assert [item["index"] for item in answer.json()["items"]] == list(range(8))
    assert (await student.post(f"/sessions/{theirs.id}/traces/batch", json=[ASK])).status_code == 404


async def test_five_hundred_lines_keep_their_order(make: Make) -> None:
    key = await make.key()
    session = await make.session()
    steps = [ANSWER | {"content": f"step {number}", "id": str(uuid4())} for number in range(498)]
    lines = "\n".join(json.dumps(step) for step in [*steps, steps[0], {"interaction_type": "x"}]) + "\n\n"
    path = f"/sessions/{session.id}/traces"
    answer = await key.post(f"{path}/batch", content=lines, headers={"content-type": "application/x-ndjson"})
    assert {name: answer.json()[name] for name in ("created", "duplicate", "rejected")} == {
        "created": 498,
        "duplicate": 1,
        "rejected": 1,
    }
    read: list[str] = []
    page: str | None = f"{path}?limit=200"
    while page:
        listed = (await key.get(page)).json()
        read += [item["content"] for item in listed["items"]]
        page = listed["next_cursor"] and f"{path}?limit=200&cursor={listed['next_cursor']}"
    assert read == [f"step {number}" for number in range(498)]
    assert (await key.get(f"/sessions/{session.id}")).json()["trace_count"] == 498


async def test_an_atomic_batch_stores_all_or_nothing(make: Make) -> None:
    key = await make.key()
    session = await make.session()
    path = f"/sessions/{session.id}/traces/batch?atomic=true"
    there = await make.trace(session, ingest_digest=b"another")
    bad = await key.post(path, json=[ANSWER, {"content": "x"}])
    assert (bad.status_code, bad.json()["code"]) == (422, "BATCH_REJECTED")
    assert bad.json()["errors"][0]["pointer"] == "/1"
    assert (await key.post(path, json=[ANSWER, ANSWER | {"id": str(there.id)}])).status_code == 409
    assert len(await make.all(CognitiveTrace)) == 1
    assert (await key.post(path, json=[ANSWER, ANSWER])).json()["created"] == 2


async def test_a_batch_has_its_limits(make: Make) -> None:
    key = await make.key()
    path = f"/sessions/{(await make.session()).id}/traces/batch"
    many = await key.post(path, json=[ANSWER] * 1_001)
    assert (many.status_code, many.json()["code"]) == (422, "TOO_MANY_ITEMS")
    assert (await key.post(path, json=[ANSWER] * 1_000)).json()["created"] == 1_000
    assert (await key.post(path, json=["x" * 10_000_001])).status_code == 413
    assert (await key.post(path, content="[", headers={"content-type": "application/json"})).status_code == 400
    assert (await key.post(path, json={"items": []})).status_code == 422
    assert (await key.post(path, content="x", headers={"content-type": "text/csv"})).status_code == 415
    assert (await key.post(path, json=[])).json()["items"] == []


async def test_the_same_batch_in_parallel_is_stored_once(make: Make) -> None:
    key = await make.key()
    sessions = [await make.session(), await make.session()]
    items = [ANSWER | {"id": str(uuid4()), "session_id": str(sessions[n % 2].id)} for n in range(60)]
    answers = await asyncio.gather(*[key.post("/traces/batch", json=items[:: (-1) ** n]) for n in range(5)])
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["created"] for answer in answers) == 60
    assert sum(answer.json()["duplicate"] for answer in answers) == 240
    counts = [(await key.get(f"/sessions/{session.id}")).json()["trace_count"] for session in sessions]
    assert counts == [30, 30]


async def test_an_analysis_is_added_by_machines_only(make: Make) -> None:
    student, key, teacher = await make.student(), await make.key(), await make.teacher()
    trace = await make.trace(await make.session(student))
    path = f"/traces/{trace.id}"
    for someone in (student, teacher, await make.key("read")):
        assert (await someone.patch(path, json={"ai_involvement": 0.5})).status_code == 403
    patch = DIMENSIONS | {"metadata": {"seen": True}, "cognitive_state": "STUCK", "ai_involvement": 0.5}
    changed = await key.patch(path, json=patch)
    assert (patch | {"cognitive_state": "atascado"}).items() <= changed.json().items()
    for wrong in ({"content": "x"}, {"session_id": str(uuid4())}, {"ai_involvement": None}, {"ai_involvement": 1.01}):
        assert (await key.patch(path, json=wrong)).status_code == 422
    old = {"If-Match": (await key.get(path)).headers["etag"]}
    assert (await key.patch(path, json={"cognitive_intent": "x"}, headers=old)).status_code == 200
    assert (await key.patch(path, json={"cognitive_intent": "y"}, headers=old)).status_code == 412
    assert (await key.patch(f"/traces/{uuid4()}", json={})).status_code == 404


async def test_filters_of_the_lists(make: Make) -> None:
    admin = await make.admin()
    await make.course("c")
    here, there = await make.session(course_id="c"), await make.session()
    noon = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
    await make.trace(here, content="early", occurred_at=noon - timedelta(hours=1), cognitive_state="atascado")
    await make.trace(here, content="noon", occurred_at=noon, trace_level="n2_tecnico")
    await make.trace(there, content="stored", interaction_type="ai_response")
    for query, expected in {
        "": ["early", "noon", "stored"],
        "order=-created_at": ["stored", "noon", "early"],
        f"student_id={there.student_id}": ["stored"],
        f"activity_id={here.activity_id}": ["early", "noon"],
        "course_id=c": ["early", "noon"],
        "trace_level=N2_TECNICO": ["noon"],
        "interaction_type=ai_response": ["stored"],
        "cognitive_state=STUCK": ["early"],
        "occurred_after=2026-03-01T12:00:00Z": ["noon", "stored"],
        "occurred_before=2026-03-01T14:00:00%2B02:00": ["early"],
        "course_id=c&cognitive_state=confusion": [],
    }.items():
        assert await contents(admin, f"/traces?{query}") == expected, query
    assert await contents(admin, f"/sessions/{here.id}/traces?trace_level=n2_tecnico") == ["noon"]
    assert (await admin.get(f"/sessions/{uuid4()}/traces")).status_code == 404
    assert (await admin.get("/traces/not-an-id")).status_code == 404

"""What comes after a session's end: from whom, until when, and that it is said wherever it is shown."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import Response

from cortez.clock import utc_now
from cortez.git.models import GitTrace
from cortez.sessions.models import LearningSession
from cortez.traces.models import CognitiveTrace
from factory import Group, Make, Someone
from watching import statements

ASK: dict[str, Any] = {"interaction_type": "student_prompt", "content": "Why?"}
JUSTIFIED: dict[str, Any] = {
    "interaction_type": "hypothesis_formulation",
    "content": "x",
    "decision_justification": "Because I thought about it for a long time.",
}
ANSWER: dict[str, Any] = {"interaction_type": "ai_response", "content": "Because."}
BEGAN, ENDED = timedelta(hours=1), timedelta(minutes=2)  # ago
LOG = {"content-type": "text/plain"}


def ago(span: timedelta) -> str:
    return (utc_now() - span).isoformat()


async def over(make: Make, student: Someone, ended: timedelta = ENDED, **values: Any) -> LearningSession:
    """A session of the student that ended so long ago."""
    now = utc_now()
    times = {"start_time": now - BEGAN, "end_time": now - ended}
    return await make.session(student, **({"status": "completed"} | times | values))


def commit(number: int, moment: datetime) -> dict[str, Any]:
    names = {"commit_message": "Step", "author_name": "Ana", "author_email": "ana@example.edu"}
    return {"commit_hash": f"{number:040x}", "timestamp": moment.isoformat(), **names}


def log_of(number: int, moment: datetime) -> str:
    return f"\x1e{number:040x}\x1f\x1fAna\x1fana@example.edu\x1f{moment.isoformat()}\x1frefs/heads/main\x1fStep\x1f\n"


async def deliver(someone: Someone, session: LearningSession, span: timedelta = ENDED) -> dict[str, Response]:
    """A step and a commit of two minutes before the end (or so long ago), each way that there is."""
    path, then = f"/sessions/{session.id}", utc_now() - span - timedelta(minutes=2)
    step = ASK | {"occurred_at": then.isoformat()}
    moved = step | {"session_id": str(session.id)}
    return {
        "step": await someone.post(f"{path}/traces", json=step),
        "batch": await someone.post(f"{path}/traces/batch", json=[step]),
        "of many": await someone.post("/traces/batch", json=[moved]),
        "whole": await someone.post("/traces/batch?atomic=true", json=[moved]),
        "commit": await someone.post(f"{path}/git-traces", json=commit(1, then)),
        "commits": await someone.post(f"{path}/git-traces/batch", json=[commit(2, then)]),
        "import": await someone.post(f"{path}/git-traces/import", content=log_of(3, then), headers=LOG),
    }


def stored(answers: dict[str, Response]) -> set[str]:
    """Those that were stored. The others were refused as too late."""
    found = {name for name, answer in answers.items() if answer.status_code == 201 or answer.json().get("created")}
    for name in answers.keys() - found:
        assert "SESSION_CLOSED" in answers[name].text, (name, answers[name].text)
    return found


async def test_a_student_delivers_late_within_ten_minutes_of_the_end(make: Make) -> None:
    student = await make.student()
    answers = await deliver(student, await over(make, student))
    assert stored(answers) == answers.keys()
    assert {row.late for model in (CognitiveTrace, GitTrace) for row in await make.all(model)} == {True}
    long_ago = timedelta(minutes=11)
    refused = await deliver(student, await over(make, student, long_ago), long_ago)
    assert stored(refused) == set()
    assert "within 10 minutes of its end" in refused["step"].json()["detail"]


@pytest.mark.parametrize("judgement", ["evaluation", "resolved finding"])
async def test_a_student_adds_nothing_to_a_session_that_was_judged(make: Make, judgement: str) -> None:
    student = await make.student()
    session = await over(make, student)
    await make.risk(session)  # found, and not judged
    assert stored(await deliver(student, session)) != set()
    if judgement == "evaluation":
        await make.evaluation(session)
    else:
        await make.risk(session, resolved=True, resolution="confirmed")
    path, then = f"/sessions/{session.id}", utc_now() - ENDED - timedelta(minutes=1)
    again = await student.post(f"{path}/traces", json=ASK | {"occurred_at": then.isoformat()})
    assert (again.status_code, again.json()["code"]) == (409, "SESSION_CLOSED")
    assert "has been judged" in again.json()["detail"]
    assert (await student.post(f"{path}/git-traces", json=commit(9, then))).json()["code"] == "SESSION_CLOSED"
    imported = await student.post(f"{path}/git-traces/import", content=log_of(8, then), headers=LOG)
    assert (imported.status_code, imported.json()["code"]) == (409, "SESSION_CLOSED")
    once_more = await student.post(f"{path}/git-traces/import", content=log_of(3, then), headers=LOG)
    assert once_more.json() == {"created": 0, "duplicate": 1, "outside": 0}


async def test_another_session_s_judgement_is_not_this_one_s(make: Make) -> None:
    student = await make.student()
    await make.evaluation(await over(make, student))
    answers = await deliver(student, await over(make, student))
    assert stored(answers) == answers.keys()


@pytest.mark.requirement("A2")
async def test_the_record_that_was_judged_stays_as_it_was(make: Make) -> None:
    """H7: thirty justified steps after the evaluation made 8.11 of 0.0."""
    group = await make.group()
    for _ in range(5):
        assert (await group.student.post(f"{group.path}/traces", json=ASK)).status_code == 201
    assert (await group.student.post(f"{group.path}/complete")).status_code == 200
    first = await group.teacher.post(f"{group.path}/evaluations/generate")
    assert first.json()["overall_score"] == 0.0
    better = JUSTIFIED | {"occurred_at": ago(timedelta(seconds=1))}
    tried = await group.student.post(f"{group.path}/traces/batch", json=[better] * 30)
    assert (tried.json()["created"], tried.json()["rejected"]) == (0, 30)
    assert (await group.teacher.post(f"{group.path}/evaluations/generate")).json()["overall_score"] == 0.0
    changed = {"mode": "practice", "learning_objective": {"title": "rewritten"}}
    refused = await group.student.patch(group.path, json=changed)
    assert (refused.status_code, refused.json()["code"]) == (409, "SESSION_CLOSED")
    assert (await make.all(LearningSession))[0].learning_objective == {}


async def test_keys_deliver_late_as_before_also_what_was_judged(make: Make) -> None:
    student, key = await make.student(), await make.key()
    day = timedelta(days=1)
    session = await over(make, student, day, start_time=utc_now() - 2 * day)
    await make.evaluation(session)
    agents = {"traces": key, "git": await make.key("git")}
    path, then = f"/sessions/{session.id}", utc_now() - day - timedelta(minutes=1)
    step = ANSWER | {"occurred_at": then.isoformat()}
    assert (await agents["traces"].post(f"{path}/traces", json=step)).json()["late"] is True
    assert (await agents["git"].post(f"{path}/git-traces", json=commit(1, then))).json()["late"] is True
    assert (await key.post(f"{path}/traces", json=ANSWER)).json()["code"] == "SESSION_CLOSED"
    after = ANSWER | {"occurred_at": ago(timedelta(hours=1))}
    refused = await key.post(f"{path}/traces", json=after)
    assert (refused.status_code, refused.json()["code"]) == (409, "SESSION_CLOSED")
    assert "after its end" in refused.json()["detail"]


async def end_of(make: Make, id_: UUID) -> datetime:
    [found] = [one for one in await make.all(LearningSession) if one.id == id_]
    assert found.end_time
    end: datetime = found.end_time
    return end


async def test_the_end_of_an_abandoned_session_was_a_guess(make: Make) -> None:
    """A key delivers what came later, and the end moves to it."""
    student, key = await make.student(), await make.key()
    day = timedelta(days=1)
    session, other = [await over(make, student, day, status="abandoned", start_time=utc_now() - 2 * day) for _ in "ab"]
    later, latest = utc_now() - timedelta(hours=3), utc_now() - timedelta(hours=2)
    steps = [ANSWER | {"occurred_at": moment.isoformat()} for moment in (latest, later)]
    named = ANSWER | {"occurred_at": ago(timedelta(days=1, hours=1)), "session_id": str(other.id)}
    moved = [step | {"session_id": str(session.id)} for step in steps]
    assert (await key.post("/traces/batch", json=[*moved, named])).json()["created"] == 3
    assert await end_of(make, session.id) == latest
    assert await end_of(make, other.id) == other.end_time
    assert {trace.late for trace in await make.all(CognitiveTrace)} == {True}
    single = await key.post(f"/sessions/{other.id}/traces", json=steps[1])
    assert (single.status_code, single.json()["late"]) == (201, True)
    assert await end_of(make, other.id) == later
    bare = await key.post(f"/sessions/{session.id}/traces", json=ANSWER)
    assert (bare.status_code, bare.json()["code"]) == (409, "SESSION_CLOSED")
    own = await student.post(f"/sessions/{session.id}/traces", json=ASK | {"occurred_at": utc_now().isoformat()})
    assert (own.status_code, own.json()["code"]) == (409, "SESSION_CLOSED")
    whole = [moved[0] | {"occurred_at": utc_now().isoformat()}, "no step"]
    assert (await key.post("/traces/batch?atomic=true", json=whole)).status_code == 422
    assert await end_of(make, session.id) == latest


async def test_a_teacher_s_feedback_comes_as_before(make: Make) -> None:
    group = await make.group()
    course = {"course_id": "c", "activity_id": "a"}
    session = await over(make, group.student, timedelta(minutes=50), **course)
    await make.evaluation(session)
    said = {"interaction_type": "teacher_feedback", "content": "Good.", "occurred_at": ago(timedelta(minutes=55))}
    assert (await group.teacher.post(f"/sessions/{session.id}/traces", json=said)).status_code == 201


async def test_a_student_s_step_is_not_older_than_the_session(make: Make) -> None:
    student, key = await make.student(), await make.key()
    session = await make.session(student, start_time=utc_now() - BEGAN)
    path = f"/sessions/{session.id}/traces"
    for minutes, status in ((4, 201), (6, 422)):
        step = ASK | {"occurred_at": ago(BEGAN + timedelta(minutes=minutes))}
        answer = await student.post(path, json=step)
        assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/occurred_at"
    old = {"occurred_at": "1971-01-01T00:00:00Z"}
    assert (await student.post(f"{path}/batch", json=[ASK | old])).json()["rejected"] == 1
    assert (await key.post(path, json=ANSWER | old)).status_code == 201


@pytest.mark.requirement("A2")
async def test_what_a_student_dates_before_the_judgement_of_an_open_session_is_late(make: Make) -> None:
    """Back-dated steps made 7.06 of 0.0 while the session was open; what is done after the judgement is work."""
    group = await make.group()
    assert (await group.student.post(f"{group.path}/traces/batch", json=[ASK] * 5)).json()["created"] == 5
    first = await group.teacher.post(f"{group.path}/evaluations/generate")
    assert first.json()["overall_score"] == 0.0
    better = JUSTIFIED | {"occurred_at": ago(timedelta(seconds=20))}
    assert (await group.student.post(f"{group.path}/traces/batch", json=[better] * 12)).json()["created"] == 12
    assert (await group.student.post(f"{group.path}/traces", json=better)).json()["late"] is True
    for number, (at, late) in enumerate(((utc_now() - timedelta(seconds=20), True), (utc_now(), False))):
        added = await group.student.post(f"{group.path}/git-traces", json=commit(number, at))
        assert added.json()["late"] is late, at
    agent = await make.key()
    assert (await agent.post(f"{group.path}/traces", json=ANSWER)).json()["late"] is False
    counted = await group.teacher.post(f"{group.path}/evaluations/generate?late=false")
    assert (counted.json()["overall_score"], counted.json()["late"]) == (0.0, False)
    assert counted.json()["reasoning_analysis"]["late_steps_left_out"] == 13
    now = ASK | {"occurred_at": ago(timedelta())}
    for going_on in (ASK, now):
        assert (await group.student.post(f"{group.path}/traces", json=going_on)).json()["late"] is False
    assert (await group.student.patch(group.path, json={"mode": "practice"})).status_code == 200


async def test_a_finding_that_was_resolved_is_a_judgement_at_its_time(make: Make) -> None:
    student = await make.student()
    session = await make.session(student, start_time=utc_now() - timedelta(hours=1))
    half = utc_now() - timedelta(minutes=30)
    await make.risk(session, resolved=True, resolution="confirmed", resolved_at=half, resolution_notes="x")
    path = f"/sessions/{session.id}/traces"
    for moment, late in ((half - timedelta(seconds=1), True), (half + timedelta(seconds=1), False)):
        added = await student.post(path, json=ASK | {"occurred_at": moment.isoformat()})
        assert added.json()["late"] is late


async def test_whether_it_was_judged_is_asked_for_students_alone(make: Make) -> None:
    student, key = await make.student(), await make.key()
    going, done = await make.session(student), await over(make, student)

    async def asked(someone: Someone, session: LearningSession, **values: Any) -> int:
        with statements(make.database) as seen:
            sent = await someone.post(f"/sessions/{session.id}/traces/batch", json=[ASK | values])
        assert sent.json()["created"] == 1
        return sum("UNION ALL" in one and "FROM evaluations" in one for one in seen)

    late = {"occurred_at": ago(ENDED + timedelta(seconds=1))}
    assert await asked(key, going) == await asked(key, done, **late) == 0
    assert await asked(student, going) == await asked(student, done, **late) == 1


@pytest.mark.parametrize("status", ["completed", "aborted", "abandoned"])
async def test_a_student_changes_no_session_that_is_over(make: Make, status: str) -> None:
    student, key, admin = await make.student(), await make.key(), await make.admin()
    session = await over(make, student, status=status)
    path, change = f"/sessions/{session.id}", {"mode": "practice"}
    for nothing in ({}, change):
        refused = await student.patch(path, json=nothing)
        assert (refused.status_code, refused.json()["code"]) == (409, "SESSION_CLOSED")
    for someone in (key, admin):
        assert (await someone.patch(path, json=change)).status_code == 200
    going = await make.session(student, status="paused")
    assert (await student.patch(f"/sessions/{going.id}", json=change)).status_code == 200


async def judged_late(make: Make) -> Group:
    """Six steps, of which the last came late; it and the first ask for a whole solution."""
    group = await make.group()
    for content in ("Give me the code.", *["Why?"] * 4):
        assert (await group.student.post(f"{group.path}/traces", json=ASK | {"content": content})).status_code == 201
    assert (await group.student.post(f"{group.path}/complete")).status_code == 200
    step = ASK | {"content": "Do my homework for me.", "occurred_at": ago(timedelta(seconds=1))}
    assert (await group.student.post(f"{group.path}/traces", json=step)).status_code == 201
    return group


@pytest.mark.requirement("A2")
async def test_a_late_step_says_so_wherever_it_is_shown(make: Make) -> None:
    group = await judged_late(make)
    agent = await make.key("git")
    made = await agent.post(f"{group.path}/git-traces", json=commit(1, utc_now()))
    assert (made.status_code, made.json()["late"]) == (201, True)
    listed = (await group.teacher.get(f"{group.path}/traces")).json()["items"]
    assert sorted(one["late"] for one in listed) == [False] * 5 + [True]
    whole = (await group.teacher.get(f"{group.path}?include=traces")).json()["traces"]
    assert sorted(one["late"] for one in whole) == [False] * 5 + [True]
    for kind in ("csv", "ndjson"):
        lines = (await group.teacher.get(f"/exports/traces?format={kind}")).text.splitlines()
        assert sum("true" in line for line in lines) == 1
    exported = await group.teacher.get(f"/exports/sessions/{group.session.id}")
    assert sum(one["late"] for one in exported.json()["traces"]) == 1
    assert [one["late"] for one in exported.json()["git_traces"]] == [True]
    assert (await group.teacher.get(f"{group.path}/cognitive-path")).json()["late"] == 1
    both = {"steps": 1, "commits": 1}
    about = f"/students/{group.student.student_id}"
    assert (await group.teacher.get(f"{group.path}/traceability")).json()["late"] == both
    assert (await group.teacher.get(f"{about}/traceability")).json()["late"] == both
    [past] = (await group.teacher.get(f"{about}/history")).json()["items"]
    assert (past["traces"], past["late"]) == (6, 1)
    evolution = (await group.teacher.get(f"{group.path}/git-traces/evolution")).json()
    assert [one["late"] for one in evolution["commits"]] == [True]


async def test_a_finding_says_whether_it_goes_by_late_steps(make: Make) -> None:
    group = await judged_late(make)
    found = (await group.teacher.post(f"{group.path}/risks/analyze")).json()["items"]
    late_step = next(trace.id for trace in await make.all(CognitiveTrace) if trace.late)
    assert sorted(one["late"] for one in found if one["rule"] == "delegation") == [False, True]
    assert all(one["late"] == (str(late_step) in one["trace_ids"]) for one in found)
    seen = {"risk_type": "plagiarism", "risk_level": "low", "description": "x"}
    in_time = next(trace.id for trace in await make.all(CognitiveTrace) if not trace.late)
    for ids, late in (([], False), ([in_time], False), ([in_time, late_step], True)):
        body = seen | {"trace_ids": [str(id_) for id_ in ids]}
        made = await group.key.post(f"{group.path}/risks", json=body)
        assert (made.status_code, made.json()["late"]) == (201, late), made.text
    assert (await group.teacher.get(f"/risks/{made.json()['id']}")).json()["late"] is True


async def test_an_evaluation_counts_late_steps_or_leaves_them_out(make: Make) -> None:
    group = await judged_late(make)

    async def generated(query: str = "") -> tuple[Any, ...]:
        made = await group.teacher.post(f"{group.path}/evaluations/generate{query}")
        assert made.status_code == 201, made.text
        evaluation = made.json()
        analysis = evaluation["reasoning_analysis"]
        steps = evaluation["ai_dependency_metrics"]["steps"]
        return evaluation["late"], steps, analysis["late_steps"], analysis["late_steps_left_out"]

    assert await generated() == await generated("?late=true") == (True, 6, 1, 0)
    assert await generated("?late=false") == (False, 5, 0, 1)
    late_step = next(trace.id for trace in await make.all(CognitiveTrace) if trace.late)
    said = {"overall_score": 5, "dimensions": [{"name": "x", "trace_ids": [str(late_step)]}]}
    assert (await group.key.post(f"{group.path}/evaluations", json=said)).json()["late"] is True
    assert (await group.key.post(f"{group.path}/evaluations", json={"overall_score": 5})).json()["late"] is False


async def test_without_the_late_steps_there_may_be_too_few(make: Make) -> None:
    student, key, admin = await make.student(), await make.key(), await make.admin()
    path = f"/sessions/{(await over(make, student)).id}"
    step = ASK | {"occurred_at": ago(ENDED + timedelta(minutes=1))}
    assert (await key.post(f"{path}/traces/batch", json=[step] * 5)).json()["created"] == 5
    refused = await admin.post(f"{path}/evaluations/generate?late=false")
    assert (refused.status_code, refused.json()["code"]) == (409, "TOO_LITTLE_EVIDENCE")
    assert (await admin.post(f"{path}/evaluations/generate")).status_code == 201

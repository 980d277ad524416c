"""Alerts: a scan finds each thing once, people take them through their flow, live ones come from active sessions."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from cortez.accounts.models import CourseMember
from cortez.clock import utc_now
from cortez.oversight.models import AlertStatus, RiskAlert
from cortez.sessions.models import LearningSession
from factory import Make, Someone

LONG_AGO = timedelta(days=8)
NOTES = {"resolution_notes": "Talked."}


class Class:
    """A course with a teacher, a tutor, and a student who joined long ago and has a recent session."""

    course: str
    teacher: Someone
    tutor: Someone
    student: Someone
    session: LearningSession


@pytest.fixture
async def group(make: Make) -> Class:
    made = Class()
    made.course = await make.course("c")
    made.teacher, made.tutor = await make.teacher(course="c"), await make.tutor(course="c")
    made.student = await make.student()
    joined = utc_now() - LONG_AGO
    await make.add(CourseMember(course_id="c", user_id=made.student.id, role="student", joined_at=joined))
    made.session = await make.session(made.student, course_id="c")
    return made


async def alerts(someone: Someone, query: str = "") -> list[dict[str, Any]]:
    answer = await someone.get(f"/alerts?count=true&{query}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["items"])
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def scanned(someone: Someone) -> dict[str, Any]:
    answer = await someone.post("/alerts/scan", json={"course_id": "c"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def dependent(make: Make, group: Class) -> None:
    for _ in range(10):
        await make.trace(group.session, ai_involvement=0.75)


async def critical(make: Make, group: Class) -> None:
    for _ in range(2):
        await make.risk(group.session, risk_level="critical")


async def ethical(make: Make, group: Class) -> None:
    await make.risk(group.session, dimension="ethical")


async def low(make: Make, group: Class) -> None:
    await make.evaluation(group.session, overall_score=9.0, created_at=utc_now() - timedelta(days=1))
    await make.evaluation(group.session, overall_score=2.5)


async def idle(make: Make, group: Class) -> None:
    admin = await make.admin()
    await admin.delete(f"/sessions/{group.session.id}")
    await make.session(group.student, course_id="c", start_time=utc_now() - LONG_AGO)


CASES = {
    "ai_dependency_7d": (dependent, "ai_dependency_spike", "high", 0.75),
    "critical_risks_7d": (critical, "critical_risk_surge", "critical", 2),
    "ethical_risks_7d": (ethical, "academic_integrity", "high", 1),
    "low_score_7d": (low, "low_competency", "medium", 2.5),
    "no_session_7d": (idle, "session_inactivity", "medium", None),
}


@pytest.mark.requirement("D1")
@pytest.mark.parametrize("rule", CASES)
async def test_each_rule_finds_its_thing_once(make: Make, group: Class, rule: str) -> None:
    cause, kind, severity, value = CASES[rule]
    assert (await scanned(group.teacher))["created"] == 0
    await cause(make, group)
    first = await scanned(group.teacher)
    assert (first["created"], first["by_rule"][rule]) == (1, 1)
    again = await scanned(group.teacher)
    assert (again["created"], again["known"]) == (0, 1)
    (alert,) = await alerts(group.teacher)
    assert (alert["alert_type"], alert["severity"], alert["detection_rule"]) == (kind, severity, rule)
    assert (alert["student_id"], alert["course_id"], alert["status"]) == (group.student.student_id, "c", "open")
    assert alert["actual_value"] == value
    assert alert["threshold_value"] is not None
    assert bool(alert["evidence"]) == (rule != "no_session_7d")
    assert (
        "explain" in alert["description"]
        or "same" in alert["description"]
        or "only" in alert["description"]
        or ("nobody has confirmed" in alert["description"])
    )


async def test_what_lies_back_too_far_or_is_unfounded_raises_nothing(make: Make, group: Class) -> None:
    before, grave = utc_now() - LONG_AGO, {"risk_level": "critical", "dimension": "ethical"}
    for _ in range(3):
        await make.risk(group.session, **grave, created_at=before)
        await make.risk(group.session, **grave, resolved=True, resolution="unfounded")
    for _ in range(10):
        await make.trace(group.session, ai_involvement=1.0, occurred_at=before)
    for _ in range(9):
        await make.trace(group.session, ai_involvement=1.0)
    await make.evaluation(group.session, overall_score=1.0, created_at=before)
    assert (await scanned(group.teacher))["created"] == 0


async def test_parallel_scans_find_each_thing_once(make: Make, group: Class) -> None:
    await critical(make, group)
    await asyncio.gather(*[group.teacher.get("/alerts") for _ in range(4)])  # so that each has a connection at hand
    found = await asyncio.gather(*[scanned(group.teacher) for _ in range(4)])
    assert sorted(one["created"] for one in found) == [0, 0, 0, 1]
    assert len(await make.all(RiskAlert)) == 1


async def test_a_closed_alert_keeps_its_rule_silent_for_a_week(make: Make, group: Class) -> None:
    await critical(make, group)
    await scanned(group.teacher)
    (alert,) = await alerts(group.teacher)
    await group.teacher.post(f"/alerts/{alert['id']}/resolve", json=NOTES)
    assert (await scanned(group.teacher))["created"] == 0
    (stored,) = await make.all(RiskAlert)
    stored.resolved_at = utc_now() - LONG_AGO
    async with make.database.unit() as session:
        await session.merge(stored)
    assert (await scanned(group.teacher))["created"] == 1


async def test_a_scan_reaches_only_the_courses_one_teaches(make: Make, group: Class) -> None:
    await critical(make, group)
    stranger, student, key = await make.teacher(), await make.student(), await make.key()
    assert (await stranger.post("/alerts/scan", json={"course_id": "c"})).status_code == 404
    nothing = await stranger.post("/alerts/scan")
    assert nothing.json().get("created") == 0, nothing.text
    for someone in (student, key, group.tutor):
        assert (await someone.post("/alerts/scan")).status_code == 403
    assert (await (await make.admin()).post("/alerts/scan")).json()["created"] == 1


async def raised(group: Class, **values: Any) -> dict[str, Any]:
    body = {"alert_type": "pattern_anomaly", "severity": "low", "scope": "course", "course_id": "c"}
    answer = await group.teacher.post("/alerts", json=body | {"title": "t", "description": "d"} | values)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


FLOW = {
    ("open", "acknowledge"): "acknowledged",
    ("open", "investigate"): "investigating",
    ("acknowledged", "investigate"): "investigating",
    **{(status, "resolve"): "resolved" for status in ("open", "acknowledged", "investigating")},
    **{(status, "false-positive"): "false_positive" for status in ("open", "acknowledged", "investigating")},
}


@pytest.mark.parametrize("status", list(AlertStatus))
async def test_the_flow_of_an_alert(make: Make, group: Class, status: AlertStatus) -> None:
    for action in ("acknowledge", "investigate", "resolve", "false-positive"):
        values = {"alert_type": "pattern_anomaly", "severity": "low", "scope": "course", "title": "t"}
        alert = RiskAlert(**values, course_id="c", description="d", detection_rule="a person", status=status.value)
        await make.add(alert)
        body = NOTES if action in ("resolve", "false-positive") else None
        answer = await group.teacher.post(f"/alerts/{alert.id}/{action}", json=body)
        expected = FLOW.get((status.value, action))
        if expected is None:
            assert (answer.status_code, answer.json()["code"]) == (409, "ILLEGAL_TRANSITION")
            continue
        found = answer.json()
        assert (found["status"], found["acknowledged_by"]) == (expected, str(group.teacher.id))
        assert (found["resolved_at"] is not None) == (expected in ("resolved", "false_positive"))


async def test_an_alert_is_assigned_to_those_who_teach_its_course(make: Make, group: Class) -> None:
    alert = await raised(group)
    path = f"/alerts/{alert['id']}/assign"
    assigned = (await group.teacher.post(path, json={"user_id": str(group.tutor.id)})).json()
    assert (assigned["assigned_to"], assigned["status"]) == (str(group.tutor.id), "open")
    assert [one["id"] for one in await alerts(group.tutor, f"assigned_to={group.tutor.id}")] == [alert["id"]]
    for nobody in (group.student.id, uuid4()):
        refused = await group.teacher.post(path, json={"user_id": str(nobody)})
        assert (refused.status_code, refused.json()["code"]) == (422, "ASSIGNEE_NOT_ALLOWED")
    await group.teacher.post(f"/alerts/{alert['id']}/false-positive", json=NOTES)
    assert (await group.teacher.post(path, json={"user_id": str(group.tutor.id)})).status_code == 409


async def test_an_alert_is_resolved_with_the_plan_that_answers_it(make: Make, group: Class) -> None:
    alert = await raised(group, scope="student", student_id=group.student.student_id)
    plan = {"student_id": group.student.student_id, "course_id": "c", "plan_type": "tutoring", "description": "x"}
    mine = (await group.teacher.post("/remediation-plans", json=plan)).json()
    other = await make.student(course="c")
    await make.session(other, course_id="c")
    theirs = (await group.teacher.post("/remediation-plans", json=plan | {"student_id": other.student_id})).json()
    path = f"/alerts/{alert['id']}/resolve"
    assert (await group.teacher.post(path, json=NOTES | {"remediation_plan_id": str(uuid4())})).status_code == 404
    assert (await group.teacher.post(path, json=NOTES | {"remediation_plan_id": theirs["id"]})).status_code == 422
    resolved = (await group.teacher.post(path, json=NOTES | {"remediation_plan_id": mine["id"]})).json()
    assert (resolved["status"], resolved["remediation_plan_id"]) == ("resolved", mine["id"])


async def test_what_a_person_raises_must_name_what_it_is_about(make: Make, group: Class) -> None:
    body = {"alert_type": "pattern_anomaly", "severity": "low", "title": "t", "description": "d"}
    for scope, field in (("student", "student_id"), ("activity", "activity_id"), ("course", "course_id")):
        missing = await group.teacher.post("/alerts", json=body | {"scope": scope})
        assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (422, f"/{field}")
        unknown = await group.teacher.post("/alerts", json=body | {"scope": scope, field: "none"})
        assert unknown.json()["code"] == ("COURSE_REQUIRED" if scope == "student" else f"{scope}_not_found".upper())
    everywhere = body | {"scope": "institution"}
    assert (await group.teacher.post("/alerts", json=everywhere)).status_code == 403
    assert (await (await make.admin()).post("/alerts", json=everywhere)).status_code == 201
    assert (await group.tutor.post("/alerts", json=everywhere)).status_code == 403


async def test_an_alert_on_a_student_belongs_to_a_course_or_to_an_activity(make: Make, group: Class) -> None:
    await make.activity(activity_id="mine", course_id="c")
    await make.activity(activity_id="loose", teacher_id=group.teacher.id)
    about = {"scope": "student", "student_id": group.student.student_id, "course_id": None}
    inside = await raised(group, **about, activity_id="mine")
    assert (inside["activity_id"], inside["course_id"]) == ("mine", "c")
    assert (await raised(group, scope="activity", course_id=None, activity_id="mine"))["course_id"] == "c"
    body = {"alert_type": "pattern_anomaly", "severity": "low", "title": "t", "description": "d"}
    stranger = await make.student()
    for values, code in (
        (about, "COURSE_REQUIRED"),
        (about | {"activity_id": "loose"}, "STUDENT_NOT_IN_COURSE"),
        (about | {"course_id": "c", "student_id": stranger.student_id}, "STUDENT_NOT_IN_COURSE"),
        (about | {"course_id": "c", "student_id": "nobody"}, "STUDENT_NOT_IN_COURSE"),
    ):
        answer = await group.teacher.post("/alerts", json=body | values)
        assert (answer.status_code, answer.json()["code"]) == (422, code), values
    await make.session(group.student, activity_id="loose")
    outside = await raised(group, **about, activity_id="loose")
    assert {one["id"] for one in await alerts(group.tutor, "scope=student")} == {inside["id"]}
    path = f"/alerts/{outside['id']}/assign"
    refused = await group.teacher.post(path, json={"user_id": str(group.tutor.id)})
    assert (refused.status_code, refused.json()["code"]) == (422, "ASSIGNEE_NOT_ALLOWED")
    assert (await group.teacher.post(path, json={"user_id": str(group.teacher.id)})).status_code == 200


async def test_an_alert_of_before_is_seen_by_its_assignee_and_admins(make: Make, group: Class) -> None:
    values = {"alert_type": "pattern_anomaly", "severity": "low", "scope": "student", "title": "t", "description": "d"}
    alert = RiskAlert(**values, student_id=group.student.student_id, detection_rule="a person")
    await make.add(alert)
    admin, path = await make.admin(), f"/alerts/{alert.id}"
    assert (await group.teacher.get(path)).status_code == 404
    assert (await admin.post(f"{path}/assign", json={"user_id": str(group.teacher.id)})).status_code == 200
    assert (await group.teacher.post(f"{path}/acknowledge")).status_code == 200
    assert (await group.tutor.get(path)).status_code == 404


async def test_an_alert_on_an_activity_is_its_owner_s_though_it_was_assigned(make: Make, group: Class) -> None:
    await make.activity(activity_id="loose", teacher_id=group.teacher.id)
    values = {"alert_type": "pattern_anomaly", "severity": "low", "scope": "activity", "title": "t", "description": "d"}
    alert = RiskAlert(**values, activity_id="loose", detection_rule="a person", assigned_to=group.tutor.id)
    await make.add(alert)
    assert (await group.teacher.get(f"/alerts/{alert.id}")).status_code == 200
    assert (await group.tutor.get(f"/alerts/{alert.id}")).status_code == 404


async def test_alerts_are_seen_by_those_they_are_meant_for(make: Make, group: Class) -> None:
    alert = await raised(group, severity="high", scope="student", student_id=group.student.student_id)
    elsewhere = await make.teacher(course=await make.course("elsewhere"))
    await make.add(CourseMember(course_id="elsewhere", user_id=group.student.id, role="student"))
    assert await alerts(elsewhere) == []
    assert (await elsewhere.get(f"/alerts/{alert['id']}")).status_code == 404
    assert (await elsewhere.post(f"/alerts/{alert['id']}/acknowledge")).status_code == 404
    assert (await group.student.get("/alerts")).status_code == 403
    assert (await (await make.key("read")).get("/alerts")).status_code == 403
    for query, hits in {
        "status=OPEN": 1,
        "status=resolved": 0,
        "severity=high": 1,
        "severity=low": 0,
        "scope=student": 1,
        "scope=course": 0,
        f"student_id={group.student.student_id}": 1,
        "course_id=c": 1,
        "course_id=elsewhere": 0,
        f"assigned_to={uuid4()}": 0,
    }.items():
        assert len(await alerts(group.tutor, query)) == hits, query
    assert (await group.teacher.get("/alerts?scope=galaxy")).status_code == 422
    assert (await group.teacher.get(f"/alerts/{uuid4()}")).status_code == 404


async def live(someone: Someone, query: str = "") -> list[dict[str, Any]]:
    answer = await someone.get(f"/alerts/live?count=true&{query}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["items"])
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


@pytest.mark.parametrize(
    ("levels", "share", "hours", "expected"),
    [
        ([], 0.5, 1, None),
        (["high"], 0.85, 1, None),
        (["medium", "medium"], 0.0, 1, None),
        (["critical"], 0.9, 3, ("critical", ["critical_risk", "ai_share", "long_session"])),
        (["high", "high"], 0.0, 1, ("high", ["high_risks"])),
        (["medium"] * 3, 0.9, 1, ("medium", ["medium_risks", "ai_share"])),
        ([], 0.86, 1, ("high", ["ai_share"])),
        ([], 0.0, 3, ("medium", ["long_session"])),
    ],
)
async def test_a_live_alert_says_what_triggered_it(
    make: Make, group: Class, levels: list[str], share: float, hours: int, expected: Any
) -> None:
    started = utc_now() - timedelta(hours=hours)
    session = await make.session(group.student, course_id="c", start_time=started)
    for level in levels:
        await make.risk(session, risk_level=level)
    await make.trace(session, ai_involvement=share)
    found = await live(group.tutor)
    assert [(one["severity"], one["triggers"]) for one in found] == ([expected] if expected else [])
    assert [one["id"] for one in found] == ([f"alert_{session.id}"] if expected else [])


async def test_a_pause_takes_no_session_out_of_sight(make: Make, group: Class) -> None:
    """L6: pausing hid a session, in which steps went on to be written."""
    await make.risk(group.session, risk_level="critical")
    path = f"/sessions/{group.session.id}"
    assert [one["status"] for one in await live(group.teacher)] == ["active"]
    assert (await group.student.post(f"{path}/pause")).status_code == 200
    (alert,) = await live(group.teacher)
    assert (alert["status"], alert["triggers"]) == ("paused", ["critical_risk"])
    body = {"student_id": group.student.student_id, "alert_id": alert["id"]}
    made = await group.teacher.post("/interventions", json=body)
    assert (made.status_code, made.json()["alert_context"]["status"]) == (201, "paused")
    assert (await group.student.post(f"{path}/abort")).status_code == 200
    assert await live(group.teacher, "acknowledged=true") == []


async def test_an_intervention_hides_a_live_alert(make: Make, group: Class) -> None:
    await make.risk(group.session, risk_level="critical")
    (alert,) = await live(group.teacher)
    body = {"student_id": group.student.student_id, "alert_id": alert["id"], "notes": "Seen."}
    made = await group.tutor.post("/interventions", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["session_id"] == str(group.session.id)
    assert made.json()["alert_context"]["triggers"] == ["critical_risk"]
    assert await live(group.teacher) == []
    (known,) = await live(group.teacher, "acknowledged=true")
    assert known["acknowledged"] is True
    assert await live(await make.teacher()) == []
    await group.student.post(f"/sessions/{group.session.id}/complete")
    assert await live(group.teacher, "acknowledged=true") == []

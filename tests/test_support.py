"""Remediation plans and interventions: what those who teach do for a student."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from cortez.accounts.models import CourseMember, Role
from cortez.clock import utc_now
from cortez.oversight.models import InterventionStatus, PlanStatus, RemediationPlan, TeacherIntervention
from factory import Make, Someone
from matrix_bodies import ALERT


class Class:
    teacher: Someone
    tutor: Someone
    student: Someone


@pytest.fixture
async def group(make: Make) -> Class:
    made, course = Class(), await make.course("c")
    made.teacher, made.tutor = await make.teacher(course=course), await make.tutor(course=course)
    made.student = await make.student(course=course)
    await make.session(made.student, course_id=course)
    return made


def plan_for(student: Someone, **values: Any) -> dict[str, Any]:
    plan = {"student_id": student.student_id, "course_id": "c", "plan_type": "TUTORING", "description": "Two meetings."}
    return plan | values


async def opened(group: Class, **values: Any) -> dict[str, Any]:
    answer = await group.teacher.post("/remediation-plans", json=plan_for(group.student, **values))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_plan_has_two_weeks_unless_said_otherwise(make: Make, group: Class) -> None:
    risk = await make.risk(await make.session(group.student, course_id="c"))
    action = {"action_type": "meeting", "deadline": "2026-12-01T10:00:00Z"}
    plan = await opened(group, trigger_risks=[str(risk.id)], recommended_actions=[action], objectives=["Plans first"])
    assert (plan["status"], plan["teacher_id"]) == ("pending", str(group.teacher.id))
    assert plan["trigger_risks"] == [str(risk.id)]
    assert plan["recommended_actions"] == [action]
    start, end = (RemediationPlan.__table__.c[name] for name in ("start_date", "target_completion_date"))
    (row,) = await make.all(RemediationPlan)
    assert getattr(row, end.name) - getattr(row, start.name) == timedelta(days=14)


@pytest.mark.parametrize("status", list(PlanStatus))
async def test_the_transitions_of_a_plan(make: Make, group: Class, status: PlanStatus) -> None:
    legal = {
        ("pending", "start"): "in_progress",
        ("in_progress", "complete"): "completed",
        ("pending", "cancel"): "cancelled",
        ("in_progress", "cancel"): "cancelled",
    }
    for action in ("start", "complete", "cancel"):
        now = utc_now()
        values = {"student_id": group.student.student_id, "plan_type": "tutoring", "description": "x"}
        dates = {"start_date": now, "target_completion_date": now + timedelta(days=1)}
        plan = RemediationPlan(**values, **dates, teacher_id=group.teacher.id, status=status.value)
        await make.add(plan)
        body = (
            {"outcome_evaluation": "Better.", "success_metrics": {"risks_resolved": 2}} if action == "complete" else {}
        )
        answer = await group.teacher.post(f"/remediation-plans/{plan.id}/{action}", json=body)
        expected = legal.get((status.value, action))
        if expected is None:
            assert (answer.status_code, answer.json()["code"]) == (409, "ILLEGAL_TRANSITION")
            continue
        assert answer.json()["status"] == expected
        assert (answer.json()["actual_completion_date"] is not None) == (expected == "completed")
        if expected == "completed":
            assert answer.json()["success_metrics"] == {"risks_resolved": 2}


async def test_a_plan_changes_until_it_is_closed(make: Make, group: Class) -> None:
    plan = await opened(group)
    path = f"/remediation-plans/{plan['id']}"
    changed = await group.teacher.patch(path, json={"progress_notes": "Met once.", "plan_type": "conceptual_review"})
    assert (changed.json()["progress_notes"], changed.json()["plan_type"]) == ("Met once.", "conceptual_review")
    early = {"target_completion_date": "2020-01-01T00:00:00Z"}
    assert (await group.teacher.patch(path, json=early)).status_code == 422
    assert (await group.teacher.patch(path, json={"status": "completed"})).status_code == 422
    await group.teacher.post(f"{path}/cancel")
    closed = await group.teacher.patch(path, json={"progress_notes": "x"})
    assert (closed.status_code, closed.json()["code"]) == (409, "PLAN_CLOSED")


async def test_a_plan_is_about_a_student_one_teaches_and_what_is_theirs(make: Make, group: Class) -> None:
    stranger, other = await make.student(), await make.student(course="c")
    foreign = await make.risk(await make.session(other, course_id="c"))
    activity = await make.activity()
    for values, status in (
        ({"student_id": stranger.student_id}, 422),
        ({"student_id": "nobody"}, 422),
        ({"course_id": None}, 422),
        ({"course_id": "nowhere"}, 404),
        ({"activity_id": activity.activity_id}, 404),
        ({"trigger_risks": [str(foreign.id)]}, 422),
        ({"trigger_risks": [str(uuid4())]}, 422),
        ({"plan_type": "magic"}, 422),
        ({"start_date": "2026-05-01T00:00:00Z", "target_completion_date": "2026-04-01T00:00:00Z"}, 422),
    ):
        answer = await group.teacher.post("/remediation-plans", json=plan_for(group.student) | values)
        assert answer.status_code == status, values
    for someone in (group.tutor, group.student, await make.key()):
        assert (await someone.post("/remediation-plans", json=plan_for(group.student))).status_code == 403
    assert await make.all(RemediationPlan) == []


async def test_a_plan_names_the_course_or_the_activity_that_it_is_about(make: Make, group: Class) -> None:
    mine = await make.activity(activity_id="mine", course_id="c")
    loose = await make.activity(activity_id="loose", teacher_id=group.teacher.id)
    path, nowhere = "/remediation-plans", {"course_id": None}
    bare = await group.teacher.post(path, json=plan_for(group.student) | nowhere)
    assert (bare.json()["code"], bare.json()["errors"][0]["pointer"]) == ("COURSE_REQUIRED", "/course_id")
    plan = await opened(group, activity_id=mine.activity_id, **nowhere)
    assert (plan["activity_id"], plan["course_id"]) == ("mine", "c")
    own = await make.course("own")
    await make.add(CourseMember(course_id=own, user_id=group.teacher.id, role="teacher"))
    mixed = await group.teacher.post(path, json=plan_for(group.student, course_id=own, activity_id="mine"))
    assert (mixed.status_code, mixed.json()["errors"][0]["pointer"]) == (422, "/course_id")
    for values in ({"course_id": own}, {"activity_id": "loose"} | nowhere):
        refused = await group.teacher.post(path, json=plan_for(group.student) | values)
        assert (refused.status_code, refused.json()["code"]) == (422, "STUDENT_NOT_IN_COURSE"), values
        assert refused.json()["errors"][0]["pointer"] == "/student_id"
    await make.session(group.student, activity_id=loose.activity_id)
    plan = await opened(group, activity_id="loose", **nowhere)
    assert (plan["activity_id"], plan["course_id"]) == ("loose", None)
    assert [one["id"] for one in (await group.teacher.get(f"{path}?course_id=c")).json()["items"]] != []
    for someone, status in ((group.teacher, 200), (group.tutor, 404), (group.student, 200)):
        assert (await someone.get(f"{path}/{plan['id']}")).status_code == status


async def test_a_plan_is_not_about_oneself_nor_by_what_was_found_elsewhere(make: Make, group: Class) -> None:
    both = await make.user(Role.TEACHER, Role.STUDENT, course="c")
    await make.session(both, course_id="c")
    path = "/remediation-plans"
    refused = await both.post(path, json=plan_for(both))
    assert (refused.status_code, refused.json()["code"]) == (422, "STUDENT_NOT_IN_COURSE")
    plan = await group.teacher.post(path, json=plan_for(both))
    assert plan.status_code == 201
    theirs = f"{path}/{plan.json()['id']}"
    assert (await both.get(theirs)).status_code == 200
    assert (await both.patch(theirs, json={})).status_code == 403
    assert (await both.post(f"{theirs}/cancel")).status_code == 403
    alert = ALERT | {"scope": "student", "student_id": both.student_id, "course_id": "c"}
    raised = (await group.teacher.post("/alerts", json=alert)).json()["id"]
    assert (await both.get(f"/alerts/{raised}")).status_code == 404
    assert (await both.post(f"/alerts/{raised}/acknowledge")).status_code == 404
    assert (await both.get("/alerts")).json()["items"] == []
    assert (await group.tutor.get(f"/alerts/{raised}")).status_code == 200
    own = await make.course("own")
    await make.add(CourseMember(course_id=own, user_id=group.teacher.id, role="teacher"))
    risk = await make.risk(await make.session(group.student, course_id=own))
    for course, status in (("c", 422), (own, 201)):
        body = plan_for(group.student, course_id=course, trigger_risks=[str(risk.id)])
        assert (await group.teacher.post(path, json=body)).status_code == status, course


async def test_what_is_written_about_a_student_is_read_and_changed_in_its_course_only(make: Make, group: Class) -> None:
    plan = await opened(group)
    about = {"student_id": group.student.student_id, "course_id": "c"}
    raised = await group.teacher.post("/alerts", json=ALERT | {"scope": "student"} | about)
    stranger = await make.teacher(course=await make.course("trap"))
    await make.add(CourseMember(course_id="trap", user_id=group.student.id, role="student"))
    for path in (f"/remediation-plans/{plan['id']}", f"/alerts/{raised.json()['id']}"):
        assert (await stranger.get(path)).status_code == 404
        assert (await group.tutor.get(path)).status_code == 200
    for list_ in ("/remediation-plans", "/alerts"):
        found = await stranger.get(f"{list_}?count=true&student_id={group.student.student_id}")
        assert (found.json()["items"], found.json()["total"]) == ([], 0)
    notes = {"progress_notes": "x"}
    assert (await stranger.patch(f"/remediation-plans/{plan['id']}", json=notes)).status_code == 404
    closing = {"resolution_notes": "x"}
    assert (await stranger.post(f"/alerts/{raised.json()['id']}/false-positive", json=closing)).status_code == 404


async def test_a_plan_of_before_is_seen_by_who_wrote_it(make: Make, group: Class) -> None:
    now = utc_now()
    values = {"student_id": group.student.student_id, "plan_type": "tutoring", "description": "x"}
    dates = {"start_date": now, "target_completion_date": now + timedelta(days=1)}
    plan = RemediationPlan(**values, **dates, teacher_id=group.teacher.id)
    await make.add(plan)
    path, colleague = f"/remediation-plans/{plan.id}", await make.teacher(course="c")
    for someone, status in (
        (group.teacher, 200),
        (group.student, 200),
        (await make.admin(), 200),
        (group.tutor, 404),
        (colleague, 404),
    ):
        assert (await someone.get(path)).status_code == status
    assert (await group.teacher.patch(path, json={"progress_notes": "x"})).status_code == 200
    assert (await colleague.patch(path, json={"progress_notes": "x"})).status_code == 404


async def test_the_alert_beside_an_intervention_is_for_those_who_may_see_the_alert(make: Make, group: Class) -> None:
    """Somebody who teaches two courses acts in a session of one because of an alert in the other."""
    own = await make.course("own")
    for user, role in ((group.teacher, "teacher"), (group.student, "student")):
        await make.add(CourseMember(course_id=own, user_id=user.id, role=role))
    about = {"student_id": group.student.student_id, "course_id": own, "description": "secret"}
    raised = (await group.teacher.post("/alerts", json=ALERT | {"scope": "student"} | about)).json()
    session = await make.session(group.student, course_id="c")
    made = await intervened(group.teacher, group, alert_id=raised["id"], session_id=str(session.id))
    assert made["alert_context"]["description"] == "secret"
    path = f"/interventions/{made['id']}"
    for someone, shown in ((group.teacher, True), (await make.admin(), True), (group.tutor, False)):
        for where in (path, "/interventions"):
            answer = await someone.get(where)
            assert (answer.status_code, "secret" in answer.text) == (200, shown), where
    admin = await make.admin()
    assert (await admin.delete(f"/courses/{own}/members/{group.teacher.id}")).status_code == 204
    for answer in (await group.teacher.get(path), await group.teacher.patch(path, json={"notes": "Mine"})):
        assert (answer.status_code, answer.json()["alert_context"]) == (200, None)
    assert (await admin.get(path)).json()["alert_context"]["description"] == "secret"


async def test_a_student_sees_the_plan_and_not_its_notes(make: Make, group: Class) -> None:
    plan = await opened(group)
    path = f"/remediation-plans/{plan['id']}"
    await group.teacher.patch(path, json={"progress_notes": "Secret."})
    seen = (await group.student.get(path)).json()
    assert (seen["description"], seen["progress_notes"]) == ("Two meetings.", None)
    assert "Secret." not in (await group.student.get("/remediation-plans")).text
    assert (await group.tutor.get(path)).json()["progress_notes"] == "Secret."
    for someone in (await make.student(course="c"), await make.teacher()):
        assert (await someone.get(path)).status_code == 404
        assert (await someone.get("/remediation-plans")).json()["items"] == []
    assert (await group.student.patch(path, json={})).status_code == 403
    assert (await group.teacher.get(f"/remediation-plans/{uuid4()}")).status_code == 404


async def test_filters_of_the_plans(make: Make, group: Class) -> None:
    past = {"start_date": "2026-01-01T00:00:00Z", "target_completion_date": "2026-02-01T00:00:00Z"}
    late, fresh = await opened(group, **past), await opened(group)
    done = await opened(group, **past)
    await group.teacher.post(f"/remediation-plans/{done['id']}/cancel")
    for query, expected in {
        "": [done, fresh, late],
        "overdue=true": [late],
        "overdue=false": [done, fresh],
        "status=Pending": [fresh, late],
        f"student_id={group.student.student_id}": [done, fresh, late],
        "student_id=none": [],
        f"teacher_id={group.teacher.id}": [done, fresh, late],
        f"teacher_id={uuid4()}": [],
    }.items():
        answer = (await group.teacher.get(f"/remediation-plans?{query}")).json()
        assert [item["id"] for item in answer["items"]] == [plan["id"] for plan in expected], query


async def intervened(someone: Someone, group: Class, **values: Any) -> dict[str, Any]:
    answer = await someone.post("/interventions", json={"student_id": group.student.student_id, **values})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


STEPS = {
    ("acknowledged", "in_progress"),
    ("in_progress", "resolved"),
    ("in_progress", "escalated"),
    ("resolved", "closed"),
    ("escalated", "closed"),
}


@pytest.mark.parametrize("status", list(InterventionStatus))
async def test_the_transitions_of_an_intervention(make: Make, group: Class, status: InterventionStatus) -> None:
    for wanted in InterventionStatus:
        made = TeacherIntervention(teacher_id=group.tutor.id, student_id=group.student.student_id, status=status.value)
        await make.add(made)
        body = {"status": wanted.value, "resolution_notes": "x"}
        answer = await group.tutor.patch(f"/interventions/{made.id}", json=body)
        if status != wanted and (status.value, wanted.value) not in STEPS:
            assert (answer.status_code, answer.json()["code"]) == (409, "ILLEGAL_TRANSITION")
            continue
        assert answer.json()["status"] == wanted
        assert (answer.json()["resolved_at"] is not None) == (wanted == "resolved" != status)


async def test_an_intervention_is_its_own_teacher_s(make: Make, group: Class) -> None:
    session = await make.session(group.student, course_id="c")
    made = await intervened(group.tutor, group, session_id=str(session.id), intervention_type="FOLLOW_UP")
    path = f"/interventions/{made['id']}"
    assert (made["teacher_id"], made["status"]) == (str(group.tutor.id), "acknowledged")
    assert (await group.teacher.get(path)).status_code == 200
    assert (await group.teacher.patch(path, json={"notes": "Mine"})).status_code == 403
    assert (await group.tutor.patch(path, json={"notes": "Mine"})).json()["notes"] == "Mine"
    private = await intervened(group.tutor, group)
    assert (await group.teacher.get(f"/interventions/{private['id']}")).status_code == 404
    assert (await group.teacher.patch(f"/interventions/{private['id']}", json={})).status_code == 404
    assert (await group.student.get("/interventions")).status_code == 403
    assert (await (await make.teacher()).get(path)).status_code == 404


async def test_an_intervention_names_what_is_there_and_the_student_s(make: Make, group: Class) -> None:
    other = await make.session(await make.student(course="c"), course_id="c")
    hidden = await make.session(await make.student())
    quiet = await make.session(group.student, course_id="c")
    for values, status in (
        ({"student_id": hidden.student_id}, 404),
        ({"session_id": str(hidden.id)}, 404),
        ({"session_id": str(other.id)}, 422),
        ({"alert_id": str(uuid4())}, 404),
        ({"alert_id": f"alert_{quiet.id}"}, 404),
        ({"alert_id": "alert_none"}, 422),
        ({"alert_id": "-" * 36}, 404),
    ):
        body = {"student_id": group.student.student_id} | values
        assert (await group.tutor.post("/interventions", json=body)).status_code == status, values
    assert await make.all(TeacherIntervention) == []


async def test_an_intervention_on_a_stored_alert_keeps_it_as_it_was(make: Make, group: Class) -> None:
    body = {"alert_type": "pattern_anomaly", "severity": "low", "scope": "student", "title": "t", "description": "d"}
    raised = await group.teacher.post("/alerts", json=body | {"student_id": group.student.student_id, "course_id": "c"})
    alert = raised.json()
    made = await intervened(group.teacher, group, alert_id=alert["id"].upper())
    assert (made["alert_id"], made["alert_context"]["status"]) == (alert["id"], "open")
    await group.teacher.post(f"/alerts/{alert['id']}/acknowledge")
    assert (await group.teacher.get(f"/interventions/{made['id']}")).json()["alert_context"]["status"] == "open"
    for query, hits in {
        f"alert_id={alert['id']}": 1,
        "alert_id=none": 0,
        f"student_id={group.student.student_id}": 1,
        f"session_id={uuid4()}": 0,
        "status=acknowledged": 1,
        "status=closed": 0,
    }.items():
        assert len((await group.teacher.get(f"/interventions?{query}")).json()["items"]) == hits, query

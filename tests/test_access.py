"""Who may see what over time: whoever leaves a course, or is less in it, loses what the course gave them.

That nobody gets in from outside is `test_matrix.py`.
"""

from typing import Any

import pytest

from cortez.accounts.models import CourseMember
from cortez.core.web.idempotency import IdempotencyRecord
from factory import Group, Make, Someone
from matrix_bodies import ALERT, PERIOD, PLAN


@pytest.fixture
async def group(make: Make) -> Group:
    return await make.group()


async def total(someone: Someone, path: str) -> int:
    """How many a list holds, which its total agrees with."""
    answer = (await someone.get(f"{path}?count=true")).json()
    assert answer["total"] == len(answer["items"])
    return int(answer["total"])


async def written(someone: Someone, group: Group) -> dict[str, str]:
    """What a teacher writes about a course and its student: the places of all of it."""
    student = {"student_id": group.student.student_id}
    bodies: dict[str, Any] = {
        "/reports": {"report_type": "cohort_summary", "course_id": "c", **PERIOD},
        "/remediation-plans": PLAN | student | {"course_id": "c"},
        "/alerts": ALERT | student | {"scope": "course", "course_id": "c"},
        "/interventions": student,
    }
    places = {}
    for path, body in bodies.items():
        answer = await someone.post(path, json=body)
        assert answer.status_code == 201, answer.text
        places[path] = f"{path}/{answer.json()['id']}"
    mine = await someone.post(f"{places['/alerts']}/assign", json={"user_id": str(someone.id)})
    assert mine.status_code == 200, mine.text
    return places


async def test_who_leaves_a_course_sees_nothing_of_it_any_more(make: Make, group: Group) -> None:
    colleague = await make.teacher(course="c")
    places = await written(colleague, group)
    seen = ("/courses/c", "/courses/c/members", group.path, f"/students/{group.student.student_id}/history")
    for path in (*seen, *places.values()):
        assert (await colleague.get(path)).status_code == 200, path
    assert (await group.teacher.delete(f"/courses/c/members/{colleague.id}")).status_code == 204
    own = places.pop("/interventions")
    for path in (*seen, *places.values()):
        assert (await colleague.get(path)).status_code == 404, path
    for path in ("/sessions", "/traces", "/students", "/courses", "/alerts/live", *places):
        assert await total(colleague, path) == 0, path
    assert (await colleague.get(own)).status_code == 200


async def test_who_only_tutors_a_course_from_now_on_reads_it_and_writes_no_more(make: Make, group: Group) -> None:
    colleague = await make.teacher(course="c")
    places = await written(colleague, group)
    now = await group.teacher.put(f"/courses/c/members/{colleague.id}", json={"role": "tutor"})
    assert now.status_code == 200
    plan, alert, report = places["/remediation-plans"], places["/alerts"], places["/reports"]
    for path in places.values():
        assert (await colleague.get(path)).status_code == 200, path
    for answer in (
        await colleague.patch(plan, json={"description": "new"}),
        await colleague.post(f"{plan}/start"),
        await colleague.post(f"{alert}/acknowledge"),
        await colleague.post(f"{report}/export", json={"format": "csv"}),
        await colleague.patch("/courses/c", json={"title": "Mine"}),
        await colleague.put(f"/courses/c/members/{colleague.id}", json={"role": "teacher"}),
        await colleague.post(
            "/remediation-plans", json=PLAN | {"student_id": group.student.student_id, "course_id": "c"}
        ),
    ):
        assert answer.status_code == 403, answer.text
    feedback = {"interaction_type": "teacher_feedback", "content": "Well done."}
    assert (await colleague.post(f"{group.path}/traces", json=feedback)).status_code == 201


async def test_a_scan_of_all_one_s_courses_leaves_out_those_that_one_only_tutors(make: Make, group: Group) -> None:
    colleague = await make.teacher(course=await make.course("own"))
    await make.add(CourseMember(course_id="c", user_id=colleague.id, role="tutor"))
    for _ in range(2):
        await make.risk(group.session, risk_level="critical", dimension="ethical")
    assert (await colleague.post("/alerts/scan")).json()["created"] == 0
    assert (await group.teacher.post("/alerts/scan")).json()["created"] > 0


async def test_an_answer_is_replayed_to_nobody_else(make: Make, group: Group) -> None:
    key = {"Idempotency-Key": "once"}
    body = {"interaction_type": "student_prompt", "content": "Why?"}
    first = await group.student.post(f"{group.path}/traces", json=body, headers=key)
    assert first.status_code == 201
    neighbour = await make.student(course="c")
    assert (await neighbour.post(f"{group.path}/traces", json=body, headers=key)).status_code == 404
    again = await group.student.post(f"{group.path}/traces", json=body, headers=key)
    assert again.content == first.content


async def test_an_answer_is_replayed_only_as_long_as_the_rights_by_which_it_was_given(make: Make, group: Group) -> None:
    """A report of the course: not to somebody who was removed from it, nor to one who only tutors it by now."""
    key, member = {"Idempotency-Key": "once"}, f"/courses/c/members/{group.teacher.id}"
    body, admin = PERIOD | {"report_type": "cohort_summary", "course_id": "c"}, await make.admin()
    first = await group.teacher.post("/reports", json=body, headers=key)
    assert first.status_code == 201
    for role in (None, {"role": "tutor"}):
        changed = await admin.put(member, json=role) if role else await admin.delete(member)
        assert changed.status_code in (200, 204)
        refused = await group.teacher.post("/reports", json=body, headers=key)
        assert (refused.status_code, refused.json()["code"]) == (404, "ANSWER_NOT_FOUND")
    assert (await admin.put(member, json={"role": "teacher"})).status_code == 200
    assert (await group.teacher.post("/reports", json=body, headers=key)).content == first.content
    elsewhere = f"/courses/elsewhere/members/{group.teacher.id}"
    assert (await admin.put(elsewhere, json={"role": "tutor"})).status_code == 200  # one right more is in nobody's way
    assert (await group.teacher.post("/reports", json=body, headers=key)).content == first.content


async def test_an_answer_is_replayed_to_the_owner_of_an_activity_as_long_as_they_own_it(make: Make) -> None:
    admin, owner, other = await make.admin(), await make.teacher(), await make.teacher()
    activity = await make.activity(teacher_id=owner.id)
    session = await make.session(activity_id=activity.activity_id)
    key, path = {"Idempotency-Key": "once"}, f"/sessions/{session.id}/evaluations"
    first = await owner.post(path, json={"overall_score": 5}, headers=key)
    assert first.status_code == 201
    assert (await owner.post(path, json={"overall_score": 5}, headers=key)).content == first.content
    given = {"teacher_id": str(other.id)}
    assert (await admin.patch(f"/activities/{activity.activity_id}", json=given)).status_code == 200
    refused = await owner.post(path, json={"overall_score": 5}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (404, "ANSWER_NOT_FOUND")


async def test_an_answer_to_a_subject_s_teacher_is_replayed_as_long_as_they_look_after_it(make: Make) -> None:
    admin, key = await make.admin(), {"Idempotency-Key": "once"}
    exercise = await make.exercise()
    teacher = await make.subject_teacher(exercise.subject_code)
    path, hint = f"/exercises/{exercise.id}/hints", {"title": "x", "content": "x"}
    first = await teacher.post(path, json=hint, headers=key)
    assert first.status_code == 201, first.text
    assert (await teacher.post(path, json=hint, headers=key)).content == first.content
    removed = await admin.delete(f"/subjects/{exercise.subject_code}/teachers/{teacher.id}")
    assert removed.status_code == 204
    assert (await teacher.post(path, json=hint, headers=key)).json()["code"] == "ANSWER_NOT_FOUND"


async def test_an_answer_to_an_admin_is_replayed_to_nobody_who_is_none_any_more(make: Make, group: Group) -> None:
    first, second = await make.admin(), await make.admin()
    found = {"risk_type": "ai_dependency", "risk_level": "low", "description": "x"}
    key = {"Idempotency-Key": "once"}
    assert (await first.post(f"{group.path}/risks", json=found, headers=key)).status_code == 201
    assert (await second.put(f"/users/{first.id}/roles", json={"roles": ["teacher"]})).status_code == 200
    assert (await first.post(f"{group.path}/risks", json=found, headers=key)).status_code == 404


async def test_only_those_who_teach_are_asked_for_their_rights_again(make: Make, group: Group) -> None:
    key, step = {"Idempotency-Key": "once"}, {"interaction_type": "student_prompt", "content": "Why?"}
    for someone in (group.student, await make.key("traces")):
        first = await someone.post(f"{group.path}/traces", json=step, headers=key)
        assert (await (await make.admin()).delete(f"/courses/c/members/{group.student.id}")).status_code in (204, 404)
        assert (await someone.post(f"{group.path}/traces", json=step, headers=key)).content == first.content
    assert [one.rights for one in await make.all(IdempotencyRecord)] == [None, None]


async def test_a_session_without_a_course_is_seen_by_the_owner_of_its_activity(make: Make) -> None:
    teacher, other = await make.teacher(), await make.teacher()
    activity = await make.activity(teacher_id=teacher.id)
    session = await make.session(activity_id=activity.activity_id)
    assert (await teacher.get(f"/sessions/{session.id}")).status_code == 200
    assert (await other.get(f"/sessions/{session.id}")).status_code == 404


@pytest.mark.requirement("A1")
async def test_what_one_owns_in_a_course_counts_while_one_leads_there(make: Make, group: Group) -> None:
    """Who left, or only tutors now, has no say in what is done in the activities they wrote."""
    owner, admin = await make.teacher(course="c"), await make.admin()
    await make.activity(activity_id="mine", course_id="c", teacher_id=owner.id)
    await make.activity(activity_id="draft", course_id="c", teacher_id=owner.id, status="draft")
    session = await make.session(group.student, activity_id="mine", course_id="c")
    path, member = f"/sessions/{session.id}", f"/courses/c/members/{owner.id}"
    risk = {"risk_type": "plagiarism", "risk_level": "critical", "description": "x"}
    alert = ALERT | {"scope": "activity", "activity_id": "mine"}
    writes = ((f"{path}/risks", risk), (f"{path}/evaluations", {"overall_score": 0}), ("/alerts", alert))
    assert (await owner.get(path)).status_code == 200
    assert (await owner.patch("/activities/mine", json={"title": "Mine"})).status_code == 200
    assert (await group.teacher.put(member, json={"role": "tutor"})).status_code == 200
    assert (await owner.get(path)).status_code == 200
    for place, body in writes:
        assert (await owner.post(place, json=body)).status_code == 403, place
    assert (await owner.patch("/activities/mine", json={"title": "Mine"})).status_code == 403
    assert (await group.teacher.delete(member)).status_code == 204
    assert (await owner.get(path)).status_code == 404
    for place, body in writes:
        assert (await owner.post(place, json=body)).status_code == 404, place
    assert (await owner.get("/activities/draft")).status_code == 404
    for answer in (
        await owner.patch("/activities/mine", json={"title": "Mine"}),
        await owner.post("/activities/mine/archive"),
        await owner.put("/activities/mine/moodle-link", json={"moodle_course_id": "1", "moodle_resource_name": "x"}),
    ):
        assert answer.status_code == 403
    for listing in ("/sessions", "/risks", "/alerts/live"):
        assert await total(owner, listing) == 0
    assert (await owner.get("/students/compare?activity_id=mine")).json()["students"] == []
    given = await admin.patch("/activities/mine", json={"teacher_id": str(group.teacher.id)})
    assert given.json()["teacher_id"] == str(group.teacher.id)
    assert (await group.teacher.post("/activities/mine/archive")).status_code == 200


async def test_a_session_in_a_course_is_its_staff_s_also_in_another_s_activity(make: Make, group: Group) -> None:
    """The student chose the course: the owner of an activity without one does not see what is done there."""
    activity = await make.activity(teacher_id=group.stranger.id)
    session = await make.session(group.student, activity_id=activity.activity_id, course_id="c")
    assert (await group.teacher.get(f"/sessions/{session.id}")).status_code == 200
    assert (await group.stranger.get(f"/sessions/{session.id}")).status_code == 404
    assert (await group.stranger.post(f"/sessions/{session.id}/evaluations/generate")).status_code == 404


async def test_an_admin_and_an_unlimited_key_see_every_course(make: Make, group: Group) -> None:
    elsewhere = await make.activity(course_id="elsewhere")
    await make.session(activity_id=elsewhere.activity_id, course_id="elsewhere")
    for someone in (await make.admin(), await make.key()):
        assert await total(someone, "/sessions") == 2


async def test_asking_what_is_allowed_tells_nothing_of_what_is_there(client: Any, group: Group) -> None:
    there = await client.options(group.path)
    nothing = await client.options("/sessions/00000000-0000-0000-0000-000000000007")
    assert (there.status_code, there.headers["allow"]) == (nothing.status_code, nothing.headers["allow"])
    assert (await client.head(group.path)).status_code == 401

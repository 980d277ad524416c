"""What `cortez doctor` says of rows that an admin should look at."""

from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from cortez.accounts.models import ApiKey, CourseMember, FormerStudent, User
from cortez.accounts.student_ids import note_former
from cortez.clock import utc_now
from cortez.content.models import Subject, SubjectTeacher
from cortez.core.security.tokens import digest, new_secret
from cortez.exercises.models import ExerciseAttempt
from cortez.lti.models import LtiDeployment
from cortez.ops.doctor import GOOD, NOTE, ODD
from cortez.ops.doctor_records import NAMED, of_records
from cortez.oversight.models import RemediationPlan, RiskAlert
from cortez.sessions.models import LearningSession
from factory import Make


async def odd(make: Make, *, registration: bool = False) -> dict[str, list[str]]:
    """The findings by what they are about."""
    settings = msgspec.structs.replace(make.app.state.settings, registration=registration)
    async with make.database.engine.connect() as connection:
        found = await connection.run_sync(partial(of_records, settings))
    if [one.mark for one in found] == [GOOD]:
        return {}
    assert {one.mark for one in found} == {ODD}
    areas: dict[str, list[str]] = {}
    for one in found:
        areas.setdefault(one.area, []).append(one.said)
    return areas


def key_of(maker: Any, **values: Any) -> ApiKey:
    return ApiKey(name="x", key_hash=digest(new_secret("ck_")), created_by=maker and maker.id, **values)


async def test_where_all_is_well_there_is_one_line(make: Make) -> None:
    admin, course = await make.admin(), await make.course()
    teacher, student = await make.teacher(course=course), await make.student(course=course)
    await make.add(key_of(admin, course_ids=[course]), key_of(admin))
    for values in ({"course_id": course, "teacher_id": teacher.id}, {"teacher_id": teacher.id}):
        activity = await make.activity(**values)
        await make.session(student, activity_id=activity.activity_id)
    await make.activity(course_id=course, teacher_id=admin.id)
    await make.add(Subject(code="S", name="S", language="python"))
    await make.add(SubjectTeacher(subject_code="S", user_id=teacher.id))
    assert await odd(make) == {}


async def test_keys_that_no_admin_answers_for_are_named(make: Make) -> None:
    left = await make.admin(is_active=False)
    keys = [key_of(None), key_of(left), key_of(await make.teacher()), key_of(await make.admin(), course_ids=["gone"])]
    await make.add(*keys)
    none, stopped, elsewhere = (await odd(make))["keys"]
    assert none.startswith("1 name no admin")
    assert none.endswith(f": {keys[0].id}")
    assert stopped.startswith("2 do not work")
    assert {str(keys[1].id), str(keys[2].id)} == set(stopped.rpartition(": ")[2].split(", "))
    assert elsewhere == f"1 are for courses that do not exist. Remove them: {keys[3].id}"


async def test_platforms_that_launch_into_absent_courses_are_named(make: Make) -> None:
    course = await make.course()
    names = dict.fromkeys(("platform_name", "issuer", "client_id"), "https://lms")
    urls = dict.fromkeys(("auth_login_url", "auth_token_url", "public_keyset_url"), "https://lms")
    for number, courses in enumerate((None, [course], [course, "gone"])):
        last = LtiDeployment(**names, **urls, deployment_id=str(number), course_ids=courses)
        await make.add(last)
    (said,) = (await odd(make))["deployments"]
    assert said.startswith("1 launch into courses that do not exist.")
    assert said.endswith(f": {last.id}")


async def test_members_whom_nobody_verified_are_named_where_anybody_may_register(make: Make) -> None:
    course = await make.course()
    await make.teacher(course=course, is_verified=True)
    unknown = await make.student(course=course)
    await make.student()  # of no course
    (said,) = (await odd(make, registration=True))["members"]
    assert said.startswith("1 have an e-mail that is not verified")
    assert said.endswith(f": {unknown.id}")
    assert await odd(make) == {}


async def test_courses_and_activities_that_no_teacher_leads_are_named(make: Make) -> None:
    course, other = await make.course("led"), await make.course("left")
    owner, gone = await make.teacher(course=course), await make.teacher()
    await make.user(course=other)
    no_more = await make.student()  # who was a teacher once
    for someone in (await make.teacher(is_active=False), no_more):
        await make.add(CourseMember(course_id=other, user_id=someone.id, role="teacher"))
    activities: dict[str, dict[str, Any]] = {
        "own": {"course_id": course, "teacher_id": owner.id},
        "removed": {"course_id": course, "teacher_id": gone.id},
        "ownerless": {"course_id": course},
        "loose": {},
        "inactive": {"teacher_id": (await make.teacher(is_active=False)).id},
        "of no admin": {"course_id": course, "teacher_id": (await make.admin(is_active=False)).id},
        "of none who teaches": {"teacher_id": no_more.id},
        "archived": {"status": "archived"},
    }
    for activity_id, values in activities.items():
        await make.activity(activity_id=activity_id, **values)
    found = await odd(make)
    assert [said.rpartition(": ")[2] for said in found["courses"]] == ["left"]
    (said,) = found["activities"]
    assert said.startswith("6 have no owner")
    assert said.rpartition(": ")[2] == "inactive, loose, of no admin, of none who teaches, ownerless"


async def test_accounts_whose_student_id_was_worked_under_before_are_named(make: Make) -> None:
    activity = (await make.activity(teacher_id=(await make.teacher()).id)).activity_id
    await make.add(LearningSession(student_id="al-1", activity_id=activity, created_at=utc_now() - timedelta(days=1)))
    late, usual = await make.student(student_id="al-1"), await make.student(student_id="al-2")
    await make.session(usual, activity_id=activity)
    assert [said.rpartition(": ")[2] for said in (await odd(make))["accounts"]] == [str(late.id)]
    assert len(await make.all(User)) == 3


@pytest.mark.parametrize("area", ["plans", "alerts", "attempts", "subjects"])
async def test_what_belongs_to_no_course_or_teacher_is_counted(make: Make, area: str) -> None:
    now, course = utc_now(), await make.course()
    await make.teacher(course=course)
    exercise = await make.exercise()
    plan = {"student_id": "s", "plan_type": "tutoring", "description": "x", "start_date": now}
    plan |= {"target_completion_date": now + timedelta(days=1)}
    alert = {"alert_type": "pattern_anomaly", "severity": "low", "title": "x", "description": "x"}
    alert |= {"student_id": "s", "scope": "student"}
    tried = {"exercise_id": exercise.id, "student_id": "s", "submitted_code": "x"}
    for _ in range(NAMED + 1):
        if area == "plans":
            await make.add(RemediationPlan(**plan), RemediationPlan(**plan, course_id=course))
        elif area == "alerts":
            rule = f"rule-{make.number()}"
            await make.add(RiskAlert(**alert, detection_rule=rule))
            await make.add(RiskAlert(**alert, detection_rule=rule, course_id=course))
        elif area == "attempts":
            await make.add(ExerciseAttempt(**tried, attempt_number=make.number()))
            await make.add(ExerciseAttempt(**tried, attempt_number=make.number(), course_id=course))
        else:
            await make.exercise()
    (said,) = (await odd(make))[area]
    count = NAMED + 1 + (area == "subjects")
    assert said.startswith(f"{count} ")
    assert len(said.rpartition(": ")[2].split(", ")) == NAMED


async def test_students_whose_next_session_is_refused_are_named(make: Make) -> None:
    """Without an account; or with one, in a course to which they do not belong."""
    teacher = await make.teacher(course=await make.course("c"))
    activity = (await make.activity(teacher_id=teacher.id, course_id="c")).activity_id
    place = {"activity_id": activity, "course_id": "c"}
    await make.session(await make.student(course="c"), **place)
    for student_id in ("ghost", "ghost", "erased-0123456789abcdef"):
        await make.add(LearningSession(student_id=student_id, **place))
    assert await odd(make) == {"students": [await said_of(make, "students")]}
    assert (await said_of(make, "students")).startswith("1 work in courses without an account.")
    stranger = await make.student()
    old = await make.session(stranger, **place, start_time=utc_now() - timedelta(days=31))
    assert "courses" not in await odd(make)
    await make.session(stranger, **place)
    assert (await said_of(make, "courses")).endswith(": c")
    assert old.course_id == "c"


async def said_of(make: Make, area: str) -> str:
    (said,) = (await odd(make))[area]
    return said


async def test_former_students_that_no_key_recognises_are_counted(make: Make) -> None:
    settings = make.app.state.settings
    async with make.database.unit() as session:
        await note_former(session, settings.secret_key, "al-1")
        await note_former(session, "x" * 40, "al-2")
    assert (await said_of(make, "students")).startswith("1 were deleted or erased under a key that is gone")
    known = msgspec.structs.replace(settings, retired_keys=("x" * 40,))
    async with make.database.engine.connect() as connection:
        found = await connection.run_sync(partial(of_records, known))
    assert [one.mark for one in found] == [GOOD]
    await make.add(FormerStudent(digest=b"x" * 32))  # erased by a version that noted no key
    async with make.database.engine.connect() as connection:
        _, noted = await connection.run_sync(partial(of_records, known))
    assert (noted.mark, noted.said[:13]) == (NOTE, "1 were erased")

"""Student profiles: kept by the service, the same whenever they are worked out anew."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

from cortez.db import utc_now
from cortez.oversight.models import StudentProfile
from cortez.oversight.profiles import rebuild
from factory import Make, Someone

ANSWER = {"interaction_type": "ai_response", "content": "Because."}
# What a rebuild must not change; the stamps may move.
FIGURES = [name for name in StudentProfile.__table__.c.keys() if name not in ("created_at", "updated_at")]  # noqa: SIM118


async def profile(someone: Someone, student: Someone) -> dict[str, Any]:
    answer = await someone.get(f"/students/{student.student_id}/profile")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def registered(make: Make, course: str | None = None) -> Someone:
    """A student whose account was made by the API."""
    admin, number = await make.admin(), make.number()
    body = {"email": f"r{number}@example.edu", "username": f"reg{number}", "student_id": f"r-{number}"}
    made = (await admin.post("/users", json=body)).json()
    if course:
        await admin.put(f"/courses/{course}/members/{made['id']}", json={"role": "student"})
    return await make.sign_in(made["id"], made["student_id"])


async def test_a_new_student_has_an_empty_profile(make: Make) -> None:
    student = await registered(make)
    found = await profile(student, student)
    assert (found["total_sessions"], found["average_competency_score"], found["preferred_language"]) == (0, None, "es")
    assert found["user_id"] == str(student.id)


async def test_the_profile_counts_when_a_session_ends_and_not_before(make: Make) -> None:
    student, key = await registered(make), await make.key()
    session = await make.session(student)
    steps = [
        ANSWER | {"ai_involvement": 0.8, "cognitive_state": "planificacion"},
        ANSWER | {"ai_involvement": 0.2, "cognitive_state": "atascado"},
        ANSWER | {"ai_involvement": 0.5},
    ]
    await key.post(f"/sessions/{session.id}/traces/batch", json=steps)
    assert (await profile(student, student))["total_interactions"] == 0
    await student.post(f"/sessions/{session.id}/complete")
    found = await profile(student, student)
    assert (found["total_sessions"], found["total_interactions"]) == (1, 3)
    assert found["average_ai_dependency"] == 0.5
    assert found["learning_patterns"] == {"states": {"atascado": 0.5, "planificacion": 0.5}}
    assert found["last_activity_date"] is not None


async def test_a_late_delivery_and_a_later_analysis_count_too(make: Make) -> None:
    student, key = await registered(make), await make.key()
    session = await make.session(student)
    await student.post(f"/sessions/{session.id}/complete")
    late = ANSWER | {"occurred_at": (utc_now() - timedelta(minutes=1)).isoformat(), "ai_involvement": 1}
    refused = await key.post(f"/sessions/{session.id}/traces", json=late | {"occurred_at": utc_now().isoformat()})
    assert refused.status_code == 409
    made = (await key.post(f"/sessions/{session.id}/traces", json=late)).json()
    assert (await profile(student, student))["average_ai_dependency"] == 1
    await key.patch(f"/traces/{made['id']}", json={"ai_involvement": 0.25})
    assert (await profile(student, student))["average_ai_dependency"] == 0.25
    admin = await make.admin()
    await admin.delete(f"/sessions/{session.id}")
    assert (await profile(student, student))["total_sessions"] == 0


async def test_a_rebuild_gives_the_same_profiles(make: Make) -> None:
    students = [await registered(make) for _ in range(3)]
    key = await make.key()
    for number, student in enumerate(students):
        for _ in range(number + 1):
            session = await make.session(student)
            steps = [ANSWER | {"ai_involvement": n / 7, "cognitive_state": "depuracion"} for n in range(number + 3)]
            await key.post(f"/sessions/{session.id}/traces/batch", json=steps)
            await student.post(f"/sessions/{session.id}/{('complete', 'abort')[number % 2]}")
    before = {row.student_id: {name: getattr(row, name) for name in FIGURES} for row in await make.all(StudentProfile)}
    assert await rebuild(make.database) == len(before)
    after = {row.student_id: {name: getattr(row, name) for name in FIGURES} for row in await make.all(StudentProfile)}
    assert after == before
    assert before[students[2].student_id]["total_interactions"] == 15


async def test_findings_and_evaluations_are_summed_up(make: Make) -> None:
    student = await registered(make)
    first, second = await make.session(student), await make.session(student)
    await make.risk(first, risk_level="critical")
    await make.risk(first, risk_level="critical", resolved=True, resolution="unfounded")
    await make.risk(second, dimension="ethical", resolved=True, resolution="confirmed")
    await make.evaluation(first, overall_score=4.0, overall_competency_level="inicial")
    dimensions = [{"name": "planning", "score": 9}, {"name": "coherence", "score": 5.0}, {"name": "?"}]
    await make.evaluation(
        second, overall_score=8.0, dimensions=dimensions, key_strengths=["plans"], improvement_areas=["tests"]
    )
    await student.post(f"/sessions/{second.id}/complete")
    found = await profile(student, student)
    assert (found["total_risks"], found["critical_risks"]) == (2, 1)
    assert found["risk_trends"] == {"cognitive": {"open": 1, "confirmed": 0}, "ethical": {"open": 0, "confirmed": 1}}
    assert (found["average_competency_score"], found["average_competency_level"]) == (6.0, "en_desarrollo")
    assert [point["score"] for point in found["competency_evolution"]] == [4.0, 8.0]
    assert all(point["evaluated_at"].endswith("Z") for point in found["competency_evolution"])
    assert found["competency_levels"] == {"planning": "experto", "coherence": "en_desarrollo"}
    assert (found["strengths"], found["areas_for_improvement"]) == (["plans"], ["tests"])


async def test_sessions_that_end_at_once_are_all_counted(make: Make) -> None:
    student = await registered(make)
    sessions = [await make.session(student) for _ in range(6)]
    await asyncio.gather(*[student.get("/sessions") for _ in range(6)])  # so that each has a connection at hand
    answers = await asyncio.gather(*[student.post(f"/sessions/{session.id}/complete") for session in sessions])
    assert {answer.status_code for answer in answers} == {200}
    assert (await profile(student, student))["total_sessions"] == 6


async def test_a_profile_follows_its_account(make: Make) -> None:
    admin, student = await make.admin(), await registered(make)
    await student.patch("/auth/me", json={"full_name": "Eva Soto"})
    assert (await profile(admin, student))["name"] == "Eva Soto"
    await admin.patch(f"/users/{student.id}", json={"student_id": "al-9"})
    assert (await admin.get("/students/al-9/profile")).json()["email"].startswith("r")
    assert (await admin.get(f"/students/{student.student_id}/profile")).status_code == 404
    await admin.delete(f"/users/{student.id}")
    assert (await admin.get("/students/al-9/profile")).status_code == 404


async def test_a_profile_without_an_account_stays_while_sessions_carry_it(make: Make) -> None:
    admin, student = await make.admin(), await registered(make)
    session = await make.session(student)
    await student.post(f"/sessions/{session.id}/complete")
    await admin.delete(f"/users/{student.id}")
    found = await profile(admin, student)
    assert (found["user_id"], found["name"], found["email"], found["total_sessions"]) == (None, None, None, 1)


async def test_one_s_language_is_one_s_own_to_choose(make: Make) -> None:
    student, other = await registered(make), await registered(make)
    me = (await student.patch("/auth/me", json={"preferred_language": "en-GB"})).json()
    assert me["preferred_language"] == "en-GB"
    path = f"/students/{student.student_id}/profile"
    assert (await student.patch(path, json={"preferred_language": "pt"})).json()["preferred_language"] == "pt"
    assert (await student.get("/auth/me")).json()["preferred_language"] == "pt"
    assert (await other.patch(path, json={"preferred_language": "fr"})).status_code == 404
    assert (await student.patch(path, json={"cognitive_preferences": {}})).status_code == 403
    assert (await student.patch(path, json={"total_sessions": 9})).status_code == 422
    assert (await student.patch(path, json={"preferred_language": "klingon!"})).status_code == 422
    admin = await make.admin()
    changed = await admin.patch(path, json={"cognitive_preferences": {"pace": "slow"}})
    assert changed.json()["cognitive_preferences"] == {"pace": "slow"}
    assert (await admin.patch("/auth/me", json={"preferred_language": "es"})).status_code == 422


async def test_students_are_listed_for_those_who_teach_them(make: Make) -> None:
    course = await make.course()
    teacher, stranger, key = await make.teacher(course=course), await make.teacher(), await make.key("read")
    mine, other = await registered(make, course), await registered(make)

    async def listed(query: str) -> list[str]:
        answer = (await teacher.get(f"/students?count=true&{query}")).json()
        assert answer["total"] == len(answer["items"])
        return [item["student_id"] for item in answer["items"]]

    assert await listed("") == await listed(f"course_id={course}") == [mine.student_id]
    assert await listed("course_id=nowhere") == await listed("at_risk=true") == []
    assert await listed("at_risk=false") == [mine.student_id]
    session = await make.session(mine, course_id=course)
    await make.risk(session, risk_level="critical")
    await make.evaluation(session, overall_score=9.0)
    await mine.post(f"/sessions/{session.id}/complete")
    assert await listed("at_risk=true") == await listed("competency_level=EXPERTO") == [mine.student_id]
    assert await listed("competency_level=inicial") == []
    assert (await stranger.get("/students")).json()["items"] == []
    assert (await stranger.get(f"/students/{mine.student_id}/profile")).status_code == 404
    assert (await teacher.get(f"/students/{other.student_id}/profile")).status_code == 404
    assert (await mine.get("/students")).status_code == 403
    assert (await key.get(f"/students/{mine.student_id}/profile")).status_code == 403
    assert (await teacher.get(f"/students/{uuid4()}/profile")).status_code == 404
    assert (await teacher.patch(f"/students/{mine.student_id}/profile", json={})).status_code == 403

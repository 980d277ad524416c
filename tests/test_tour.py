"""The main job, as its people do it, over HTTP."""

from uuid import uuid4

import pytest

from factory import Make


@pytest.mark.requirement("T1")
async def test_a_teacher_publishes_a_student_works_a_tutor_records_and_the_teacher_reads(make: Make) -> None:
    course = await make.course()
    teacher = await make.teacher(course=course)
    student = await make.student(course=course)
    tutor = await make.key()
    made = await teacher.post(
        "/activities",
        json={"activity_id": "loops", "title": "Loops", "instructions": "Write a loop.", "course_id": course},
    )
    assert made.status_code == 201, made.text
    assert made.headers["location"] == "/api/v1/activities/loops"
    assert (await student.get("/activities/loops")).status_code == 404
    assert (await teacher.post("/activities/loops/publish")).json()["status"] == "active"
    started = await student.post("/sessions", json={"activity_id": "loops"})
    assert started.status_code == 201, started.text
    session = started.json()
    assert (session["student_id"], session["course_id"]) == (student.student_id, course)
    path = f"/sessions/{session['id']}/traces"
    asked = await student.post(path, json={"interaction_type": "student_prompt", "content": "Why?"})
    assert asked.status_code == 201, asked.text
    same = {"id": str(uuid4()), "interaction_type": "ai_response", "content": "Because.", "cognitive_state": "STUCK"}
    items = [same, same, {"interaction_type": "ai_response"}]
    batch = await tutor.post(f"{path}/batch", json=items)
    assert batch.status_code == 200, batch.text
    assert (batch.json()["created"], batch.json()["duplicate"], batch.json()["rejected"]) == (1, 1, 1)
    assert batch.json()["items"][2]["errors"][0]["pointer"] == "/content"
    read = (await teacher.get(path)).json()["items"]
    assert [trace["content"] for trace in read] == ["Why?", "Because."]
    assert read[1]["cognitive_state"] == "atascado"
    ended = await student.post(f"/sessions/{session['id']}/complete")
    assert (ended.json()["status"], ended.json()["trace_count"]) == ("completed", 2)
    late = await tutor.post(path, json={"interaction_type": "ai_response", "content": "Too late"})
    assert (late.status_code, late.json()["code"]) == (409, "SESSION_CLOSED")

"""Who made a session, a step, a commit or an exercise is in the audit log, whichever way it came; not so machines."""

from typing import Any

import pytest

from cortez.audit.models import AuditEntry, SubjectKey
from cortez.clock import utc_now
from cortez.content.models import SubjectTeacher
from factory import Make, Someone
from test_audit import entries
from test_late import ASK, LOG, commit, log_of
from test_rubrics import RUBRIC


async def by(make: Make, someone: Someone, *tables: str) -> list[tuple[str, str]]:
    """What the person did to these tables, in its order: operation and table."""
    [alias] = [key.alias for key in await make.all(SubjectKey) if key.subject == str(someone.id)]
    own = [one for one in await make.all(AuditEntry) if (one.actor_kind, one.actor) == ("person", alias)]
    return [
        (one.operation, one.table_name)
        for one in sorted(own, key=lambda one: int(one.position))
        if one.table_name in tables
    ]


RECORD = ("sessions", "cognitive_traces", "git_traces")


async def work(someone: Someone, activity: str, kind: str, **named: str) -> None:
    """A session with steps and commits by every way that there is: one, a batch of two, an import."""
    began = await someone.post("/sessions", json={"activity_id": activity, **named})
    assert began.status_code == 201, began.text
    path, now = f"/sessions/{began.json()['id']}", utc_now()
    step = ASK | {"interaction_type": kind}
    assert (await someone.post(f"{path}/traces", json=step)).status_code == 201
    assert (await someone.post(f"{path}/traces/batch", json=[step, step])).json()["created"] == 2
    many = [step | {"session_id": began.json()["id"]}] * 2
    assert (await someone.post("/traces/batch?atomic=true", json=many)).json()["created"] == 2
    assert (await someone.post(f"{path}/git-traces", json=commit(1, now))).status_code == 201
    commits = [commit(2, now), commit(3, now)]
    assert (await someone.post(f"{path}/git-traces/batch", json=commits)).json()["created"] == 2
    imported = await someone.post(f"{path}/git-traces/import", content=log_of(4, now), headers=LOG)
    assert imported.json()["created"] == 1


@pytest.mark.requirement("A2")
async def test_what_a_person_creates_is_recorded_with_its_author(make: Make) -> None:
    """H7: thirty invented steps, and no entry."""
    student = await make.student()
    await work(student, (await make.activity()).activity_id, "hypothesis_formulation")
    made = await by(make, student, *RECORD)
    assert made == [("insert", "sessions")] + [("insert", "cognitive_traces")] * 5 + [("insert", "git_traces")] * 4
    [*_, last] = await entries(make, "cognitive_traces")
    after: dict[str, Any] = last.after or {}
    assert (last.before, after["interaction_type"], after["late"]) == (None, "hypothesis_formulation", False)
    assert after["content"].startswith("hmac:")
    assert last.request_id


async def test_what_a_machine_creates_is_not(make: Make) -> None:
    student, key = await make.student(), await make.key("sessions", "traces", "git")
    activity = (await make.activity()).activity_id
    await work(key, activity, "ai_response", student_id=student.student_id)
    assert [one for table in RECORD for one in await entries(make, table)] == []


async def test_a_late_step_of_a_person_says_so_in_the_log(make: Make) -> None:
    group = await make.group()
    assert (await group.student.post(f"{group.path}/complete")).status_code == 200
    step = ASK | {"occurred_at": group.session.start_time.isoformat()}
    assert (await group.student.post(f"{group.path}/traces", json=step)).status_code == 201
    [entry] = await entries(make, "cognitive_traces")
    assert (entry.after or {})["late"] is True
    said = {"interaction_type": "teacher_feedback", "content": "Good.", "occurred_at": step["occurred_at"]}
    assert (await group.teacher.post(f"{group.path}/traces", json=said)).status_code == 201
    assert await by(make, group.teacher, *RECORD) == [("insert", "cognitive_traces")]


async def test_an_end_that_moves_is_recorded(make: Make) -> None:
    """A late step of a key moves the end of a session that the service had abandoned."""
    key, now = await make.key(), utc_now()
    session = await make.session(status="abandoned", end_time=now)
    later = utc_now().isoformat()
    assert (await key.post(f"/sessions/{session.id}/traces", json=ASK | {"occurred_at": later})).status_code == 201
    [moved] = await entries(make, "sessions")
    assert (moved.operation, moved.actor_kind, moved.actor) == ("update", "key", str(key.id))
    assert moved.after
    assert moved.after.keys() == {"end_time"}


async def test_what_changes_an_exercise_is_recorded(make: Make) -> None:
    """M9: a hidden test was changed, and no entry."""
    exercise = await make.exercise()
    teacher, path = await make.subject_teacher(exercise.subject_code), f"/exercises/{exercise.id}"
    hint = (await teacher.post(f"{path}/hints", json={"content": "Look."})).json()
    test = (await teacher.post(f"{path}/tests", json={"input": "1", "expected": "1", "is_hidden": True})).json()
    assert (await teacher.patch(f"/tests/{test['id']}", json={"expected": "0"})).status_code == 200
    assert (await teacher.delete(f"/hints/{hint['id']}")).status_code == 204
    assert (await teacher.put(f"{path}/rubric", json=RUBRIC)).status_code == 200
    assert (await teacher.patch(path, json={"title": "Other"})).status_code == 200
    assert (await teacher.delete(path)).status_code == 204
    assert (await teacher.post(f"{path}/restore")).status_code == 200
    colleague = await make.teacher()
    assert (await teacher.put(f"/subjects/{exercise.subject_code}/teachers/{colleague.id}")).status_code == 200
    tables = "exercises exercise_hints exercise_tests exercise_rubric_criteria rubric_levels subject_teachers".split()
    done = await by(make, teacher, *tables)
    criteria, levels = len(RUBRIC["criteria"]), sum(len(one["levels"]) for one in RUBRIC["criteria"])
    assert [one for one in done if one[1] not in ("exercise_rubric_criteria", "rubric_levels")] == [
        ("insert", "exercise_hints"),
        ("insert", "exercise_tests"),
        ("update", "exercise_tests"),
        ("delete", "exercise_hints"),
        *[("update", "exercises")] * 3,
        ("insert", "subject_teachers"),
    ]
    assert done.count(("insert", "exercise_rubric_criteria")) == criteria
    assert done.count(("insert", "rubric_levels")) == levels
    changed = (await entries(make, "exercise_tests"))[-1]
    assert (changed.before or {}).keys() == (changed.after or {}).keys() == {"expected"}
    assert len(await make.all(SubjectTeacher)) == 2

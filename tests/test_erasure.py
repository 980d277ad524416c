"""Erasure leaves nothing personal, and every figure as it was."""

import io
import json
from typing import Any
from unicodedata import normalize
from zipfile import ZipFile

import pytest
from sqlalchemy import text

from cortez.accounts.models import FormerStudent, Role, User
from cortez.audit.models import AccessEntry, AuditEntry, SubjectKey
from cortez.audit.seals import seal_all, verify
from cortez.clock import utc_now
from cortez.core.db.classification import ERASED
from cortez.exercises.models import ExerciseAttempt
from cortez.git.models import GitTrace
from cortez.lti.models import LtiDeployment
from cortez.oversight.models import RemediationPlan, RiskAlert, TeacherIntervention
from cortez.privacy.models import Erasure
from cortez.privacy.subjects import about_students
from cortez.profiles.models import StudentFigures, StudentProfile
from cortez.profiles.updates import rebuild
from cortez.reports.models import CourseReport
from cortez.sessions.models import LearningSession
from cortez.simulators.models import InterviewSession
from cortez.traces.models import CognitiveTrace
from factory import Group, Make, Someone
from planted import WORDS, everything, figures, plant


@pytest.fixture
async def group(make: Make) -> Group:
    return await make.group()


@pytest.fixture
async def admin(make: Make) -> Someone:
    return await make.admin()


async def erased(admin: Someone, student: Someone) -> Any:
    answer = await admin.delete(f"/students/{student.student_id}/data")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_nothing_personal_is_left(make: Make, group: Group, admin: Someone) -> None:
    await plant(make, group)
    partner = await make.session(activity_id="a")  # whose history names the student as the author of a commit
    author = {"author_name": "planted-name", "author_email": "Planted-Mail@Example.edu"}
    kept = await make.git_trace(partner, **author)
    others = await make.git_trace(partner)
    assert (await group.teacher.get(group.path)).status_code == 200
    await make.app.state.upkeep.journal.flush()
    before = await everything(make)
    assert {word for word in WORDS if word not in before} == set()
    await erased(admin, group.student)
    after = await everything(make)
    assert {word for word in WORDS if word in after} == set()
    authors = {one.id: (one.author_name, one.author_email) for one in await make.all(GitTrace)}
    assert (authors[kept.id], authors[others.id]) == (("", ""), ("Ana", "ana@example.edu"))
    assert "Mail@Example" not in after
    for name in (group.student.student_id, str(group.student.id), group.student.id.hex):
        assert name not in after.split("\n")
        assert f'"{name}"' not in after
        assert f"'{name}'" not in after


async def test_statistics_stay_as_they_were(make: Make, group: Group, admin: Someone) -> None:
    await plant(make, group)
    before = await figures(make)
    await erased(admin, group.student)
    assert await figures(make) == before
    [report] = await make.all(CourseReport)
    mine, other = report.student_summaries
    assert mine == {"student_id": report.at_risk_students[0], "traces": 10}
    assert mine["student_id"].startswith(ERASED)
    assert other == {"student_id": "somebody else", "traces": 30}


@pytest.mark.requirement("A4")
async def test_the_moment_of_the_erasure_is_in_no_row_that_is_kept(make: Make, group: Group, admin: Someone) -> None:
    """Who has the certificate, or knows when it was made, would find what is left by it."""
    await plant(make, group)
    await make.git_trace(await make.session(activity_id="a"), author_email="planted-mail@example.edu")
    stamps = {model: await stamped(make, model) for model in KEPT}
    last = max(one.created_at for one in await make.all(CognitiveTrace))
    begun = utc_now()
    await erased(admin, group.student)
    for model in KEPT:
        assert await stamped(make, model) == stamps[model], model
    [ended] = [one for one in await make.all(LearningSession) if one.id == group.session.id]
    assert last <= ended.end_time < begun
    assert ended.status == "aborted"
    assert {one.student_id for one in await make.all(StudentProfile)} & {ended.student_id} == set()
    assert await make.all(StudentFigures) == []


KEPT = [model for model in about_students() if not model.privacy.removed] + [CourseReport]


async def stamped(make: Make, model: Any) -> set[Any]:
    return {(one.id, one.created_at, one.updated_at) for one in await make.all(model)}


async def test_an_open_session_without_steps_ends_when_it_last_changed(
    make: Make, group: Group, admin: Someone
) -> None:
    await erased(admin, group.student)
    [session] = await make.all(LearningSession)
    assert session.end_time == session.updated_at == group.session.updated_at


async def test_that_a_student_id_belonged_to_somebody_is_remembered(make: Make, group: Group, admin: Someone) -> None:
    await erased(admin, group.student)
    [former], [certificate] = await make.all(FormerStudent), await make.all(Erasure)
    assert former.digest == certificate.student_digest
    again = await make.student(student_id=group.student.student_id)
    await erased(admin, again)
    assert len(await make.all(FormerStudent)) == 1


async def test_the_certificate_counts_what_went_where(make: Make, group: Group, admin: Someone) -> None:
    await plant(make, group)
    count = len(await make.all(CognitiveTrace))
    certificate = await erased(admin, group.student)
    assert certificate["erased_by"] == str(admin.id)
    assert certificate["tables"]["cognitive_traces"] == {"removed": 0, "emptied": count}
    assert certificate["tables"]["users"] == {"removed": 1, "emptied": 0}
    assert certificate["tables"]["idempotency_records"]["removed"] == 1
    [stored] = await make.all(Erasure)
    assert str(stored.id) == certificate["id"]
    assert stored.tables == certificate["tables"]
    assert group.student.student_id.encode() not in stored.student_digest


async def test_the_account_is_gone_and_so_is_the_student(make: Make, group: Group, admin: Someone) -> None:
    await erased(admin, group.student)
    assert (await group.student.get("/auth/me")).status_code == 401
    path = f"/students/{group.student.student_id}"
    assert (await admin.get(f"{path}/data")).status_code == 404
    assert (await admin.get(f"{path}/profile")).status_code == 404
    again = await admin.delete(f"{path}/data")
    assert (again.status_code, again.json()["code"]) == (404, "STUDENT_NOT_FOUND")


async def test_a_session_of_an_erased_student_takes_nothing_more(make: Make, group: Group, admin: Someone) -> None:
    """An agent that was cut off may still hold steps of theirs; not even a late one is taken."""
    await erased(admin, group.student)
    [session] = await make.all(LearningSession)
    assert session.status == "aborted"
    writer = await make.key("traces")
    late = {"interaction_type": "student_prompt", "content": "x", "occurred_at": "2026-01-01T00:00:00Z"}
    answer = await writer.post(f"{group.path}/traces", json=late)
    assert (answer.status_code, answer.json()["code"]) == (409, "SESSION_CLOSED")


async def test_nothing_that_is_left_is_filled_again(make: Make, group: Group, admin: Someone) -> None:
    """A runner, a git hook, a platform and a teacher, each with something that was on its way."""
    await plant(make, group)
    [attempt], [plan] = await make.all(ExerciseAttempt), await make.all(RemediationPlan)
    [interview], [deployment] = await make.all(InterviewSession), await make.all(LtiDeployment)
    key = await make.key("grading", "git", "lti", "simulators", "analysis", "sessions")
    launch = {"deployment_id": str(deployment.id), "lti_user_id": "u-99", "resource_link_id": "r"}
    launched = (await key.post("/lti/sessions", json=launch)).json()
    await erased(admin, group.student)
    left, session = await everything(make), str(group.session.id)
    grade = {"status": "FAIL", "tests_passed": 0, "tests_total": 1, "stdout": "late words"}
    commit = {"event_type": "commit", "commit_hash": "a" * 40, "commit_message": "late words", "branch_name": "main"}
    author = {"author_name": "late words", "author_email": "late@example.edu", "timestamp": "2026-01-01T00:00:00Z"}
    answers = {
        "grade": await key.patch(f"/attempts/{attempt.id}?regrade=true", json=grade),
        "commit": await key.post(f"{group.path}/git-traces", json=commit | author),
        "link": await key.put(f"/lti/sessions/{launched['id']}/session", json={"session_id": session}),
        "launch": await key.post("/lti/sessions", json=launch | {"session_id": session, "lti_user_name": "late words"}),
        "answer": await key.post(f"/interviews/{interview.id}/questions", json={"question": "late words"}),
        "goal": await key.patch(group.path, json={"learning_objective": {"title": "late words"}}),
        "plan": await admin.patch(f"/remediation-plans/{plan.id}", json={"progress_notes": "late words"}),
    }
    refused = {name: (answer.status_code, answer.json().get("code")) for name, answer in answers.items()}
    assert refused == dict.fromkeys(answers, (409, "STUDENT_ERASED"))
    assert await everything(make) == left


async def test_launches_without_a_session_are_found_by_their_user(make: Make, group: Group, admin: Someone) -> None:
    """By a launch of the same user that is tied to a session, or by the account's mail; with the answers stored."""
    await plant(make, group)
    [deployment], key = await make.all(LtiDeployment), await make.key("lti")
    launch = {"deployment_id": str(deployment.id), "resource_link_id": "r"}
    mine = {"lti_user_id": "u-17", "lti_user_name": "planted-again"}
    mail = {"lti_user_id": "u-18", "lti_user_email": "Planted-Mail@example.edu"}
    other = {"lti_user_id": "u-19", "lti_user_name": "Somebody Else"}
    for number, one in enumerate((mine, mail, other)):
        sent = await key.post("/lti/sessions", json=launch | one, headers={"Idempotency-Key": f"launch-{number}"})
        assert sent.status_code == 201, sent.text
    archive = await admin.get(f"/students/{group.student.student_id}/data")
    launches = json.loads(ZipFile(io.BytesIO(archive.content)).read("data/lti_sessions.json"))
    assert sorted(one["lti_user_id"] for one in launches) == ["u-17", "u-17", "u-18"]
    certificate = await erased(admin, group.student)
    assert certificate["tables"]["lti_sessions"] == {"removed": 0, "emptied": 3}
    left = await everything(make)
    assert [word for word in ("planted-again", "Planted-Mail", "u-17", "u-18") if word in left] == []
    assert left.count("Somebody Else") == 2  # the row, and the answer that is stored


async def test_an_e_mail_counts_only_where_it_is_verified(
    make: Make, group: Group, admin: Someone, client: Any
) -> None:
    """Someone who registers under another's e-mail reads none of their launches and has none of them erased."""
    await plant(make, group)
    [deployment], key = await make.all(LtiDeployment), await make.key("lti")
    launch = {"deployment_id": str(deployment.id), "resource_link_id": "r", "lti_user_id": "u-ana"}
    mail = {"lti_user_email": "Ana@uni.example", "lti_user_name": "Ana of the platform"}
    assert (await key.post("/lti/sessions", json=launch | mail)).status_code == 201
    await make.git_trace(group.session, author_email="ANA@uni.example", author_name="Ana of the commits")

    account = {"email": "ana@uni.example", "username": "stranger", "password": "correct horse battery"}
    user = (await client.post("/auth/register", json=account)).json()
    stranger = await make.sign_in(user["id"], user["student_id"])
    path = f"/students/{user['student_id']}/data"
    assert await launches_in(stranger, path) == []
    assert await launches_in(admin, path) == []
    refused = await admin.delete(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "EMAIL_NOT_VERIFIED")

    await admin.patch(f"/users/{user['id']}", json={"email": "stranger@uni.example"})
    assert (await admin.delete(path)).status_code == 200
    left = await everything(make)
    assert ("Ana of the platform" in left, "Ana of the commits" in left) == (True, True)


async def test_a_verified_e_mail_finds_what_names_it(make: Make, group: Group, admin: Someone) -> None:
    await plant(make, group)
    [deployment], key, ana = await make.all(LtiDeployment), await make.key("lti"), await make.student()
    email = f"{ana.student_id}@example.edu"
    launch = {"deployment_id": str(deployment.id), "resource_link_id": "r", "lti_user_id": "u-ana"}
    await key.post("/lti/sessions", json=launch | {"lti_user_email": email, "lti_user_name": "Ana of the platform"})
    await make.git_trace(group.session, author_email=email.upper(), author_name="Ana of the commits")
    path = f"/students/{ana.student_id}/data"
    assert (await admin.delete(path)).json()["code"] == "EMAIL_NOT_VERIFIED"
    assert (await admin.post(f"/users/{ana.id}/verify")).json()["is_verified"]
    assert await launches_in(ana, path) == ["u-ana"]
    certificate = await erased(admin, ana)
    assert (certificate["tables"]["lti_sessions"]["emptied"], certificate["tables"]["git_traces"]["emptied"]) == (1, 1)
    left = await everything(make)
    assert [word for word in ("Ana of the platform", "Ana of the commits", email) if word in left] == []


async def test_a_verified_e_mail_is_found_however_it_is_written(make: Make, group: Group, admin: Someone) -> None:
    await plant(make, group)
    [deployment], key = await make.all(LtiDeployment), await make.key("lti")
    ana = await make.student()
    await admin.patch(f"/users/{ana.id}", json={"email": "josé@example.edu", "is_verified": True})
    spellings = ["josé@example.edu", "JOSÉ@example.edu", normalize("NFD", "José@example.edu"), "JOSÉ@EXAMPLE.EDU"]
    for number, mail in enumerate([*spellings, "jose@example.edu"]):
        launch = {"deployment_id": str(deployment.id), "resource_link_id": "r", "lti_user_id": f"u-{number}"}
        assert (await key.post("/lti/sessions", json=launch | {"lti_user_email": mail})).status_code == 201
    found = await launches_in(ana, f"/students/{ana.student_id}/data")
    assert sorted(found) == [f"u-{number}" for number in range(len(spellings))]


async def launches_in(someone: Someone, path: str) -> list[str]:
    archive = await someone.get(path)
    found = json.loads(ZipFile(io.BytesIO(archive.content)).read("data/lti_sessions.json"))
    return [one["lti_user_id"] for one in found]


async def test_one_commit_or_launch_alone_asks_whose_the_e_mail_is(make: Make, group: Group, admin: Someone) -> None:
    await plant(make, group)
    [deployment], key = await make.all(LtiDeployment), await make.key("lti")
    author, launcher, neither = [await make.student() for _ in range(3)]
    await make.git_trace(group.session, author_email=f"{author.student_id}@example.edu")
    launch = {"deployment_id": str(deployment.id), "resource_link_id": "r", "lti_user_id": "u-1"}
    mail = {"lti_user_email": f"{launcher.student_id}@example.edu"}
    await key.post("/lti/sessions", json=launch | mail)
    for student, status in ((author, 409), (launcher, 409), (neither, 200)):
        assert (await admin.delete(f"/students/{student.student_id}/data")).status_code == status
    # A launch of the same user that led to a session of theirs says as much as a verified e-mail.
    mine = await make.session(launcher)
    await key.post("/lti/sessions", json=launch | {"session_id": str(mine.id)})
    certificate = await erased(admin, launcher)
    assert certificate["tables"]["lti_sessions"] == {"removed": 0, "emptied": 2}


async def test_a_student_of_whom_only_notes_are_left_is_found(make: Make, group: Group, admin: Someone) -> None:
    """The account was deleted, without an erasure; what teachers noted still names the student."""
    note = TeacherIntervention(student_id="long-gone", teacher_id=group.teacher.id, notes="about long-gone")
    await make.add(note)
    assert (await admin.get("/students/long-gone/data")).status_code == 200
    certificate = (await admin.delete("/students/long-gone/data")).json()
    assert certificate["tables"]["teacher_interventions"] == {"removed": 0, "emptied": 1}
    assert "long-gone" not in await everything(make)
    assert (await admin.delete("/students/long-gone/data")).status_code == 404


async def test_the_audit_log_stays_whole_and_names_them_no_more(make: Make, group: Group, admin: Someone) -> None:
    await make.risk(group.session)
    await seal_all(make.database)
    await erased(admin, group.student)
    await seal_all(make.database)
    async with make.database.reading() as session:
        assert (await verify(session)).intact
    names = {one.subject for one in await make.all(SubjectKey)}
    assert names.isdisjoint({group.student.student_id, str(group.student.id)})
    assert len([one for one in await make.all(AuditEntry) if one.table_name == "risks"]) == 2


async def test_what_was_noted_before_is_not_written_after(make: Make, group: Group, admin: Someone) -> None:
    assert (await group.teacher.get(group.path)).status_code == 200
    await erased(admin, group.student)
    await make.app.state.upkeep.journal.flush()
    assert {one.student_id for one in await make.all(AccessEntry)} <= {
        one.student_id for one in await make.all(LearningSession)
    }


async def test_what_is_left_has_neither_profile_nor_figures(make: Make, group: Group, admin: Someone) -> None:
    await make.trace(group.session)
    await make.evaluation(group.session)
    await group.student.post(f"{group.path}/complete")
    before = await make.all(StudentFigures)
    assert [one.student_id for one in before] == [group.student.student_id]
    await erased(admin, group.student)
    for _ in range(2):
        assert [await make.all(model) for model in (StudentFigures, StudentProfile)] == [[], []]
        await rebuild(make.database)


async def test_nobody_else_is_touched(make: Make, group: Group, admin: Someone) -> None:
    other = await make.student(student_id=f"{group.student.student_id}0", full_name="Stays")
    session = await make.session(other, activity_id="a")
    await make.trace(session, content="stays too")
    await erased(admin, group.student)
    traces = {one.content: one.student_id for one in await make.all(CognitiveTrace)}
    assert traces["stays too"] == other.student_id
    assert "Stays" in {one.full_name for one in await make.all(User)}
    assert (await other.get(f"/sessions/{session.id}")).status_code == 200


async def test_only_an_admin_erases_and_no_staff(make: Make, group: Group, admin: Someone) -> None:
    path = f"/students/{group.student.student_id}/data"
    for someone in (group.student, group.teacher, group.tutor, group.key):
        assert (await someone.delete(path)).status_code == 403
    both = await make.user(Role.STUDENT, Role.TEACHER)
    answer = await admin.delete(f"/students/{both.student_id}/data")
    assert (answer.status_code, answer.json()["code"]) == (409, "STAFF_ACCOUNT")
    assert len(await make.all(User)) == 6


async def test_a_student_without_an_account_is_erased_too(make: Make, admin: Someone) -> None:
    activity = await make.activity()
    session = LearningSession(student_id="moodle-7", activity_id=activity.activity_id)
    await make.add(session)
    await make.trace(session, content="said by a guest")
    answer = await admin.delete("/students/moodle-7/data")
    assert answer.status_code == 200
    assert "said by a guest" not in await everything(make)


async def test_an_erasure_that_fails_leaves_everything(make: Make, group: Group, admin: Someone) -> None:
    """One unit of work: here its last statement is refused by the database."""
    await plant(make, group)
    before = await everything(make)
    async with make.database.engine.begin() as connection:
        for statement in refusing(make.database.is_sqlite):
            await connection.execute(text(statement))
    try:
        answer = await admin.delete(f"/students/{group.student.student_id}/data")
        assert answer.status_code >= 400
        assert await everything(make) == before
    finally:
        async with make.database.engine.begin() as connection:
            await connection.execute(text("DROP TRIGGER no_certificate" + on(make.database.is_sqlite)))


def refusing(is_sqlite: bool) -> list[str]:
    """A trigger by which no certificate can be stored."""
    if is_sqlite:
        refusal = "SELECT RAISE(ABORT, 'CHECK constraint failed')"
        return [f"CREATE TRIGGER no_certificate BEFORE INSERT ON erasures BEGIN {refusal}; END"]
    function = "CREATE OR REPLACE FUNCTION no_certificate() RETURNS trigger LANGUAGE plpgsql AS "
    return [
        function + "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$",
        "CREATE TRIGGER no_certificate BEFORE INSERT ON erasures FOR EACH ROW EXECUTE FUNCTION no_certificate()",
    ]


def on(is_sqlite: bool) -> str:
    return "" if is_sqlite else " ON erasures"


async def test_no_account_gets_the_pseudonym_of_an_erased_student(admin: Someone) -> None:
    """It would see that student's sessions."""
    account = {"email": "eva@example.edu", "username": "eva", "student_id": "erased-0123456789abcdef"}
    assert (await admin.post("/users", json=account)).status_code == 422
    account["student_id"] = "not-erased-0123"
    made = await admin.post("/users", json=account)
    assert made.status_code == 201
    changed = await admin.patch(f"/users/{made.json()['id']}", json={"student_id": "erased-0123456789abcdef"})
    assert changed.status_code == 422


@pytest.mark.requirement("A4")
async def test_no_key_of_the_audit_log_says_when_the_pseudonym_was_made(
    make: Make, group: Group, admin: Someone
) -> None:
    await erased(admin, group.student)
    assert not [key for key in await make.all(SubjectKey) if key.subject.startswith(ERASED)]
    await seal_all(make.database)
    async with make.database.reading() as session:
        assert (await verify(session)).intact


@pytest.mark.requirement("A4")
async def test_nothing_new_is_written_about_an_erased_student(make: Make, group: Group, admin: Someone) -> None:
    """Neither under the pseudonym, which those who teach see, nor under the student_id that an admin may remember."""
    await erased(admin, group.student)
    [session] = await make.all(LearningSession)
    pseudonym = session.student_id

    async def tried(someone: Someone, student_id: str) -> dict[str, int]:
        named = {"student_id": student_id}
        alert = {"alert_type": "pattern_anomaly", "severity": "low", "title": "x", "description": "x"}
        wishes = {
            "intervention": ("/interventions", named),
            "in a session": ("/interventions", named | {"session_id": str(session.id)}),
            "plan": ("/remediation-plans", named | {"course_id": "c", "plan_type": "tutoring", "description": "x"}),
            "on the student": ("/alerts", named | alert | {"scope": "student", "course_id": "c"}),
            "on the course": ("/alerts", named | alert | {"scope": "course", "course_id": "c"}),
            "on all": ("/alerts", named | alert | {"scope": "institution"}),
        }
        return {
            name: (await someone.post(path, json=body)).status_code
            for name, (path, body) in wishes.items()
            if someone is admin or name != "on all"
        }

    for someone in (group.teacher, admin):
        assert set((await tried(someone, pseudonym)).values()) == {409}
        assert set((await tried(someone, group.student.student_id)).values()) <= {404, 422}
    for model in (TeacherIntervention, RemediationPlan, RiskAlert):
        assert await make.all(model) == []

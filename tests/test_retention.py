"""Retention: what is old loses what is personal, nothing else does, and a dry run changes nothing."""

import asyncio
import os
import re
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from cortez.accounts.models import RefreshToken, User
from cortez.clock import utc_now
from cortez.commands.cli import cli
from cortez.core.db.classification import ERASED
from cortez.core.web.idempotency import IdempotencyRecord
from cortez.lti.models import LtiDeployment, LtiSession
from cortez.oversight.models import TeacherIntervention
from cortez.privacy.retention import Totals, retain
from cortez.profiles.models import StudentFigures, StudentProfile
from cortez.sessions.models import LearningSession
from cortez.traces.models import CognitiveTrace
from factory import Make, Someone
from running import SECRET

YEAR = timedelta(days=365)


class Case:
    student: Someone
    old: LearningSession
    new: LearningSession


@pytest.fixture
async def case(make: Make) -> Case:
    """A student with a session that ended three years ago and one that ended yesterday, and an old talk."""
    made = Case()
    made.student = await make.student()
    now = utc_now()
    made.old = await make.session(made.student, status="completed", end_time=now - 3 * YEAR)
    made.new = await make.session(made.student, status="completed", end_time=now - timedelta(days=1))
    await make.trace(made.old, content="long ago")
    await make.trace(made.new, content="just now")
    talk = TeacherIntervention(student_id=made.student.student_id, notes="an old talk")
    await make.add(talk)
    async with make.database.unit() as session:
        await session.execute(update(TeacherIntervention).values(created_at=now - 3 * YEAR))
    return made


async def run(make: Make, *options: str) -> tuple[int, str]:
    own = {**os.environ, "DATABASE_URL": make.database.settings.database_url, "CORTEZ_SECRET_KEY": SECRET}
    command = [sys.executable, "-m", "cortez", "retention", *options]
    done = await asyncio.to_thread(subprocess.run, command, env=own, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


async def applied(make: Make, days: int) -> int:
    """How many students it concerned."""
    before = utc_now() - timedelta(days=days)
    return len([one async for one in retain(make.database, before, apply=True, totals=Totals())])


async def contents(make: Make) -> dict[str, Any]:
    return {one.content: one.student_id for one in await make.all(CognitiveTrace)}


async def test_without_apply_it_is_only_counted(make: Make, case: Case) -> None:
    code, said = await run(make, "--older-than", "730d")
    assert code == 0
    assert said.split("cognitive_traces")[1].split()[:2] == ["0", "1"]
    assert "Nothing was changed" in said
    assert set(await contents(make)) == {"long ago", "just now"}


async def test_what_is_old_loses_what_is_personal_and_the_rest_stays(make: Make, case: Case) -> None:
    assert await applied(make, 730) == 1
    found = await contents(make)
    assert found["just now"] == case.student.student_id
    assert found[""].startswith(ERASED)
    assert [one.notes for one in await make.all(TeacherIntervention)] == [None]
    sessions = {one.id: one.student_id for one in await make.all(LearningSession)}
    assert sessions[case.new.id] == case.student.student_id
    assert sessions[case.old.id] == found[""]
    assert len(await make.all(User)) == 1
    profiles = {one.student_id: one.total_sessions for one in await make.all(StudentProfile)}
    assert profiles == {case.student.student_id: 1}
    assert [one.student_id for one in await make.all(StudentFigures)] == [case.student.student_id]
    assert (await case.student.get("/auth/me")).status_code == 200


async def test_a_student_has_one_pseudonym_however_often_some_of_it_is_forgotten(make: Make, case: Case) -> None:
    """Were it another each time, one student who worked on five days would be five students of research."""
    assert await applied(make, 730) == 1
    assert await applied(make, 0) == 1
    sessions = await make.all(LearningSession)
    [pseudonym] = {one.student_id for one in sessions}
    assert len(sessions) == 2
    other = await make.student()
    await make.session(other, status="completed", end_time=utc_now() - YEAR)
    assert await applied(make, 30) == 1
    assert len({one.student_id for one in await make.all(LearningSession)}) == 2
    later = await make.session(case.student)
    admin = await make.admin()
    assert (await admin.delete(f"/students/{case.student.student_id}/data")).status_code == 200
    found = {one.id: one.student_id for one in await make.all(LearningSession)}
    assert found[later.id] == pseudonym
    assert re.fullmatch(r"erased-[0-9a-f]{16}", pseudonym)


async def test_once_erased_nobody_can_make_the_pseudonym_again(make: Make, case: Case) -> None:
    """Another student who is given the same student_id later is another one."""
    assert await applied(make, 730) == 1
    admin = await make.admin()
    assert (await admin.delete(f"/students/{case.student.student_id}/data")).status_code == 200
    again = await make.student(student_id=case.student.student_id)
    await make.session(again, status="completed", end_time=utc_now() - 3 * YEAR)
    assert await applied(make, 730) == 1
    assert len({one.student_id for one in await make.all(LearningSession)}) == 2


async def test_a_second_time_changes_nothing(make: Make, case: Case) -> None:
    assert await applied(make, 730) == 1
    before = await contents(make)
    code, said = await run(make, "--older-than", "730d", "--apply")
    assert (code, await contents(make)) == (0, before)
    assert "Done: 0 students." in said


async def test_outdated_keys_and_tokens_go_with_it(make: Make) -> None:
    student = await make.student()
    old = utc_now() - timedelta(days=2)
    await make.add(IdempotencyRecord(digest=b"1", fingerprint=b"1", created_at=old))
    await make.add(IdempotencyRecord(digest=b"2", fingerprint=b"2"))
    await make.add(RefreshToken(user_id=student.id, family_id=student.id, token_hash=b"1", expires_at=old))
    await applied(make, 1)
    assert [one.digest for one in await make.all(IdempotencyRecord)] == [b"2"]
    assert len(await make.all(RefreshToken)) == 1


async def test_old_launches_that_led_to_no_session_go(make: Make) -> None:
    """Nothing ties them to a student, and they hold a name."""
    urls = dict.fromkeys(("auth_login_url", "auth_token_url", "public_keyset_url"), "https://lms.example.edu")
    platform = LtiDeployment(platform_name="Moodle", issuer="i", client_id="1", deployment_id="1", **urls)
    await make.add(platform)
    launch = {"deployment_id": platform.id, "resource_link_id": "r"}
    old = LtiSession(**launch, lti_user_id="old", created_at=utc_now() - 3 * YEAR)
    await make.add(old, LtiSession(**launch, lti_user_id="new"))
    await applied(make, 730)
    assert [one.lti_user_id for one in await make.all(LtiSession)] == ["new"]


@pytest.mark.parametrize("value", ["2y", "0d", "-5d", "d", "730"])
def test_an_age_is_a_number_of_days(value: str) -> None:
    done = CliRunner().invoke(cli, ["retention", f"--older-than={value}"], env={"CORTEZ_SECRET_KEY": SECRET})
    assert done.exit_code == 2
    assert "730d" in done.output


async def test_the_service_itself_removes_keys_after_a_day(make: Make) -> None:
    day, own = timedelta(hours=24), {"fingerprint": b"x", "status": 200, "headers": b"", "body": b""}
    old = IdempotencyRecord(digest=b"old", created_at=utc_now() - day - timedelta(minutes=1), **own)
    young = IdempotencyRecord(digest=b"young", created_at=utc_now() - day + timedelta(minutes=1), **own)
    await make.add(old, young)
    await make.app.state.upkeep.attempt(seal=True)
    assert [record.digest for record in await make.all(IdempotencyRecord)] == [b"young"]

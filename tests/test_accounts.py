"""Accounts: who signs in, for how long, and what an admin may do."""

import asyncio
from datetime import timedelta

import httpx
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import select

from cortez.accounts.models import ApiKey, RefreshToken, User
from cortez.app import create_app
from cortez.audit.models import AccessEntry
from cortez.clock import utc_now
from cortez.core.security.tokens import SAME_REFRESH, digest, new_secret
from cortez.exercises.models import ExerciseAttempt
from cortez.sessions.models import LearningSession
from factory import Make
from forgeries import secret_of
from running import SECRET, client_of, live

PERSON = {"email": "Ana@Example.edu", "username": "ana", "password": "long enough", "full_name": "Ana"}
SIGN_IN = {"login": "ana", "password": "long enough"}


def bearer(tokens: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


@pytest.fixture
async def tokens(client: httpx.AsyncClient) -> dict[str, str]:
    """Of somebody who registered and signed in."""
    assert (await client.post("/auth/register", json=PERSON)).status_code == 201
    answer = await client.post("/auth/login", json=SIGN_IN)
    assert answer.status_code == 200, answer.text
    signed_in: dict[str, str] = answer.json()
    return signed_in


async def test_a_registered_person_is_a_student_with_a_student_id(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    me = (await client.get("/auth/me", headers=bearer(tokens))).json()
    assert (me["email"], me["roles"], me["student_id"]) == ("ana@example.edu", ["student"], me["id"])
    assert "hashed_password" not in me
    assert me["login_count"] == 1


async def test_nobody_registers_as_more_than_a_student(client: httpx.AsyncClient) -> None:
    answer = await client.post("/auth/register", json=PERSON | {"roles": ["admin"]})
    assert answer.status_code == 422


@pytest.mark.parametrize("login", ["ana", "ANA@example.EDU", "ana@example.edu"])
async def test_one_signs_in_by_username_or_mail(client: httpx.AsyncClient, tokens: dict[str, str], login: str) -> None:
    answer = await client.post("/auth/login", json=SIGN_IN | {"login": login})
    assert answer.status_code == 200
    assert answer.json()["expires_in"] == 900


async def test_unknown_wrong_and_inactive_look_the_same(
    client: httpx.AsyncClient, tokens: dict[str, str], make: Make
) -> None:
    user = (await make.all(User))[0]
    admin = await make.admin()
    wrong = await client.post("/auth/login", json=SIGN_IN | {"password": "something else"})
    unknown = await client.post("/auth/login", json=SIGN_IN | {"login": "nobody"})
    await admin.post(f"/users/{user.id}/deactivate")
    inactive = await client.post("/auth/login", json=SIGN_IN)
    for answer in (wrong, unknown, inactive):
        assert (answer.status_code, answer.json()["code"]) == (401, "LOGIN_FAILED")


async def test_the_same_mail_in_another_case_is_taken(client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    answer = await client.post("/auth/register", json=PERSON | {"email": "ANA@example.edu", "username": "other"})
    assert (answer.status_code, answer.json()["code"]) == (409, "EMAIL_IN_USE")


async def test_a_refresh_token_works_once_and_its_reuse_ends_the_sign_in(
    client: httpx.AsyncClient, tokens: dict[str, str], make: Make
) -> None:
    old = {"refresh_token": tokens["refresh_token"]}
    fresh = (await client.post("/auth/refresh", json=old)).json()
    assert (await client.get("/auth/me", headers=bearer(fresh))).status_code == 200
    await aged(make, used_at=SAME_REFRESH + timedelta(seconds=1))
    reused = await client.post("/auth/refresh", json=old)
    assert (reused.status_code, reused.json()["code"]) == (401, "REFRESH_TOKEN_REUSED")
    assert (await client.get("/auth/me", headers=bearer(fresh))).status_code == 401
    assert (await client.post("/auth/refresh", json={"refresh_token": fresh["refresh_token"]})).status_code == 401


async def aged(make: Make, **spans: timedelta) -> None:
    """Put moments of all refresh tokens back by so much, where there are any."""
    columns = RefreshToken.__table__.c
    async with make.database.unit() as session:
        for token in await session.scalars(select(RefreshToken)):
            for name, span in spans.items():
                if getattr(token, name) is not None:
                    setattr(token, name, getattr(token, name) - span)
    assert spans.keys() <= set(columns.keys())


async def test_parallel_uses_of_one_refresh_token_give_one_chain(
    client: httpx.AsyncClient, tokens: dict[str, str], make: Make
) -> None:
    """As two tabs of one browser send it at once."""
    old = {"refresh_token": tokens["refresh_token"]}
    answers = await asyncio.gather(*[client.post("/auth/refresh", json=old) for _ in range(10)])
    assert {answer.status_code for answer in answers} == {200}
    (heir,) = {answer.json()["refresh_token"] for answer in answers}
    assert len(await make.all(RefreshToken)) == 2
    for answer in answers:
        assert (await client.get("/auth/me", headers=bearer(answer.json()))).status_code == 200
    later = (await client.post("/auth/refresh", json={"refresh_token": heir})).json()
    assert later["refresh_token"] not in {heir, tokens["refresh_token"]}
    again = await client.post("/auth/refresh", json=old)  # a tab that was slow
    assert again.json()["refresh_token"] == heir
    assert (await client.post("/auth/refresh", json={"refresh_token": heir})).json()["refresh_token"] == (
        later["refresh_token"]
    )


@pytest.mark.parametrize("other", ["client", "network"])
async def test_another_client_that_uses_a_used_refresh_token_ends_the_sign_in(
    app: Litestar, client: httpx.AsyncClient, tokens: dict[str, str], other: str
) -> None:
    old = {"refresh_token": tokens["refresh_token"]}
    fresh = (await client.post("/auth/refresh", json=old)).json()
    settings = msgspec.structs.replace(app.state.settings, trusted_proxies=("127.0.0.1",))
    headers = {"user-agent": "another"} if other == "client" else {"x-forwarded-for": "203.0.113.7"}
    async with live(create_app(settings)) as proxied, client_of(proxied) as elsewhere:
        reused = await elsewhere.post("/auth/refresh", json=old, headers=headers)
    assert (reused.status_code, reused.json()["code"]) == (401, "REFRESH_TOKEN_REUSED")
    assert (await client.get("/auth/me", headers=bearer(fresh))).status_code == 401
    assert (await client.post("/auth/refresh", json=old)).status_code == 401


async def test_a_sign_in_ends_for_good_after_ninety_days(
    client: httpx.AsyncClient, tokens: dict[str, str], make: Make
) -> None:
    old = {"refresh_token": tokens["refresh_token"]}
    await aged(make, signed_in_at=timedelta(days=89))
    fresh = (await client.post("/auth/refresh", json=old)).json()
    heir = max(await make.all(RefreshToken), key=lambda one: one.created_at)
    assert timedelta(hours=23) < heir.expires_at - utc_now() <= timedelta(days=1)
    await aged(make, expires_at=timedelta(days=1))
    ended = await client.post("/auth/refresh", json={"refresh_token": fresh["refresh_token"]})
    assert (ended.status_code, ended.json()["code"]) == (401, "REFRESH_TOKEN_INVALID")


async def test_two_tabs_refresh_while_the_secret_key_is_rotated(
    app: Litestar, client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    old = {"refresh_token": tokens["refresh_token"]}
    heir = (await client.post("/auth/refresh", json=old)).json()["refresh_token"]
    settings = app.state.settings
    new = {"secret_key": "another secret, as long as the first", "secret_keys": (settings.secret_key,)}
    async with live(create_app(msgspec.structs.replace(settings, **new))) as rotated, client_of(rotated) as other:
        assert (await other.post("/auth/refresh", json=old)).json()["refresh_token"] == heir


async def test_a_logout_holds_from_the_next_request(client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    other = (await client.post("/auth/login", json=SIGN_IN)).json()
    assert (await client.post("/auth/logout", json={}, headers=bearer(tokens))).json() == {"signed_out": 1}
    assert (await client.get("/auth/me", headers=bearer(tokens))).status_code == 401
    assert (await client.get("/auth/me", headers=bearer(other))).status_code == 200
    assert (await client.post("/auth/logout", json={"all": True}, headers=bearer(other))).json() == {"signed_out": 1}


async def test_a_changed_password_ends_the_other_sign_ins(client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    other = (await client.post("/auth/login", json=SIGN_IN)).json()
    change = {"current_password": "long enough", "new_password": "even longer"}
    wrong = await client.put("/auth/password", json=change | {"current_password": "no"}, headers=bearer(tokens))
    assert (wrong.status_code, wrong.json()["code"]) == (403, "PASSWORD_WRONG")
    assert (await client.put("/auth/password", json=change, headers=bearer(tokens))).status_code == 204
    assert (await client.get("/auth/me", headers=bearer(tokens))).status_code == 200
    assert (await client.get("/auth/me", headers=bearer(other))).status_code == 401
    assert (await client.post("/auth/login", json=SIGN_IN)).status_code == 401


async def test_a_reset_token_sets_a_password_once(
    client: httpx.AsyncClient, tokens: dict[str, str], make: Make
) -> None:
    user = (await make.all(User))[0]
    admin = await make.admin()
    offered = (await admin.post(f"/users/{user.id}/password-reset")).json()
    reset = {"token": offered["token"], "password": "a new password"}
    assert (await client.post("/auth/password-reset", json=reset)).status_code == 200
    assert (await client.post("/auth/password-reset", json=reset)).status_code == 401
    assert (await client.get("/auth/me", headers=bearer(tokens))).status_code == 401
    assert (await client.post("/auth/login", json=SIGN_IN | {"password": "a new password"})).status_code == 200


@pytest.mark.parametrize("ending", ["password", "deactivate", "offer"])
async def test_what_ends_a_reset_token(
    client: httpx.AsyncClient, tokens: dict[str, str], make: Make, ending: str
) -> None:
    """A new password, a newer token, or the end of the account, which its return does not undo."""
    user, admin = (await make.all(User))[0], await make.admin()
    path = f"/users/{user.id}"
    token = (await admin.post(f"{path}/password-reset")).json()["token"]
    if ending == "password":
        change = {"current_password": "long enough", "new_password": "even longer"}
        assert (await client.put("/auth/password", json=change, headers=bearer(tokens))).status_code == 204
    elif ending == "offer":
        assert (await admin.post(f"{path}/password-reset")).status_code == 200
    else:
        assert (await admin.post(f"{path}/deactivate")).status_code == 200
        refused = await admin.post(f"{path}/password-reset")
        assert (refused.status_code, refused.json()["code"]) == (409, "ACCOUNT_INACTIVE")
        assert (await admin.post(f"{path}/reactivate")).status_code == 200
    used = await client.post("/auth/password-reset", json={"token": token, "password": "a new password"})
    assert (used.status_code, used.json()["code"]) == (401, "RESET_TOKEN_INVALID")


async def test_a_reset_token_is_good_only_while_the_account_is_active(client: httpx.AsyncClient, make: Make) -> None:
    token = new_secret("cp_")
    expires_at = utc_now() + timedelta(hours=1)
    await make.student(is_active=False, reset_hash=digest(token), reset_expires_at=expires_at)
    used = await client.post("/auth/password-reset", json={"token": token, "password": "a new password"})
    assert (used.status_code, used.json()["code"]) == (401, "RESET_TOKEN_INVALID")


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer ck_unknown", "Bearer eyJhbGciOiJub25lIn0.e30.", "bearer  "],
)
async def test_a_forged_token_is_refused(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.get("/auth/me", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_change_of_roles_and_a_deactivation_hold_from_the_next_request(make: Make) -> None:
    admin, teacher = await make.admin(), await make.teacher()
    course = {"course_id": "c", "title": "Course"}
    await admin.put(f"/users/{teacher.id}/roles", json={"roles": ["student"]})
    assert (await teacher.post("/courses", json=course)).status_code == 403
    await admin.put(f"/users/{teacher.id}/roles", json={"roles": ["instructor"]})
    assert (await teacher.post("/courses", json=course)).status_code == 201
    await admin.post(f"/users/{teacher.id}/deactivate")
    assert (await teacher.get("/courses")).status_code == 401


async def test_an_admin_cannot_lock_themselves_out(make: Make) -> None:
    admin = await make.admin()
    for answer in (
        await admin.delete(f"/users/{admin.id}"),
        await admin.post(f"/users/{admin.id}/deactivate"),
        await admin.put(f"/users/{admin.id}/roles", json={"roles": ["teacher"]}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "OWN_ACCOUNT")


async def test_another_e_mail_is_not_verified_until_an_admin_says_so(make: Make) -> None:
    admin, path = await make.admin(), f"/users/{(await make.student()).id}"
    steps: list[tuple[dict[str, object], bool]] = [
        ({"email": "a@example.edu", "is_verified": True}, True),
        ({"full_name": "Ana"}, True),
        ({"email": "A@Example.edu"}, True),
        ({"email": "b@example.edu"}, False),
        ({"email": "b@example.edu"}, False),
    ]
    for change, verified in steps:
        assert (await admin.patch(path, json=change)).json()["is_verified"] == verified, change
    assert (await admin.post(f"{path}/verify")).json()["is_verified"]


async def test_a_student_id_that_sessions_carry_cannot_change(make: Make) -> None:
    admin, student = await make.admin(), await make.student()
    path = f"/users/{student.id}"
    assert (await admin.patch(path, json={"student_id": "al-1"})).json()["student_id"] == "al-1"
    await make.session(student)
    answer = await admin.patch(path, json={"student_id": "al-2"})
    assert (answer.status_code, answer.json()["code"]) == (409, "STUDENT_ID_IN_USE")


@pytest.mark.parametrize("kind", ["session", "agent", "attempt"])
async def test_an_account_with_records_is_not_deleted(make: Make, kind: str) -> None:
    """Else the student_id would be left to the next account that takes it."""
    admin, student = await make.admin(), await make.student()
    if kind == "session":
        await make.session(student)
    elif kind == "agent":
        await make.add(LearningSession(student_id=student.student_id, activity_id=(await make.activity()).activity_id))
    else:
        exercise = await make.exercise()
        await make.add(ExerciseAttempt(exercise_id=exercise.id, student_id=student.student_id, submitted_code="x"))
    refused = await admin.delete(f"/users/{student.id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "ACCOUNT_HAS_RECORDS")
    changed = await admin.patch(f"/users/{student.id}", json={"student_id": "another"})
    assert (changed.status_code, changed.json()["code"]) == (409, "STUDENT_ID_IN_USE")
    assert (await admin.post(f"/users/{student.id}/deactivate")).status_code == 200


async def test_the_student_id_of_a_deleted_account_is_given_again_on_purpose_alone(app: Litestar, make: Make) -> None:
    """Also after the service's key has changed."""
    admin, gone, new = await make.admin(), await make.student(student_id="al-1"), await make.student()
    assert (await admin.delete(f"/users/{gone.id}")).status_code == 204
    path, wanted = f"/users/{new.id}", {"student_id": "al-1"}
    refused = await admin.patch(path, json=wanted)
    assert (refused.status_code, refused.json()["code"]) == (409, "STUDENT_ID_IN_USE")
    rotated = create_app(
        msgspec.structs.replace(app.state.settings, secret_key="x" * 9 + SECRET, secret_keys=(SECRET,))
    )
    async with live(rotated), client_of(rotated, secret_of(admin)) as client:
        assert (await client.patch(path, json=wanted)).status_code == 409
    retired = create_app(
        msgspec.structs.replace(app.state.settings, secret_key="x" * 9 + SECRET, retired_keys=(SECRET,))
    )
    async with live(retired), client_of(retired, secret_of(admin)) as client, Make(retired, client_of) as other:
        assert (await client.get(path)).status_code == 401  # the key is accepted no more
        again = await other.sign_in(admin.id, "")
        assert (await again.patch(path, json=wanted)).status_code == 409
    assert (await admin.patch(path, json=wanted | {"reuse_student_id": True})).json()["student_id"] == "al-1"
    assert (await admin.patch(path, json=wanted | {"full_name": "Ana"})).status_code == 200


async def test_a_key_is_shown_once_and_refused_when_deleted(make: Make) -> None:
    admin = await make.admin()
    made = (await admin.post("/api-keys", json={"name": "agent", "scopes": ["READ", "read"]})).json()
    assert made["key"].startswith("ck_")
    assert made["scopes"] == ["read"]
    assert "key" not in (await admin.get("/api-keys")).json()["items"][0]
    async with client_of(make.app, made["key"]) as machine:
        assert (await machine.get("/sessions")).status_code == 200
        assert (await machine.get("/users")).status_code == 403
        assert (await machine.get("/auth/me")).status_code == 403
        assert (await admin.delete(f"/api-keys/{made['id']}")).status_code == 204
        assert (await machine.get("/sessions")).status_code == 401


@pytest.mark.parametrize("ending", ["deactivate", "roles", "delete"])
async def test_a_key_ends_with_its_maker_unless_another_admin_takes_it(make: Make, ending: str) -> None:
    admin, maker, other = await make.admin(), await make.admin(), await make.admin()
    made = [(await maker.post("/api-keys", json={"name": "agent", "scopes": ["read"]})).json() for _ in range(2)]
    assert [one["created_by"] for one in made] == [str(maker.id)] * 2
    path = f"/api-keys/{made[1]['id']}"
    for wrong in ((await make.teacher()).id, (await make.admin(is_active=False)).id, made[0]["id"]):
        refused = await admin.patch(path, json={"created_by": str(wrong)})
        assert (refused.status_code, refused.json()["code"]) == (422, "MAKER_NOT_ALLOWED")
    given = (await admin.patch(path, json={"created_by": str(other.id), "name": "tutor"})).json()
    assert (given["created_by"], given["name"]) == (str(other.id), "tutor")
    older = await make.key("read")
    async with client_of(make.app, made[0]["key"]) as lost, client_of(make.app, made[1]["key"]) as kept:
        assert (await lost.get("/sessions")).status_code == 200
        if ending == "roles":
            await admin.put(f"/users/{maker.id}/roles", json={"roles": ["teacher"]})
        elif ending == "delete":
            assert (await admin.delete(f"/users/{maker.id}")).status_code == 204
        else:
            await admin.post(f"/users/{maker.id}/deactivate")
        refused = await lost.get("/sessions")
        assert (refused.status_code, refused.json()["code"]) == (401, "API_KEY_INVALID")
        assert (await kept.get("/sessions")).status_code == 200
    assert (await older.get("/sessions")).status_code == 200


async def test_an_expired_key_is_refused(make: Make) -> None:
    secret = new_secret("ck_")
    await make.add(ApiKey(name="old", key_hash=digest(secret), expires_at=utc_now() - timedelta(seconds=1)))
    async with client_of(make.app, secret) as machine:
        assert (await machine.get("/sessions")).status_code == 401


async def test_members_are_the_teacher_s_to_change(make: Make) -> None:
    teacher, stranger, student = await make.teacher(), await make.teacher(), await make.student()
    await teacher.post("/courses", json={"course_id": "c", "title": "Course"})
    path = f"/courses/c/members/{student.id}"
    assert (await stranger.put(path, json={"role": "student"})).status_code == 404
    assert (await student.put(path, json={"role": "teacher"})).status_code == 403
    assert (await teacher.put(path, json={"role": "student"})).status_code == 200
    assert (await teacher.put(path, json={"role": "tutor"})).json()["role"] == "tutor"
    listed = (await teacher.get("/courses/c/members?role=tutor")).json()["items"]
    assert [member["user_id"] for member in listed] == [str(student.id)]
    assert (await student.get("/courses")).json()["items"][0]["course_id"] == "c"
    assert (await teacher.delete(path)).status_code == 204
    assert (await student.get("/courses/c")).status_code == 404
    assert (await teacher.delete(path)).status_code == 404


async def test_an_account_that_was_only_looked_at_may_be_mended_and_deleted(make: Make) -> None:
    """A mistyped line of a class list, that its teacher then saw in the list of students."""
    admin, teacher = await make.admin(), await make.teacher(course=await make.course("c"))
    line = [{"email": "ana@example.edu", "student_id": "al-0O1"}]
    (made,) = (await admin.post("/courses/c/members/batch", json=line)).json()["items"]
    path = f"/users/{made['user_id']}"
    assert (await teacher.get("/students?course_id=c")).status_code == 200
    assert (await teacher.get("/students/al-0O1/profile")).status_code == 200
    await make.app.state.upkeep.journal.flush()
    assert "al-0O1" in {entry.student_id for entry in await make.all(AccessEntry)}
    assert (await admin.patch(path, json={"student_id": "al-001"})).json()["student_id"] == "al-001"
    assert {entry.student_id for entry in await make.all(AccessEntry)} == {"al-001"}  # not for the next al-0O1
    assert (await teacher.get("/students/al-001/profile")).status_code == 200
    await make.app.state.upkeep.journal.flush()
    assert (await admin.delete(path)).status_code == 204

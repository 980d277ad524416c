"""LTI records: platforms and their launches."""

from typing import Any
from uuid import UUID, uuid4

from cortez.lti.models import LtiSession
from factory import Make

MOODLE = {
    "platform_name": "Moodle",
    "issuer": "https://moodle.example.edu",
    "client_id": "client",
    "deployment_id": "1",
    "auth_login_url": "https://moodle.example.edu/login",
    "auth_token_url": "https://moodle.example.edu/token",
    "public_keyset_url": "https://moodle.example.edu/keys",
}


async def deployed(make: Make, **values: Any) -> dict[str, Any]:
    made = await (await make.admin()).post("/lti/deployments", json=MOODLE | values)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def test_a_deployment_is_an_admin_s(make: Make) -> None:
    admin = await make.admin()
    made = await deployed(make)
    path = f"/lti/deployments/{made['id']}"
    again = await admin.post("/lti/deployments", json=MOODLE)
    assert (again.status_code, again.json()["code"]) == (409, "DEPLOYMENT_ALREADY_EXISTS")
    await deployed(make, deployment_id="2")
    assert len((await admin.get("/lti/deployments")).json()["items"]) == 2
    changed = await admin.patch(path, json={"is_active": False, "platform_name": "Moodle 5"})
    assert (changed.json()["is_active"], changed.json()["platform_name"]) == (False, "Moodle 5")
    assert (await admin.patch(path, json={"issuer": "https://other"})).status_code == 422
    assert (await admin.post("/lti/deployments", json=MOODLE | {"issuer": "nowhere"})).status_code == 422
    for someone in (await make.teacher(), await make.student(), await make.key("lti")):
        assert (await someone.get(path)).status_code == 403
        assert (await someone.post("/lti/deployments", json=MOODLE)).status_code == 403
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).status_code == 404


async def test_a_launch_is_recorded_and_tied_to_its_session(make: Make) -> None:
    key, admin, deployment = await make.key("lti"), await make.admin(), await deployed(make)
    body = {"deployment_id": deployment["id"], "lti_user_id": "u-1", "resource_link_id": "r-1"}
    made = await key.post("/lti/sessions", json=body | {"launch_token": "secret", "locale": "es"})
    assert (made.status_code, made.json()["session_id"]) == (201, None)
    assert "secret" not in made.text
    (row,) = await make.all(LtiSession)
    assert "secret" not in str(row.to_dict(include_sensitive=True))
    session = await make.session()
    path = f"/lti/sessions/{made.json()['id']}/session"
    assert (await key.put(path, json={"session_id": str(session.id)})).json()["session_id"] == str(session.id)
    assert (await key.put(path, json={"session_id": str(uuid4())})).status_code == 404
    assert (await key.put(f"/lti/sessions/{uuid4()}/session", json={"session_id": str(session.id)})).status_code == 404
    for query, hits in {
        "": 1,
        f"deployment_id={deployment['id']}": 1,
        f"deployment_id={uuid4()}": 0,
        "lti_user_id=u-1": 1,
        "lti_user_id=u-2": 0,
        f"session_id={session.id}": 1,
    }.items():
        assert len((await admin.get(f"/lti/sessions?{query}")).json()["items"]) == hits, query
    await admin.delete(f"/sessions/{session.id}")
    assert await make.all(LtiSession) == []


async def test_a_launch_needs_a_deployment_that_is_on(make: Make) -> None:
    key, admin, deployment = await make.key("lti"), await make.admin(), await deployed(make)
    body = {"deployment_id": deployment["id"], "lti_user_id": "u-1", "resource_link_id": "r-1"}
    assert (await key.post("/lti/sessions", json=body | {"deployment_id": str(uuid4())})).status_code == 404
    assert (await key.post("/lti/sessions", json=body | {"session_id": str(uuid4())})).status_code == 404
    assert (await key.post("/lti/sessions", json={"lti_user_id": "u-1"})).status_code == 422
    await admin.patch(f"/lti/deployments/{deployment['id']}", json={"is_active": False})
    off = await key.post("/lti/sessions", json=body)
    assert (off.status_code, off.json()["code"]) == (409, "DEPLOYMENT_INACTIVE")
    for someone in (await make.key("sessions"), await make.student(), await make.teacher()):
        assert (await someone.post("/lti/sessions", json=body)).status_code == 403
        assert (await someone.get("/lti/sessions")).status_code == 403


async def test_a_deployment_launches_into_courses_that_exist(make: Make) -> None:
    admin, course = await make.admin(), await make.course()
    assert (await deployed(make))["course_ids"] is None
    made = await deployed(make, deployment_id="2", course_ids=[course])
    assert made["course_ids"] == [course]
    path = f"/lti/deployments/{made['id']}"
    assert (await admin.patch(path, json={"course_ids": None})).json()["course_ids"] is None
    assert (await admin.patch(path, json={"course_ids": [course]})).json()["course_ids"] == [course]
    assert (await admin.patch(path, json={"platform_name": "Moodle"})).json()["course_ids"] == [course]
    for wrong in ([], ["nowhere"], [course, "nowhere"], course, [7]):
        for answer in (
            await admin.patch(path, json={"course_ids": wrong}),
            await admin.post("/lti/deployments", json=MOODLE | {"deployment_id": "3", "course_ids": wrong}),
        ):
            assert answer.status_code == 422, wrong
            assert answer.json()["errors"][0]["pointer"].startswith("/course_ids")


async def test_a_key_of_some_courses_sees_and_ties_the_launches_of_platforms_for_these_alone(make: Make) -> None:
    here, there, elsewhere = [await make.course() for _ in range(3)]
    keys = {
        "all": await make.key("lti"),
        "here": await make.key("lti", course_ids=[here]),
        "both": await make.key("lti", course_ids=[there, here]),
        "elsewhere": await make.key("lti", course_ids=[elsewhere]),
    }
    sees = {(here,): {"all", "here", "both"}, (here, there): {"all", "both"}, (): {"all"}}
    session = await make.session(course_id=here)
    for courses, seeing in sees.items():
        deployment = await deployed(make, deployment_id=f"of {courses}", course_ids=list(courses) or None)
        launch = LtiSession(deployment_id=UUID(deployment["id"]), lti_user_id="u", resource_link_id="r")
        await make.add(launch)
        body = {"deployment_id": deployment["id"], "lti_user_id": "new", "resource_link_id": "r"}
        link, path = {"session_id": str(session.id)}, f"/lti/sessions/{launch.id}/session"
        for name, key in keys.items():
            found = await key.get(f"/lti/sessions?deployment_id={deployment['id']}&lti_user_id=u&count=true")
            recorded = await key.post("/lti/sessions", json=body)
            got = (found.json()["total"], recorded.status_code)
            assert got == ((1, 201) if name in seeing else (0, 404)), (courses, name)
            if name not in seeing:
                assert recorded.json()["code"] == "DEPLOYMENT_NOT_FOUND"
                tied = await key.put(path, json=link)
                assert (tied.status_code, tied.json()["code"]) == (404, "LAUNCH_NOT_FOUND"), (courses, name)
        for name in seeing:
            assert (await keys[name].put(path, json=link)).status_code == 200, (courses, name)


async def test_a_launch_goes_where_its_session_is_seen(make: Make) -> None:
    """The session's course counts beside those of the deployment."""
    here, there = await make.course(), await make.course()
    deployment = await deployed(make, course_ids=[here])
    session = await make.session(course_id=there)
    at = UUID(deployment["id"])
    launch = LtiSession(deployment_id=at, lti_user_id="u", resource_link_id="r", session_id=session.id)
    await make.add(launch)
    limited = await make.key("lti", course_ids=[here])
    assert (await limited.get("/lti/sessions")).json()["items"] == []
    link = {"session_id": str(session.id)}
    assert (await limited.put(f"/lti/sessions/{launch.id}/session", json=link)).status_code == 404
    body = {"deployment_id": deployment["id"], "lti_user_id": "u-1", "resource_link_id": "r"}
    answer = await limited.post("/lti/sessions", json=body | link)
    assert (answer.status_code, answer.json()["code"]) == (404, "SESSION_NOT_FOUND")


async def test_a_deployment_launches_into_no_session_outside_of_its_courses(make: Make) -> None:
    """Not even by an admin or a key without a limit."""
    here, there = await make.course(), await make.course()
    deployment = await deployed(make, course_ids=[here])
    body = {"deployment_id": deployment["id"], "lti_user_id": "u-1", "resource_link_id": "r"}
    inside, outside, loose = [await make.session(course_id=course) for course in (here, there, None)]
    for someone in (await make.key("lti"), await make.admin()):
        launch = (await someone.post("/lti/sessions", json=body | {"session_id": str(inside.id)})).json()
        for session in (outside, loose):
            link = {"session_id": str(session.id)}
            for answer in (
                await someone.post("/lti/sessions", json=body | link),
                await someone.put(f"/lti/sessions/{launch['id']}/session", json=link),
            ):
                assert (answer.status_code, answer.json()["code"]) == (422, "SESSION_NOT_IN_COURSE")
                assert answer.json()["errors"][0]["pointer"] == "/session_id"

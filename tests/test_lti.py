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


async def test_a_key_of_one_course_sees_no_launch_into_another(make: Make) -> None:
    here, there = await make.course(), await make.course()
    deployment = await deployed(make)
    session = await make.session(course_id=there)
    at = UUID(deployment["id"])
    launch = LtiSession(deployment_id=at, lti_user_id="u", resource_link_id="r", session_id=session.id)
    await make.add(launch)
    limited = await make.key("lti", course_ids=[here])
    assert (await limited.get("/lti/sessions")).json()["items"] == []
    link = {"session_id": str(session.id)}
    assert (await limited.put(f"/lti/sessions/{launch.id}/session", json=link)).status_code == 404

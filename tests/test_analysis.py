"""Views over a session: with its traces, and as a cognitive path."""

from datetime import datetime, timedelta
from uuid import uuid4

from factory import Make

NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")


async def test_a_session_comes_with_its_traces_in_the_order_they_happened(make: Make) -> None:
    student = await make.student()
    session = await make.session(student)
    await make.trace(session, content="second", occurred_at=NOON + timedelta(minutes=1))
    await make.trace(session, content="first", occurred_at=NOON)
    path = f"/sessions/{session.id}"
    assert "traces" not in (await student.get(path)).json()
    read = (await student.get(f"{path}?include=traces")).json()
    assert [trace["content"] for trace in read["traces"]] == ["first", "second"]
    wrong = await student.get(f"{path}?include=traces,secrets")
    assert (wrong.status_code, "secrets" in wrong.json()["detail"]) == (422, True)
    assert (await student.get(f"/sessions/{uuid4()}")).status_code == 404


async def test_a_cognitive_path_follows_the_states_as_they_happened(make: Make) -> None:
    student = await make.student()
    session = await make.session(student)
    steps = [
        ("planificacion", 0.0),
        ("implementacion", 0.5),
        (None, 1.0),
        ("implementacion", 0.5),
        ("planificacion", 0.0),
        ("implementacion", 1.0),
    ]
    for place, (state, share) in sorted(enumerate(steps), reverse=True):
        moment = NOON + timedelta(minutes=place)
        await make.trace(session, cognitive_state=state, ai_involvement=share, occurred_at=moment)
    path = (await student.get(f"/sessions/{session.id}/cognitive-path")).json()
    assert [(phase["state"], phase["traces"]) for phase in path["phases"]] == [
        ("planificacion", 1),
        ("implementacion", 2),
        ("planificacion", 1),
        ("implementacion", 1),
    ]
    assert (path["phases"][1]["started_at"], path["phases"][1]["ended_at"]) == (
        "2026-03-01T12:01:00Z",
        "2026-03-01T12:03:00Z",
    )
    assert path["transitions"] == [
        {"from": "planificacion", "to": "implementacion", "count": 2},
        {"from": "implementacion", "to": "planificacion", "count": 1},
    ]
    averages = [point["moving_average"] for point in path["dependency"]]
    assert averages == [0.0, 0.25, 0.5, 0.5, 0.4, 0.6]


async def test_a_session_without_traces_has_an_empty_path(make: Make) -> None:
    student = await make.student()
    session = await make.session(student)
    path = (await student.get(f"/sessions/{session.id}/cognitive-path")).json()
    assert path == {"phases": [], "transitions": [], "dependency": [], "late": 0}

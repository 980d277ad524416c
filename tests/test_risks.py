"""Risks: found by rules, agents and people, each once; judged by those who teach; seen by whose they are."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from cortez.accounts.models import CourseMember, Role
from cortez.core.db.engine import Database
from cortez.core.security.principal import SYSTEM
from cortez.risks.findings import Finding
from cortez.risks.models import Risk, RiskLevel, RiskType
from cortez.risks.repository import RiskRepository
from cortez.sessions.repository import SessionRepository
from cortez.simulators.models import SimulatorEvent
from factory import Group, Make, Someone
from watching import statements

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SEEN = {"risk_type": "plagiarism", "risk_level": "high", "description": "Two sessions hold the same text."}
CONFIRMED = {"resolution": "confirmed", "resolution_notes": "We talked."}
UNFOUNDED = {"resolution": "unfounded", "resolution_notes": "They had prepared it at home."}
DELEGATED = Finding(
    rule="delegation",
    version=1,
    type=RiskType.COGNITIVE_DELEGATION,
    level=RiskLevel.HIGH,
    seen="Seen.",
    otherwise="Or else.",
    threshold=0,
    actual=1,
)


@pytest.fixture
async def group(make: Make) -> Group:
    return await make.group()


async def delegate(make: Make, group: Group, times: int) -> None:
    for _ in range(times):
        await make.trace(group.session, content="Dame el código completo.", decision_justification="x" * 20)


async def analysed(someone: Someone, group: Group) -> dict[str, Any]:
    answer = await someone.post(f"{group.path}/risks/analyze")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["new"] + found["updated"] + found["unchanged"] == len(found["items"])
    return found


def counts(found: dict[str, Any]) -> tuple[int, int, int]:
    return found["new"], found["updated"], found["unchanged"]


def by_rule(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["rule"]: item for item in found["items"]}


async def listed(someone: Someone, query: str = "") -> list[dict[str, Any]]:
    answer = await someone.get(f"/risks?count=true&{query}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["items"])
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.requirement("D1")
async def test_an_analysis_finds_each_thing_once(make: Make, group: Group) -> None:
    await delegate(make, group, 3)
    first = await analysed(group.teacher, group)
    assert counts(first) == (4, 0, 0)  # three prompts, and the three together
    assert counts(await analysed(group.key, group)) == (0, 0, 4)
    assert len(await make.all(Risk)) == 4
    found = by_rule(first)["repeated_delegation"]
    assert (found["session_id"], found["student_id"]) == (str(group.session.id), group.student.student_id)
    assert (found["rule_version"], found["subject"], found["detected_by"]) == (1, "session", "AR-IA")
    assert (found["threshold_value"], found["actual_value"], len(found["trace_ids"])) == (3, 3, 3)
    assert (found["risk_type"], found["dimension"], found["resolved"]) == ("cognitive_delegation", "cognitive", False)
    assert found["description"].startswith(found["evidence"][0])
    assert (await group.teacher.get(f"/risks/{found['id']}")).json() == found


async def test_parallel_analyses_add_nothing_twice(make: Make, group: Group) -> None:
    await delegate(make, group, 3)
    await asyncio.gather(*[group.teacher.get("/risks") for _ in range(5)])  # so that each has a connection at hand
    found = await asyncio.gather(*[analysed(group.teacher, group) for _ in range(5)])
    assert sorted(counts(one) for one in found) == [(0, 0, 4)] * 4 + [(4, 0, 0)]
    assert len(await make.all(Risk)) == 4


async def test_an_open_finding_says_what_is_seen_now(make: Make, group: Group) -> None:
    await delegate(make, group, 3)
    before = by_rule(await analysed(group.teacher, group))["repeated_delegation"]
    await delegate(make, group, 1)
    again = await analysed(group.teacher, group)
    after = by_rule(again)["repeated_delegation"]
    assert counts(again) == (1, 1, 3)
    assert (after["id"], after["actual_value"], len(after["trace_ids"])) == (before["id"], 4, 4)
    assert after["updated_at"] > before["updated_at"]


@pytest.mark.requirement("D1")
async def test_what_a_person_resolved_stays_as_it_is(make: Make, group: Group) -> None:
    await delegate(make, group, 3)
    risk = by_rule(await analysed(group.teacher, group))["repeated_delegation"]
    closed = (await group.teacher.post(f"/risks/{risk['id']}/resolve", json=UNFOUNDED)).json()
    await delegate(make, group, 1)
    assert counts(await analysed(group.teacher, group)) == (1, 0, 4)
    assert (await group.teacher.get(f"/risks/{risk['id']}")).json() == closed


async def keep(make: Make, group: Group, *findings: Finding) -> tuple[int, int]:
    async with make.database.unit() as session:
        found = await SessionRepository(session, SYSTEM).get(group.session.id, lock=True)
        kept = await RiskRepository(session, SYSTEM).keep(found, findings)
    return kept.new, kept.updated


@pytest.mark.requirement("D1")
async def test_a_newer_version_of_a_rule_updates_an_open_finding_and_leaves_a_resolved_one(
    make: Make, group: Group
) -> None:
    one, other = (msgspec.structs.replace(DELEGATED, subject=f"trace:{number}") for number in (1, 2))
    assert await keep(make, group, one, other) == (2, 0)
    newer = [msgspec.structs.replace(found, version=2, seen="Seen better.", actual=5) for found in (one, other)]
    first, second = sorted(await make.all(Risk), key=lambda risk: str(risk.subject))
    await group.teacher.post(f"/risks/{second.id}/resolve", json=CONFIRMED)
    assert await keep(make, group, *newer) == (0, 1)
    first, second = sorted(await make.all(Risk), key=lambda risk: str(risk.subject))
    assert (first.rule_version, first.actual_value, first.description) == (2, 5, "Seen better. Or else.")
    assert (second.rule_version, second.actual_value, second.description) == (1, 1, "Seen. Or else.")
    assert await keep(make, group, one, other) == (0, 0), "an older server takes nothing back"
    assert {risk.rule_version for risk in await make.all(Risk)} == {1, 2}


async def test_what_the_rules_read_is_the_same_on_both_databases(make: Make, group: Group) -> None:
    told: list[Any] = [2, "2", True, ["x"], {"n": 1}, 0, None, 1.5]
    for number, value in enumerate(told):
        data = {"delegation_attempts": value}
        await make.trace(group.session, content=f"Why {number}?", ethical_risk_data=data, created_at=NOON)
    for number, alternatives in enumerate([[], ["a loop"]]):
        step = {"interaction_type": "code_commit", "content": str(number), "ai_involvement": 0.55}
        await make.trace(group.session, **step, alternatives_considered=alternatives)
    assert sorted(item["rule"] for item in (await analysed(group.key, group))["items"]) == [
        *["delegation"] * 3,
        "few_reasons",
        "no_alternatives",
        "repeated_delegation",
    ]


async def test_steps_are_judged_in_the_order_they_happened(make: Make, group: Group) -> None:
    code = {"interaction_type": "code_commit", "content": "x" * 200}
    await make.trace(group.session, **code, occurred_at=NOON + timedelta(seconds=3))
    asked = await make.trace(group.session, occurred_at=NOON)
    await make.trace(group.session, **code)  # without a time
    (found,) = (await analysed(group.key, group))["items"]
    assert (found["rule"], found["actual_value"], found["trace_ids"][0]) == ("code_after_prompt", 3, str(asked.id))


async def test_events_of_a_simulator_are_judged_too(make: Make, group: Group) -> None:
    own = {"session_id": group.session.id, "student_id": group.student.student_id, "simulator_type": "tech_lead"}
    made = SimulatorEvent(**own, event_type="technical_decision_made", event_data={}, timestamp=NOON)
    await make.add(made, SimulatorEvent(**own, event_type="incident_resolved", event_data={}, timestamp=NOON))
    (found,) = (await analysed(group.key, group))["items"]
    assert (found["rule"], found["subject"]) == ("decision_without_reason", f"event:{made.id}")
    assert (found["detected_by"], found["trace_ids"]) == ("AR-IA-AUTO", [])


async def test_an_activity_s_thresholds_hold_in_its_sessions(make: Make, group: Group) -> None:
    lax = await make.activity(policies={"risk_thresholds": {"ai_dependency": 0.9}})
    group.session = await make.session(group.student, activity_id=lax.activity_id, course_id="c")
    group.path = f"/sessions/{group.session.id}"
    for _ in range(5):
        await make.trace(group.session, interaction_type="ai_response", ai_involvement=0.8)
    assert "ai_dependency" not in by_rule(await analysed(group.key, group))
    for _ in range(20):
        await make.trace(group.session, interaction_type="ai_response", ai_involvement=1.0)
    assert by_rule(await analysed(group.key, group))["ai_dependency"]["threshold_value"] == 0.9


async def test_a_session_without_steps_has_nothing_to_find(make: Make, group: Group) -> None:
    other = await make.session(group.student, course_id="c")
    await make.trace(other, content="Dame el código completo.")
    assert await analysed(group.teacher, group) == {"new": 0, "updated": 0, "unchanged": 0, "items": []}
    await group.student.post(f"{group.path}/complete")
    assert counts(await analysed(group.teacher, group)) == (0, 0, 0)


async def test_an_analysis_takes_as_many_statements_for_many_steps_as_for_few(
    make: Make, group: Group, database: Database
) -> None:
    seen = []
    for steps in (3, 3, 12):
        await delegate(make, group, steps)
        with statements(database) as made:
            await analysed(group.teacher, group)
        seen.append(len(made))
    assert len(await make.all(Risk)) == 19
    assert seen[0] > seen[1] == seen[2]  # the first one works out the figures of the course


async def test_those_who_judge_are_teachers_of_the_course_owners_of_the_activity_and_machines(
    make: Make, group: Group
) -> None:
    risk = await make.risk(group.session)
    writes: list[tuple[str, dict[str, Any]]] = [
        (f"{group.path}/risks", SEEN),
        (f"{group.path}/risks/analyze", {}),
        (f"/risks/{risk.id}/resolve", CONFIRMED),
    ]
    other = await make.key("analysis", course_ids=["elsewhere"])
    for path, body in writes:
        for someone in (group.student, group.tutor, await make.key("read", "traces")):
            assert (await someone.post(path, json=body)).status_code == 403, path
        assert (await group.stranger.post(path, json=body)).status_code == 404, path
        if "resolve" not in path:
            assert (await other.post(path, json=body)).status_code == 404, path
    assert (await group.key.post(f"/risks/{risk.id}/resolve", json=CONFIRMED)).status_code == 403, "a person judges"
    assert [one.resolved for one in await make.all(Risk)] == [False]
    for someone in (group.teacher, group.key, await make.admin()):
        assert (await someone.post(f"{group.path}/risks", json=SEEN)).status_code == 201
        await analysed(someone, group)
    owner = await make.teacher()
    own = await make.activity(teacher_id=owner.id)
    session = await make.session(group.student, activity_id=own.activity_id)
    assert (await owner.post(f"/sessions/{session.id}/risks/analyze")).status_code == 200


async def test_a_teacher_who_only_tutors_or_studies_here_judges_nothing(make: Make, group: Group) -> None:
    guest = await make.user(Role.TEACHER, Role.STUDENT)
    await make.add(CourseMember(course_id="c", user_id=guest.id, role="tutor"))
    own = await make.session(guest, course_id="elsewhere")
    for session in (group.session, own):
        risk = await make.risk(session)
        assert (await guest.get(f"/risks/{risk.id}")).status_code == 200
        assert (await guest.post(f"/sessions/{session.id}/risks", json=SEEN)).status_code == 403
        assert (await guest.post(f"/sessions/{session.id}/risks/analyze")).status_code == 403
        assert (await guest.post(f"/risks/{risk.id}/resolve", json=CONFIRMED)).status_code == 403


async def test_a_risk_is_seen_by_whose_it_is_and_who_teaches_them(make: Make, group: Group) -> None:
    risk = await make.risk(group.session)
    paths = [f"{group.path}/risks", f"/risks/{risk.id}", f"{group.path}/analysis"]
    for someone in (group.student, group.tutor, group.teacher, group.key, await make.key("read"), await make.admin()):
        assert [(await someone.get(path)).status_code for path in paths] == [200] * 3
        assert [item["id"] for item in await listed(someone)] == [str(risk.id)]
    classmate, elsewhere = await make.student(course="c"), await make.key("read", course_ids=["elsewhere"])
    for someone in (group.stranger, classmate, elsewhere):
        assert [(await someone.get(path)).status_code for path in paths] == [404] * 3
        for query in ("", f"student_id={group.student.student_id}", "activity_id=a", "course_id=c"):
            assert await listed(someone, query) == []
    machine = await make.key("traces")
    assert [(await machine.get(path)).status_code for path in [*paths, "/risks"]] == [403] * 4


async def test_what_is_not_there_is_not_found(make: Make, group: Group) -> None:
    for verb, path, body in (
        ("GET", f"/sessions/{uuid4()}/risks", None),
        ("GET", f"/sessions/{uuid4()}/analysis", None),
        ("POST", f"/sessions/{uuid4()}/risks", SEEN),
        ("POST", f"/sessions/{uuid4()}/risks/analyze", {}),
        ("GET", f"/risks/{uuid4()}", None),
        ("GET", "/risks/none", None),
        ("POST", f"/risks/{uuid4()}/resolve", CONFIRMED),
    ):
        answer = await group.teacher.client.request(verb, path, json=body)
        assert answer.status_code == 404, (verb, path)


async def test_what_a_person_saw_is_stored_as_they_said_it(make: Make, group: Group) -> None:
    trace = await make.trace(group.session)
    said = {
        **SEEN,
        "dimension": "Ethical",
        "impact": "The exercise teaches nothing then.",
        "evidence": ["Both name the variable quux."],
        "trace_ids": [str(trace.id)],
        "root_cause": "Time.",
        "impact_assessment": "Small.",
        "recommendations": ["Ask for the way, not the code."],
        "pedagogical_intervention": "A talk.",
        "threshold_value": 0.8,
        "actual_value": 0.97,
    }
    answer = await group.teacher.post(f"{group.path}/risks", json=said)
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"].endswith(f"/risks/{made['id']}")
    assert {name: made[name] for name in said} == said | {"dimension": "ethical"}
    assert (made["detected_by"], made["rule"], made["resolution"]) == ("teacher", None, None)
    assert (await group.student.get(f"/risks/{made['id']}")).json() == made
    assert (await group.key.post(f"{group.path}/risks", json=SEEN)).json()["detected_by"] == "AR-IA"
    named = await group.key.post(f"{group.path}/risks", json=SEEN | {"detected_by": "checker 2"})
    assert named.json()["detected_by"] == "checker 2"


async def test_an_agent_s_own_rule_finds_a_subject_once(group: Group) -> None:
    body = SEEN | {"rule": "same-text", "rule_version": 3, "subject": "file:main.py"}
    made = await group.key.post(f"{group.path}/risks", json=body)
    assert (made.status_code, made.json()["rule"], made.json()["rule_version"]) == (201, "same-text", 3)
    again = await group.key.post(f"{group.path}/risks", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "RISK_EXISTS")
    assert (await group.key.post(f"{group.path}/risks", json=body | {"subject": "file:a.py"})).status_code == 201


BAD: list[tuple[dict[str, Any], str]] = [
    ({"risk_type": "laziness"}, "VALIDATION_ERROR"),
    ({"risk_level": None}, "VALIDATION_ERROR"),
    ({"description": ""}, "VALIDATION_ERROR"),
    ({"dimension": "cognitive"}, "VALIDATION_ERROR"),
    ({"rule": "own"}, "VALIDATION_ERROR"),
    ({"subject": "x"}, "VALIDATION_ERROR"),
    ({"rule_version": 1}, "VALIDATION_ERROR"),
    ({"rule": "own", "subject": "x", "rule_version": 0}, "VALIDATION_ERROR"),
    ({"rule": "delegation", "subject": "x"}, "RULE_RESERVED"),
    ({"actual_value": 1e10}, "VALIDATION_ERROR"),
    ({"trace_ids": ["00000000-0000-7000-8000-000000000000"]}, "TRACE_NOT_FOUND"),
    ({"resolved": True}, "VALIDATION_ERROR"),
    ({"student_id": "x"}, "VALIDATION_ERROR"),
]


@pytest.mark.parametrize(("change", "code"), BAD, ids=str)
async def test_what_makes_no_sense_is_refused(make: Make, group: Group, change: dict[str, Any], code: str) -> None:
    answer = await group.teacher.post(f"{group.path}/risks", json=SEEN | change)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await make.all(Risk) == []


async def test_a_trace_of_another_session_is_no_evidence(make: Make, group: Group) -> None:
    foreign = await make.trace(await make.session(group.student, course_id="c"))
    answer = await group.key.post(f"{group.path}/risks", json=SEEN | {"trace_ids": [str(foreign.id)]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/trace_ids")


@pytest.mark.requirement("D1")
async def test_a_risk_is_resolved_once(make: Make, group: Group) -> None:
    risk = await make.risk(group.session)
    path = f"/risks/{risk.id}"
    closed = await group.teacher.post(f"{path}/resolve", json=UNFOUNDED | {"resolution": "UNFOUNDED"})
    assert closed.status_code == 200
    assert (closed.json()["resolved"], closed.json()["resolution"]) == (True, "unfounded")
    assert (closed.json()["resolution_notes"], closed.json()["resolved_at"] is None) == (
        UNFOUNDED["resolution_notes"],
        False,
    )
    again = await group.teacher.post(f"{path}/resolve", json=CONFIRMED)
    assert (again.status_code, again.json()["code"]) == (409, "RISK_RESOLVED")
    assert (await group.teacher.get(path)).json() == closed.json()


@pytest.mark.requirement("P4")
async def test_of_parallel_resolutions_one_counts(make: Make, group: Group) -> None:
    risk = await make.risk(group.session)
    path = f"/risks/{risk.id}"
    await asyncio.gather(*[group.teacher.get(path) for _ in range(5)])  # so that each has a connection at hand
    answers = await asyncio.gather(*[group.teacher.post(f"{path}/resolve", json=CONFIRMED) for _ in range(5)])
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 4


async def test_a_resolution_says_what_and_why_and_of_which_state(make: Make, group: Group) -> None:
    risk = await make.risk(group.session)
    path = f"/risks/{risk.id}"
    for wrong in ({}, {"resolution": "confirmed"}, CONFIRMED | {"resolution": "maybe"}, CONFIRMED | {"grade": 2}):
        assert (await group.teacher.post(f"{path}/resolve", json=wrong)).status_code == 422
    tag = (await group.teacher.get(path)).headers["etag"]
    stale = await group.teacher.post(f"{path}/resolve", json=CONFIRMED, headers={"if-match": '"1-x"'})
    assert (stale.status_code, (await group.teacher.get(path)).json()["resolved"]) == (412, False)
    right = await group.teacher.post(f"{path}/resolve", json=CONFIRMED, headers={"if-match": tag})
    assert right.status_code == 200


async def test_a_profile_follows_its_student_s_risks(make: Make, group: Group) -> None:
    async def profile() -> tuple[int, int, dict[str, Any]]:
        found = (await group.teacher.get(f"/students/{group.student.student_id}/profile")).json()
        return found["total_risks"], found["critical_risks"], found["risk_trends"]

    made = (await group.key.post(f"{group.path}/risks", json=SEEN | {"risk_level": "critical"})).json()
    assert await profile() == (1, 1, {"ethical": {"open": 1, "confirmed": 0}})
    await delegate(make, group, 3)
    await analysed(group.key, group)
    assert await profile() == (
        5,
        1,
        {"cognitive": {"open": 4, "confirmed": 0}, "ethical": {"open": 1, "confirmed": 0}},
    )
    await group.teacher.post(f"/risks/{made['id']}/resolve", json=UNFOUNDED, headers={"if-match": '"1-x"'})
    assert (await profile())[0] == 5
    await group.teacher.post(f"/risks/{made['id']}/resolve", json=UNFOUNDED)
    assert await profile() == (4, 0, {"cognitive": {"open": 4, "confirmed": 0}})


async def test_risks_are_listed_newest_first_by_what_is_asked(make: Make, group: Group) -> None:
    other = await make.session(await make.student(), activity_id="a")
    made = [
        await make.risk(group.session, risk_level="critical"),
        await make.risk(group.session, dimension="ethical", resolved=True, resolution="confirmed"),
        await make.risk(other),
    ]
    ids = [str(risk.id) for risk in made]
    admin = await make.admin()
    for query, places in {
        "": [2, 1, 0],
        f"student_id={group.student.student_id}": [1, 0],
        "activity_id=a": [2, 1, 0],
        "course_id=c": [1, 0],
        "dimension=ETHICAL": [1],
        "risk_level=critical": [0],
        "resolved=true": [1],
        "resolved=false": [2, 0],
        "resolved=false&course_id=c": [0],
        "student_id=nobody": [],
        "course_id=nowhere": [],
    }.items():
        assert [item["id"] for item in await listed(admin, query)] == [ids[place] for place in places], query
    for wrong in ("dimension=moral", "risk_level=1", "resolved=perhaps", "student_id=a b", "rule=x"):
        assert (await admin.get(f"/risks?{wrong}")).status_code == 422, wrong
    first = (await admin.get("/risks?limit=2&activity_id=a")).json()
    rest = (await admin.get(f"/risks?cursor={first['next_cursor']}")).json()
    assert [item["id"] for item in (*first["items"], *rest["items"])] == [ids[2], ids[1], ids[0]]
    inside = (await group.student.get(f"{group.path}/risks?count=true")).json()
    assert ([item["id"] for item in inside["items"]], inside["total"]) == ([ids[1], ids[0]], 2)


async def test_a_list_takes_as_many_statements_for_many_risks_as_for_one(
    make: Make, group: Group, database: Database
) -> None:
    paths = ("/risks?course_id=c", f"{group.path}/risks", f"{group.path}/analysis", f"{group.path}?include=risks")
    seen = []
    for number in (1, 20):
        for _ in range(number):
            await make.risk(group.session)
        with statements(database) as made:
            for path in paths:
                assert (await group.teacher.get(path)).status_code == 200
        seen.append(len(made))
    assert seen[0] == seen[1]


LEVELS = {"c": "critical", "h": "high", "m": "medium", "l": "low", "i": "info"}
DIMENSIONS = ("cognitive", "ethical", "epistemic", "technical", "governance")


@pytest.mark.parametrize(
    ("risks", "dimensions", "total", "level"),
    [
        ([], [0, 0, 0, 0, 0], 0, "low"),
        (["chmli"], [10, 0, 0, 0, 0], 10, "low"),
        (["c", "h", "m", "l", "i"], [4, 3, 2, 1, 0], 10, "low"),
        (["ccc", "c"], [10, 4, 0, 0, 0], 14, "low"),
        (["ccc", "cl"], [10, 5, 0, 0, 0], 15, "medium"),
        (["ccc", "ccc", "chm"], [10, 10, 9, 0, 0], 29, "medium"),
        (["ccc", "ccc", "ccm"], [10, 10, 10, 0, 0], 30, "high"),
        (["ccc", "ccc", "ccc", "ccl"], [10, 10, 10, 9, 0], 39, "high"),
        (["ccc", "ccc", "ccc", "ccc"], [10, 10, 10, 10, 0], 40, "critical"),
        (["cccc"] * 5, [10] * 5, 50, "critical"),
    ],
)
async def test_a_session_s_scores_add_up_its_open_risks(
    make: Make, group: Group, risks: list[str], dimensions: list[int], total: int, level: str
) -> None:
    for dimension, levels in zip(DIMENSIONS, risks, strict=False):
        for letter in levels:
            await make.risk(group.session, dimension=dimension, risk_level=LEVELS[letter])
    await make.risk(group.session, risk_level="critical", resolved=True, resolution="confirmed")
    await make.risk(await make.session(group.student), risk_level="critical")
    found = (await group.teacher.get(f"{group.path}/analysis")).json()
    assert found == {
        "session_id": str(group.session.id),
        "dimensions": dict(zip(DIMENSIONS, dimensions, strict=True)),
        "total": total,
        "level": level,
        "open_risks": sum(len(levels) for levels in risks),
    }

"""The 24 defects that were found in the predecessor, each with the test that would have caught it."""

from collections import defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import JSON, Connection, Uuid, inspect, text, update
from sqlalchemy.dialects import postgresql

from cortez import tables
from cortez.accounts.models import CourseMember
from cortez.app import create_app
from cortez.clock import utc_now
from cortez.core.db.base import Base
from cortez.core.db.engine import Database
from cortez.core.db.repository import Repository
from cortez.core.db.types import UtcDateTime
from cortez.core.security.principal import SYSTEM
from cortez.enums import Choice
from cortez.exercises.repository import CriterionRepository
from cortez.oversight.models import AlertType, RiskAlert
from cortez.risks.analysis import NAMES
from cortez.sequences.rules import SUMMARIES
from cortez.sessions.models import SessionMode
from cortez.sessions.repository import SessionRepository
from cortez.simulators.models import IncidentType, InterviewType
from factory import Make
from test_rubrics import RUBRIC
from test_schema import AUDITED

STEP = {"interaction_type": "student_prompt", "content": "Why does it never stop?"}


def subclasses(kind: type[Any]) -> set[type[Any]]:
    return {found for child in kind.__subclasses__() for found in (child, *subclasses(child))}


async def test_01_the_number_of_traces_is_known_to_the_api_on_both_databases(make: Make) -> None:
    student, key = await make.student(), await make.key()
    session = await make.session(student)
    steps = [STEP, STEP | {"content": "And now?"}]
    assert (await key.post(f"/sessions/{session.id}/traces/batch", json=steps)).json()["created"] == 2
    assert (await student.get(f"/sessions/{session.id}")).json()["trace_count"] == 2


async def test_02_a_session_ends_as_what_it_ended(make: Make) -> None:
    student = await make.student()
    aborted, quiet = await make.session(student), await make.session(student)
    assert (await student.post(f"/sessions/{aborted.id}/abort")).json()["status"] == "aborted"
    async with make.database.unit() as unit:
        assert await SessionRepository(unit, SYSTEM).abandon_idle(utc_now() + timedelta(hours=1), 10) == 1
    assert (await student.get(f"/sessions/{quiet.id}")).json()["status"] == "abandoned"


@pytest.mark.parametrize("written", ["SIMULATOR", "Simulator", "simulator"])
async def test_03_a_mode_is_one_mode_however_it_is_written(make: Make, written: str) -> None:
    student, activity = await make.student(), await make.activity()
    body = {"activity_id": activity.activity_id, "mode": written, "simulator_type": "CLIENT"}
    made = await student.post("/sessions", json=body)
    assert (made.json()["mode"], made.json()["simulator_type"]) == ("simulator", "client")
    found = await student.get(f"/sessions?mode={written.swapcase()}")
    assert [one["id"] for one in found.json()["items"]] == [made.json()["id"]]


async def test_04_an_lti_launch_is_recorded_as_often_as_somebody_launches(make: Make) -> None:
    admin, platform, session = await make.admin(), await make.key("lti"), await make.session()
    urls = dict.fromkeys(("auth_login_url", "auth_token_url", "public_keyset_url"), "https://lms.example.edu/x")
    names = {"platform_name": "LMS", "issuer": "https://lms.example.edu", "client_id": "c", "deployment_id": "1"}
    deployment = (await admin.post("/lti/deployments", json=names | urls)).json()["id"]
    launch = {
        "deployment_id": deployment,
        "lti_user_id": "u",
        "resource_link_id": "r",
        "resource_link_title": "Recursion",
        "session_id": str(session.id),
    }
    launches = [await platform.post("/lti/sessions", json=launch) for _ in range(2)]
    assert [one.status_code for one in launches] == [201, 201]
    assert len((await platform.get(f"/lti/sessions?session_id={session.id}")).json()["items"]) == 2


async def test_05_sequences_and_rubrics_are_stored_and_read(make: Make) -> None:
    key, exercise, session = await make.key(), await make.exercise(), await make.session()
    teacher = await make.subject_teacher(exercise.subject_code)
    await make.trace(session)
    rolled = await key.post(f"/sessions/{session.id}/trace-sequences")
    assert (rolled.status_code, rolled.json()["total_traces"]) == (201, 1)
    assert len((await key.get(f"/sessions/{session.id}/trace-sequences")).json()["items"]) == 1
    assert (await teacher.put(f"/exercises/{exercise.id}/rubric", json=RUBRIC)).status_code == 200
    async with make.database.reading() as reading:
        criteria = await CriterionRepository(reading, SYSTEM).of(exercise.id)
    assert [one.display_order for one in criteria] == [1, 2, 3]
    assert [level.min_score for level in criteria[0].levels] == [9, 7, 5, 0]


async def test_06_what_is_changed_in_an_activity_is_changed(make: Make) -> None:
    teacher = await make.teacher()
    body = {"activity_id": "loops", "title": "Loops", "instructions": "Do it."}
    assert (await teacher.post("/activities", json=body)).status_code == 201
    changes = {"policies": {"max_help_level": "bajo"}, "subject": "PROG2", "evaluation_criteria": ["It stops."]}
    assert (await teacher.patch("/activities/loops", json=changes)).status_code == 200
    assert changes.items() <= (await teacher.get("/activities/loops")).json().items()
    assert (await teacher.patch("/activities/loops", json={"learning_objectives": ["x"]})).status_code == 422
    again = await teacher.post("/activities", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "ACTIVITY_ALREADY_EXISTS")


async def test_07_people_are_found_by_role_and_nobody_makes_themselves_an_admin(make: Make) -> None:
    course = await make.course()
    admin, teacher = await make.admin(), await make.teacher(course=course)
    found = (await admin.get("/users?role=teacher")).json()["items"]
    assert [one["id"] for one in found] == [str(teacher.id)]
    assert (await admin.patch(f"/courses/{course}", json={"title": "An admin's"})).status_code == 200
    asked = {"email": "a@b.co", "username": "somebody", "password": "long enough", "roles": ["admin"]}
    assert (await admin.post("/auth/register", json=asked)).status_code == 422


async def test_08_only_whose_it_is_reaches_a_session_and_nobody_without_a_name(make: Make) -> None:
    owner, other = await make.student(student_id="a-registry-number"), await make.student()
    session = await make.session(owner)
    path = f"/sessions/{session.id}"
    assert (await owner.get(path)).status_code == 200
    for verb, place, body in (
        ("GET", path, None),
        ("PATCH", path, {"mode": "practice"}),
        ("POST", f"{path}/complete", None),
        ("POST", f"{path}/git-traces", {}),
        ("GET", f"/students/{owner.student_id}/history", None),
    ):
        answer = await other.client.request(verb, place, json=body)
        assert answer.status_code in {404, 422}, (verb, place, answer.text)
        nobody = await other.client.request(verb, place, json=body, headers={"Authorization": ""})
        assert nobody.status_code == 401
    assert (await owner.delete(path)).status_code == 403


async def test_09_a_scan_stores_every_type_of_alert_it_raises(make: Make) -> None:
    course = await make.course()
    teacher, student = await make.teacher(course=course), await make.student(course=course)
    now = utc_now()
    session = await make.session(student, course_id=course, status="completed", end_time=now)
    await make.evaluation(session, overall_score=1.0)
    idle = await make.student(course=course)
    async with make.database.unit() as unit:
        joined = update(CourseMember).where(CourseMember.user_id == idle.id)
        await unit.execute(joined.values(joined_at=now - timedelta(days=30)))
    scanned = await teacher.post("/alerts/scan", json={"course_id": course})
    assert scanned.status_code == 200, scanned.text
    raised = {alert.alert_type for alert in await make.all(RiskAlert)}
    assert {"low_competency", "session_inactivity"} <= raised <= {type_.value for type_ in AlertType}
    assert (await teacher.get("/alerts?status=pending")).status_code == 422
    everything = (await teacher.get("/alerts?severity=medium")).json()["items"]
    assert everything == (await teacher.get("/alerts?severity=medium&status=open")).json()["items"] != []


async def test_10_every_rule_runs_on_every_type_of_step(make: Make) -> None:
    key, session = await make.key(), await make.session()
    described = (await key.post(f"/sessions/{session.id}/traces", json=STEP | {"interaction_type": "x"})).json()
    types = described["errors"][0]["detail"].partition(": ")[2].rstrip(".").split(", ")
    steps = [STEP | {"interaction_type": type_} for type_ in types]
    assert (await key.post(f"/sessions/{session.id}/traces/batch", json=steps)).json()["rejected"] == 0
    found = await key.post(f"/sessions/{session.id}/risks/analyze")
    assert found.status_code == 200
    assert {one["rule"] for one in found.json()["items"]} <= NAMES


async def test_11_a_history_is_there_and_being_stuck_counts(make: Make) -> None:
    student, key = await make.student(), await make.key()
    scores = []
    for state in ("progresando", "atascado"):
        session = await make.session(student)
        await make.trace(session, cognitive_state=state, occurred_at=utc_now())
        history = (await student.get(f"/students/{student.student_id}/history")).json()["items"]
        assert history[0]["traces"] == 1
        trends = (await key.get(f"/students/{student.student_id}/trends")).json()
        scores.append(trends["weeks"][-1]["process_score"])
    assert scores == [82.2, 64.4]  # half of the steps stuck: no persistence, though one state more


async def test_12_what_has_a_column_is_written_and_written_again(make: Make) -> None:
    key, session = await make.key(), await make.session()
    for level in (0.2, 0.6, 0.9):
        await key.patch(f"/sessions/{session.id}", json={"cognitive_status": {"autonomy_level": level}})
        seen = (await key.get(f"/sessions/{session.id}")).json()["cognitive_status"]
        assert seen["autonomy_level"] == level
    dimensions = {name: {"said": name} for name in SUMMARIES.values()}
    made = await key.post(f"/sessions/{session.id}/traces", json=STEP | dimensions)
    assert dimensions.items() <= (await key.get(f"/traces/{made.json()['id']}")).json().items()


async def test_13_the_share_of_the_ai_and_the_metadata_reach_the_rules_and_the_row(make: Make) -> None:
    key, session = await make.key(), await make.session()
    steps = [STEP | {"content": f"Step {n}", "ai_involvement": 0.9, "metadata": {"n": n}} for n in range(6)]
    created = (await key.post(f"/sessions/{session.id}/traces/batch", json=steps)).json()["items"]
    assert (await key.get(f"/traces/{created[3]['id']}")).json()["metadata"] == {"n": 3}
    found = (await key.post(f"/sessions/{session.id}/risks/analyze")).json()["items"]
    assert "ai_dependency" in {one["rule"] for one in found}


async def test_14_a_second_analysis_finds_the_same_under_ids_of_their_own(make: Make) -> None:
    key, session = await make.key(), await make.session()
    await make.trace(session, content="Give me the complete solution")
    first, second = [(await key.post(f"/sessions/{session.id}/risks/analyze")).json() for _ in range(2)]
    assert (first["new"] > 0, second["new"]) == (True, 0)
    assert [one["id"] for one in second["items"]] == [one["id"] for one in first["items"]]
    assert all(UUID(one["id"]) for one in first["items"])


async def test_15_an_alert_that_is_acknowledged_is_one_and_says_whose_it_is(make: Make) -> None:
    course = await make.course()
    teacher, student = await make.teacher(course=course), await make.student(course=course)
    session = await make.session(student, course_id=course)
    await make.risk(session, risk_level="critical")
    alert = (await teacher.get("/alerts/live")).json()["items"][0]
    assert alert["student_id"] == student.student_id
    body = {"student_id": student.student_id, "alert_id": alert["id"]}
    made = (await teacher.post("/interventions", json=body)).json()
    assert (made["student_id"], made["session_id"]) == (student.student_id, str(session.id))
    invented = await teacher.post("/interventions", json=body | {"alert_id": f"alert_{uuid4()}"})
    assert invented.status_code == 404


def test_16_a_foreign_key_has_the_type_of_its_target_and_a_table_one_class() -> None:
    for table in tables.metadata.tables.values():
        for key in table.foreign_keys:
            here, there = key.parent.type, key.column.type
            assert (type(here), getattr(here, "length", None)) == (type(there), getattr(there, "length", None)), key
    mapped = [mapper.local_table for mapper in Base.registry.mappers]
    assert len(mapped) == len(set(mapped)) == len(tables.metadata.tables)
    assert "expected" in tables.metadata.tables["exercise_tests"].c


async def test_17_a_unit_s_number_is_free_again_once_it_is_deleted(make: Make) -> None:
    teacher = await make.teacher()
    await teacher.post("/subjects", json={"code": "PY", "name": "Python", "language": "python"})
    unit = {"numero": 1, "titulo": "Unit"}
    first = await teacher.post("/subjects/PY/unidades", json=unit)
    assert (await teacher.post("/subjects/PY/unidades", json=unit)).status_code == 409
    assert (await teacher.delete(f"/unidades/{first.json()['id']}")).status_code == 204
    assert (await teacher.post("/subjects/PY/unidades", json=unit)).status_code == 201
    for name in ("unidades", "apuntes", "archivos_adjuntos"):
        assert isinstance(tables.metadata.tables[name].c.id.type, Uuid)


def is_partial(index: Any) -> bool:
    """Whether the index holds some of the rows only, and so cannot stand in for another."""
    return any(name.endswith("_where") for name in index.get("dialect_options", {}))


async def live_indexes(database: Database) -> dict[str, list[tuple[str | None, ...]]]:
    def read(connection: Connection) -> dict[str, list[tuple[str | None, ...]]]:
        inspector = inspect(connection)
        found: dict[str, list[tuple[str | None, ...]]] = defaultdict(list)
        for table in inspector.get_table_names():
            whole = [index for index in inspector.get_indexes(table) if not is_partial(index)]
            found[table] = [tuple(index["column_names"]) for index in whole]
            found[table].append(tuple(inspector.get_pk_constraint(table)["constrained_columns"]))
        return found

    async with database.engine.connect() as connection:
        return await connection.run_sync(read)


async def test_18_the_schema_with_all_its_indexes_is_created_on_both_databases(database: Database) -> None:
    live = await live_indexes(database)
    assert set(tables.metadata.tables) <= set(live)
    if database.is_sqlite:
        return
    async with database.engine.connect() as connection:
        gin = await connection.execute(text("SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%USING gin%'"))
        assert all("json" not in row[0] or "jsonb" in row[0] for row in gin)


def test_19_all_documents_are_of_one_type_and_all_times_of_another() -> None:
    columns = [column for table in tables.metadata.tables.values() for column in table.columns]
    documents = [column.type for column in columns if isinstance(column.type, JSON)]
    assert len(documents) > 50
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    assert all("JSONB" in str(type_.compile(dialect)) for type_ in documents)
    times = [column.type for column in columns if "TIMESTAMP" in str(column.type.compile(dialect))]
    assert len(times) > 70
    assert all(isinstance(type_, UtcDateTime) for type_ in times)


async def test_20_no_index_is_the_beginning_of_another(database: Database) -> None:
    for table, indexes in (await live_indexes(database)).items():
        repeated = [
            (short, long)
            for place, short in enumerate(indexes)
            for other, long in enumerate(indexes)
            if place != other and short == long[: len(short)] and (len(short) < len(long) or place < other)
        ]
        assert repeated == [], table


async def test_21_what_hangs_on_an_activity_a_session_and_a_teacher_survives_or_goes_as_it_should(make: Make) -> None:
    admin, teacher = await make.admin(), await make.teacher()
    student, activity = await make.student(), await make.activity()
    session = await make.session(student, activity_id=activity.activity_id)
    body = {"student_id": student.student_id, "session_id": str(session.id)}
    intervention = (await admin.post("/interventions", json=body)).json()["id"]
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        async with make.database.unit() as unit:
            await unit.execute(text("DELETE FROM activities"))
    assert (await admin.delete(f"/sessions/{session.id}")).status_code == 204
    assert (await admin.get(f"/interventions/{intervention}")).json()["session_id"] is None
    assert (await admin.delete(f"/users/{teacher.id}")).status_code == 204


async def test_22_a_unit_of_work_that_fails_late_leaves_nothing(make: Make) -> None:
    course = await make.course()
    teacher, session = await make.teacher(course=course), await make.session(course_id=course)
    steps = [STEP | {"session_id": str(session.id)}, STEP | {"session_id": str(uuid4())}]
    key = await make.key()
    refused = await key.post("/traces/batch?atomic=true", json=steps)
    assert (refused.status_code, refused.json()["code"]) == (422, "BATCH_REJECTED")
    assert (await teacher.get(f"/sessions/{session.id}")).json()["trace_count"] == 0


def test_23_every_table_of_the_audit_is_reached_through_a_repository() -> None:
    create_app  # noqa: B018 - imports every package
    reached = {kind.model.__tablename__ for kind in subclasses(Repository) if hasattr(kind, "model")}
    assert set(AUDITED) - reached == {"rubric_levels"}  # they are written and read with their criterion


CHOICES = sorted(subclasses(Choice), key=str)


@pytest.mark.parametrize("kind", CHOICES, ids=[kind.__name__ for kind in CHOICES])
def test_24_an_enumeration_is_stored_in_one_way_however_it_comes_in(kind: type[Choice]) -> None:
    for choice in kind:
        assert {kind(choice.upper()), kind(choice.lower()), kind(choice.title())} == {choice}
    assert {SessionMode.TUTOR.value, InterviewType.DESIGN.value, IncidentType.DATABASE.value} == {
        "tutor",
        "DESIGN",
        "DATABASE",
    }

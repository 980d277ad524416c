"""The schema: its tables, types, checks, relationships and triggers, as the live databases have them."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, delete, func, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import RelationshipProperty, configure_mappers, selectinload

from cortez import tables
from cortez.accounts.models import User
from cortez.activities.models import Activity
from cortez.clock import utc_now
from cortez.content.models import Apuntes, ArchivoAdjunto, Subject, Unidad
from cortez.core.db.base import Base
from cortez.core.db.engine import Database
from cortez.evaluations.models import Evaluation
from cortez.exercises.models import (
    Exercise,
    ExerciseAttempt,
    ExerciseHint,
    ExerciseTest,
    RubricCriterion,
    RubricLevel,
)
from cortez.git.models import GitTrace
from cortez.lti.models import LtiDeployment, LtiSession
from cortez.oversight.models import RemediationPlan, RiskAlert, TeacherIntervention
from cortez.profiles.models import StudentProfile
from cortez.reports.models import CourseReport
from cortez.risks.models import Risk
from cortez.sequences.models import TraceSequence
from cortez.sessions.models import LearningSession
from cortez.simulators.models import IncidentSimulation, InterviewSession, SimulatorEvent
from cortez.traces.models import CognitiveTrace
from factory import Make

AUDITED = """sessions cognitive_traces trace_sequences users activities risks evaluations subjects exercises
exercise_hints exercise_tests exercise_attempts exercise_rubric_criteria rubric_levels unidades apuntes
archivos_adjuntos interview_sessions incident_simulations simulator_events course_reports remediation_plans risk_alerts
teacher_interventions git_traces lti_deployments lti_sessions student_profiles""".split()

SOFT_DELETED = ("exercises", "unidades", "apuntes", "archivos_adjuntos")


async def live_columns(database: Database, table: str) -> dict[str, Any]:
    def read(connection: Connection) -> dict[str, Any]:
        return {column["name"]: column for column in inspect(connection).get_columns(table)}

    async with database.engine.connect() as connection:
        return await connection.run_sync(read)


async def live_indexes(database: Database, table: str) -> dict[str, list[str | None]]:
    def read(connection: Connection) -> dict[str, list[str | None]]:
        return {str(index["name"]): index["column_names"] for index in inspect(connection).get_indexes(table)}

    async with database.engine.connect() as connection:
        return await connection.run_sync(read)


@pytest.mark.requirement("M1")
async def test_the_28_tables_of_the_audit_exist(database: Database) -> None:
    async with database.engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert len(AUDITED) == 28
    assert set(AUDITED) <= set(names)


@pytest.mark.requirement("M2")
async def test_a_dictionary_of_a_row_leaves_secrets_out_unless_asked(make: Make) -> None:
    await make.student()
    user = (await make.all(User))[0]
    assert "hashed_password" not in user.to_dict()
    assert user.to_dict(include_sensitive=True)["hashed_password"] == "!"
    assert user.to_dict()["id"] == user.id


@pytest.mark.requirement("M2")
@pytest.mark.parametrize(
    "model",
    sorted((mapper.class_ for mapper in Base.registry.mappers), key=str),
    ids=lambda model: model.__name__,
)
def test_every_table_has_a_uuid_key_and_both_stamps(model: type[Base]) -> None:
    columns = model.__table__.columns
    assert {"id", "created_at", "updated_at"} <= set(columns.keys())
    assert columns["id"].type.python_type is UUID


@pytest.mark.requirement("M3")
def test_every_relationship_names_its_other_side_and_loads_only_when_asked() -> None:
    configure_mappers()
    for mapper in Base.registry.mappers:
        for relation in mapper.relationships:
            assert isinstance(relation, RelationshipProperty)
            assert relation.back_populates, relation
            assert relation.lazy == "raise", relation
            owned = relation.uselist and relation.cascade.delete_orphan
            assert not owned or relation.passive_deletes, relation


@pytest.mark.requirement("M3")
def test_every_foreign_key_says_what_happens_on_delete() -> None:
    for table in tables.metadata.tables.values():
        for key in table.foreign_keys:
            assert key.ondelete in {"CASCADE", "SET NULL", "RESTRICT"}, key


@pytest.mark.requirement("M4")
async def test_every_check_of_the_models_is_named_and_in_the_live_database(database: Database) -> None:
    def read(connection: Connection) -> set[str]:
        found = inspect(connection)
        return {str(check["name"]) for table in tables.metadata.tables for check in found.get_check_constraints(table)}

    async with database.engine.connect() as connection:
        live = await connection.run_sync(read)
    declared = {
        str(check.name) for table in tables.metadata.tables.values() for check in table.constraints if check.name
    }
    checks = {name for name in declared if name.startswith(("ck_", "check_"))}
    assert checks == live
    assert len(checks) > 70


@pytest.mark.requirement("M4")
@pytest.mark.parametrize(
    ("model", "column", "value"),
    [
        (LearningSession, "status", "finished"),
        (LearningSession, "mode", "TUTOR"),
        (CognitiveTrace, "interaction_type", "QUESTION"),
        (CognitiveTrace, "ai_involvement", 1.01),
        (CognitiveTrace, "ai_involvement", -0.01),
        (Activity, "difficulty", "inicial"),
        (Activity, "estimated_duration_minutes", 0),
    ],
)
async def test_the_database_itself_refuses_values(make: Make, model: Any, column: str, value: object) -> None:
    await make.trace(await make.session())
    with pytest.raises(IntegrityError):
        async with make.database.unit() as session:
            await session.execute(update(model).values({column: value}))


@pytest.mark.requirement("M4")
async def test_a_file_has_exactly_one_parent(make: Make) -> None:
    file = {"nombre_original": "a.pdf", "nombre_almacenado": "a", "tipo_archivo": "pdf", "mime_type": "application/pdf"}
    with pytest.raises(IntegrityError):
        await make.add(ArchivoAdjunto(**file, tamano_bytes=1, ruta_relativa="a"))


@pytest.mark.requirement("M5")
async def test_documents_come_back_as_they_went(make: Make) -> None:
    document = {"b": [1, 2.5, None, True], "a": {"ñ": "✓ \\u0000"}, "": {}}
    trace = await make.trace(await make.session(), semantic_understanding=document)
    read = (await make.all(CognitiveTrace))[0]
    assert read.semantic_understanding == document
    assert read.id == trace.id


@pytest.mark.requirement("M5")
async def test_documents_are_jsonb_on_postgresql(database: Database) -> None:
    if database.is_sqlite:
        assert str((await live_columns(database, "evaluations"))["dimensions"]["type"]) == "JSON"
        return
    for table in tables.metadata.tables.values():
        columns = await live_columns(database, table.name)
        assert not [name for name, column in columns.items() if str(column["type"]) == "JSON"], table.name


@pytest.mark.requirement("M8")
@pytest.mark.requirement("HIGH-ORM-003")
async def test_the_context_of_an_alert_is_a_document_and_null_is_null(make: Make) -> None:
    context = {"alert": {"severity": "high"}, "values": [0.7]}
    await make.add(TeacherIntervention(student_id="s", alert_context=context))
    await make.add(TeacherIntervention(student_id="t", alert_context=None))
    async with make.database.reading() as session:
        empty = TeacherIntervention.alert_context.is_(None)
        assert list(await session.scalars(select(TeacherIntervention.student_id).where(empty))) == ["t"]
        assert await session.scalar(select(TeacherIntervention.alert_context).where(~empty)) == context


@pytest.mark.requirement("HIGH-ORM-002")
async def test_booleans_are_compared_as_booleans(make: Make) -> None:
    await make.student()
    await make.student(is_active=False)
    async with make.database.reading() as session:
        assert await session.scalar(select(func.count()).where(User.is_active.is_(True))) == 1
        assert await session.scalar(select(func.count()).where(User.is_active.is_(False))) == 1


@pytest.mark.requirement("CRIT-ORM-001")
async def test_exercises_have_both_indexes_on_deleted_at(database: Database) -> None:
    indexes = await live_indexes(database, "exercises")
    assert indexes["idx_exercises_deleted"] == ["deleted_at"]
    assert indexes["idx_exercises_active_deleted"] == ["is_active", "deleted_at"]


@pytest.mark.requirement("CRIT-MIG-001")
@pytest.mark.parametrize("table", SOFT_DELETED)
async def test_soft_deleted_tables_have_their_column_and_index(database: Database, table: str) -> None:
    assert (await live_columns(database, table))["deleted_at"]["nullable"]
    assert f"idx_{table}_deleted" in await live_indexes(database, table)


@pytest.mark.requirement("M1")
async def test_times_are_aware_and_utc_and_a_naive_one_is_refused(make: Make) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=-3)))
    await make.session(start_time=noon)
    assert (await make.all(LearningSession))[0].start_time == datetime(2026, 3, 1, 15, tzinfo=UTC)
    with pytest.raises((StatementError, ValueError), match="offset"):
        await make.session(start_time=datetime(2026, 3, 1, 12))  # noqa: DTZ001 - that is the point


async def counts(database: Database) -> list[int]:
    """Sessions' counters, after checking each against its traces."""
    real = select(func.count()).where(CognitiveTrace.session_id == LearningSession.id).scalar_subquery()
    async with database.reading() as session:
        rows = list(
            await session.execute(select(LearningSession.trace_count, real).order_by(LearningSession.created_at))
        )
    assert [row[0] for row in rows] == [row[1] for row in rows]
    return [row[0] for row in rows]


@pytest.mark.requirement("M9")
@pytest.mark.requirement("G2")
async def test_trace_count_is_exact_after_inserts_moves_and_deletes(make: Make) -> None:
    first, second = await make.session(), await make.session()
    traces = [await make.trace(first) for _ in range(3)]
    assert await counts(make.database) == [3, 0]
    async with make.database.unit() as session:
        await session.execute(
            update(CognitiveTrace).where(CognitiveTrace.id == traces[0].id).values(session_id=second.id)
        )
    assert await counts(make.database) == [2, 1]
    async with make.database.unit() as session:
        await session.execute(delete(CognitiveTrace).where(CognitiveTrace.session_id == first.id))
    assert await counts(make.database) == [0, 1]


@pytest.mark.requirement("M9")
async def test_trace_counts_stay_exact_under_parallel_batches_into_the_same_and_other_sessions(make: Make) -> None:
    tutor = await make.key()
    sessions = [await make.session() for _ in range(4)]

    def batch(offset: int) -> list[dict[str, str]]:
        ids = [str(sessions[(offset + step) % 4].id) for step in range(20)]
        return [{"session_id": id_, "interaction_type": "ai_response", "content": "x"} for id_ in ids]

    answers = await asyncio.gather(*[tutor.post("/traces/batch", json=batch(offset)) for offset in range(12)])
    assert [answer.json().get("created") for answer in answers] == [20] * 12
    assert await counts(make.database) == [60] * 4


@pytest.mark.requirement("M9")
async def test_truncating_traces_is_refused(database: Database) -> None:
    if database.is_sqlite:
        return  # SQLite has no TRUNCATE, and its DELETE without WHERE fires the triggers
    with pytest.raises(DBAPIError, match="TRUNCATE"):
        async with database.unit() as session:
            await session.execute(text("TRUNCATE cognitive_traces CASCADE"))


async def everything(make: Make) -> tuple[User, LearningSession]:
    """One row in every table that hangs on a session or a user."""
    teacher = await make.teacher()
    student = await make.student()
    activity = await make.activity(teacher_id=teacher.id)
    session = await make.session(student, activity_id=activity.activity_id)
    parent = await make.trace(session)
    await make.trace(session, parent_trace_id=parent.id)
    own: dict[str, Any] = {"session_id": session.id, "student_id": student.student_id}
    both = own | {"activity_id": activity.activity_id}
    await make.add(
        TraceSequence(**both),
        Risk(**both, risk_type="plagiarism", risk_level="low", dimension="ethical", description="d"),
        Evaluation(**both, overall_competency_level="inicial", overall_score=1),
        GitTrace(
            **both,
            event_type="commit",
            commit_hash="a" * 40,
            commit_message="m",
            author_name="n",
            author_email="e",
            timestamp=utc_now(),
            branch_name="main",
        ),
        InterviewSession(**own, interview_type="DESIGN"),
        IncidentSimulation(**own, incident_type="DATABASE", incident_description="d"),
        SimulatorEvent(**own, simulator_type="client", event_type="backlog_created"),
        TeacherIntervention(**own, teacher_id=teacher.id),
        StudentProfile(student_id=student.student_id, user_id=student.id),
        CourseReport(
            course_id="c",
            teacher_id=teacher.id,
            report_type="cohort_summary",
            period_start=utc_now(),
            period_end=utc_now() + timedelta(days=1),
            summary_stats={},
            competency_distribution={},
            risk_distribution={},
        ),
    )
    plan = RemediationPlan(
        student_id=student.student_id,
        teacher_id=teacher.id,
        plan_type="tutoring",
        description="d",
        start_date=utc_now(),
        target_completion_date=utc_now(),
    )
    alert: dict[str, Any] = {"alert_type": "pattern_anomaly", "severity": "low", "scope": "student", "title": "t"}
    await make.add(
        plan,
        RiskAlert(
            **alert,
            description="d",
            detection_rule="r",
            assigned_to=teacher.id,
            acknowledged_by=teacher.id,
            remediation_plan=plan,
        ),
        Subject(code="PROG", name="Programming", language="python"),
    )
    platform = {"platform_name": "Moodle", "issuer": "i", "client_id": "c", "deployment_id": "d"}
    deployment = LtiDeployment(**platform, auth_login_url="l", auth_token_url="t", public_keyset_url="k")
    await make.add(deployment)
    await make.add(LtiSession(deployment=deployment, lti_user_id="u", resource_link_id="r", session_id=session.id))
    exercise = Exercise(
        subject_code="PROG",
        title="t",
        difficulty="Easy",
        time_min=1,
        language="python",
        mission_markdown="m",
        starter_code="s",
    )
    criterion = RubricCriterion(exercise=exercise, criterion_name="c", weight=1, display_order=1)
    unidad = Unidad(materia_code="PROG", numero=1, titulo="t")
    apuntes = Apuntes(unidad=unidad, titulo="t", contenido_markdown="m")
    file = {"nombre_original": "a", "nombre_almacenado": "a", "tipo_archivo": "pdf", "mime_type": "m"}
    await make.add(
        exercise,
        ExerciseHint(exercise=exercise, hint_number=1, content="c"),
        ExerciseTest(exercise=exercise, test_number=1, input="i", expected="e"),
        ExerciseAttempt(exercise=exercise, **own, submitted_code="c"),
        criterion,
        RubricLevel(criterion=criterion, level_name="Bueno", description="d", min_score=0, max_score=10, points=1),
        unidad,
        apuntes,
        ArchivoAdjunto(**file, tamano_bytes=1, ruta_relativa="a", unidad=unidad),
        ArchivoAdjunto(**file, tamano_bytes=1, ruta_relativa="b", apuntes=apuntes),
    )
    async with make.database.reading() as reader:
        user = (await reader.scalars(select(User).where(User.id == teacher.id))).one()
    return user, session


async def remaining(database: Database) -> dict[str, int]:
    async with database.reading() as session:
        return {
            name: await session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in tables.metadata.tables.items()
        }


ON_SESSION = """cognitive_traces trace_sequences risks evaluations git_traces interview_sessions incident_simulations
simulator_events lti_sessions exercise_attempts""".split()
ON_SUBJECT = """exercises exercise_hints exercise_tests exercise_attempts exercise_rubric_criteria rubric_levels
unidades apuntes archivos_adjuntos""".split()


async def drop(database: Database, model: type[Base]) -> dict[str, int]:
    """Delete every row of the model by plain SQL, so that only the database's own rules act; what remains where."""
    async with database.unit() as session:
        await session.execute(text(f"DELETE FROM {model.__tablename__}"))
    return await remaining(database)


@pytest.mark.requirement("L3")
@pytest.mark.requirement("M3")
@pytest.mark.parametrize(
    ("parent", "gone"),
    [
        (LearningSession, ON_SESSION),
        (Subject, ON_SUBJECT),
        (Exercise, ON_SUBJECT[1:6]),
        (RubricCriterion, ["rubric_levels"]),
        (Unidad, ["apuntes", "archivos_adjuntos"]),
        (LtiDeployment, ["lti_sessions"]),
    ],
    ids=lambda value: getattr(value, "__tablename__", ""),
)
async def test_children_go_with_their_parent(make: Make, parent: type[Base], gone: list[str]) -> None:
    await everything(make)
    before = await remaining(make.database)
    assert all(before[name] for name in gone)
    after = await drop(make.database, parent)
    changed = {name for name in before if before[name] and not after[name]}
    assert changed == {parent.__tablename__, *gone}


@pytest.mark.requirement("L3")
async def test_notes_take_their_own_files_along_and_leave_the_units(make: Make) -> None:
    await everything(make)
    await drop(make.database, Apuntes)
    assert [file.unidad_id is not None for file in await make.all(ArchivoAdjunto)] == [True]


@pytest.mark.requirement("L3")
async def test_an_intervention_survives_its_session(make: Make) -> None:
    await everything(make)
    await drop(make.database, LearningSession)
    assert [row.session_id for row in await make.all(TeacherIntervention)] == [None]


SET_NULL: list[tuple[type[Base], str]] = [
    (LearningSession, "user_id"),
    (Activity, "teacher_id"),
    (TeacherIntervention, "teacher_id"),
    (CourseReport, "teacher_id"),
    (RemediationPlan, "teacher_id"),
    (RiskAlert, "assigned_to"),
    (RiskAlert, "acknowledged_by"),
    (StudentProfile, "user_id"),
]


@pytest.mark.requirement("L3")
@pytest.mark.parametrize(("model", "column"), SET_NULL, ids=lambda value: getattr(value, "__tablename__", value))
async def test_what_a_user_left_behind_survives_the_user(make: Make, model: type[Base], column: str) -> None:
    await everything(make)
    await drop(make.database, User)
    assert [getattr(row, column) for row in await make.all(model)] == [None]


@pytest.mark.requirement("L3")
async def test_an_alert_survives_its_plan_and_a_trace_its_parent(make: Make) -> None:
    await everything(make)
    await drop(make.database, RemediationPlan)
    assert [row.remediation_plan_id for row in await make.all(RiskAlert)] == [None]
    async with make.database.unit() as session:
        await session.execute(delete(CognitiveTrace).where(CognitiveTrace.parent_trace_id.is_(None)))
    assert [row.parent_trace_id for row in await make.all(CognitiveTrace)] == [None]


@pytest.mark.requirement("L3")
async def test_an_activity_with_sessions_cannot_go(make: Make) -> None:
    await make.session()
    with pytest.raises(IntegrityError):
        await drop(make.database, Activity)
    with pytest.raises(IntegrityError):
        await make.session(activity_id="nowhere")


@pytest.mark.requirement("M3")
async def test_owned_collections_follow_their_owner_in_the_session_too(make: Make) -> None:
    session = await make.session()
    await make.trace(session)
    async with make.database.unit() as unit:
        statement = select(LearningSession).options(selectinload(LearningSession.traces))
        found = (await unit.scalars(statement)).one()
        found.traces.clear()
    assert await make.all(CognitiveTrace) == []
    assert await counts(make.database) == [0]


async def test_ids_are_time_ordered(make: Make) -> None:
    made = [await make.session() for _ in range(3)]
    assert sorted(session.id for session in made) == [session.id for session in made]
    assert all(session.id.version == 7 for session in made)

"""A student of whom something is said in every kind of place."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update

from cortez import tables
from cortez.accounts.models import User
from cortez.clock import utc_now
from cortez.exercises.models import ExerciseAttempt, HintReveal
from cortez.lti.models import LtiDeployment, LtiSession
from cortez.oversight.models import RemediationPlan, RiskAlert, TeacherIntervention
from cortez.reports.models import CourseReport
from cortez.risks.models import Risk
from cortez.sessions.models import LearningSession
from cortez.simulators.models import IncidentSimulation, InterviewSession, SimulatorEvent
from cortez.traces.models import CognitiveTrace
from factory import Group, Make

WORDS = [
    f"planted-{place}"
    for place in (
        "name mail trace metadata justification session commit author diff risk resolution evaluation strength answer "
        "incident event code stderr plan intervention alert lti list stored sequence"
    ).split()
]


async def plant(make: Make, group: Group) -> None:
    """Each of WORDS once, in the student's rows, and in a report on the course and a key's stored answer."""
    student, session = group.student.student_id, group.session
    of = {"session_id": session.id, "student_id": student}
    now = utc_now()
    async with make.database.unit() as unit:
        account = {"full_name": "planted-name", "email": "planted-mail@example.edu", "is_verified": True}
        await unit.execute(update(User).where(User.id == group.student.id).values(account))
        goal = {"learning_objective": {"title": "planted-session"}}
        await unit.execute(update(LearningSession).where(LearningSession.id == session.id).values(goal))
    await make.trace(
        session,
        content="planted-trace",
        trace_metadata={"deep": ["planted-metadata"]},
        decision_justification="planted-justification",
    )
    names = {"author_name": "planted-author", "author_email": "a@example.edu", "diff": "planted-diff"}
    await make.git_trace(session, commit_message="planted-commit", **names)
    await make.risk(session, description="planted-risk", resolution_notes="planted-resolution", resolved=True)
    await make.evaluation(session, dimensions=[{"name": "planted-evaluation"}], key_strengths=["planted-strength"])
    await make.sequence(session, semantic_summary={"said": "planted-sequence"})
    exercise = await make.exercise()
    attempt = {"exercise_id": exercise.id, "submitted_code": "planted-code", "stderr": "planted-stderr"}
    plan = {"plan_type": "tutoring", "description": "planted-plan", "start_date": now}
    alert = {"alert_type": "pattern_anomaly", "severity": "low", "scope": "student", "detection_rule": "x"}
    deployment = LtiDeployment(
        platform_name="Moodle",
        issuer="https://lms.example.edu",
        client_id="1",
        deployment_id="1",
        auth_login_url="https://lms.example.edu",
        auth_token_url="https://lms.example.edu",
        public_keyset_url="https://lms.example.edu",
    )
    await make.add(
        InterviewSession(**of, interview_type="DESIGN", responses=[{"text": "planted-answer"}]),
        IncidentSimulation(**of, incident_type="DATABASE", incident_description="planted-incident"),
        SimulatorEvent(**of, simulator_type="client", event_type="x", event_data={"said": "planted-event"}),
        ExerciseAttempt(**of, **attempt, score=7.5, status="PASS"),
        HintReveal(student_id=student, exercise_id=exercise.id, penalty=5),
        RemediationPlan(student_id=student, teacher_id=group.teacher.id, **plan, target_completion_date=now),
        TeacherIntervention(student_id=student, teacher_id=group.teacher.id, notes="planted-intervention"),
        RiskAlert(student_id=student, course_id="c", title="planted-alert", description="x", **alert),
        deployment,
    )
    await make.add(
        LtiSession(
            deployment_id=deployment.id,
            session_id=session.id,
            lti_user_id="u-17",
            lti_user_name="planted-lti",
            resource_link_id="r",
        ),
        CourseReport(
            course_id="c",
            report_type="cohort_summary",
            period_start=now - timedelta(days=1),
            period_end=now,
            summary_stats={"students": 2, "traces": 40},
            competency_distribution={},
            risk_distribution={},
            student_summaries=[
                {"student_id": student, "traces": 10, "note": "planted-list"},
                {"student_id": "somebody else", "traces": 30},
            ],
            at_risk_students=[student, "somebody else"],
        ),
    )
    step = {"interaction_type": "student_prompt", "content": "planted-stored"}
    writer = await make.key("traces")
    kept = await writer.post(f"{group.path}/traces", json=step, headers={"Idempotency-Key": "k-1"})
    assert kept.status_code == 201, kept.text


async def everything(make: Make) -> str:
    """Every value of every column of every table, as text."""
    found = []
    async with make.database.reading() as session:
        for table in tables.metadata.sorted_tables:
            for row in await session.execute(select(table)):
                found += [value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row]
    return "\n".join(found)


async def figures(make: Make) -> list[Any]:
    """What statistics are made of."""
    steps = select(func.count(), func.sum(CognitiveTrace.ai_involvement), func.max(CognitiveTrace.occurred_at))
    statements = (
        steps,
        select(CognitiveTrace.interaction_type, func.count()).group_by(CognitiveTrace.interaction_type),
        select(LearningSession.activity_id, LearningSession.trace_count, LearningSession.start_time),
        select(func.count(func.distinct(LearningSession.student_id))),
        select(Risk.dimension, Risk.risk_level, func.count()).group_by(Risk.dimension, Risk.risk_level),
        select(ExerciseAttempt.score, ExerciseAttempt.status),
        select(CourseReport.summary_stats),
    )
    async with make.database.reading() as session:
        return [sorted(map(str, (await session.execute(statement)).all())) for statement in statements]

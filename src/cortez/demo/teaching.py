"""What teachers, simulators and the platform add to the demo course once the sessions are there."""

from datetime import timedelta
from uuid import uuid5

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.clock import utc_now
from cortez.core.security.principal import SYSTEM, Principal
from cortez.demo.model import WEEKS, Student
from cortez.lti.models import LtiDeployment, LtiSession
from cortez.lti.repository import DeploymentRepository, LaunchRepository
from cortez.oversight.live import snapshot
from cortez.oversight.models import PlanType, RemediationPlan, RiskAlert, TeacherIntervention
from cortez.oversight.repository import SPAN, AlertRepository, InterventionRepository, PlanRepository
from cortez.oversight.scan import Scan
from cortez.reports.models import ReportType
from cortez.reports.repository import ReportRepository
from cortez.reports.schemas import ReportIn
from cortez.sessions.models import LearningSession, SessionStatus, SimulatorType
from cortez.sessions.repository import SessionRepository
from cortez.simulators.models import IncidentSimulation, InterviewSession
from cortez.simulators.repository import EventRepository, IncidentRepository, InterviewRepository, keys_of
from cortez.simulators.schemas import EventIn

PLATFORM = {
    "platform_name": "Moodle",
    "issuer": "https://moodle.example.edu",
    "client_id": "cortez-demo",
    "deployment_id": "1",
    "auth_login_url": "https://moodle.example.edu/mod/lti/auth.php",
    "auth_token_url": "https://moodle.example.edu/mod/lti/token.php",
    "public_keyset_url": "https://moodle.example.edu/mod/lti/certs.php",
}


async def teach(session: AsyncSession, teacher: Principal, course_id: str, students: list[Student]) -> None:
    """Once: nothing where the platform is there already."""
    if await session.scalar(select(LtiDeployment.id).where(LtiDeployment.issuer == PLATFORM["issuer"])):
        return
    active = (
        SessionRepository(session, SYSTEM)
        .select()
        .where(LearningSession.course_id == course_id, LearningSession.status == SessionStatus.ACTIVE)
    )
    working = list(await session.scalars(active.order_by(LearningSession.student_id)))
    await simulate(session, *working)
    await launch(session, working, students)
    await look_after(session, teacher, course_id)


async def simulate(session: AsyncSession, *working: LearningSession) -> None:
    """Somebody is interviewed, somebody looks for the cause of an incident, somebody talks to a client."""
    interviewed, on_call, talking = working
    interviews = InterviewRepository(session, SYSTEM)
    interview = await interviews.add(InterviewSession(**keys_of(interviewed), interview_type="DESIGN"))
    await interviews.ask(interview, {"question": "¿Por qué una cola y no una pila?", "expected_key_points": ["orden"]})
    await interviews.answer(interview, {"response": "Porque quiero atender primero a quien llegó primero."})
    await interviews.end(interview, {"evaluation_score": 0.8, "feedback": "Clara y con un ejemplo."})
    incidents = IncidentRepository(session, SYSTEM)
    described = {"incident_type": "DATABASE", "incident_description": "Las consultas tardan diez veces más que ayer."}
    incident = await incidents.add(IncidentSimulation(**keys_of(on_call), **described))
    await incidents.diagnose(incident, {"action": "Miré el plan de la consulta", "finding": "Recorre toda la tabla"})
    found = {"solution_proposed": "Crear el índice que falta", "root_cause_identified": "Se borró un índice"}
    await incidents.end(incident, found)
    names = ("backlog_created", "technical_decision_made", "deployment_completed")
    said = [
        EventIn(
            id=uuid5(talking.id, name), event_type=name, simulator_type=SimulatorType.CLIENT, event_data={"items": 3}
        )
        for name in names
    ]
    await EventRepository(session, SYSTEM).store(talking, said)


async def launch(session: AsyncSession, working: list[LearningSession], students: list[Student]) -> None:
    """The sessions that are going began with a click in the platform."""
    deployment = await DeploymentRepository(session, SYSTEM).add(LtiDeployment(**PLATFORM))
    named = {student.student_id: student.name for student in students}
    for one in working:
        await LaunchRepository(session, SYSTEM).add(
            LtiSession(
                deployment_id=deployment.id,
                session_id=one.id,
                lti_user_id=one.student_id,
                lti_user_name=named[one.student_id],
                resource_link_id=one.activity_id,
            )
        )


async def look_after(session: AsyncSession, teacher: Principal, course_id: str) -> None:
    """A scan; for the first alert on a student a plan and an intervention; a report of the term."""
    alerts = AlertRepository(session, teacher)
    await Scan(alerts).run(course_id)
    about = alerts.select().where(RiskAlert.student_id.is_not(None)).order_by(RiskAlert.student_id, RiskAlert.id)
    alert = await session.scalar(about.limit(1))
    now = utc_now()
    if alert is not None and alert.student_id is not None:
        await PlanRepository(session, teacher).open(
            RemediationPlan(
                student_id=alert.student_id,
                course_id=course_id,
                teacher_id=teacher.id,
                plan_type=PlanType.TUTORING.value,
                description="Dos encuentros para escribir un plan antes de programar.",
                trigger_risks=[],
                objectives=["Escribe el caso base antes del código"],
                start_date=now,
                target_completion_date=now + SPAN,
            )
        )
        await InterventionRepository(session, teacher).add(
            TeacherIntervention(
                student_id=alert.student_id,
                teacher_id=teacher.id,
                alert_id=str(alert.id),
                alert_context=await snapshot(session, teacher, str(alert.id)),
                notes="Conversamos; trae un plan el martes.",
            )
        )
    await ReportRepository(session, teacher).compute(
        ReportIn(
            report_type=ReportType.COHORT_SUMMARY,
            course_id=course_id,
            period_start=now - timedelta(weeks=WEEKS + 1),
            period_end=now,
        )
    )

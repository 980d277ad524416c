"""Two courses side by side with a row of every table: `home`, which the matrix is about, and `far`, which is not.

Texts of home's rows, and of material that is hidden, hold MARK; nothing else does: such an answer tells of them.
"""

import hashlib
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Litestar
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from cortez import tables
from cortez.accounts.models import CourseInvitation, CourseMember, RefreshToken, Role, Scope, User
from cortez.clock import utc_now
from cortez.content.models import SubjectTeacher
from cortez.core.db.base import Base
from cortez.core.security.passwords import Passwords
from cortez.core.security.tokens import digest, new_secret
from cortez.exercises.models import (
    ExerciseAttempt,
)
from cortez.lti.models import LtiDeployment, LtiSession
from cortez.oversight.models import RemediationPlan, RiskAlert, TeacherIntervention
from cortez.profiles.models import StudentProfile
from cortez.profiles.updates import rebuild
from cortez.reports.models import CourseReport
from cortez.sessions.models import LearningSession
from cortez.simulators.models import IncidentSimulation, InterviewSession, SimulatorEvent
from factory import PASSWORD, Make, Someone
from matrix_material import MARK, keep, material
from matrix_table import rows

SCOPES = [scope.value for scope in Scope]
APART = {"audit_log", "audit_seals", "access_log"}  # which note what is read, too
STEPS = 6  # of the student; an evaluation by the rules needs five


class Side:
    """A course: its people by the names of the table, and the places of a path, as `{session_id}`."""

    def __init__(self, name: str, mark: str) -> None:
        self.name, self.mark = name, mark
        self.people: dict[str, Someone] = {}
        self.at: dict[str, str] = {"{course_id}": name}


class World:
    home: Side
    far: Side
    who: dict[str, Someone]
    marks: tuple[str, ...]

    def __init__(self, app: Litestar) -> None:
        self.app = app
        self.at: dict[str, str] = {"{type_}": "client"}


async def world_of(app: Litestar, make: Make) -> World:
    made = World(app)
    await material(make, app.state.settings.files, made.at)
    made.home, made.far = await side(make, made, "home", MARK), await side(make, made, "far", "plain")
    made.at |= made.home.at
    home, far = made.home.people, made.far.people
    made.who = {name: home[name] for name in ("owner", "peer", "guest", "teacher", "assistant", "tutor", "key")}
    made.who |= {"far": far["teacher"], "far_key": far["key"], "admin": await make.admin()}
    made.who |= {"far_tutor": far["tutor"], "far_student": far["owner"]}
    await subject_teachers(make, made)
    await commuter(make, made)
    await others(make, made)
    await revoked(make, made)
    await lesser_keys(make, made)
    hashed = await Passwords(app.state.settings).hash(PASSWORD)
    async with make.database.unit() as session:
        await session.execute(update(User).values(hashed_password=hashed))
    await rebuild(make.database)
    made.marks = (MARK, str(home["owner"].id), made.at["{session_id}"], str(home["key"].id))
    return made


async def people(make: Make, made: Side) -> None:
    """The guest and the assistant hold the roles of teacher and student, and teach a course of their own."""
    course, both, at = made.name, (Role.TEACHER, Role.STUDENT), made.people
    at["owner"] = await make.student(course=course, full_name=made.mark, student_id=f"{made.mark}-{course}")
    for name in ("peer", "teacher", "tutor"):
        role = Role.STUDENT if name == "peer" else Role(name)
        at[name] = await make.user(role, course=course, full_name=made.mark)
    for name, kind in (("guest", "student"), ("assistant", "tutor")):
        own = await make.course(f"{course}-{name}")
        at[name] = await make.user(*both, course=own, student_id=name if course == "home" else None)
        await make.add(CourseMember(course_id=course, user_id=at[name].id, role=kind))
    at["key"] = await make.key(*SCOPES, course_ids=[course])
    made.at["{user_id@peer}"] = str(at["peer"].id)


async def side(make: Make, world: World, name: str, mark: str) -> Side:
    made = Side(name, mark)
    await make.course(name, description=mark)
    await people(make, made)
    teacher = made.people["teacher"].id
    own = {"teacher_id": teacher, "course_id": name}
    for status, key in (("active", name), ("draft", f"{name}-draft"), ("archived", f"{name}-old")):
        title = "Open" if status == "active" else mark
        await make.activity(activity_id=key, status=status, title=title, **own)
    await make.activity(activity_id=f"{name}-loose", teacher_id=teacher)
    made.at |= {"{activity_id}": name, "{activity_id@draft}": f"{name}-draft", "{activity_id@old}": f"{name}-old"}
    await sessions(make, made)
    await platform(make, made)
    await hanging(make, world, made)
    await oversight(make, made)
    return made


async def sessions(make: Make, made: Side) -> None:
    owner, name = made.people["owner"], made.name
    goal = {"learning_objective": {"text": made.mark}}
    kinds: dict[str, dict[str, Any]] = {
        "": {"activity_id": name, "course_id": name},
        "@paused": {"activity_id": name, "course_id": name, "status": "paused"},
        "@old": {"activity_id": f"{name}-old", "course_id": name, "status": "completed", "end_time": utc_now()},
        "@loose": {"activity_id": f"{name}-loose"},
    }
    for kind, values in kinds.items():
        session = await make.session(owner, **goal, **values)
        made.at[f"{{session_id{kind}}}"] = str(session.id)
        await make.trace(session, content=made.mark)
    made.at["{student_id}"] = owner.student_id
    profile = StudentProfile(student_id=owner.student_id, user_id=owner.id, name=made.mark)
    guest = made.people["guest"].student_id
    await make.add(profile, *([StudentProfile(student_id=guest)] if guest else []))


async def session_of(make: Make, made: Side, kind: str = "") -> LearningSession:
    id_ = UUID(made.at[f"{{session_id{kind}}}"])
    async with make.database.reading() as session:
        found: LearningSession = await session.get_one(LearningSession, id_)
        return found


async def platform(make: Make, made: Side) -> None:
    """The course's learning platform, and a launch that is tied to no session yet."""
    addresses = dict.fromkeys(("auth_login_url", "auth_token_url", "public_keyset_url"), "https://p")
    names = {"platform_name": made.mark, "issuer": f"https://{made.name}", "client_id": "p", "deployment_id": "p"}
    await keep(make, made.at, {"{deployment_id}": LtiDeployment(**names, **addresses, course_ids=[made.name])})
    launch = LtiSession(**launched(made), lti_user_name=made.mark)
    await keep(make, made.at, {"{launch_id@loose}": launch})


def launched(made: Side) -> dict[str, Any]:
    at = UUID(made.at["{deployment_id}"])
    return {"deployment_id": at, "lti_user_id": f"lti-{made.name}", "resource_link_id": "x"}


async def hanging(make: Make, world: World, made: Side) -> None:
    """What hangs on the session of home's student."""
    session, mark = await session_of(make, made), made.mark
    for _ in range(STEPS):
        trace = await make.trace(session, content=mark, cognitive_state="implementacion")
    risk = await make.risk(session, description=mark, risk_level="critical")
    evaluation = await make.evaluation(session, reasoning_analysis={"text": mark})
    commit = await make.git_trace(session, commit_message=mark, timestamp=session.start_time + timedelta(minutes=1))
    sequence = await make.sequence(session, competencies={"text": mark})
    hung = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
    question = {"question_id": 1, "question": mark, "expected_key_points": [mark]}
    interview = InterviewSession(**hung, interview_type="DESIGN", feedback=mark)
    asked = InterviewSession(**hung, interview_type="DESIGN", questions_asked=[question])
    incident = IncidentSimulation(**hung, incident_type="DATABASE", incident_description=mark)
    event = SimulatorEvent(**hung, simulator_type="client", event_type="test_executed", description=mark)
    exercise = UUID(world.at["{exercise_id}"])
    tried = {"exercise_id": exercise, "student_id": session.student_id, "submitted_code": mark}
    attempt = ExerciseAttempt(**tried, session_id=session.id)
    loose = ExerciseAttempt(**tried, attempt_number=2)
    practised = ExerciseAttempt(**tried, attempt_number=3, course_id=made.name)
    launch = LtiSession(**launched(made), lti_user_name=mark, session_id=session.id)
    rows: dict[str, Any] = {
        "{trace_id}": trace,
        "{risk_id}": risk,
        "{evaluation_id}": evaluation,
        "{git_trace_id}": commit,
        "{sequence_id}": sequence,
        "{interview_id}": interview,
        "{interview_id@asked}": asked,
        "{incident_id}": incident,
        "{event_id}": event,
        "{attempt_id}": attempt,
        "{attempt_id@loose}": loose,
        "{attempt_id@course}": practised,
        "{launch_id}": launch,
    }
    await keep(make, made.at, rows)


async def oversight(make: Make, made: Side) -> None:
    """In the course, and on its student outside of any, as it was written before a place was asked for."""
    student, teacher = made.people["owner"].student_id, made.people["teacher"].id
    rows = overseen(made, student, UUID(made.at["{session_id}"]))
    now, (plan, alert) = utc_now(), descriptions(made, student)
    report = CourseReport(
        course_id=made.name,
        report_type="cohort_summary",
        period_start=now,
        period_end=now + timedelta(days=1),
        at_risk_students=[student],
        summary_stats={"text": made.mark},
        competency_distribution={},
        risk_distribution={},
        exported_at=now,
        teacher_id=teacher,
    )
    rows |= {
        "{plan_id@bare}": RemediationPlan(**plan),
        "{plan_id@course}": RemediationPlan(**plan, course_id=made.name),
        "{plan_id@started}": RemediationPlan(**plan, activity_id=made.name, course_id=made.name, status="in_progress"),
        "{alert_id@student}": RiskAlert(**alert, scope="student", assigned_to=teacher),
        "{report_id}": report,
    }
    await keep(make, made.at, rows)


def overseen(made: Side, student: str, session_id: UUID) -> dict[str, Base]:
    """What was written about a student in the course."""
    plan, alert = descriptions(made, student)
    did = {"student_id": student, "teacher_id": made.people["teacher"].id, "notes": made.mark}
    return {
        "{plan_id}": RemediationPlan(**plan, activity_id=made.name, course_id=made.name),
        "{alert_id}": RiskAlert(**alert, scope="course", course_id=made.name),
        "{alert_id@activity}": RiskAlert(**alert, scope="activity", activity_id=made.name),
        "{intervention_id}": TeacherIntervention(**did, session_id=session_id),
    }


def descriptions(made: Side, student: str) -> tuple[dict[str, Any], dict[str, Any]]:
    now, mark = utc_now(), made.mark
    plan = {"student_id": student, "plan_type": "tutoring", "description": mark, "start_date": now}
    plan |= {"target_completion_date": now + timedelta(days=1), "teacher_id": made.people["teacher"].id}
    alert = {"alert_type": "pattern_anomaly", "severity": "low", "title": mark, "description": mark}
    return plan, alert | {"student_id": student, "detection_rule": "x"}


async def subject_teachers(make: Make, world: World) -> None:
    """Home's teacher looks after the subject, with a colleague of no course, and one who teaches no more."""
    colleague, world.who["retired"] = await make.teacher(), await make.tutor()
    world.at["{user_id@colleague}"] = str(colleague.id)
    for someone in (world.who["teacher"], colleague, world.who["retired"]):
        await make.add(SubjectTeacher(subject_code="S-1", user_id=someone.id))


async def commuter(make: Make, world: World) -> None:
    """A student of both courses, with a session in each, and more in home."""
    someone = await make.student(course="far", student_id="commuter")
    await make.add(CourseMember(course_id="home", user_id=someone.id, role="student"))
    await make.add(StudentProfile(student_id="commuter", user_id=someone.id))
    home, far = [await attended(make, someone, course) for course in ("home", "far")]
    tried = {"student_id": "commuter", "submitted_code": MARK, "exercise_id": UUID(world.at["{exercise_id}"])}
    await make.add(ExerciseAttempt(**tried, session_id=home["session"].id))
    rows = overseen(world.home, "commuter", home["session"].id)
    await make.add(*rows.values())
    world.at["{plan_id@other}"] = str(rows["{plan_id}"].id)
    world.at |= {f"{{{name}_id@elsewhere}}": str(row.id) for name, row in far.items()}
    world.who["commuter"] = someone


async def others(make: Make, world: World) -> None:
    """Whom only `matrix_questions.py` asks, and what was said of the guest as a student."""
    world.who["former"] = await make.user(Role.TEACHER, student_id="former")
    world.who["starter"] = await make.key("sessions", course_ids=["home"])
    world.who["reader"] = await make.key("read", course_ids=["home"])
    guest = world.who["guest"]
    session = await make.session(guest, activity_id="home", course_id="home")
    await make.risk(session, risk_level="critical")
    plan, alert = descriptions(world.home, guest.student_id)
    question = {"question_id": 1, "question": "Why?", "expected_key_points": ["the point"]}
    did = {"student_id": guest.student_id, "teacher_id": world.who["teacher"].id, "notes": "about the guest"}
    asked = {"interview_type": "DESIGN", "questions_asked": [question], "student_id": guest.student_id}
    rows: dict[str, Base] = {
        "{plan_id@guest}": RemediationPlan(
            **plan | {"description": "for the guest", "progress_notes": "said among teachers"}
        ),
        "{plan_id@self}": RemediationPlan(  # where the guest teaches
            **plan | {"description": "for the guest", "course_id": "home-guest"}
        ),
        "{alert_id@self}": RiskAlert(**alert, scope="student", course_id="home-guest"),
        "{interview_id@guest}": InterviewSession(**asked, session_id=session.id),
        "{intervention_id@guest}": TeacherIntervention(**did, session_id=session.id),
    }
    await keep(make, world.at, rows)
    world.at["{session_id@guest}"] = str(session.id)
    await left(make, world)


async def left(make: Make, world: World) -> None:
    """A teacher who wrote an activity of the course and is no member any more; an invitation; an e-mail."""
    owner, writer = world.who["owner"], await make.teacher()
    await make.activity(activity_id="home-left", title="Open", teacher_id=writer.id, course_id="home")
    session = await make.session(owner, activity_id="home-left", course_id="home")
    place = {"course_id": "home-guest", "user_id": owner.id}
    invited = CourseInvitation(**place, role="student", invited_by=world.who["guest"].id)
    await keep(make, world.at, {"{session_id@left}": session, "{invitation_id}": invited})
    known = await make.student()
    world.at |= {"{email}": f"{known.student_id}@example.edu", "{teacher_id}": str(world.who["teacher"].id)}
    world.who["left"] = writer


async def attended(make: Make, someone: Someone, course: str) -> dict[str, Any]:
    mark = MARK if course == "home" else "plain"
    values = {"activity_id": course, "course_id": course, "learning_objective": {"text": mark}}
    session = await make.session(someone, **values)
    await make.risk(session, description=mark, risk_level="critical" if course == "home" else "low")
    await make.evaluation(session, reasoning_analysis={"text": mark}, improvement_areas=[mark])
    return {"session": session, "trace": await make.trace(session, content=mark)}


async def revoked(make: Make, world: World) -> None:
    """Home's teacher and its key, each by a sign-in that has ended."""
    teacher = world.who["teacher"]
    ended = RefreshToken(
        user_id=teacher.id,
        family_id=uuid7(),
        token_hash=digest(new_secret("")),
        expires_at=utc_now() + timedelta(days=1),
        revoked_at=utc_now(),
    )
    await make.add(ended)
    tokens = {
        "revoked": make.tokens.access(teacher.id, ended.family_id),
        "revoked_key": new_secret("ck_"),
        "nobody": None,
    }
    for name, token in tokens.items():
        client = await make.clients.enter_async_context(make.client_of(make.app, token))
        world.who[name] = Someone(teacher.id, "", client)


async def lesser_keys(make: Make, world: World) -> None:
    """For each set of scopes that the table names, a key for home of every scope but these."""
    for scopes in {row.scopes for row in rows()}:
        world.who[lesser(scopes)] = await make.key(*sorted(set(SCOPES) - scopes), course_ids=["home"])


def lesser(scopes: frozenset[str]) -> str:
    return f"a key without {', '.join(sorted(scopes)) or 'anything'}"


async def fingerprint(session: AsyncSession, world: World) -> str:
    """Everything that home's own rows say, and how many hang on its sessions and its student."""
    ids = {value for place, value in world.home.at.items() if place.endswith("_id}") or "@" in place}
    own = [UUID(value) for value in ids if re.fullmatch(r"[0-9a-f-]{36}", value)]
    named: dict[str, list[Any]] = {"session_id": own, "student_id": [world.at["{student_id}"]], "course_id": ["home"]}
    told = hashlib.sha256()
    for table in tables.metadata.sorted_tables:
        which = [table.c.id.in_(own), *(table.c[name].in_(found) for name, found in named.items() if name in table.c)]
        if table.name not in APART:
            for row in await session.execute(select(table).where(or_(*which)).order_by(table.c.id)):
                told.update(repr(row).encode())
    return told.hexdigest()

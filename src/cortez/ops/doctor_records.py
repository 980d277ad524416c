"""What `cortez doctor` finds in the rows that an admin should look at: counted, and a few of them by their ids."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from cortez.accounts.models import ApiKey, Course, CourseMember, CourseRole, FormerStudent, Role, User
from cortez.activities.models import Activity, ActivityStatus
from cortez.clock import utc_now
from cortez.content.models import Subject, SubjectTeacher
from cortez.core.db.classification import ERASED
from cortez.core.db.expressions import holds
from cortez.core.db.types import AnyColumn, AnySelect
from cortez.core.security.tokens import key_id
from cortez.exercises.models import ExerciseAttempt
from cortez.lti.models import LtiDeployment
from cortez.ops.doctor import GOOD, NOTE, ODD, Finding, of_revision
from cortez.oversight.models import AlertScope, RemediationPlan, RiskAlert
from cortez.sessions.models import LearningSession
from cortez.settings import Settings

NAMED = 5


class Question(NamedTuple):
    """What is asked of one kind of row: `rows` gives the ids of those to look at; `said` of them and what to do."""

    area: str
    rows: AnySelect
    said: str


def active(role: Role) -> ColumnElement[bool]:
    return and_(User.is_active.is_(True), holds(User.roles, role.value))


def teaches(course_id: AnyColumn) -> Select[UUID]:
    """Memberships of those who lead a course and still teach."""
    members = select(CourseMember.id).join(User, User.id == CourseMember.user_id)
    there = (CourseMember.course_id == course_id, CourseMember.role == CourseRole.TEACHER.value)
    return members.where(*there, active(Role.TEACHER))


ADMIN = select(User.id).where(User.id == ApiKey.created_by, active(Role.ADMIN)).exists()
TEACHER = teaches(Course.course_id).exists()
OWNER = or_(
    select(User.id).where(User.id == Activity.teacher_id, active(Role.ADMIN)).exists(),
    and_(
        Activity.course_id.is_(None),
        select(User.id).where(User.id == Activity.teacher_id, active(Role.TEACHER)).exists(),
    ),
    teaches(Activity.course_id).where(CourseMember.user_id == Activity.teacher_id).exists(),
)
BEFORE = select(LearningSession.id).where(
    LearningSession.student_id == User.student_id,
    LearningSession.user_id.is_(None),
    LearningSession.created_at < User.created_at,
)
LOOKED_AFTER = (
    select(SubjectTeacher.id)
    .join(User, User.id == SubjectTeacher.user_id)
    .where(SubjectTeacher.subject_code == Subject.code, active(Role.TEACHER))
    .exists()
)

ACCOUNT = select(User.id).where(User.student_id == LearningSession.student_id).exists()
MEMBER = (
    select(CourseMember.id)
    .join(User, User.id == CourseMember.user_id)
    .where(CourseMember.course_id == LearningSession.course_id, User.student_id == LearningSession.student_id)
    .exists()
)
RECENT = timedelta(days=30)

# A class list adds the account with the e-mail; where registration is open, that may be another person's.
UNVERIFIED_MEMBERS = Question(
    "members",
    select(User.id).where(
        User.is_verified.is_(False), select(CourseMember.id).where(CourseMember.user_id == User.id).exists()
    ),
    "have an e-mail that is not verified, and anybody may register here. Ask whose it is (POST /users/ID/verify)",
)

QUESTIONS = [
    Question(
        "keys",
        select(ApiKey.id).where(ApiKey.created_by.is_(None)),
        "name no admin who answers for them. Set created_by (PATCH /api-keys/ID), or remove them",
    ),
    Question(
        "keys",
        select(ApiKey.id).where(ApiKey.created_by.is_not(None), ~ADMIN),
        "do not work, since their maker is no active admin. Set created_by (PATCH /api-keys/ID), or remove them",
    ),
    Question("courses", select(Course.course_id).where(~TEACHER), "have no teacher. Add one"),
    Question(
        "activities",
        select(Activity.activity_id).where(Activity.status != ActivityStatus.ARCHIVED.value, ~OWNER),
        "have no owner who teaches their course. Give them to one (PATCH /activities/ID, teacher_id)",
    ),
    Question(
        "accounts",
        select(User.id).where(BEFORE.exists()),
        "have a student_id under which sessions were recorded before. Check that it is the same person",
    ),
    Question(
        "accounts",
        select(User.id).where(User.email_key.is_(None)),
        "sign in by the exact spelling of their e-mail only: an older account has it in another spelling, or they were "
        "made past the service since it started. Give them another (PATCH /users/ID), or restart",
    ),
    Question(
        "accounts",
        select(User.id).where(User.username_key.is_(None)),
        "sign in by the exact spelling of their username only: an older account has it in another case, or they "
        "were made past the service since it started. Give them another (PATCH /users/ID), or restart",
    ),
    Question(
        "students",
        select(LearningSession.student_id)
        .where(LearningSession.course_id.is_not(None), ~ACCOUNT, ~LearningSession.student_id.startswith(ERASED))
        .distinct(),
        "work in courses without an account. Where one is theirs, give it this student_id (PATCH /users/ID)",
    ),
    Question(
        "plans",
        select(RemediationPlan.id).where(RemediationPlan.course_id.is_(None), RemediationPlan.activity_id.is_(None)),
        "belong to no course: their student, their author and admins see them",
    ),
    Question(
        "alerts",
        select(RiskAlert.id).where(
            RiskAlert.scope == AlertScope.STUDENT.value,
            RiskAlert.course_id.is_(None),
            RiskAlert.activity_id.is_(None),
        ),
        "are about a student and belong to no course: who they are assigned to and admins see them",
    ),
    Question(
        "attempts",
        select(ExerciseAttempt.id).where(ExerciseAttempt.session_id.is_(None), ExerciseAttempt.course_id.is_(None)),
        "belong to no session and no course: their student, admins and keys without a limit see them",
    ),
    Question(
        "subjects",
        select(Subject.code).where(~LOOKED_AFTER),
        "have no teacher, so that only admins change their exercises. Name one (PUT /subjects/CODE/teachers/ID)",
    ),
]


def of_records(settings: Settings, connection: Connection) -> list[Finding]:
    """Nothing where the schema is not that of this version."""
    if of_revision(connection):
        return []
    found = list(odd(settings, connection))
    good = Finding(GOOD, "records", "nothing that an admin should look at")
    return found if any(one.mark == ODD for one in found) else [good, *found]


def odd(settings: Settings, connection: Connection) -> Iterator[Finding]:
    for question in [*QUESTIONS, UNVERIFIED_MEMBERS] if settings.registration_open else QUESTIONS:
        count = connection.scalar(select(func.count()).select_from(question.rows.subquery()))
        if count:
            few = question.rows.order_by(*question.rows.selected_columns).limit(NAMED)
            yield found(question.area, count, question.said, connection.scalars(few).all())
    since = utc_now() - RECENT
    outside = select(LearningSession.course_id).where(LearningSession.start_time > since, ACCOUNT, ~MEMBER).distinct()
    named = outside.where(LearningSession.course_id.is_not(None))
    if courses := connection.scalars(named.order_by(LearningSession.course_id)).all():
        said = "have students of the last 30 days who are no members. Enrol those who go on: new sessions are refused"
        yield found("courses", len(courses), said, courses[:NAMED])
    if lost := of_absent_courses(connection, ApiKey):
        yield found("keys", len(lost), "are for courses that do not exist. Remove them", lost[:NAMED])
    if lost := of_absent_courses(connection, LtiDeployment):
        said = "launch into courses that do not exist. Name others (PATCH /lti/deployments/ID, course_ids)"
        yield found("deployments", len(lost), said, lost[:NAMED])
    yield from of_lost_keys(settings, connection)


def of_lost_keys(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Former students whose digest no key of the service can make any more: their student_ids could be given again."""
    known = FormerStudent.key_id.in_([key_id(key) for key in settings.digest_keys])
    lost = connection.scalar(select(func.count()).where(FormerStudent.key_id.is_not(None), ~known))
    if lost:
        said = "were deleted or erased under a key that is gone, so that their student_ids are free. Put it back"
        yield Finding(ODD, "students", f"{lost} {said}: CORTEZ_RETIRED_KEYS")
    unnamed = connection.scalar(select(func.count()).where(FormerStudent.key_id.is_(None)))
    if unnamed:
        said = "were erased by an older version, which did not note its key. Keep each key you have had"
        yield Finding(NOTE, "students", f"{unnamed} {said}: CORTEZ_SECRET_KEYS or CORTEZ_RETIRED_KEYS")


def found(area: str, count: int, said: str, ids: Iterable[UUID | str | None]) -> Finding:
    return Finding(ODD, area, f"{count} {said}: {', '.join(map(str, ids))}")


def of_absent_courses(connection: Connection, model: type[ApiKey | LtiDeployment]) -> list[UUID]:
    """Those that are limited to a course which is not there."""
    limited = connection.execute(select(model.id, model.course_ids).where(model.course_ids.is_not(None))).all()
    there = set(connection.scalars(select(Course.course_id))) if limited else set()
    return [one.id for one in limited if not there.issuperset(one.course_ids)]

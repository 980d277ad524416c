"""`/courses`: courses and who belongs to them."""

from uuid import UUID

from litestar import Router, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from cortez.accounts.access import readers
from cortez.accounts.enrolment import CSV, EnrolIn, Enrolment, EnrolResult, lines_of
from cortez.accounts.models import Course, CourseMember, CourseRole
from cortez.accounts.repository import CourseRepository, InvitationRepository, MemberRepository
from cortez.accounts.schemas import CourseIn, CourseOut, CoursePatch, MemberIn, MemberOut
from cortez.core.db.pagination import Listing, Page
from cortez.core.web.batches import MAX_ITEMS
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import teachers, teaching
from cortez.core.web.parameters import PathKey
from cortez.core.web.preconditions import Match
from cortez.core.web.requests import StrictRequest
from cortez.core.web.responses import Answer, created
from cortez.core.web.route_options import HEAVY, route
from cortez.errors import Forbidden, NotFound
from cortez.settings import Settings

CLASS_LIST = route(HEAVY, bodies={"application/json": list[EnrolIn], "text/csv": CSV}, max_items=MAX_ITEMS)
provide_courses = provided(CourseRepository)
provide_members = provided(MemberRepository)
Courses = NamedDependency[CourseRepository]
Members = NamedDependency[MemberRepository]


@get("/", guards=[readers])
async def list_courses(courses: Courses, page: NamedDependency[Page]) -> Listing[CourseOut]:
    return await courses.page(courses.select(), page, CourseOut.of)


@post("/", guards=[teachers])
async def create_course(
    data: JSONBody[CourseIn], courses: Courses, members: Members, settings: NamedDependency[Settings]
) -> Answer[CourseOut]:
    """A teacher becomes a member of the course they make. Where only admins make courses: COURSE_CREATION_CLOSED."""
    if settings.course_creation == "admins" and not courses.principal.is_admin:
        raise Forbidden("COURSE_CREATION_CLOSED", "Courses are made by an admin here.")
    course = await courses.add(Course(course_id=data.course_id, title=data.title, description=data.description))
    if not courses.principal.is_admin:
        await members.put(course.course_id, courses.principal.id, CourseRole.TEACHER.value)
    return created(CourseOut.of(course), f"/courses/{course.course_id}")


@get("/{course_id:str}", guards=[readers])
async def read_course(course_id: PathKey, courses: Courses) -> CourseOut:
    return CourseOut.of(await courses.by_key(course_id))


@patch("/{course_id:str}", guards=[teachers])
async def change_course(
    course_id: PathKey, data: JSONBody[CoursePatch], courses: Courses, match: NamedDependency[Match]
) -> CourseOut:
    course = await courses.led(course_id, lock=True)
    match.check(course.updated_at)
    return CourseOut.of(await courses.change(course, data.changes()))


@get("/{course_id:str}/members", guards=[teaching])
async def list_members(
    course_id: PathKey,
    courses: Courses,
    members: Members,
    page: NamedDependency[Page],
    role: FromQuery[CourseRole | None] = None,
) -> Listing[MemberOut]:
    await courses.taught(course_id)
    statement = members.listing().where(CourseMember.course_id == course_id)
    if role is not None:
        statement = statement.where(CourseMember.role == role)
    return await members.page(statement, page, lambda row: MemberOut(*row))


@put("/{course_id:str}/members/{user_id:uuid}", guards=[teachers], opt=route(also=(HTTP_202_ACCEPTED,)))
async def put_member(
    course_id: PathKey,
    user_id: FromPath[UUID],
    data: JSONBody[MemberIn],
    courses: Courses,
    members: Members,
    settings: NamedDependency[Settings],
) -> Answer[MemberOut]:
    """Make a person a member, or change what they are.

    Where members are asked first (`CORTEZ_ENROLMENT=invite`), a teacher's new member is invited: 202, with `joined_at`
    and `student_id` null until they accept.
    """
    await courses.led(course_id, lock=True)
    student_id, role = await members.student_id_of(user_id), data.role.value
    asks = settings.enrolment == "invite" and not members.principal.is_admin
    if asks and await members.of(course_id, user_id) is None:
        invitations = InvitationRepository(members.session, members.principal)
        invited = MemberOut.of(await invitations.put(course_id, user_id, role), None)
        return Answer(invited, status_code=HTTP_202_ACCEPTED)
    return Answer(MemberOut.of(await members.put(course_id, user_id, role), student_id), status_code=HTTP_200_OK)


@post("/{course_id:str}/members/batch", guards=[teachers], status_code=HTTP_200_OK, opt=CLASS_LIST)
async def enrol_members(
    course_id: PathKey,
    request: StrictRequest,
    courses: Courses,
    members: Members,
    settings: NamedDependency[Settings],
) -> EnrolResult:
    """A class list of up to 1,000 lines (email, name, student_id, role) as a JSON array or as CSV with a header.

    Accounts that are absent are made, without a password; only an admin's list makes those of teachers and tutors.
    A teacher's answer is the same whether or not there was an account: the list of members says who is there, and
    which student_id each has. A teacher adds at most `CORTEZ_ENROLMENTS_PER_DAY` people a day (ENROLMENT_LIMIT), and
    invites them where `CORTEZ_ENROLMENT=invite`.
    """
    course = await courses.led(course_id, lock=True)
    return await Enrolment(members, course, settings).enrol(await lines_of(request))


@delete("/{course_id:str}/members/{user_id:uuid}", guards=[teachers])
async def delete_member(course_id: PathKey, user_id: FromPath[UUID], courses: Courses, members: Members) -> None:
    """End a membership, or withdraw an invitation."""
    await courses.led(course_id, lock=True)
    if member := await members.of(course_id, user_id):
        await members.delete(member)
        return
    invitations = InvitationRepository(members.session, members.principal)
    invited = await invitations.of(course_id, user_id)
    if invited is None:
        raise NotFound(members.noun, user_id)
    await invitations.delete(invited)


router = Router(
    "/courses",
    route_handlers=[
        list_courses,
        create_course,
        read_course,
        change_course,
        list_members,
        put_member,
        enrol_members,
        delete_member,
    ],
    dependencies={"courses": provide_courses, "members": provide_members},
    tags=["courses"],
)

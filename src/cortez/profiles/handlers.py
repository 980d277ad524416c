"""`/students` and `/auth/me`: what is kept about a student over all sessions."""

from litestar import Router, get, patch
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody

from cortez.accounts.models import User
from cortez.accounts.repository import UserRepository
from cortez.core.db.pagination import Listing, Page
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import allow, people, teaching
from cortez.core.web.parameters import PathKey, QueryKey
from cortez.core.web.preconditions import Match
from cortez.core.web.route_options import route
from cortez.errors import Forbidden, Invalid
from cortez.evaluations.models import CompetencyLevel
from cortez.profiles.access import readers
from cortez.profiles.repository import ProfileRepository
from cortez.profiles.schemas import MeOut, MePatch, ProfileOut, ProfilePatch

provide_profiles = provided(ProfileRepository)
Profiles = NamedDependency[ProfileRepository]


@get("/", guards=[teaching], opt=route(names=True))  # a course that one does not teach is not there
async def list_students(
    profiles: Profiles,
    page: NamedDependency[Page],
    course_id: QueryKey = None,
    at_risk: FromQuery[bool | None] = None,
    competency_level: FromQuery[CompetencyLevel | None] = None,
) -> Listing[ProfileOut]:
    """Those whom one teaches or tutors; with `course_id` the students of that course, with its figures only.

    `at_risk`: a mean AI share above 0.7, or a critical finding that was not judged unfounded. It and
    `competency_level` go by the figures that are shown.
    """
    await profiles.require_course(course_id)
    return await profiles.listed(profiles.filtered(course_id, at_risk, competency_level), page, course_id)


@get("/{student_id:str}/profile", guards=[readers])
async def read_profile(student_id: PathKey, profiles: Profiles, course_id: QueryKey = None) -> ProfileOut:
    """With `course_id`: its figures only."""
    profile = await profiles.of(student_id)
    await profiles.require_course(course_id, student_id)
    return (await profiles.shown([profile], course_id))[0]


@patch("/{student_id:str}/profile", guards=[allow("student")])
async def change_profile(
    student_id: PathKey, data: JSONBody[ProfilePatch], profiles: Profiles, match: NamedDependency[Match]
) -> ProfileOut:
    """One's own `preferred_language`; the rest is an admin's."""
    principal = profiles.principal
    profile = await profiles.of(student_id, lock=True)
    changes = data.changes()
    mine = profile.student_id == principal.student_id and "cognitive_preferences" not in changes
    if not (mine or principal.is_admin):
        raise Forbidden
    match.check(profile.updated_at)
    return (await profiles.shown([await profiles.change(profile, changes)]))[0]


@get("/me", guards=[people])
async def read_me(profiles: Profiles) -> MeOut:
    users = UserRepository(profiles.session, profiles.principal)
    return await me(profiles, await users.get(profiles.principal.id))


@patch("/me", guards=[people])
async def change_me(data: JSONBody[MePatch], profiles: Profiles, match: NamedDependency[Match]) -> MeOut:
    users = UserRepository(profiles.session, profiles.principal)
    user = await users.get(profiles.principal.id, lock=True)
    match.check(user.updated_at)
    changes = data.changes()
    if language := changes.pop("preferred_language", None):
        if user.student_id is None:
            raise Invalid.at("/preferred_language", "A language is kept for people with a student_id only.")
        profile = await profiles.of(user.student_id, lock=True)
        await profiles.change(profile, {"preferred_language": language})
    return await me(profiles, await users.update(user, changes))


async def me(profiles: ProfileRepository, user: User) -> MeOut:
    found = await profiles.run(profiles.language(), wanted=user.student_id)
    return MeOut.of(user, preferred_language=found[0].preferred_language if found else None)


DEPENDENCIES = {"profiles": provide_profiles}

router = Router(
    "/students",
    route_handlers=[list_students, read_profile, change_profile],
    dependencies=DEPENDENCIES,
    tags=["students"],
)

me_router = Router("/auth", route_handlers=[read_me, change_me], dependencies=DEPENDENCIES, tags=["auth"])

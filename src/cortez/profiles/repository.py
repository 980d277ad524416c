"""Queries of profiles: whom one may see, and which of their figures."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Select, and_, bindparam, false, or_, select, true

from cortez.accounts.access import taught_courses, taught_students
from cortez.accounts.models import CourseMember, CourseRole, User
from cortez.accounts.repository import CourseRepository
from cortez.activities.access import owned_activity_ids
from cortez.core.db.compiled_queries import once
from cortez.core.db.expressions import among
from cortez.core.db.pagination import Listing, Page
from cortez.core.db.repository import Repository, group_by, refuse_erased
from cortez.core.db.types import AnySelect
from cortez.errors import NotFound
from cortez.evaluations.models import CompetencyLevel
from cortez.profiles.figures import AT_RISK, is_on, is_risky
from cortez.profiles.models import StudentFigures, StudentProfile
from cortez.profiles.schemas import ProfileOut
from cortez.sessions.access import of_others, visible_sessions
from cortez.sessions.models import LearningSession

RISKY = or_(StudentProfile.average_ai_dependency > AT_RISK, StudentProfile.critical_risks > 0)


class ProfileRepository(Repository[StudentProfile]):
    """A profile is seen by its student, by admins, and by those who teach the student; figures by place."""

    model = StudentProfile
    noun = "student"

    def visible(self) -> ColumnElement[bool]:
        """One's own; those of the students of one's courses, and of who worked in an activity of one's own."""
        principal = self.principal
        if principal.is_admin:
            return true()
        if principal.is_key:
            return false()
        mine = false() if principal.student_id is None else StudentProfile.student_id == principal.student_id
        if not principal.is_teaching:
            return mine
        owned = among(StudentFigures.activity_id, owned_activity_ids(principal))
        known = taught_students(principal).union(select(StudentFigures.student_id).where(owned))
        return or_(mine, StudentProfile.student_id.in_(known))

    def places(self, course_id: str | None) -> ColumnElement[bool]:
        """Of figures by place: those that one may see, or of these only those of a course.

        All of one's own; else those of the courses that one teaches or tutors, and of the activities without a course
        that one owns.
        """
        narrowed = true() if course_id is None else StudentFigures.course_id == course_id
        principal = self.principal
        if principal.is_admin:
            return narrowed
        mine = false() if principal.student_id is None else StudentFigures.student_id == principal.student_id
        if not principal.is_teaching:
            return and_(mine, narrowed)
        taught = among(StudentFigures.course_id, taught_courses(principal))
        owned = among(StudentFigures.activity_id, owned_activity_ids(principal))
        return and_(or_(mine, taught, owned), narrowed)

    def filtered(
        self, course_id: str | None, at_risk: bool | None, competency_level: CompetencyLevel | None
    ) -> Select[StudentProfile]:
        """By the figures that are shown; with a course, its students only."""
        statement = self.select()
        if course_id is not None:
            members = select(User.student_id).join(CourseMember, CourseMember.user_id == User.id)
            there = (CourseMember.course_id == course_id, CourseMember.role == CourseRole.STUDENT)
            statement = statement.where(StudentProfile.student_id.in_(members.where(*there)))
        if at_risk is not None:
            risky = self._of_figures(course_id, is_risky(), RISKY)
            statement = statement.where(risky if at_risk else ~risky)
        if competency_level is not None:
            known = StudentProfile.average_competency_level == competency_level
            statement = statement.where(self._of_figures(course_id, is_on(competency_level), known))
        return statement

    def _of_figures(
        self, course_id: str | None, merged: ColumnElement[bool], whole: ColumnElement[bool]
    ) -> ColumnElement[bool]:
        """What the merged figures of the places must hold, or of those who see everything the whole record."""
        if self.principal.is_admin and course_id is None:
            return whole
        grouped = select(StudentFigures.student_id).where(self.places(course_id)).group_by(StudentFigures.student_id)
        return StudentProfile.student_id.in_(grouped.having(merged))

    async def require_course(self, course_id: str | None, student_id: str | None = None) -> None:
        """Raises NotFound where one does not teach it; of oneself, where one does not belong to it."""
        courses = CourseRepository(self.session, self.principal)
        if course_id is None:
            return
        if student_id is not None and student_id == self.principal.student_id:
            await courses.by_key(course_id)
        else:
            await courses.taught(course_id)

    async def listed(self, statement: Select[StudentProfile], page: Page, course_id: str | None) -> Listing[ProfileOut]:
        """A page with its figures, by one query more."""
        found = await self.page(statement, page, lambda profile: profile)
        shown = await self.shown(found.items, course_id)
        return Listing(shown, found.next_cursor, found.total, found.total_is_capped)

    async def shown(self, profiles: Sequence[StudentProfile], course_id: str | None = None) -> list[ProfileOut]:
        """Each with the figures that one may see."""
        places = await self._places_of([profile.student_id for profile in profiles], course_id)
        return [self._shown(profile, places[profile.student_id], course_id) for profile in profiles]

    def _shown(self, profile: StudentProfile, places: Collection[StudentFigures], course_id: str | None) -> ProfileOut:
        everything = self.principal.is_admin or profile.student_id == self.principal.student_id
        if everything and course_id is None:
            return ProfileOut.whole(profile, places)
        return ProfileOut.of_places(profile, places, profile.updated_at if everything else None)

    async def _places_of(self, student_ids: Collection[str], course_id: str | None) -> dict[str, list[StudentFigures]]:
        wanted = StudentFigures.student_id.in_(student_ids)
        found = await self.session.scalars(select(StudentFigures).where(wanted, self.places(course_id)))
        return group_by(found, lambda row: row.student_id, student_ids)

    async def of(self, student_id: str, *, lock: bool = False) -> StudentProfile:
        return self.present(await self.one(StudentProfile.student_id == student_id, lock=lock), student_id)

    @once
    def language(self) -> AnySelect:
        """What one student prefers."""
        return self.select(StudentProfile.preferred_language).where(StudentProfile.student_id == bindparam("wanted"))

    async def require(self, student_id: str) -> None:
        """Raises NotFound where this is no student of one's courses, and works in no session that one may see.

        For an admin: who has neither an account nor a session. Raises Conflict (STUDENT_ERASED).
        """
        refuse_erased(student_id)
        theirs = (LearningSession.student_id == student_id, visible_sessions(self.principal), of_others(self.principal))
        worked = select(LearningSession.id).where(*theirs).exists()
        accounts = select(User.student_id) if self.principal.is_admin else taught_students(self.principal)
        if not await self.session.scalar(select(or_(accounts.where(User.student_id == student_id).exists(), worked))):
            raise NotFound("student", student_id)

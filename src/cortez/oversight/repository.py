"""Queries of profiles, plans, alerts and interventions, for those whose students they are about."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, literal, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.models import CourseMember
from cortez.accounts.repository import led_courses, led_students, taught_courses, taught_students
from cortez.activities.models import Activity
from cortez.activities.repository import owned_activities
from cortez.db import utc_now
from cortez.errors import Conflict, Forbidden, Invalid, NotFound
from cortez.oversight.models import (
    AlertStatus,
    InterventionStatus,
    PlanStatus,
    RemediationPlan,
    RiskAlert,
    StudentProfile,
    TeacherIntervention,
)
from cortez.oversight.rules import ALERT, INTERVENTION, PLAN, UNFINISHED
from cortez.repository import Repository
from cortez.risks.models import Risk
from cortez.risks.repository import led_sessions
from cortez.security import Principal
from cortez.sessions.models import LearningSession
from cortez.sessions.repository import of_others, session_ids, visible_sessions
from cortez.transitions import after

SPAN = timedelta(days=14)


def taught_activities(principal: Principal) -> Any:
    """The keys of the activities that a person owns, or that belong to a course they teach."""
    mine = or_(owned_activities(principal), Activity.course_id.in_(taught_courses(principal)))
    return select(Activity.activity_id).where(mine)


def led_activities(principal: Principal) -> Any:
    """The keys of the activities that a person owns, or that belong to a course they teach, not only tutor."""
    mine = or_(owned_activities(principal), Activity.course_id.in_(led_courses(principal)))
    return select(Activity.activity_id).where(mine)


def seen_student(principal: Principal, student: Any) -> ColumnElement[bool]:
    """Whether it is a student of one's courses, or works in a session that one may see; not oneself."""
    return or_(student.in_(taught_students(principal)), _works_in(visible_sessions(principal), principal, student))


def led_student(principal: Principal, student: Any) -> ColumnElement[bool]:
    """The same of the courses that one teaches, not only tutors."""
    return or_(student.in_(led_students(principal)), _works_in(led_sessions(principal), principal, student))


def _works_in(sessions: ColumnElement[bool], principal: Principal, student: Any) -> ColumnElement[bool]:
    theirs = (LearningSession.student_id == student, sessions, of_others(principal))
    return select(LearningSession.id).where(*theirs).exists()


async def require_led_activity(session: AsyncSession, principal: Principal, activity_id: str) -> None:
    """Raises NotFound where it is no activity that the principal teaches, Forbidden where they only tutor it."""
    await require_activity(session, principal, activity_id)
    mine = select(Activity.id).where(
        Activity.activity_id == activity_id, Activity.activity_id.in_(led_activities(principal))
    )
    if not principal.is_admin and await session.scalar(mine) is None:
        raise Forbidden(None, "Only a teacher of the activity's course may do this.")


async def require_activity(session: AsyncSession, principal: Principal, activity_id: str) -> None:
    """Raises NotFound where it is no activity that the principal teaches."""
    known = select(Activity.id).where(Activity.activity_id == activity_id)
    if not principal.is_admin:
        known = known.where(Activity.activity_id.in_(taught_activities(principal)))
    if await session.scalar(known) is None:
        raise NotFound("activity", activity_id)


class ProfileRepository(Repository[StudentProfile]):
    model = StudentProfile
    noun = "student"

    def visible(self) -> ColumnElement[bool]:
        """One's own, and those of the students one teaches."""
        principal = self.principal
        if principal.is_admin:
            return true()
        if principal.is_key:
            return false()
        mine = false() if principal.student_id is None else StudentProfile.student_id == principal.student_id
        return or_(mine, StudentProfile.student_id.in_(taught_students(principal))) if principal.is_teaching else mine

    async def of(self, student_id: str, *, lock: bool = False) -> StudentProfile:
        return self.present(await self.one(StudentProfile.student_id == student_id, lock=lock), student_id)

    async def require(self, student_id: str) -> None:
        """Raises NotFound where this is no student that the principal teaches."""
        if not await self._holds(seen_student(self.principal, literal(student_id))):
            raise NotFound("student", student_id)

    async def require_led(self, student_id: str) -> None:
        """Raises Forbidden too, where the principal only tutors the student."""
        await self.require(student_id)
        if not await self._holds(led_student(self.principal, literal(student_id))):
            raise Forbidden(None, "Only a teacher of the student may do this.")

    async def _holds(self, condition: ColumnElement[bool]) -> bool:
        return self.principal.is_admin or bool(await self.session.scalar(select(condition)))


class PlanRepository(Repository[RemediationPlan]):
    model = RemediationPlan
    noun = "remediation plan"

    def visible(self) -> ColumnElement[bool]:
        """About oneself; with an activity, where one teaches it; else of the students one teaches.

        An author who teaches the student no more sees the plan no more.
        """
        principal = self.principal
        if principal.is_admin:
            return true()
        if principal.is_key:
            return false()
        mine = false() if principal.student_id is None else RemediationPlan.student_id == principal.student_id
        if not principal.is_teaching:
            return mine
        written = self._written(seen_student(principal, RemediationPlan.student_id))
        return or_(mine, written, _about(taught_activities(principal), taught_students(principal)))

    def _written(self, known: ColumnElement[bool]) -> ColumnElement[bool]:
        """By oneself on a student whom one knows still, if only from sessions."""
        return and_(RemediationPlan.teacher_id == self.principal.id, RemediationPlan.activity_id.is_(None), known)

    async def led(self, id_: UUID) -> RemediationPlan:
        """Locked, to write. Raises Forbidden for those who see it without teaching the student."""
        principal = self.principal
        plan = await self.get(id_, lock=True)
        written = self._written(led_student(principal, RemediationPlan.student_id))
        mine = or_(written, _about(led_activities(principal), led_students(principal)))
        await require_held(self, plan, mine)
        return plan

    async def open(self, plan: RemediationPlan) -> RemediationPlan:
        """A new plan; its activity and risks must be of the student, and the principal's to see."""
        await ProfileRepository(self.session, self.principal).require_led(plan.student_id)
        check_dates(plan)
        if plan.activity_id is not None:
            await require_led_activity(self.session, self.principal, plan.activity_id)
        await self._require_risks(plan.student_id, plan.trigger_risks)
        return await self.add(plan)

    async def _require_risks(self, student_id: str, risk_ids: Collection[str]) -> None:
        wanted = {UUID(one) for one in risk_ids}
        known = select(Risk.id).join(LearningSession, LearningSession.id == Risk.session_id)
        theirs = known.where(Risk.id.in_(wanted), LearningSession.student_id == student_id)
        found = set(await self.session.scalars(theirs.where(LearningSession.id.in_(session_ids(self.principal)))))
        if missing := sorted(map(str, wanted - found)):
            raise Invalid.at("/trigger_risks", f"There is no risk {missing[0]} of this student.", "RISK_NOT_FOUND")

    async def edit(self, plan: RemediationPlan, changes: dict[str, Any]) -> RemediationPlan:
        if plan.status not in UNFINISHED:
            raise Conflict("PLAN_CLOSED", f"The plan is {plan.status}; it can no longer change.")
        for name, value in changes.items():
            setattr(plan, name, value)
        check_dates(plan)
        await self.session.flush()
        return plan

    async def move(self, plan: RemediationPlan, action: str, **values: Any) -> RemediationPlan:
        status = after(PLAN, self.noun, plan.status, action)
        done = {"actual_completion_date": utc_now()} if status == PlanStatus.COMPLETED else {}
        return await self.change(plan, {"status": status, **done, **values})


def _about(activities: Any, students: Any) -> ColumnElement[bool]:
    """Plans on these activities, and those without an activity on these students."""
    activity = RemediationPlan.activity_id
    return or_(activity.in_(activities), and_(activity.is_(None), RemediationPlan.student_id.in_(students)))


async def require_held(repository: Repository[Any], entity: Any, mine: ColumnElement[bool]) -> None:
    """Raises Forbidden where the condition does not hold for the entity; an admin holds every one."""
    held = repository.select(repository.model.id).where(repository.model.id == entity.id, mine)
    if not repository.principal.is_admin and await repository.session.scalar(held) is None:
        raise Forbidden(None, "Only a teacher of the course may do this.")


def check_dates(plan: RemediationPlan) -> None:
    if plan.target_completion_date <= plan.start_date:
        raise Invalid.at("/target_completion_date", "A plan ends after it starts.")


class AlertRepository(Repository[RiskAlert]):
    model = RiskAlert
    noun = "alert"

    def visible(self) -> ColumnElement[bool]:
        """What one is assigned, and what is about a course, an activity or a student of one's own."""
        principal = self.principal
        if principal.is_admin:
            return true()
        if principal.is_key or not principal.is_teaching:
            return false()
        return or_(
            self._assigned(),
            self._concerning(taught_courses(principal), taught_activities(principal), taught_students(principal)),
        )

    def _assigned(self) -> ColumnElement[bool]:
        """In a course it is the membership that counts, and nobody keeps what they were assigned when they leave."""
        return and_(RiskAlert.course_id.is_(None), RiskAlert.assigned_to == self.principal.id)

    def _concerning(self, courses: Any, activities: Any, students: Any) -> ColumnElement[bool]:
        elsewhere = and_(RiskAlert.course_id.is_(None), RiskAlert.activity_id.is_(None))
        return or_(
            RiskAlert.course_id.in_(courses),
            and_(RiskAlert.course_id.is_(None), RiskAlert.activity_id.in_(activities)),
            and_(elsewhere, RiskAlert.student_id.in_(students)),
        )

    async def led(self, id_: UUID) -> RiskAlert:
        """Locked, to write. Raises Forbidden for those who see it without teaching the course."""
        principal = self.principal
        alert = await self.get(id_, lock=True)
        mine = self._concerning(led_courses(principal), led_activities(principal), led_students(principal))
        await require_held(self, alert, or_(self._assigned(), mine))
        return alert

    async def assign(self, alert: RiskAlert, user_id: UUID) -> RiskAlert:
        """To somebody who teaches or tutors the alert's course; without one, to oneself, or by an admin to anybody."""
        self.living(alert)
        if alert.course_id is not None:
            members = select(CourseMember.id).where(CourseMember.course_id == alert.course_id)
            teaching = members.where(CourseMember.user_id == user_id, CourseMember.role.in_(("teacher", "tutor")))
            allowed = await self.session.scalar(teaching) is not None
        else:
            allowed = self.principal.is_admin or user_id == self.principal.id
        if not allowed:
            raise Invalid.at("/user_id", "This is nobody who teaches the course.", "ASSIGNEE_NOT_ALLOWED")
        return await self.change(alert, {"assigned_to": user_id, "assigned_at": utc_now()})

    def living(self, alert: RiskAlert) -> None:
        if alert.status not in ALERT["resolve"][0]:
            raise Conflict("ILLEGAL_TRANSITION", f"The alert is {alert.status} already.")

    async def move(self, alert: RiskAlert, action: str, **values: Any) -> RiskAlert:
        status = after(ALERT, self.noun, alert.status, action)
        now = utc_now()
        if alert.acknowledged_at is None:
            values |= {"acknowledged_at": now, "acknowledged_by": self.principal.id}
        if status in (AlertStatus.RESOLVED, AlertStatus.FALSE_POSITIVE):
            values["resolved_at"] = now
        return await self.change(alert, {"status": status, **values})


class InterventionRepository(Repository[TeacherIntervention]):
    model = TeacherIntervention
    noun = "intervention"

    def visible(self) -> ColumnElement[bool]:
        """One's own, and those on sessions that one teaches."""
        principal = self.principal
        if principal.is_admin:
            return true()
        if principal.is_key or not principal.is_teaching:
            return false()
        there = TeacherIntervention.session_id.in_(session_ids(principal).where(of_others(principal)))
        return or_(TeacherIntervention.teacher_id == principal.id, there)

    async def own(self, id_: UUID) -> TeacherIntervention:
        """Locked, and the principal's own. Raises Forbidden."""
        found = await self.get(id_, lock=True)
        if not self.principal.is_admin and found.teacher_id != self.principal.id:
            raise Forbidden(None, "Only the teacher who made an intervention may change it.")
        return found

    async def edit(self, intervention: TeacherIntervention, changes: dict[str, Any]) -> TeacherIntervention:
        wanted = changes.pop("status", intervention.status)
        if wanted != intervention.status:
            changes["status"] = moved(intervention.status, wanted)
            if wanted == InterventionStatus.RESOLVED:
                changes["resolved_at"] = utc_now()
        return await self.change(intervention, changes)


def moved(status: str, wanted: str) -> str:
    """The wanted state. Raises Conflict (ILLEGAL_TRANSITION) where it does not follow."""
    if wanted not in INTERVENTION or status not in INTERVENTION[wanted][0]:
        raise Conflict("ILLEGAL_TRANSITION", f"An intervention that is {status} cannot become {wanted}.")
    return wanted

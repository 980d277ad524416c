"""Queries of plans, alerts and interventions, and the places that they belong to.

What is written about a student belongs to a course, or to an activity that has none. Who teaches there sees it.
"""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.access import led_courses, taught_courses
from cortez.accounts.models import CourseMember
from cortez.accounts.repository import CourseRepository
from cortez.activities.access import owned_activity_ids
from cortez.activities.models import Activity
from cortez.clock import utc_now
from cortez.core.db.expressions import among
from cortez.core.db.repository import Repository
from cortez.core.db.types import ColumnValue, Document
from cortez.core.lifecycle import after
from cortez.core.security.principal import Principal
from cortez.errors import Conflict, Forbidden, Invalid
from cortez.oversight.access import (
    about_others,
    led_activities,
    require_held,
    require_led_activity,
    require_place,
    require_student,
    taught_activities,
    work_in,
)
from cortez.oversight.models import (
    AlertStatus,
    InterventionStatus,
    PlanStatus,
    RemediationPlan,
    RiskAlert,
    TeacherIntervention,
)
from cortez.oversight.rules import ALERT, INTERVENTION, PLAN, UNFINISHED
from cortez.risks.models import Risk
from cortez.sessions.access import of_others, session_ids
from cortez.sessions.models import LearningSession

SPAN = timedelta(days=14)


async def course_of(
    session: AsyncSession, principal: Principal, activity_id: str | None, course_id: str | None
) -> str | None:
    """The course of what is written: that of its activity, or the one named. The principal leads what is named.

    Raises NotFound, Forbidden, or Invalid where the course is not the activity's.
    """
    if activity_id is None:
        if course_id is not None:
            await CourseRepository(session, principal).led(course_id)
        return course_id
    await require_led_activity(session, principal, activity_id)
    found = await session.scalar(select(Activity.course_id).where(Activity.activity_id == activity_id))
    if course_id not in (None, found):
        raise Invalid.at("/course_id", "This is not the course of the activity; leave it out.")
    return found


class PlanRepository(Repository[RemediationPlan]):
    model = RemediationPlan
    noun = "remediation plan"

    def visible(self) -> ColumnElement[bool]:
        """About oneself; in the courses that one teaches or tutors, and on one's own activities without a course.

        Older ones that name neither are seen by who wrote them.
        """
        principal = self.principal
        if principal.is_admin:
            return true()
        if principal.is_key:
            return false()
        mine = false() if principal.student_id is None else RemediationPlan.student_id == principal.student_id
        return or_(mine, self._kept_in(taught_courses(principal))) if principal.is_teaching else mine

    def _kept_in(self, courses: Select[str]) -> ColumnElement[bool]:
        """Of what staff may have to do with: in these courses, on one's own activities, or by oneself on no place.

        Nobody writes about themselves.
        """
        course_id, activity_id = RemediationPlan.course_id, RemediationPlan.activity_id
        written = and_(activity_id.is_(None), RemediationPlan.teacher_id == self.principal.id)
        owned = activity_id.in_(owned_activity_ids(self.principal))
        there = or_(among(course_id, courses), and_(course_id.is_(None), or_(owned, written)))
        return and_(there, about_others(RemediationPlan.student_id, self.principal))

    async def led(self, id_: UUID) -> RemediationPlan:
        """Locked, to write. Raises Forbidden for those who see it without teaching the course, or whom it is about."""
        plan = await self.get(id_, lock=True)
        await require_held(self, plan, self._kept_in(led_courses(self.principal)))
        return plan

    async def open(self, plan: RemediationPlan) -> RemediationPlan:
        """A new plan for a student of the course, or of the activity, with risks found there."""
        session, principal = self.session, self.principal
        require_place(plan.activity_id, plan.course_id)
        plan.course_id = await course_of(session, principal, plan.activity_id, plan.course_id)
        await require_student(session, principal, plan.student_id, plan.activity_id, plan.course_id)
        check_dates(plan)
        await self._require_risks(plan)
        return await self.add(plan)

    async def _require_risks(self, plan: RemediationPlan) -> None:
        wanted = {UUID(one) for one in plan.trigger_risks}
        known = select(Risk.id).join(LearningSession, LearningSession.id == Risk.session_id)
        theirs = known.where(Risk.id.in_(wanted), LearningSession.student_id == plan.student_id)
        found = set(await self.session.scalars(theirs.where(work_in(plan.activity_id, plan.course_id))))
        if missing := sorted(map(str, wanted - found)):
            detail = f"There is no risk {missing[0]} of this student in this course."
            raise Invalid.at("/trigger_risks", detail, "RISK_NOT_FOUND")

    async def edit(self, plan: RemediationPlan, changes: Document) -> RemediationPlan:
        if plan.status not in UNFINISHED:
            raise Conflict("PLAN_CLOSED", f"The plan is {plan.status}; it can no longer change.")
        for name, value in changes.items():
            setattr(plan, name, value)
        check_dates(plan)
        await self.session.flush()
        return plan

    async def move(self, plan: RemediationPlan, action: str, **values: ColumnValue) -> RemediationPlan:
        status = after(PLAN, self.noun, plan.status, action)
        done = {"actual_completion_date": utc_now()} if status == PlanStatus.COMPLETED else {}
        return await self.change(plan, {"status": status, **done, **values})


def check_dates(plan: RemediationPlan) -> None:
    if plan.target_completion_date <= plan.start_date:
        raise Invalid.at("/target_completion_date", "A plan ends after it starts.")


class AlertRepository(Repository[RiskAlert]):
    model = RiskAlert
    noun = "alert"

    def visible(self) -> ColumnElement[bool]:
        """What is about a course or an activity of one's own; of what names neither, what one is assigned.

        No student is shown what is about themselves, also where they teach the course.
        """
        principal = self.principal
        if principal.is_admin:
            return true()
        if principal.is_key or not principal.is_teaching:
            return false()
        return self._concerning(taught_courses(principal), taught_activities(principal))

    def _concerning(self, courses: Select[str], activities: Select[str]) -> ColumnElement[bool]:
        """Where there is a place it is the place that counts: nobody keeps what they were assigned when they leave."""
        course_id, activity_id = RiskAlert.course_id, RiskAlert.activity_id
        assigned = and_(activity_id.is_(None), RiskAlert.assigned_to == self.principal.id)
        there = or_(course_id.in_(courses), and_(course_id.is_(None), or_(activity_id.in_(activities), assigned)))
        return and_(there, about_others(RiskAlert.student_id, self.principal))

    async def led(self, id_: UUID) -> RiskAlert:
        """Locked, to write. Raises Forbidden for those who see it without teaching the course."""
        alert = await self.get(id_, lock=True)
        await require_held(self, alert, self._concerning(led_courses(self.principal), led_activities(self.principal)))
        return alert

    async def assign(self, alert: RiskAlert, user_id: UUID) -> RiskAlert:
        """To somebody who will see it: who teaches or tutors its course, or owns its activity.

        Where it names neither, to oneself, or by an admin to anybody.
        """
        self.living(alert)
        if not await self._may_have(alert, user_id):
            raise Invalid.at("/user_id", "This is nobody who teaches the course.", "ASSIGNEE_NOT_ALLOWED")
        return await self.change(alert, {"assigned_to": user_id, "assigned_at": utc_now()})

    async def _may_have(self, alert: RiskAlert, user_id: UUID) -> bool:
        course_id = alert.course_id
        if course_id is None and alert.activity_id is not None:
            columns = (Activity.course_id, Activity.teacher_id)
            found = select(*columns).where(Activity.activity_id == alert.activity_id)
            course_id, owner = (await self.session.execute(found)).one_or_none() or (None, None)
            if course_id is None:
                return user_id == owner
        if course_id is None:
            return self.principal.is_admin or user_id == self.principal.id
        members = select(CourseMember.id).where(CourseMember.course_id == course_id)
        teaching = members.where(CourseMember.user_id == user_id, CourseMember.role.in_(("teacher", "tutor")))
        return await self.session.scalar(teaching) is not None

    def living(self, alert: RiskAlert) -> None:
        if alert.status not in ALERT["resolve"][0]:
            raise Conflict("ILLEGAL_TRANSITION", f"The alert is {alert.status} already.")

    async def move(self, alert: RiskAlert, action: str, **values: ColumnValue) -> RiskAlert:
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

    async def hidden_contexts(self, found: Collection[TeacherIntervention]) -> set[UUID]:
        """Of these, those whose alert is not the principal's to see: it may be of another course than the session.

        Nobody keeps what an alert said when they leave its course.
        """
        contexts = {one.id: one.alert_context for one in found if one.alert_context}
        if self.principal.is_admin or not contexts:
            return set()
        activities = {context.get("activity_id") for context in contexts.values()} - {None}
        mine = taught_activities(self.principal).where(Activity.activity_id.in_(activities))
        courses = set(await self.session.scalars(taught_courses(self.principal)))
        owned = set(await self.session.scalars(mine)) if activities else set()
        authors = {one.id: one.teacher_id for one in found}

        def may_see(id_: UUID, context: Document) -> bool:
            if context.get("course_id") is not None:
                return context["course_id"] in courses
            if context.get("activity_id") is not None:
                return context["activity_id"] in owned
            return authors[id_] == self.principal.id

        return {id_ for id_, context in contexts.items() if not may_see(id_, context)}

    async def own(self, id_: UUID) -> TeacherIntervention:
        """Locked, and the principal's own. Raises Forbidden."""
        found = await self.get(id_, lock=True)
        if not self.principal.is_admin and found.teacher_id != self.principal.id:
            raise Forbidden(None, "Only the teacher who made an intervention may change it.")
        return found

    async def edit(self, intervention: TeacherIntervention, changes: Document) -> TeacherIntervention:
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

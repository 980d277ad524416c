"""An alert scan: every rule over the courses that somebody teaches, each finding once."""

from collections import Counter, defaultdict

from sqlalchemy import Select, or_, select, true

from cortez.accounts.access import led_courses
from cortez.accounts.models import Course, CourseMember
from cortez.accounts.repository import CourseRepository
from cortez.clock import utc_now
from cortez.oversight.alert_rules import LOOK_BACK, RULES, Rule, inactivity
from cortez.oversight.models import AlertScope, RiskAlert
from cortez.oversight.repository import AlertRepository
from cortez.oversight.rules import LIVING
from cortez.oversight.schemas import ScanOut
from cortez.sessions.models import LearningSession

Place = tuple[str, str]  # course and student
AT_ONCE = 200  # alerts that are stored by one statement


class Scan:
    """Runs with a fixed number of queries, holding its courses so that a parallel scan waits and then finds nothing.

    A rule stays silent where its alert on the student in the course is not closed, or was closed within the look-back.
    """

    def __init__(self, alerts: AlertRepository) -> None:
        self.alerts = alerts
        self.session = alerts.session
        self.principal = alerts.principal
        self.now = utc_now()
        self.since = self.now - LOOK_BACK

    async def run(self, course_id: str | None) -> ScanOut:
        if course_id is not None:
            await CourseRepository(self.session, self.principal).led(course_id)
        await self.session.execute(self._courses(course_id).order_by(Course.course_id).with_for_update(key_share=True))
        counts: Counter[str] = Counter()
        known = 0
        for rule in RULES:
            found = await self._seen(rule, course_id)
            silent = await self._silent(rule, course_id)
            new = sorted(found.keys() - silent)
            for start in range(0, len(new), AT_ONCE):
                some = new[start : start + AT_ONCE]
                self.session.add_all(self._alert(rule, place, *found[place]) for place in some)
                await self.session.flush()
            counts[rule.name], known = len(new), known + len(found.keys() & silent)
        return ScanOut(counts.total(), known, dict(counts))

    def _courses(self, course_id: str | None) -> Select[str]:
        statement = select(Course.course_id).where(true() if course_id is None else Course.course_id == course_id)
        if self.principal.is_admin:
            return statement
        return statement.where(Course.course_id.in_(led_courses(self.principal)))

    async def _seen(self, rule: Rule, course_id: str | None) -> dict[Place, tuple[float | None, list[str]]]:
        """The value of each student in each course above the rule's threshold, and the ids behind it."""
        place_of = CourseMember.course_id if rule.query is inactivity else LearningSession.course_id
        rows = await self.alerts.many(rule.query(self.since, place_of.in_(self._courses(course_id))))
        values: dict[Place, float | None] = {}
        ids: defaultdict[Place, list[str]] = defaultdict(list)
        for row in rows:
            place = (row.course_id, row.student_id)
            values[place] = row.value
            if row.evidence is not None:
                ids[place].append(str(row.evidence))
        return {place: (value, ids[place]) for place, value in values.items()}

    async def _silent(self, rule: Rule, course_id: str | None) -> set[Place]:
        living = RiskAlert.status.in_([status.value for status in LIVING])
        statement = select(RiskAlert.course_id, RiskAlert.student_id).where(
            RiskAlert.detection_rule == rule.name,
            RiskAlert.course_id.in_(self._courses(course_id)),
            or_(living, RiskAlert.resolved_at >= self.since),
        )
        return {(str(row.course_id), str(row.student_id)) for row in await self.session.execute(statement)}

    def _alert(self, rule: Rule, place: Place, value: float | None, evidence: list[str]) -> RiskAlert:
        return RiskAlert(
            alert_type=rule.type.value,
            severity=rule.severity.value,
            scope=AlertScope.STUDENT.value,
            course_id=place[0],
            student_id=place[1],
            title=rule.title,
            description=f"{rule.seen.format(value=value or 0)} {rule.otherwise}",
            evidence=evidence,
            detected_at=self.now,
            detection_rule=rule.name,
            threshold_value=rule.threshold,
            actual_value=value,
        )

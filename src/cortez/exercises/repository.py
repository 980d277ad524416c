"""Queries of exercises and what belongs to them, and of attempts."""

from collections.abc import Collection
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, false, func, or_, select, true
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.interfaces import ORMOption

from cortez.accounts.access import member_courses, taught_courses
from cortez.accounts.models import CourseMember
from cortez.clock import utc_now
from cortez.content.repository import Restorable, SubjectRepository
from cortez.core.db.expressions import among, within
from cortez.core.db.repository import Repository, group_by
from cortez.core.db.types import stored
from cortez.errors import Conflict, Invalid
from cortez.exercises.access import learner, living_exercises, open_exercises, sees_all
from cortez.exercises.models import (
    AttemptStatus,
    Exercise,
    ExerciseAttempt,
    ExerciseHint,
    ExerciseTest,
    HintReveal,
    RubricCriterion,
    RubricLevel,
)
from cortez.exercises.rules import Band, Criterion, evaluate, final_of, penalty_of, points_of_tests, score_of
from cortez.exercises.schemas import GradeIn, RubricIn
from cortez.sessions.access import session_ids
from cortez.sessions.models import LearningSession

P = TypeVar("P", bound=ExerciseHint | ExerciseTest | RubricCriterion)  # a part of an exercise

MAX_HINTS, MAX_TESTS = 100, 200  # of an exercise, which is shown with all of them


def revealed_to(student_id: str | None) -> Select[UUID | None]:
    return select(HintReveal.hint_id).where(HintReveal.student_id == student_id)


class ExerciseRepository(Restorable[Exercise]):
    model = Exercise
    noun = "exercise"

    def open(self) -> ColumnElement[bool]:
        return open_exercises(self.principal)

    def children(self) -> list[ORMOption]:
        """What loads an exercise's hints, tests and rubric, as far as they may be seen: one query each."""
        hints: Any = Exercise.hints
        tests: Any = Exercise.tests
        if not sees_all(self.principal):
            hints = hints.and_(ExerciseHint.id.in_(revealed_to(self.principal.student_id)))
            tests = tests.and_(ExerciseTest.is_hidden.is_(False))
        rubric = selectinload(Exercise.rubric_criteria).selectinload(RubricCriterion.levels)
        return [selectinload(hints), selectinload(tests), rubric]

    async def whole(self, id_: UUID) -> Exercise:
        statement = self.select().where(Exercise.id == id_).options(*self.children())
        return self.present(await self.session.scalar(statement), id_)

    async def changeable(self, id_: UUID) -> Exercise:
        """Locked, for a teacher of its subject. Raises Forbidden (NOT_SUBJECT_TEACHER)."""
        exercise = await self.get(id_, lock=True)
        await self.require_teacher(exercise.subject_code)
        return exercise

    async def require_teacher(self, code: str) -> None:
        await SubjectRepository(self.session, self.principal).require_teacher(code)

    async def edit(self, exercise: Exercise, changes: dict[str, Any]) -> Exercise:
        """A change makes a new version."""
        return await self.change(exercise, changes | {"version": exercise.version + 1} if changes else {})

    async def languages(self) -> list[Any]:
        grouped = self.select(Exercise.language, Exercise.difficulty, func.count().label("exercises"))
        rows = grouped.group_by(Exercise.language, Exercise.difficulty).order_by(Exercise.language)
        return list(await self.session.execute(rows))

    async def erase(self, exercise: Exercise) -> None:
        await self.change(exercise, {"deleted_at": utc_now()})


class OfExercise(Repository[P]):
    """Hints and tests: there as long as their exercise is."""

    def visible(self) -> ColumnElement[bool]:
        return and_(self.model.exercise_id.in_(living_exercises(self.principal)), self.shown())

    def shown(self) -> ColumnElement[bool]:
        """Which of them, beside those whose exercise is out of sight."""
        return true()

    async def get_by_exercise_ids(self, exercise_ids: Collection[UUID]) -> dict[UUID, list[P]]:
        """One query for all, each in its order."""
        statement = self.select().where(self.model.exercise_id.in_(exercise_ids)).order_by(self.number())
        return group_by(await self.session.scalars(statement), lambda one: one.exercise_id, exercise_ids)

    async def changeable(self, id_: UUID, *, to_delete: bool = False) -> P:
        """Locked, for a teacher of the subject. Raises Forbidden (NOT_SUBJECT_TEACHER)."""
        found = await (self.get_to_delete(id_) if to_delete else self.get(id_, lock=True))
        exercise = await self.session.get_one(Exercise, found.exercise_id)
        await SubjectRepository(self.session, self.principal).require_teacher(exercise.subject_code)
        return found

    def number(self) -> Any:
        return self.model.created_at

    async def next_number(self, exercise_id: UUID) -> int:
        """The exercise is locked."""
        last = await self.session.scalar(select(func.max(self.number())).where(self.model.exercise_id == exercise_id))
        return (last or 0) + 1


class HintRepository(OfExercise[ExerciseHint]):
    model = ExerciseHint
    noun = "hint"

    def shown(self) -> ColumnElement[bool]:
        if sees_all(self.principal):
            return true()
        return ExerciseHint.id.in_(revealed_to(self.principal.student_id))

    def number(self) -> Any:
        return ExerciseHint.hint_number

    async def create(self, exercise: Exercise, values: dict[str, Any]) -> ExerciseHint:
        """For the locked exercise. Raises Conflict (TOO_MANY_PARTS)."""
        await self.limit_parts(ExerciseHint.exercise_id == exercise.id, MAX_HINTS)
        number = values.pop("hint_number") or await self.next_number(exercise.id)
        penalty = values.pop("penalty_points")
        cost = penalty_of(number) if penalty is None else penalty
        return await self.add(ExerciseHint(exercise_id=exercise.id, hint_number=number, penalty_points=cost, **values))

    async def reveal(self, exercise: Exercise, session_id: UUID | None) -> tuple[ExerciseHint, int]:
        """The student's next hint, recorded with its cost, and how many are left. The exercise is locked.

        Raises Conflict (HINTS_EXHAUSTED).
        """
        student_id = await learner(self.session, self.principal)
        mine = (ExerciseHint.exercise_id == exercise.id, ExerciseHint.id.not_in(revealed_to(student_id)))
        hidden = list(await self.session.scalars(select(ExerciseHint).where(*mine).order_by(ExerciseHint.hint_number)))
        if not hidden:
            raise Conflict("HINTS_EXHAUSTED", "There is no hint left.")
        hint = hidden[0]
        self.session.add(
            HintReveal(
                student_id=student_id,
                exercise_id=exercise.id,
                hint_id=hint.id,
                session_id=session_id,
                penalty=hint.penalty_points,
            )
        )
        await self.session.flush()
        return hint, len(hidden) - 1


class TestRepository(OfExercise[ExerciseTest]):
    model = ExerciseTest
    noun = "test"

    def shown(self) -> ColumnElement[bool]:
        return true() if sees_all(self.principal) else ExerciseTest.is_hidden.is_(False)

    def number(self) -> Any:
        return ExerciseTest.test_number

    async def create(self, exercise: Exercise, values: dict[str, Any]) -> ExerciseTest:
        """For the locked exercise. Raises Conflict (TOO_MANY_PARTS)."""
        await self.limit_parts(ExerciseTest.exercise_id == exercise.id, MAX_TESTS)
        number = values.pop("test_number") or await self.next_number(exercise.id)
        return await self.add(ExerciseTest(exercise_id=exercise.id, test_number=number, **values))


class CriterionRepository(OfExercise[RubricCriterion]):
    """The rubric of an exercise, written as a whole."""

    model = RubricCriterion
    noun = "criterion"

    def select(self, *columns: Any, of: ColumnElement[bool] | None = None) -> Select[Any]:
        chosen = super().select(*columns, of=of)
        return chosen if columns else chosen.options(selectinload(RubricCriterion.levels))

    def number(self) -> Any:
        return RubricCriterion.display_order

    async def of(self, exercise_id: UUID) -> list[RubricCriterion]:
        return (await self.get_by_exercise_ids([exercise_id]))[exercise_id]

    async def replace(self, exercise: Exercise, rubric: RubricIn) -> list[RubricCriterion]:
        """The exercise is locked."""
        mine = RubricCriterion.exercise_id == exercise.id
        levels = RubricLevel.criterion_id.in_(select(RubricCriterion.id).where(mine))
        await self.session.execute(delete(RubricLevel).where(levels))  # first, so that both databases log one order
        await self.session.execute(delete(RubricCriterion).where(mine))
        for place, criterion in enumerate(rubric.criteria, start=1):
            self.session.add(
                RubricCriterion(
                    exercise_id=exercise.id,
                    criterion_name=criterion.criterion_name,
                    description=criterion.description,
                    weight=criterion.weight,
                    display_order=place,
                    levels=[RubricLevel(**stored(level)) for level in criterion.levels],
                )
            )
        await self.session.flush()
        return await self.of(exercise.id)


class AttemptRepository(Repository[ExerciseAttempt]):
    model = ExerciseAttempt
    noun = "attempt"

    def visible(self) -> ColumnElement[bool]:
        """One's own; those in sessions one may see; outside of sessions those for the courses that one teaches."""
        principal, session_id = self.principal, ExerciseAttempt.session_id
        if principal.is_admin:
            return true()
        inside = session_id.in_(session_ids(principal))
        if principal.is_key:
            limited = principal.course_ids
            return true() if limited is None else or_(inside, within(ExerciseAttempt.course_id, limited))
        mine = false() if principal.student_id is None else ExerciseAttempt.student_id == principal.student_id
        if not principal.is_teaching:
            return mine
        return or_(mine, inside, among(ExerciseAttempt.course_id, taught_courses(principal)))

    async def submit(
        self, exercise: Exercise, code: str, session: LearningSession | None, course_id: str | None = None
    ) -> ExerciseAttempt:
        """The student's next attempt, with the hints used so far. The exercise is locked: numbers have no gap.

        In a session its course is the session's, and is kept there alone. Raises Invalid (COURSE_NOT_YOURS).
        """
        await self._require_course(session, course_id)
        student_id = await learner(self.session, self.principal)
        mine = (ExerciseAttempt.student_id == student_id, ExerciseAttempt.exercise_id == exercise.id)
        last = await self.session.scalar(select(func.max(ExerciseAttempt.attempt_number)).where(*mine))
        used = (HintReveal.student_id == student_id, HintReveal.exercise_id == exercise.id)
        columns = (func.count(), func.coalesce(func.sum(HintReveal.penalty), 0))
        hints, penalty = (await self.session.execute(select(*columns).where(*used))).one()
        return await self.add(
            ExerciseAttempt(
                exercise_id=exercise.id,
                student_id=student_id,
                session_id=session.id if session else None,
                course_id=None if session else course_id,
                submitted_code=code,
                hints_used=hints,
                penalty_applied=penalty,
                attempt_number=(last or 0) + 1,
            )
        )

    async def _require_course(self, session: LearningSession | None, course_id: str | None) -> None:
        if session:
            known = course_id in (None, session.course_id)
        else:
            mine = member_courses(self.principal).where(CourseMember.course_id == course_id)
            known = course_id is None or await self.session.scalar(mine) is not None
        if not known:
            raise Invalid.at("/course_id", "This is not a course of yours, or of the session.", "COURSE_NOT_YOURS")

    async def grade(self, attempt: ExerciseAttempt, grade: GradeIn, *, regrade: bool) -> ExerciseAttempt:
        """Once, unless it is to be graded anew. The attempt is locked. Raises Conflict (ATTEMPT_GRADED)."""
        if attempt.status != AttemptStatus.PENDING and not regrade:
            raise Conflict("ATTEMPT_GRADED", "The attempt is graded already; send regrade=true to do it again.")
        values = grade.changes()
        if grade.rubric_evaluation is not None:
            rubric = await self._rubric(attempt.exercise_id)
            judged, points = evaluate(rubric, grade.rubric_evaluation.criteria)
            values["rubric_evaluation"] = {
                "criteria": judged,
                "total_score_rubric": float(points),
                "penalty_from_hints": attempt.penalty_applied,
                "final_score": float(final_of(points, attempt.penalty_applied)),
            }
        elif grade.status == AttemptStatus.PASS and not grade.tests_total:
            raise Invalid.at("/tests_total", "Send the tests that passed, or a rubric evaluation.")
        else:
            points = points_of_tests(grade.tests_passed, grade.tests_total)
            values["rubric_evaluation"] = {}
        values["score"] = score_of(points, attempt.penalty_applied)
        return await self.change(attempt, values)

    async def _rubric(self, exercise_id: UUID) -> dict[str, Criterion]:
        """As it is, also where the exercise is deleted by now: its attempts stay."""
        statement = select(RubricCriterion).where(RubricCriterion.exercise_id == exercise_id)
        loaded = statement.options(selectinload(RubricCriterion.levels)).order_by(RubricCriterion.display_order)
        return {
            criterion.criterion_name: Criterion(
                criterion.weight,
                [Band(level.level_name, level.min_score, level.max_score, level.points) for level in criterion.levels],
            )
            for criterion in await self.session.scalars(loaded)
        }

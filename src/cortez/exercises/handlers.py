"""`/exercises`: what students practise on, with hints, tests and a rubric."""

from collections import Counter
from uuid import UUID

from litestar import Router, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK
from sqlalchemy import or_

from cortez.content.access import may_restore
from cortez.content.repository import SubjectRepository
from cortez.core.db.expressions import holds
from cortez.core.db.pagination import Listing, Page
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import teachers
from cortez.core.web.parameters import QueryKey, QueryNumber, QueryText
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.errors import Conflict, Invalid
from cortez.exercises.access import readers, sees_all
from cortez.exercises.dependencies import Exercises, provide_exercises
from cortez.exercises.models import Exercise, ExerciseDifficulty
from cortez.exercises.repository import CriterionRepository
from cortez.exercises.rules import Band, check_bands, check_weights
from cortez.exercises.schemas import (
    ExerciseIn,
    ExerciseOut,
    ExercisePatch,
    ExerciseView,
    HintOut,
    LanguageOut,
    RubricIn,
    RubricOut,
    TestOut,
)

provide_criteria = provided(CriterionRepository)
Criteria = NamedDependency[CriterionRepository]


@get("/", guards=[readers])
async def list_exercises(
    exercises: Exercises,
    page: NamedDependency[Page],
    subject_code: QueryKey = None,
    unit: QueryNumber = None,
    language: QueryText = None,
    difficulty: FromQuery[ExerciseDifficulty | None] = None,
    tag: QueryText = None,
    q: QueryText = None,
    deleted: FromQuery[bool] = False,
) -> Listing[ExerciseOut]:
    """`q` finds a part of title or description; `deleted` lists what may be restored."""
    may_restore(exercises.principal, deleted)
    equal = {"subject_code": subject_code, "unit": unit, "language": language, "difficulty": difficulty}
    wanted = {name: value for name, value in equal.items() if value is not None}
    statement = exercises.listed(deleted=deleted).filter_by(**wanted)
    if tag is not None:
        statement = statement.where(holds(Exercise.tags, tag))
    if q is not None:
        texts = (Exercise.title, Exercise.description)
        statement = statement.where(or_(*(text.icontains(q, autoescape=True) for text in texts)))
    full = sees_all(exercises.principal)
    return await exercises.page(statement, page, lambda one: ExerciseOut.of(one, with_solution=full))


@post("/", guards=[teachers])
async def create_exercise(data: JSONBody[ExerciseIn], exercises: Exercises) -> Answer[ExerciseOut]:
    """In a subject that is not retired; as every change of an exercise, by a teacher of the subject or an admin."""
    subject = await SubjectRepository(exercises.session, exercises.principal).by_code(data.subject_code, lock=True)
    await exercises.require_teacher(subject.code)
    if not subject.is_active:
        raise Conflict("SUBJECT_RETIRED", "The subject is retired; it takes no new exercises.")
    exercise = await exercises.add(Exercise(**data.changes()))
    return created(ExerciseOut.of(exercise, with_solution=True), f"/exercises/{exercise.id}")


@get("/languages", guards=[readers])
async def list_languages(exercises: Exercises) -> list[LanguageOut]:
    """How many exercises there are in each language."""
    counts: dict[str, Counter[str]] = {}
    for row in await exercises.languages():
        counts.setdefault(row.language, Counter())[row.difficulty] += row.exercises
    return [LanguageOut(language, found.total(), dict(found)) for language, found in counts.items()]


@get("/{exercise_id:uuid}", guards=[readers])
async def read_exercise(exercise_id: FromPath[UUID], exercises: Exercises) -> ExerciseView:
    """A student sees the hints that were revealed, the visible tests, and no solution."""
    exercise = await exercises.whole(exercise_id)
    return ExerciseView.of(
        exercise,
        with_solution=sees_all(exercises.principal),
        hints=[HintOut.of(hint) for hint in exercise.hints],
        tests=[TestOut.of(test) for test in exercise.tests],
        rubric=RubricOut.of(exercise.id, exercise.rubric_criteria),
    )


@patch("/{exercise_id:uuid}", guards=[teachers])
async def change_exercise(
    exercise_id: FromPath[UUID],
    data: JSONBody[ExercisePatch],
    exercises: Exercises,
    match: NamedDependency[Match],
) -> ExerciseOut:
    """A new version."""
    exercise = await exercises.changeable(exercise_id)
    match.check(exercise.updated_at)
    return ExerciseOut.of(await exercises.edit(exercise, data.changes()), with_solution=True)


@delete("/{exercise_id:uuid}", guards=[teachers])
async def delete_exercise(exercise_id: FromPath[UUID], exercises: Exercises, match: NamedDependency[Match]) -> None:
    """With hints, tests and rubric; attempts stay. It can be restored."""
    exercise = await exercises.changeable(exercise_id)
    match.check(exercise.updated_at)
    await exercises.erase(exercise)


@post("/{exercise_id:uuid}/restore", guards=[teachers], status_code=HTTP_200_OK)
async def restore_exercise(exercise_id: FromPath[UUID], exercises: Exercises) -> ExerciseOut:
    exercise = await exercises.get_deleted(exercise_id)
    await exercises.require_teacher(exercise.subject_code)
    return ExerciseOut.of(await exercises.change(exercise, {"deleted_at": None}), with_solution=True)


@get("/{exercise_id:uuid}/rubric", guards=[readers])
async def read_rubric(exercise_id: FromPath[UUID], exercises: Exercises, criteria: Criteria) -> RubricOut:
    await exercises.get(exercise_id)
    return RubricOut.of(exercise_id, await criteria.of(exercise_id))


@put("/{exercise_id:uuid}/rubric", guards=[teachers])
async def replace_rubric(
    exercise_id: FromPath[UUID], data: JSONBody[RubricIn], exercises: Exercises, criteria: Criteria
) -> RubricOut:
    """The whole document; what is not in it is gone. Attempts keep what they were given."""
    check_rubric(data)
    exercise = await exercises.changeable(exercise_id)
    return RubricOut.of(exercise_id, await criteria.replace(exercise, data))


def check_rubric(rubric: RubricIn) -> None:
    names = [criterion.criterion_name for criterion in rubric.criteria]
    if len(set(names)) < len(names):
        raise Invalid.at("/criteria", "Each criterion has a name of its own.", "RUBRIC_INVALID")
    for place, criterion in enumerate(rubric.criteria):
        bands = [Band(level.level_name, level.min_score, level.max_score, level.points) for level in criterion.levels]
        check_bands(f"/criteria/{place}/levels", bands)
        if not any(band.points for band in bands):
            raise Invalid.at(f"/criteria/{place}/levels", "The best level gives points.", "RUBRIC_INVALID")
    check_weights([criterion.weight for criterion in rubric.criteria])


router = Router(
    "/exercises",
    route_handlers=[
        list_exercises,
        create_exercise,
        list_languages,
        read_exercise,
        change_exercise,
        delete_exercise,
        restore_exercise,
        read_rubric,
        replace_rubric,
    ],
    dependencies={"exercises": provide_exercises, "criteria": provide_criteria},
    tags=["exercises"],
)

"""Hints and tests of an exercise, and how a student gets at the hints."""

from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK

from cortez.core.db.pagination import Listing, Page
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import allow, teachers
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.exercises.access import readers
from cortez.exercises.dependencies import Exercises, provide_exercises
from cortez.exercises.models import ExerciseHint, ExerciseTest
from cortez.exercises.repository import HintRepository, TestRepository
from cortez.exercises.schemas import HintIn, HintOut, HintPatch, RevealIn, RevealOut, TestIn, TestOut, TestPatch
from cortez.sessions.dependencies import Sessions, provide_sessions

provide_hints = provided(HintRepository)
provide_tests = provided(TestRepository)
Hints = NamedDependency[HintRepository]
Tests = NamedDependency[TestRepository]


@get("/exercises/{exercise_id:uuid}/hints", guards=[readers])
async def list_hints(
    exercise_id: FromPath[UUID], exercises: Exercises, hints: Hints, page: NamedDependency[Page]
) -> Listing[HintOut]:
    """A student sees those that were revealed to them."""
    await exercises.get(exercise_id)
    return await hints.page(hints.select().where(ExerciseHint.exercise_id == exercise_id), page, HintOut.of)


@post("/exercises/{exercise_id:uuid}/hints", guards=[teachers])
async def create_hint(
    exercise_id: FromPath[UUID], data: JSONBody[HintIn], exercises: Exercises, hints: Hints
) -> Answer[HintOut]:
    exercise = await exercises.changeable(exercise_id)
    hint = await hints.create(exercise, data.changes())
    return created(HintOut.of(hint), f"/hints/{hint.id}")


@post("/exercises/{exercise_id:uuid}/hints/reveal", guards=[allow("student")], status_code=HTTP_200_OK)
async def reveal_hint(
    exercise_id: FromPath[UUID], data: JSONBody[RevealIn], exercises: Exercises, hints: Hints, sessions: Sessions
) -> RevealOut:
    """The next hint, and what it costs. It is recorded; 409 HINTS_EXHAUSTED when there is none left."""
    if data.session_id is not None:
        await sessions.own(data.session_id)
    exercise = await exercises.get(exercise_id, lock=True)
    hint, remaining = await hints.reveal(exercise, data.session_id)
    return RevealOut(HintOut.of(hint), hint.penalty_points, remaining)


@patch("/hints/{hint_id:uuid}", guards=[teachers])
async def change_hint(
    hint_id: FromPath[UUID], data: JSONBody[HintPatch], hints: Hints, match: NamedDependency[Match]
) -> HintOut:
    """What was revealed before keeps its cost."""
    hint = await hints.changeable(hint_id)
    match.check(hint.updated_at)
    return HintOut.of(await hints.change(hint, data.changes()))


@delete("/hints/{hint_id:uuid}", guards=[teachers])
async def delete_hint(hint_id: FromPath[UUID], hints: Hints, match: NamedDependency[Match]) -> None:
    """What it has cost stays with those who saw it."""
    hint = await hints.changeable(hint_id, to_delete=True)
    match.check(hint.updated_at)
    await hints.delete(hint)


@get("/exercises/{exercise_id:uuid}/tests", guards=[readers])
async def list_tests(
    exercise_id: FromPath[UUID], exercises: Exercises, tests: Tests, page: NamedDependency[Page]
) -> Listing[TestOut]:
    """A student sees the visible ones, a grading key all."""
    await exercises.get(exercise_id)
    return await tests.page(tests.select().where(ExerciseTest.exercise_id == exercise_id), page, TestOut.of)


@post("/exercises/{exercise_id:uuid}/tests", guards=[teachers])
async def create_test(
    exercise_id: FromPath[UUID], data: JSONBody[TestIn], exercises: Exercises, tests: Tests
) -> Answer[TestOut]:
    exercise = await exercises.changeable(exercise_id)
    test = await tests.create(exercise, data.changes())
    return created(TestOut.of(test), f"/tests/{test.id}")


@patch("/tests/{test_id:uuid}", guards=[teachers])
async def change_test(
    test_id: FromPath[UUID], data: JSONBody[TestPatch], tests: Tests, match: NamedDependency[Match]
) -> TestOut:
    test = await tests.changeable(test_id)
    match.check(test.updated_at)
    return TestOut.of(await tests.change(test, data.changes()))


@delete("/tests/{test_id:uuid}", guards=[teachers])
async def delete_test(test_id: FromPath[UUID], tests: Tests, match: NamedDependency[Match]) -> None:
    test = await tests.changeable(test_id, to_delete=True)
    match.check(test.updated_at)
    await tests.delete(test)


router = Router(
    "/",
    route_handlers=[
        list_hints,
        create_hint,
        reveal_hint,
        change_hint,
        delete_hint,
        list_tests,
        create_test,
        change_test,
        delete_test,
    ],
    dependencies={
        "exercises": provide_exercises,
        "hints": provide_hints,
        "tests": provide_tests,
        "sessions": provide_sessions,
    },
    tags=["exercises"],
)

"""A school day: a class of thirty uses everything in the order a class does; then all figures are worked out anew."""

from collections.abc import AsyncGenerator

import pytest
from litestar import Litestar

from conftest import client_of, empty
from factory import Make
from school import School, in_groups, open_school, prepare, read_material
from school_lessons import grade_attempts, lessons_of_the_class
from school_staff import (
    analyse_everything,
    feedback,
    judge_risks,
    launches_from_the_platform,
    look_after_alerts,
    report,
    step_in,
)


@pytest.fixture(scope="module")
async def school(running_app: Litestar) -> AsyncGenerator[School]:
    """The school as it is when the day is over."""
    await empty(running_app.state.database)
    async with Make(running_app, client_of) as make:
        school = await open_school(running_app, make)
        await prepare(school)
        await in_groups(read_material(school, student) for student in school.students)
        await lessons_of_the_class(school)
        await grade_attempts(school)
        await launches_from_the_platform(school)
        await feedback(school)
        await analyse_everything(school)
        await judge_risks(school)
        await look_after_alerts(school)
        await step_in(school)
        await report(school)
        yield school
    await empty(running_app.state.database)


async def test_day(school: School) -> None:
    assert school.ledger.sessions

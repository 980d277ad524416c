"""What several modules of handlers are given."""

from litestar.di import NamedDependency

from cortez.core.web.dependencies import provided
from cortez.exercises.repository import ExerciseRepository

provide_exercises = provided(ExerciseRepository)
Exercises = NamedDependency[ExerciseRepository]

"""What several modules of handlers are given."""

from litestar.di import NamedDependency

from cortez.core.web.dependencies import provided
from cortez.evaluations.repository import EvaluationRepository

provide_evaluations = provided(EvaluationRepository)
Evaluations = NamedDependency[EvaluationRepository]

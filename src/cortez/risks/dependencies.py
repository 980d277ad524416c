"""What several modules of handlers are given."""

from litestar.di import NamedDependency

from cortez.core.web.dependencies import provided
from cortez.risks.repository import RiskRepository

provide_risks = provided(RiskRepository)
Risks = NamedDependency[RiskRepository]

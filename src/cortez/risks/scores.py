"""A session in five dimensions: what its unresolved risks add up to."""

from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from msgspec import Struct

from cortez.risks.models import RiskLevel

WEIGHT = {RiskLevel.CRITICAL: 4, RiskLevel.HIGH: 3, RiskLevel.MEDIUM: 2, RiskLevel.LOW: 1}
MOST = 10
BANDS = ((40, RiskLevel.CRITICAL), (30, RiskLevel.HIGH), (15, RiskLevel.MEDIUM))


class Dimensions(Struct, frozen=True):
    """Each 0 to 10."""

    cognitive: int
    ethical: int
    epistemic: int
    technical: int
    governance: int


class SessionScores(Struct, frozen=True):
    """`total` is 0 to 50; 40 is critical, 30 high, 15 medium. It counts indicators; it is no judgement and no grade."""

    session_id: UUID
    dimensions: Dimensions
    total: int
    level: RiskLevel
    open_risks: int


def scores(session_id: UUID, rows: Iterable[Any]) -> SessionScores:
    """Of how many unresolved risks there are of each dimension and level."""
    sums: Counter[str] = Counter()
    count = 0
    for row in rows:
        sums[row.dimension] += WEIGHT.get(RiskLevel(row.risk_level), 0) * row.risks
        count += row.risks
    dimensions = Dimensions(*(min(MOST, sums[name]) for name in Dimensions.__struct_fields__))
    total = sum(getattr(dimensions, name) for name in Dimensions.__struct_fields__)
    level = next((level for least, level in BANDS if total >= least), RiskLevel.LOW)
    return SessionScores(session_id, dimensions, total, level, count)

"""How an attempt is graded: points from the rubric or the tests, less what the hints cost, on a scale of 10."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any

from msgspec import Struct

from cortez.errors import Invalid

PENALTIES = (5, 10, 15, 20)  # points of the first hints, unless a hint says its own; later ones cost as the last
FULL = 100
TOLERANCE = 1e-6


class Band(Struct, frozen=True):
    """A level of a criterion: scores from `low`, included, to `high`, not included but in the highest one."""

    name: str
    low: float
    high: float
    points: int


class Criterion(Struct, frozen=True):
    """What share of the total a criterion decides, and its levels."""

    weight: float
    bands: Sequence[Band]

    def weighted(self, band: Band) -> Decimal:
        """What reaching the level adds to a total of 100; the best one adds all of the weight."""
        best = max(one.points for one in self.bands)
        return Decimal(str(self.weight)) * FULL * band.points / best


def penalty_of(hint_number: int) -> int:
    return PENALTIES[min(hint_number, len(PENALTIES)) - 1]


def check_bands(pointer: str, bands: Sequence[Band]) -> None:
    """Raises Invalid where the bands leave a score from 0 to 10 out, or hold one twice."""
    edges = sorted((band.low, band.high) for band in bands)
    closed = edges[0][0] == 0 and edges[-1][1] == 10
    if not closed or any(before[1] != after[0] for before, after in pairwise(edges)):
        raise Invalid.at(pointer, "The levels must cover 0 to 10 without a gap or an overlap.", "RUBRIC_INVALID")


def check_weights(weights: Sequence[float]) -> None:
    """Raises Invalid where the weights do not sum to 1."""
    if abs(sum(weights) - 1) > TOLERANCE:
        raise Invalid.at("/criteria", f"The weights sum to {sum(weights):g}, not to 1.", "RUBRIC_INVALID")


def band_of(bands: Sequence[Band], score: float) -> Band:
    """The band that a score of 0 to 10 falls into."""
    ordered = sorted(bands, key=lambda band: band.low)
    return next((band for band in ordered if score < band.high), ordered[-1])


def evaluate(rubric: Mapping[str, Criterion], scores: Sequence[Any]) -> tuple[list[dict[str, Any]], Decimal]:
    """The level that each score reaches, and the total: 0 to 100, each criterion's share of its best level weighted.

    Raises Invalid where the scores are not exactly of the rubric's criteria.
    """
    if not rubric:
        raise Invalid.at("/rubric_evaluation", "The exercise has no rubric.", "RUBRIC_MISSING")
    if sorted(one.criterion_name for one in scores) != sorted(rubric):
        detail = f"Score each of these once: {', '.join(rubric)}."
        raise Invalid.at("/rubric_evaluation/criteria", detail, "RUBRIC_MISMATCH")
    judged, total = [], Decimal(0)
    for one in scores:
        criterion = rubric[one.criterion_name]
        band = band_of(criterion.bands, one.score)
        total += criterion.weighted(band)
        judged.append(
            {
                "criterion_name": one.criterion_name,
                "level_achieved": band.name,
                "score": one.score,
                "points": band.points,
                "feedback": one.feedback,
            }
        )
    return judged, min(rounded(total), Decimal(FULL))


def rounded(value: Decimal) -> Decimal:
    """Two decimals, half up."""
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def final_of(points: Decimal, penalty: int) -> Decimal:
    """0 to 100: the points less what the hints cost."""
    return max(Decimal(0), points - penalty)


def score_of(points: Decimal, penalty: int) -> float:
    """0 to 10: `max(0, points - penalty) / 10`."""
    return float(rounded(final_of(points, penalty) / 10))


def points_of_tests(passed: int, total: int) -> Decimal:
    """The share of tests passed, 0 to 100."""
    return Decimal(FULL * passed) / Decimal(total) if total else Decimal(0)

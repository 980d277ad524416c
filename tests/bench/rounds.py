"""Programs measured in turn, over and over, so that what disturbs the machine disturbs all of them."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from bench.load import CONNECTIONS, Volley, fire

Requests = Callable[[], Iterator[bytes]]


class Measured(msgspec.Struct, frozen=True):
    """What one program did in all rounds."""

    volleys: list[Volley]

    @property
    def rates(self) -> list[float]:
        return [volley.rate for volley in self.volleys]

    @property
    def rate(self) -> float:
        """Requests a second, the median of the rounds."""
        return statistics.median(self.rates)

    @property
    def spread(self) -> float:
        """How far the rounds lie apart, as a share of the median."""
        return (max(self.rates) - min(self.rates)) / self.rate

    @property
    def latencies(self) -> list[float]:
        return [one for volley in self.volleys for one in volley.latencies]

    @property
    def p50(self) -> float:
        return statistics.median(self.latencies)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.latencies, n=100)[-1]

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s ± {self.spread / 2:.0%}"


def in_turn(
    addresses: Mapping[str, str],
    requests: Mapping[str, Requests],
    *,
    rounds: int,
    seconds: float,
    connections: int = CONNECTIONS,
) -> dict[str, Measured]:
    """Each program's own requests, for so many seconds in each round, after a warming round that does not count."""
    for name, address in addresses.items():
        fire(address, requests[name](), min(1.0, seconds), connections)
    volleys: dict[str, list[Volley]] = {name: [] for name in addresses}
    for _ in range(rounds):
        for name, address in addresses.items():
            volleys[name].append(fire(address, requests[name](), seconds, connections))
    return {name: Measured(found) for name, found in volleys.items()}


def ratio(ours: Measured, other: Measured, each: float = 1.0) -> float:
    """The median of the rounds' ratios: the two of a round were measured one after the other.

    `each`: how many of the other's requests do the work of one of ours.
    """
    pairs: Sequence[tuple[float, float]] = list(zip(ours.rates, other.rates, strict=True))
    return statistics.median(mine * each / theirs for mine, theirs in pairs)

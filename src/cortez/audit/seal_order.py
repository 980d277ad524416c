"""In which order entries of the audit log can have been sealed, and which of them cannot have come so.

Positions count up, and a seal takes what is settled. An entry may be sealed after one of a higher position only where
its transaction ended later, and then PostgreSQL's number of that transaction is higher than those of all that overtook
it. Only those are compared: the transactions of a restored database were numbered elsewhere, but everything that came
since has a higher position. On SQLite there is one writer at a time, and nothing overtakes.
"""

from bisect import bisect_left, bisect_right
from math import inf


class Sealed:
    """What has been sealed so far: of all that have a higher position, the highest transaction is kept."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []  # positions going up, transactions going down

    @property
    def highest(self) -> int:
        """The highest position."""
        return self.steps[-1][0] if self.steps else 0

    def add(self, position: int, xid: int | None) -> None:
        """Without a number of its transaction (SQLite) as if all entries had the same."""
        number = xid or 0
        end = bisect_left(self.steps, (position,))
        if end < len(self.steps) and self.steps[end][1] >= number:
            return
        start = end
        while start and self.steps[start - 1][1] <= number:
            start -= 1
        self.steps[start:end] = [(position, number)]

    def forbids(self, position: int, xid: int | None) -> bool:
        """Whether an entry with these cannot come after what has been sealed."""
        after = bisect_right(self.steps, (position, inf))
        return after < len(self.steps) and self.steps[after][1] >= (xid or 0)

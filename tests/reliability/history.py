"""What was sent and what was answered, to be compared with what is there afterwards."""

from collections import Counter, defaultdict
from typing import Any, NamedTuple

from reliability.wire import Reply


class Write(NamedTuple):
    kind: str
    token: str
    method: str
    path: str
    content: Any = None
    losing: frozenset[str] = frozenset()  # the codes of a 409 or 404 that another write's success explains


class History:
    """Every write ends in one of four ways: acknowledged, lost to another, put off to be sent again, or unasked for."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, list[Write]] = defaultdict(list)
        self.lost: Counter[str] = Counter()
        self.put_off = 0
        self.unasked: list[tuple[Write, Reply]] = []  # answers that no client should get

    def record(self, write: Write, reply: Reply) -> bool:
        """Whether this was the last word; else the write is to be sent again after `retry_after`."""
        if reply.status < 300:
            self.acknowledged[write.kind].append(write)
        elif reply.status == 503 and "retry-after" in reply.headers:
            self.put_off += 1
            return False
        elif reply.code in write.losing:
            self.lost[write.kind] += 1
        else:
            self.unasked.append((write, reply))
        return True

    def count(self, kind: str) -> int:
        return len(self.acknowledged[kind])

    def winners(self, kind: str) -> dict[str, list[Any]]:
        """What was acknowledged, by path."""
        found: dict[str, list[Any]] = defaultdict(list)
        for write in self.acknowledged[kind]:
            found[write.path].append(write.content)
        return found

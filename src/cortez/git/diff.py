"""Line by line, what changed between two versions of a file, in bounded time."""

import time
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from msgspec import Struct

from cortez.git.pack import too_large
from cortez.git.rules import MAX_DIFF, FileChange

MAX_FILE = 1_000_000
MAX_COMPARED = 128_000_000
MAX_CELLS = 250_000
MAX_SECONDS = 5.0
MAX_STORED_PATH = 500
LOOKED_AT = 8_000  # for a NUL, as git does to tell a binary file

Block = tuple[int, int, int, int]


class Difference(Struct, frozen=True):
    file: FileChange
    text: str


class Comparison:
    """The comparisons of one import, and what they may still cost.

    A file above 1 MB is listed without its lines. Where finding the smallest difference would take too long, all lines
    between the common beginning and the common end count as deleted and added: true, though not minimal.
    """

    def __init__(self) -> None:
        self.bytes = MAX_COMPARED
        self.until = time.monotonic() + MAX_SECONDS

    def of(self, path: str, old: bytes | None, new: bytes | None) -> Difference:
        kind = "added" if old is None else "deleted" if new is None else "modified"
        before, after = old or b"", new or b""
        path = path[:MAX_STORED_PATH]
        if b"\0" in before[:LOOKED_AT] + after[:LOOKED_AT]:
            return Difference(FileChange(path, kind, is_binary=True), "")
        if max(len(before), len(after)) > MAX_FILE:
            return Difference(FileChange(path, kind), "")
        self.bytes -= len(before) + len(after)
        if self.bytes < 0:
            raise too_large("The commits change too much")
        left, right = lines_of(before), lines_of(after)
        blocks = self.blocks(left, right)
        added, deleted = (sum(block[end] - block[end - 1] for block in blocks) for end in (3, 1))
        return Difference(FileChange(path, kind, added, deleted), unified(path, left, right, blocks))

    def blocks(self, left: Sequence[bytes], right: Sequence[bytes]) -> list[Block]:
        """Which lines of the left became which of the right."""
        start = common(left, right)
        end = common(left[start:][::-1], right[start:][::-1])
        before, after = left[start : len(left) - end], right[start : len(right) - end]
        if not before and not after:
            return []
        if len(before) * len(after) > MAX_CELLS or time.monotonic() > self.until:
            return [(start, start + len(before), start, start + len(after))]
        codes = SequenceMatcher(None, before, after).get_opcodes()
        return [(start + i1, start + i2, start + j1, start + j2) for tag, i1, i2, j1, j2 in codes if tag != "equal"]


def lines_of(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def common(left: Sequence[bytes], right: Sequence[bytes]) -> int:
    """How many lines the two begin with alike."""
    return next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def unified(path: str, left: Sequence[bytes], right: Sequence[bytes], blocks: Sequence[Block]) -> str:
    """As `git diff --unified=0` shows it; lines that begin after 20,000 characters are left out."""
    shown, room = [f"--- a/{path}", f"+++ b/{path}"], MAX_DIFF
    for line in _hunks(left, right, blocks):
        shown.append(line)
        room -= len(line) + 1
        if room < 0:
            break
    return "\n".join(shown) if blocks else ""


def _hunks(left: Sequence[bytes], right: Sequence[bytes], blocks: Sequence[Block]) -> Iterator[str]:
    for i1, i2, j1, j2 in blocks:
        yield f"@@ -{i1 + 1},{i2 - i1} +{j1 + 1},{j2 - j1} @@"
        for sign, lines in (("-", left[i1:i2]), ("+", right[j1:j2])):
            for line in lines:
                yield sign + line[:MAX_DIFF].decode("utf-8", "replace").replace("\0", "\ufffd").rstrip("\r")

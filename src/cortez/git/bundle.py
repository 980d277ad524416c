"""Commits out of a git bundle, within bounds on everything that a stranger's bundle may ask for."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from stat import S_ISDIR

from dulwich.bundle import Bundle, read_bundle
from dulwich.objects import Blob, ShaFile, Tag, Tree
from dulwich.objects import Commit as GitCommit
from dulwich.pack import PackInflater

from cortez.errors import CortezError, Invalid
from cortez.git.diff import Comparison, Difference
from cortez.git.models import GitEventType
from cortez.git.pack import check_pack, too_large
from cortez.git.rules import MAX_DIFF, MAX_MESSAGE, Commit, shortened

MAX_COMMITS = 20_000
MAX_IMPORTED = 1_000
MAX_FILES = 200
MAX_ENTRIES = 500_000
MAX_PATH = 4_096
GITLINK = 0o160000

Objects = dict[bytes, ShaFile]
Window = tuple[datetime, datetime]


class Found:
    """The commits within a window, oldest first, and how many there are outside of it."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.commits: list[Commit] = []
        self.outside = 0

    def admits(self, moment: datetime | None) -> bool:
        """Whether the time lies in the window; one outside is counted. Raises Invalid past 1,000 commits."""
        if moment is None or not self.window[0] <= moment <= self.window[1]:
            self.outside += 1
            return False
        if len(self.commits) == MAX_IMPORTED:
            raise Invalid("TOO_MANY_COMMITS", f"A session takes at most {MAX_IMPORTED} commits in one import.")
        return True

    def in_order(self) -> "Found":
        """By time; commits of one second stay in the order in which they were found."""
        self.commits.sort(key=lambda commit: commit.timestamp)
        return self


def incomplete(why: str) -> Invalid:
    return Invalid("BUNDLE_INCOMPLETE", f"{why} Make it of a whole clone: git bundle create work.bundle --all")


def read_commits(raw: bytes, window: Window) -> Found:
    """Raises Invalid: BUNDLE_INVALID, BUNDLE_INCOMPLETE, BUNDLE_TOO_LARGE or TOO_MANY_COMMITS."""
    try:
        check_pack(memoryview(raw)[raw.index(b"\n\n") + 2 :])
        with read_bundle(BytesIO(raw)) as bundle:
            check_bundle(bundle)
            objects: Objects = {found.id: found for found in PackInflater.for_pack_data(bundle.pack_data)}  # type: ignore[arg-type]
            return Reading(objects, window).read(bundle)
    except CortezError:
        raise
    except Exception as error:  # whatever a parser raises on bytes that are no bundle
        raise Invalid("BUNDLE_INVALID", f"This is no git bundle that can be read: {error}."[:300]) from None


def check_bundle(bundle: Bundle) -> None:
    if bundle.prerequisites:
        raise incomplete("The bundle builds on commits that it does not hold.")
    if "filter" in bundle.capabilities:
        raise incomplete("The bundle leaves objects out.")
    if bundle.capabilities.get("object-format", "sha1") != "sha1":
        raise Invalid("BUNDLE_INVALID", "Only repositories with SHA-1 names can be imported.")


class Reading:
    """One import: the objects of the bundle, and what may still be spent on comparing them."""

    def __init__(self, objects: Objects, window: Window) -> None:
        self.objects = objects
        self.found = Found(window)
        self.entries = MAX_ENTRIES
        self.comparison = Comparison()

    def read(self, bundle: Bundle) -> Found:
        for commit, branch in self.history(branches_of(bundle)):
            if self.found.admits(moment_of(commit)):
                self.found.commits.append(self.commit_of(commit, branch))
        return self.found.in_order()

    def history(self, branches: Iterable[tuple[str, bytes]]) -> Iterator[tuple[GitCommit, str]]:
        """Every commit once, after its parents, with the first branch that reaches it."""
        seen: set[bytes] = set()
        for branch, tip in branches:
            stack = [(self.peeled(tip), False)]
            while stack:
                id_, parents_done = stack.pop()
                if parents_done:
                    yield self.commit(id_), branch
                elif id_ not in seen:
                    seen.add(id_)
                    if len(seen) > MAX_COMMITS:
                        raise too_large(f"The bundle has more than {MAX_COMMITS} commits")
                    stack.append((id_, True))
                    stack.extend((parent, False) for parent in reversed(self.commit(id_).parents))

    def peeled(self, id_: bytes) -> bytes:
        """What a tag stands for."""
        while isinstance(found := self.objects.get(id_), Tag):
            id_ = found.object[1]
        return id_

    def commit(self, id_: bytes) -> GitCommit:
        found = self.objects.get(id_)
        if not isinstance(found, GitCommit):
            raise incomplete(f"The commit {text(id_)} is not in the bundle.")
        return found

    def commit_of(self, commit: GitCommit, branch: str) -> Commit:
        """With its changes against its parent; a merge has none of its own."""
        message = text(commit.message).strip()
        name, email = person(commit.author)
        differences = [] if len(commit.parents) > 1 else self.differences(commit)
        return Commit(
            commit_hash=text(commit.id),
            commit_message=shortened(message, MAX_MESSAGE),
            author_name=name,
            author_email=email,
            timestamp=datetime.fromtimestamp(commit.commit_time, UTC),
            event_type=event_of(message, len(commit.parents)),
            branch_name=branch,
            parent_commits=[text(parent) for parent in commit.parents[:20]],
            files_changed=[change.file for change in differences[:MAX_FILES]],
            total_lines_added=sum(change.file.lines_added for change in differences),
            total_lines_deleted=sum(change.file.lines_deleted for change in differences),
            diff=shortened("\n".join(change.text for change in differences if change.text), MAX_DIFF),
        )

    def differences(self, commit: GitCommit) -> list[Difference]:
        before = self.commit(commit.parents[0]).tree if commit.parents else None
        changed = sorted(self.changed_files(before, commit.tree))
        return [self.comparison.of(path, self.blob(old), self.blob(new)) for path, old, new in changed]

    def changed_files(self, before: bytes | None, after: bytes) -> Iterator[tuple[str, bytes, bytes]]:
        """The path of each file that differs, with its two blobs; an empty name where there is none."""
        stack: list[tuple[bytes, bytes | None, bytes | None]] = [(b"", before, after)]
        while stack:
            folder, *trees = stack.pop()
            left, right = self.tree(trees[0]), self.tree(trees[1])
            for name in left.keys() | right.keys():
                sides = [left.get(name), right.get(name)]
                if sides[0] == sides[1]:
                    continue
                path = folder + name
                if len(path) > MAX_PATH:
                    raise too_large(f"The bundle has a path of more than {MAX_PATH} bytes")
                folders = [side[1] if side and S_ISDIR(side[0]) else None for side in sides]
                files = [b"" if side is None or S_ISDIR(side[0]) else side[1] for side in sides]
                if any(folders):
                    stack.append((path + b"/", folders[0], folders[1]))
                if any(files):
                    yield text(path), files[0], files[1]

    def tree(self, id_: bytes | None) -> dict[bytes, tuple[int, bytes]]:
        """Name to mode and id, without submodules."""
        if id_ is None:
            return {}
        found = self.objects.get(id_)
        if not isinstance(found, Tree):
            raise incomplete(f"The folder {text(id_)} is not in the bundle.")
        self.entries -= 1 + len(found)
        if self.entries < 0:
            raise too_large("The commits change too many files")
        return {entry.path: (entry.mode, entry.sha) for entry in found.iteritems() if entry.mode != GITLINK}

    def blob(self, id_: bytes) -> bytes | None:
        if not id_:
            return None
        found = self.objects.get(id_)
        if not isinstance(found, Blob):
            raise incomplete(f"The file {text(id_)} is not in the bundle.")
        return found.data


def branches_of(bundle: Bundle) -> list[tuple[str, bytes]]:
    """The tips with their names: main and master, then the other branches, then all else."""
    first = {b"refs/heads/main": 0, b"refs/heads/master": 1}

    def order(ref: bytes) -> tuple[int, bytes]:
        return (first.get(ref, 2) if ref.startswith(b"refs/heads/") else 3, ref)

    return [(branch_name(text(ref)), bundle.references[ref]) for ref in sorted(bundle.references, key=order)]


def branch_name(ref: str) -> str:
    for prefix in ("refs/heads/", "refs/remotes/", "refs/tags/"):
        ref = ref.removeprefix(prefix)
    return ref[:255] or "main"


def moment_of(commit: GitCommit) -> datetime | None:
    """When it was committed; None where that is beyond any calendar."""
    try:
        return datetime.fromtimestamp(commit.commit_time, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def event_of(message: str, parents: int) -> GitEventType:
    if parents > 1:
        return GitEventType.MERGE
    if message.startswith('Revert "'):
        return GitEventType.REVERT
    return GitEventType.CHERRY_PICK if "(cherry picked from commit " in message else GitEventType.COMMIT


def person(signature: bytes) -> tuple[str, str]:
    """Name and mail of `Name <mail>`, each cut at 255 characters."""
    name, _, mail = text(signature).rpartition("<")
    return (name.strip() or "unknown")[:255], (mail.rstrip(">").strip() or "unknown")[:255]


def text(raw: bytes) -> str:
    """As UTF-8; what is none, and NUL, becomes the replacement character."""
    return raw.decode("utf-8", "replace").replace("\0", "\ufffd")

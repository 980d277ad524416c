"""Commits out of the output of one documented `git log` command."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from cortez.core.web.schemas import EARLIEST, LATEST
from cortez.errors import Invalid
from cortez.git.bundle import MAX_COMMITS, MAX_FILES, Found, Window, branch_name, event_of, text
from cortez.git.rules import MAX_MESSAGE, Commit, FileChange, shortened

# %x1e begins a commit and %x1f ends a field, so that a message may hold any line.
COMMAND = (
    "git log --branches --numstat --summary --no-renames "
    "--pretty=format:%x1e%H%x1f%P%x1f%an%x1f%ae%x1f%cI%x1f%S%x1f%B%x1f"
)
FIELDS = 8
HASH = re.compile(r"[0-9a-f]{40}")
NUMSTAT = re.compile(r"(?:(\d{1,9})\t(\d{1,9})|-\t-)\t(.+)")
SUMMARY = re.compile(r" (create|delete) mode \d+ (.+)")
KINDS = {"create": "added", "delete": "deleted"}


def invalid(why: str) -> Invalid:
    return Invalid("LOG_INVALID", f"This is not the output of the documented command ({why}): {COMMAND}")


def read_log(raw: bytes, window: Window) -> Found:
    """Raises Invalid: LOG_INVALID, BUNDLE_TOO_LARGE or TOO_MANY_COMMITS."""
    begin, *records = text(raw).split("\x1e")
    if begin.strip() or not records:
        raise invalid("it does not begin with a commit")
    if len(records) > MAX_COMMITS:
        raise Invalid("BUNDLE_TOO_LARGE", f"The log has more than {MAX_COMMITS} commits; send fewer of them.")
    found = Found(window)
    for record in reversed(records):  # git writes the newest first
        fields = record.split("\x1f")
        if len(fields) != FIELDS or not HASH.fullmatch(fields[0]):
            raise invalid("a commit has not the fields asked for")
        moment = moment_of(fields[4])
        if found.admits(moment):
            found.commits.append(commit_of(fields, moment or EARLIEST))
    return found.in_order()


def moment_of(field: str) -> datetime | None:
    """None where it lies beyond 1970 to 2200."""
    try:
        moment = datetime.fromisoformat(field)
    except ValueError:
        raise invalid("a date is not ISO 8601") from None
    if moment.tzinfo is None:
        raise invalid("a date has no offset")
    return moment.astimezone(UTC) if EARLIEST <= moment <= LATEST else None


def commit_of(fields: list[str], moment: datetime) -> Commit:
    hash_, parents, name, email, _, branch, body, statistics = fields
    parent_commits, message = parents.split(), body.strip()
    if not all(HASH.fullmatch(parent) for parent in parent_commits):
        raise invalid("a parent is no commit")
    files = list(files_of(statistics))
    return Commit(
        commit_hash=hash_,
        commit_message=shortened(message, MAX_MESSAGE),
        author_name=name[:255] or "unknown",
        author_email=email[:255] or "unknown",
        timestamp=moment,
        event_type=event_of(message, len(parent_commits)),
        branch_name=branch_name(branch),
        parent_commits=parent_commits[:20],
        files_changed=files[:MAX_FILES],
        total_lines_added=min(sum(file.lines_added for file in files), 2**31 - 1),
        total_lines_deleted=min(sum(file.lines_deleted for file in files), 2**31 - 1),
    )


def files_of(statistics: str) -> Iterator[FileChange]:
    """The files of a commit: their lines by --numstat, whether they are new or gone by --summary."""
    lines = statistics.strip("\n").split("\n") if statistics.strip("\n") else []
    kinds = {found[2]: KINDS[found[1]] for found in map(SUMMARY.fullmatch, lines) if found}
    for line in lines:
        if found := NUMSTAT.fullmatch(line):
            added, deleted, path = found.groups()
            kind, binary = kinds.get(path, "modified"), added is None
            yield FileChange(path[:500], kind, 0 if binary else int(added), 0 if binary else int(deleted), binary)
        elif line and not line.startswith(" "):
            raise invalid("a line is no statistics of a file")

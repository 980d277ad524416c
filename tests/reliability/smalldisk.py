"""A disk that can be filled: a file system in memory, mounted where only one process and its children see it."""

import errno
import subprocess
from collections.abc import Sequence
from pathlib import Path

MEGABYTE = 1_000_000


def behind(folder: Path, megabytes: int, source: Path | None = None) -> Sequence[str]:
    """The command to start a program with, for which the folder is such a disk, with the files of `source` on it.

    Nobody needs to be root; PostgreSQL refuses to be, so that whoever is becomes nobody.
    """
    fill = f"cp -a {source}/. {folder}/ &&" if source else ""
    script = f'mount -t tmpfs -o size={megabytes}m,mode=0700 none {folder} && {fill} exec "$@"'
    own = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--mount", "--keep-caps")
    return (*own, "sh", "-c", script, "--")


def is_possible(folder: Path) -> bool:
    """Some machines let nobody mount anything."""
    return subprocess.run((*behind(folder, 1), "true"), capture_output=True, check=False).returncode == 0


class Disk:
    """The disk as the process with this id sees it."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.path = Path(f"/proc/{pid}/root{folder}")

    def fill(self) -> None:
        with (self.path / "filler").open("wb", buffering=0) as file:
            for size in (MEGABYTE, 4096, 1):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        (self.path / "filler").unlink()

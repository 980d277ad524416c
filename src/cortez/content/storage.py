"""Files on disk under the digest of their content: written once, the same content once, never changed."""

import os
import time
from collections.abc import Collection
from pathlib import Path

from cortez.core.web.uploads import Upload


class Storage:
    """A folder of files by SHA-256. A file is there, and on disk to stay, before any row speaks of it."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)

    @property
    def incoming(self) -> Path:
        return self.root / "incoming"

    def place(self, sha256: str) -> Path:
        return self.root / self.relative(sha256)

    @staticmethod
    def relative(sha256: str) -> str:
        return f"{sha256[:2]}/{sha256}"

    def adopt(self, upload: Upload) -> None:
        """Move the upload to its place; the folder is flushed, so that a crash keeps it. A second time is nothing."""
        target = self.place(upload.sha256)
        if target.exists():
            upload.discard()
            os.utime(target)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        upload.path.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def sweep(self, known: Collection[str], older_than: float) -> int:
        """Remove files that no row names and that were last touched so many seconds ago; how many there were."""
        limit = time.time() - older_than
        removed = 0
        for path in self.root.glob("*/*"):
            if path.name not in known and path.stat().st_mtime <= limit:
                path.unlink()
                removed += 1
        return removed

"""Where an export goes from the command line."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from rich.console import Console
from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn


async def save(chunks: AsyncIterator[bytes], output: Path | None) -> None:
    """To a file, or to standard output. Progress is shown on a terminal, unless the export itself goes there."""
    silent = not sys.stderr.isatty() or (output is None and sys.stdout.isatty())
    columns = (SpinnerColumn(), TextColumn("{task.description}"), DownloadColumn())
    with (
        Progress(*columns, console=Console(stderr=True), disable=silent, transient=True) as progress,
        opened(output) as file,
    ):
        task = progress.add_task("Exporting", total=None)
        async for chunk in chunks:
            file.write(chunk)
            progress.advance(task, len(chunk))


@contextmanager
def opened(output: Path | None) -> Iterator[IO[bytes]]:
    """A file that is there when it is whole, and for its owner alone; standard output where none is named."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
        part = Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(output)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

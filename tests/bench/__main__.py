"""Measure what the scoreboard asks for, and print it as one Markdown table: `make bench`.

A figure's module is a file beside this one (`f6_pages.py`) with FIGURES (their ids) and
`def run(bench: Bench) -> Iterator[Line]`. The table and the plots go to `results/`.
"""

import argparse
import importlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from bench.plots import draw
from bench.stage import Bench
from postgres import cluster

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results"
HEAD = "| id | what is measured | measured | target | met |\n|---|---|---|---|---|"


def figures(wanted: list[str]) -> Iterator[ModuleType]:
    """In the order of their ids; all of them where none is named."""
    for file in sorted(HERE.glob("f[0-9]*_*.py"), key=lambda file: int(file.stem[1:].split("_")[0])):
        found = importlib.import_module(f"bench.{file.stem}")
        if not wanted or set(found.FIGURES) & set(wanted):
            yield found


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The server of DATABASE_URL where that is PostgreSQL, else one of our own that keeps what it acknowledged."""
    given = os.environ.get("DATABASE_URL", "")
    if given.startswith("postgres"):
        yield given
        return
    with cluster(folder, durable=True, shared_buffers="512MB", max_wal_size="4GB") as made:
        yield made.url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", help="such as F3; all of them where none is named")
    parser.add_argument("--quick", action="store_true", help="only prove that everything runs, as CI does")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cortez-") as name, postgres(Path(name)) as url:
        bench = Bench(Path(name), url, asked.quick, [])
        rows = [machine(), "", HEAD]
        print("\n".join(rows), flush=True)  # noqa: T201
        for figure in figures(asked.figures):
            for line in figure.run(bench):
                rows.append(str(line))
                print(line, flush=True)  # noqa: T201
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "bench.md").write_text("\n".join(rows) + "\n")
    for plot in bench.plots:
        draw(plot, RESULTS)
    sys.stdout.flush()


def machine() -> str:
    """Where it was measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()

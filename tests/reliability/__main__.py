"""Play the scenarios and print what was measured as one Markdown table: `make reliability`.

A scenario is a module beside this one, named by its figure of the table (`s3_refresh.py`), with FIGURE, CLAIM and
TARGET (cells of the table), and `async def run(stage: Stage) -> Outcome`, played once on each database, or on those of
DATABASES; the short form on those of QUICK. One that compares the two has
`async def compare(sqlite: Stage, postgresql: Stage) -> Outcome` instead.
"""

import argparse
import importlib
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

from postgres import server
from reliability.playing import Turn
from reliability.stage import POSTGRESQL, SQLITE

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results"
HEAD = "| id | what is tried | database | measured | target | kept | s |\n|---|---|---|---|---|---|---|"


def scenarios(wanted: list[str]) -> Iterator[ModuleType]:
    """In the order of their figures; all of them where none is named."""
    files = sorted(HERE.glob("[a-z][0-9]*_*.py"), key=lambda file: (file.stem[0], int(file.stem[1:].split("_")[0])))
    for file in files:
        found = importlib.import_module(f"reliability.{file.stem}")
        if not wanted or found.FIGURE in wanted:
            yield found


def turns(wanted: list[str], folder: Path, postgres: str, quick: bool) -> Iterator[Turn]:
    for scenario in scenarios(wanted):
        both = getattr(scenario, "DATABASES", (SQLITE, POSTGRESQL))
        both = getattr(scenario, "QUICK", both) if quick else both
        for databases in [both] if hasattr(scenario, "compare") else [(one,) for one in both]:
            yield Turn(scenario.__name__, databases, folder, postgres, quick)


def main() -> None:
    """The short form plays two scenarios at a time: it counts, and leaves times to the long one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", help="such as S3; all of them where none is named")
    parser.add_argument("--quick", action="store_true", help="the short form that CI runs")
    asked = parser.parse_args()
    rows, broken = [HEAD], 0
    with (
        tempfile.TemporaryDirectory(prefix="cortez-") as name,
        server(Path(name), durable=True) as postgres,
        ProcessPoolExecutor(2 if asked.quick else 1, get_context("spawn")) as players,
    ):
        print(HEAD, flush=True)  # noqa: T201
        for line, kept in players.map(Turn.take, turns(asked.figures, Path(name), postgres, asked.quick)):
            rows.append(line)
            broken += not kept
            print(line, flush=True)  # noqa: T201
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "reliability.md").write_text("\n".join(rows) + "\n")
    sys.exit(f"{broken} promises were not kept." if broken else 0)


if __name__ == "__main__":
    main()

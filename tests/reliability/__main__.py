"""Play the scenarios and print what was measured as one Markdown table: `make reliability`.

A scenario is a module beside this one, named by its figure of the table (`s3_refresh.py`), with FIGURE, CLAIM and
TARGET (cells of the table), and `async def run(stage: Stage) -> Outcome`, played once on each database. One that
compares the two has `async def compare(sqlite: Stage, postgresql: Stage) -> Outcome` instead.
"""

import argparse
import asyncio
import importlib
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from postgres import server
from reliability.stage import POSTGRESQL, SQLITE, Outcome, Stage

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


async def play(scenario: ModuleType, *stages: Stage) -> Outcome:
    """A scenario that breaks is a promise not kept."""
    try:
        outcome: Outcome = await (scenario.run if len(stages) == 1 else scenario.compare)(*stages)
    except Exception as error:
        traceback.print_exc()
        return Outcome(f"{type(error).__name__}: {str(error)[:200]}".replace("\n", " ").replace("|", "/"), kept=False)
    return outcome


def row(scenario: ModuleType, database: str, outcome: Outcome, seconds: float) -> str:
    cells = (scenario.FIGURE, scenario.CLAIM, database, outcome.measured, scenario.TARGET)
    return f"| {' | '.join(cells)} | {'yes' if outcome.kept else '**no**'} | {seconds:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", help="such as S3; all of them where none is named")
    parser.add_argument("--quick", action="store_true", help="the short form that CI runs")
    asked = parser.parse_args()
    rows, broken = [HEAD], 0
    with tempfile.TemporaryDirectory(prefix="cortez-") as name, server(Path(name), durable=True) as postgres:
        print(HEAD, flush=True)  # noqa: T201
        for scenario in scenarios(asked.figures):
            together = hasattr(scenario, "compare")
            for databases in [(SQLITE, POSTGRESQL)] if together else [(SQLITE,), (POSTGRESQL,)]:
                begun, stages = time.monotonic(), []
                with asyncio.Runner() as runner:
                    for database in databases:
                        folder, own = Path(name) / f"{scenario.FIGURE}-{database}", f"{scenario.FIGURE}_{database}"
                        stages.append(runner.run(Stage.make(database, own, folder, postgres, asked.quick)))
                    outcome = runner.run(play(scenario, *stages))
                rows.append(row(scenario, " and ".join(databases), outcome, time.monotonic() - begun))
                broken += not outcome.kept
                print(rows[-1], flush=True)  # noqa: T201
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "reliability.md").write_text("\n".join(rows) + "\n")
    sys.exit(f"{broken} promises were not kept." if broken else 0)


if __name__ == "__main__":
    main()

"""One scenario on its stage, in a process of its own."""

import asyncio
import importlib
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from reliability.stage import Outcome, Stage

KEPT = {True: "yes", False: "**no**", None: "**SKIPPED**"}
LIMITS = {True: 300, False: 1_200}  # seconds, short form or not


async def play(scenario: ModuleType, *stages: Stage) -> Outcome:
    """A scenario that breaks, or finds no end, is a promise not kept."""
    try:
        async with asyncio.timeout(LIMITS[stages[0].quick]):
            outcome: Outcome = await (scenario.run if len(stages) == 1 else scenario.compare)(*stages)
    except Exception as error:
        traceback.print_exc()
        return Outcome(f"{type(error).__name__}: {str(error)[:200]}".replace("\n", " ").replace("|", "/"), kept=False)
    return outcome


class Turn(NamedTuple):
    """One line of the table to come: a scenario by the name of its module, and where it plays."""

    module: str
    databases: tuple[str, ...]
    folder: Path
    postgres: str
    quick: bool

    def take(self) -> tuple[str, bool]:
        """The line, and whether the promise was kept."""
        scenario = importlib.import_module(self.module)
        begun, stages = time.monotonic(), []
        with asyncio.Runner() as runner:
            for database in self.databases:
                folder, own = self.folder / f"{scenario.FIGURE}-{database}", f"{scenario.FIGURE}_{database}"
                stages.append(runner.run(Stage.make(database, own, folder, self.postgres, self.quick)))
            outcome = runner.run(play(scenario, *stages))
        cells = (scenario.FIGURE, scenario.CLAIM, " and ".join(self.databases), outcome.measured, scenario.TARGET)
        kept, seconds = KEPT[outcome.kept], time.monotonic() - begun
        return f"| {' | '.join(cells)} | {kept} | {seconds:.1f} |", outcome.kept is not False

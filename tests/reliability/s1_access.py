"""Nobody gets in where they do not belong; and the matrix that says so sees each filter and guard that is gone."""

from factory import Make
from matrix import Matrix, undone
from matrix_world import world_of
from mutations import EXCUSED, Hunt
from reliability.stage import Outcome, Stage
from running import client_of

FIGURE = "S1"
CLAIM = "every call by everybody, two courses side by side; then each filter, guard and check taken away"
TARGET = "0 leaks; every mutant seen"
BRIEFLY = {"filter", "guard"}
SAMPLE = 6  # in the short form, each sixth guard; of the checks only whether a probe comes past


async def run(stage: Stage) -> Outcome:
    async with stage.app() as app, Make(app, client_of) as make:
        matrix = Matrix(app, make, await world_of(app, make))
        hunt = Hunt(matrix)
        with undone():
            leaks = await hunt.matrix_holds()
            unasked = hunt.unasked()
            survivors, tried = await hunt.survivors(*((BRIEFLY, SAMPLE) if stage.quick else ()))
    survivors += unasked
    alive = [str(one) for one in survivors if str(one) not in EXCUSED]
    for line in (*leaks, *alive):
        print(line)  # noqa: T201
    all_ = tried + len(unasked)
    measured = (
        f"{hunt.asked:,} checks on {len(matrix.handlers)} calls, {len(leaks)} leaks; "
        f"{all_ - len(survivors)} of {all_} mutants seen"
    )
    excused = len(survivors) - len(alive)
    if excused:
        measured += f", {excused} excused by name"
    return Outcome(measured, kept=not (leaks or alive))

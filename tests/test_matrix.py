"""Nobody gets in where they do not belong: the matrix of every call and everybody, on both databases."""

from litestar import Litestar

from factory import Make
from matrix import Matrix, undone
from matrix_table import rows
from matrix_world import world_of
from routes import calls


def test_every_call_has_its_row(app: Litestar) -> None:
    there, written = {(verb, path) for _, verb, path, _ in calls(app)}, {(row.verb, row.path) for row in rows()}
    assert there - written == set(), "calls that the table does not name"
    assert written - there == set(), "rows of calls that are not there"


async def test_everybody_gets_what_the_table_says(app: Litestar, make: Make) -> None:
    matrix = Matrix(app, make, await world_of(app, make))
    wrong, asked = [], 0
    with undone():
        for probe in matrix.probes():
            asked += 1
            if trouble := await probe.ask():
                wrong.append(f"{probe.who}: {probe.name}: {trouble}")
    assert not wrong, "\n".join(wrong)
    assert asked > 3_000

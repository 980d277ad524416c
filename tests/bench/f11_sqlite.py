"""F11: the embedded database, beside a floor on aiosqlite."""

from collections.abc import Iterator

from bench.f1_hot_routes import at_least, compare, creating, listing, told
from bench.load import CONNECTIONS
from bench.programs import FLOOR_SQLITE, all_up
from bench.rounds import Requests, in_turn
from bench.stage import Bench, Line

FIGURES = ("F11",)


def run(bench: Bench) -> Iterator[Line]:
    scene = bench.scene("embedded", CONNECTIONS, embedded=True)
    shapes: dict[str, Requests] = {
        "SQLite, list of 50 traces": lambda: listing(scene.place),
        "SQLite, create one trace": lambda: creating(scene.place),
    }
    with all_up((FLOOR_SQLITE,), scene.folder, scene.url) as addresses:
        compare(addresses, scene.place)
        for what, requests in shapes.items():
            asked = dict.fromkeys(addresses, requests)
            found = in_turn(addresses, asked, rounds=bench.rounds, seconds=bench.seconds)
            yield at_least("F11", f"{what}: {told(found)}", found, FLOOR_SQLITE, 0.55)

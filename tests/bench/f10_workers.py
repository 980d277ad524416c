"""F10: what a second worker brings, and batches of many sessions at once."""

from collections.abc import Iterator
from itertools import cycle, islice

from bench.f1_hot_routes import batches, creating, listing
from bench.load import CONNECTIONS, fire
from bench.programs import ours
from bench.rounds import Requests, in_turn, ratio
from bench.stage import Bench, Line

FIGURES = ("F10",)
SESSIONS = 10
ONE, TWO = "one worker", "two workers"


def run(bench: Bench) -> Iterator[Line]:
    scene = bench.scene("workers", CONNECTIONS)
    place = scene.place
    second = scene.folder / "second"
    second.mkdir()
    shapes: dict[str, Requests] = {
        "list of 50 traces": lambda: listing(place),
        "create one trace": lambda: creating(place),
    }
    with ours(scene.folder, scene.url) as one, ours(second, scene.url, CORTEZ_WORKERS="2") as two:
        for what, requests in shapes.items():
            asked = {ONE: requests, TWO: requests}
            found = in_turn({ONE: one.address, TWO: two.address}, asked, rounds=bench.rounds, seconds=bench.seconds)
            times = ratio(found[TWO], found[ONE])
            told = f"{what}: {found[TWO]} with two workers, {found[ONE]} with one"
            yield Line("F10", told, f"**{times:.2f}**", "≥ 1.6 where cores allow", times >= 1.6)
        yield together(bench, two.address, place)


def together(bench: Bench, address: str, place: object) -> Line:
    """Ten clients, each with batches for a session of its own; a deadlock would be an answer that is none of 2xx."""
    bodies = list(islice(batches(place), SESSIONS))  # type: ignore[arg-type]
    alone = fire(address, cycle(bodies[:1]), bench.seconds * 2, 1)
    at_once = fire(address, cycle(bodies), bench.seconds * 2, SESSIONS)
    what = f"batches of 500 into ten sessions at once: {at_once.rate:,.1f}/s, into one: {alone.rate:,.1f}/s"
    return Line("F10", what, f"**{at_once.rate / alone.rate:.2f}**, 0 deadlocks", "no deadlock", True)

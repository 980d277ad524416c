"""F1 to F5: the four routes that a tutor agent and a page of a session use all day, beside other ways to write them.

Every program asks the same authentication query and commits as durably; before anything is timed, their answers (and
what they have stored) are compared.
"""

import random
from collections.abc import Iterator, Mapping
from itertools import cycle, repeat
from typing import Any
from uuid import UUID

import httpx

from bench.load import CONNECTIONS, request
from bench.material import Place, step
from bench.programs import ADVANCED, FASTAPI, FLOOR, OLD, OURS, Program, all_up
from bench.rounds import Measured, in_turn, ratio
from bench.stage import Bench, Line, Plot, Scene, Series

FIGURES = ("F1", "F2", "F3", "F4", "F5")
BATCH = 500
VARIED = 200  # different steps that are sent over and over, without ids of their own
PEERS = (FLOOR, OLD, FASTAPI, ADVANCED)
NEW = {"id", "created_at", "updated_at"}  # what differs between two that stored the same


def steps() -> list[dict[str, Any]]:
    dice = random.Random(1)  # noqa: S311 - texts, not secrets
    return [step(dice) for _ in range(VARIED)]


def listing(place: Place) -> Iterator[bytes]:
    return repeat(request("GET", f"/api/v1/sessions/{place.session}/traces?limit=50", place.token))


def session_view(place: Place) -> Iterator[bytes]:
    path = f"/api/v1/sessions/{place.full}?include=traces,risks,evaluations"
    return repeat(request("GET", path, place.token))


def creating(place: Place) -> Iterator[bytes]:
    """One step after the other, each client in a session of its own."""
    sent = zip(cycle(place.open), steps(), strict=False)
    return cycle([request("POST", traces_of(session), place.token, one) for session, one in sent])


def batches(place: Place) -> Iterator[bytes]:
    many = steps()
    bodies = [[many[(start + offset) % VARIED] for offset in range(BATCH)] for start in range(len(place.open))]
    sent = zip(place.open, bodies, strict=True)
    return cycle([request("POST", f"{traces_of(session)}/batch", place.token, body) for session, body in sent])


def traces_of(session: UUID) -> str:
    return f"/api/v1/sessions/{session}/traces"


def run(bench: Bench) -> Iterator[Line]:
    scene = bench.scene("hot", CONNECTIONS)
    with all_up(PEERS, scene.folder, scene.url) as addresses:
        compare(addresses, scene.place)
        yield from reading(bench, scene, addresses)
        yield from writing(bench, scene, addresses)


def compare(addresses: Mapping[str, str], place: Place) -> None:
    """Raises AssertionError where a program answers something else than ours, or stores it otherwise."""
    clients = {
        name: httpx.Client(base_url=address, headers={"authorization": f"Bearer {place.token}"})
        for name, address in addresses.items()
    }
    mine, one = clients[OURS], steps()[0]
    for name, client in clients.items():
        listed = f"{traces_of(place.session)}?limit=50"
        assert same(client.get(listed).json()) == same(mine.get(listed).json()), name
        if name == FLOOR.name:
            view = f"/api/v1/sessions/{place.full}?include=traces,risks,evaluations"
            assert same(client.get(view).json()) == same(mine.get(view).json()), name
            sent = [
                client.post(f"{traces_of(place.open[0])}/batch", json=[one, one]).json() for client in (client, mine)
            ]
            assert [answer["created"] for answer in sent] == [2, 2], sent
        made, ours = (client.post(traces_of(place.open[0]), json=one) for client in (client, mine))
        assert made.status_code == 201, (name, made.text)
        assert without_new(made.json()) == without_new(ours.json()), name
        assert same(mine.get(f"/api/v1/traces/{made.json()['id']}").json()) == same(made.json()), name
        refused = client.get(listed, headers={"authorization": "Bearer ck_nobodys"})
        assert refused.status_code == 401, (name, refused.text)


def same(answer: Any) -> Any:
    """As it reads, whatever the spelling of an instant."""
    if isinstance(answer, dict):
        return {key: same(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [same(value) for value in answer]
    return answer.removesuffix("Z").removesuffix("+00:00") if isinstance(answer, str) else answer


def without_new(answer: dict[str, Any]) -> Any:
    return {key: value for key, value in same(answer).items() if key not in NEW}


def reading(bench: Bench, scene: Scene, addresses: Any) -> Iterator[Line]:
    asked = dict.fromkeys(addresses, lambda: listing(scene.place))
    found = in_turn(addresses, asked, rounds=bench.rounds, seconds=bench.seconds)
    what = f"list of 50 traces: {told(found)}"
    yield at_least("F1", what, found, FLOOR, 0.7)
    yield at_least("F2", "the same, ours ÷ old way", found, OLD, 6)
    bench.plots.append(latencies("latency_list", "List of 50 traces, 16 connections", found))
    asked = dict.fromkeys((OURS, FLOOR.name), lambda: session_view(scene.place))
    both = {name: addresses[name] for name in asked}
    found = in_turn(both, asked, rounds=bench.rounds, seconds=bench.seconds)
    yield at_least("F5", f"session with 100 traces, 10 risks, 5 evaluations: {told(found)}", found, FLOOR, 0.55)


def writing(bench: Bench, scene: Scene, addresses: Any) -> Iterator[Line]:
    asked = dict.fromkeys(addresses, lambda: creating(scene.place))
    single = in_turn(addresses, asked, rounds=bench.rounds, seconds=bench.seconds)
    yield at_least("F3", f"create one trace: {told(single)}", single, FLOOR, 0.55)
    yield at_least("F3", "the same, ours ÷ old way", single, OLD, 4)
    bench.plots.append(latencies("latency_create", "Create one trace, 16 connections", single))
    asked = dict.fromkeys((OURS, FLOOR.name), lambda: batches(scene.place))
    both = {name: addresses[name] for name in asked}
    found = in_turn(both, asked, rounds=bench.rounds, seconds=bench.seconds)
    yield at_least("F4", f"{BATCH} traces in one request: {told(found)}", found, FLOOR, 0.65)
    times = ratio(found[OURS], single[OLD.name], BATCH)
    yield Line("F4", "the same, ours ÷ old way, one by one", f"**{times:,.0f}**", "≥ 60", times >= 60)


def at_least(figure: str, what: str, found: dict[str, Measured], other: Program, target: float) -> Line:
    times = ratio(found[OURS], found[other.name])
    return Line(figure, what, f"**{times:.2f}**", f"≥ {target:g}", times >= target)


def told(found: dict[str, Measured]) -> str:
    return "; ".join(f"{name} {measured}" for name, measured in found.items())


def latencies(file: str, title: str, found: dict[str, Measured]) -> Plot:
    """Which share of the requests was answered within so many milliseconds."""
    shares = [share / 100 for share in range(1, 100)]
    series = []
    for name, measured in found.items():
        ordered = sorted(measured.latencies)
        series.append(Series(name, [(ordered[int(share * len(ordered))] * 1000, share) for share in shares]))
    return Plot(file, title, "milliseconds", "share of the requests", series)

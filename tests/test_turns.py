"""Turns, and the work beside the event loop that waits for them."""

import asyncio
import contextlib
import os
import pickle
import time
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import update

from cortez.accounts.models import Course
from cortez.core.concurrency import worker_pools
from cortez.core.concurrency.admission import ADMISSION, AMONG_OTHERS, MANY, Admission, Gate
from cortez.core.concurrency.fair_queue import LATELY, Company, Crowded, Turns
from cortez.core.concurrency.worker_pools import BESIDE, Pool, in_process
from cortez.core.db.engine import Database
from cortez.errors import Conflict, CortezError, Invalid, TooManyRequests, Unavailable
from factory import Make
from running import client_of


async def waiting(turns: Turns, *names: str, share: int = 10) -> list[asyncio.Task[None]]:
    """One that waits under each name, in this order."""
    tasks = [asyncio.create_task(turns.take(name, share)) for name in names]
    await asyncio.sleep(0)
    return tasks


async def served(turns: Turns, tasks: dict[str, asyncio.Task[None]], name: str) -> str:
    """Who has a turn after this name has released one."""
    turns.release(name)
    await asyncio.sleep(0)
    (found,) = [key for key, task in tasks.items() if task.done()]
    del tasks[found]
    return found


async def test_whoever_waits_is_served_name_by_name() -> None:
    turns = Turns(1, 100)
    await turns.take("a", 10)
    tasks = dict(zip(["a1", "a2", "a3", "b1", "b2", "c1"], await waiting(turns, *"aaabbc"), strict=True))
    order, name = [], "a"
    while tasks:
        order.append(await served(turns, tasks, name))
        name = order[-1][0]
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]
    turns.release(name)
    assert (turns.free, turns.waiting, turns.queues, turns.shares) == (1, 0, {}, {})


async def test_nobody_has_more_than_their_share() -> None:
    turns = Turns(3, 100)
    for _ in range(2):
        await turns.take("a", 2)
    (third,) = await waiting(turns, "a", share=2)
    await turns.take("b", 2)  # a place is free, and a's is not
    assert not third.done()
    turns.release("b")
    await asyncio.sleep(0)
    assert not third.done()
    turns.release("a")
    await third
    assert turns.held == {"a": 2}


async def test_who_gives_up_takes_nothing_along() -> None:
    turns = Turns(1, 100)
    await turns.take("a", 1)
    with pytest.raises(TimeoutError):
        await turns.take("b", 1, 0.01)
    (gone, still) = await waiting(turns, "b", "b")
    gone.cancel()
    await asyncio.sleep(0)
    turns.release("a")
    await still
    (late,) = await waiting(turns, "c")
    turns.release("b")  # c has its turn, and is cancelled before it knows
    late.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await late
    assert (turns.free, turns.waiting, dict(turns.held)) == (1, 0, {})


async def test_where_many_wait_no_more_are_let_in() -> None:
    turns = Turns(1, 4)
    await turns.take("a", 1)
    tasks = await waiting(turns, "a", "a")
    with pytest.raises(Crowded):
        await turns.take("a", 1)  # half of those that may wait
    tasks += await waiting(turns, "b", "c")
    with pytest.raises(Crowded):
        await turns.take("d", 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert turns.waiting == 0


async def test_whoever_waits_goes_before_who_comes_later_with_a_larger_share() -> None:
    turns = Turns(10, 100)
    for _ in range(2):
        await turns.take("a", 2)
    (waits,) = await waiting(turns, "a", share=2)
    await turns.take("a", 9)
    await asyncio.sleep(0)
    assert (waits.done(), turns.held) == (True, {"a": 4})


async def test_who_rests_gets_no_place_also_where_one_is_free() -> None:
    turns = Turns(1, 100)
    await turns.take("a", 1)
    gone, again = await waiting(turns, "a", "a")
    turns.release("a", rest=0.05)
    gone.cancel()
    assert turns.waits_for_itself("a", 1)
    begun = time.monotonic()
    await turns.take("b", 1)
    turns.release("b")
    assert (turns.free, again.done()) == (1, False)
    with pytest.raises(TimeoutError):
        await turns.take("a", 1, 0.01)
    await again
    assert 0.05 <= time.monotonic() - begun < 1
    turns.release("a")
    assert (turns.free, turns.resting) == (1, {})


async def test_one_is_in_company_for_a_second_after_another_has_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("cortez.core.concurrency.fair_queue.time.monotonic", lambda: now)
    company = Company()
    assert not company.is_shared("a")
    company.note("a")
    company.note("a")
    company.note("")  # of the service's own
    assert (company.is_shared("a"), company.is_shared("b")) == (False, True)
    company.note("b")
    assert (company.is_shared("a"), company.is_shared("b")) == (True, True)
    now += LATELY - 0.01
    company.note("b")
    assert company.is_shared("b")
    now += 0.01
    assert (company.is_shared("a"), company.is_shared("b")) == (True, False)


async def test_a_person_has_two_places_among_others_and_waits_longer_for_their_own() -> None:
    gate = Gate(60, patience=0.01)
    mine = [await gate.admit("person:x") for _ in range(9)]
    other = await gate.admit("key:y")
    assert (gate.share("person:x"), gate.share("key:y"), gate.share("network:z")) == (AMONG_OTHERS, 18, 9)
    waiting = asyncio.create_task(gate.admit("person:x"))
    for one in mine[AMONG_OTHERS:]:
        one.leave()
    await asyncio.sleep(0.05)  # longer than it would for a place that others have
    assert not waiting.done()
    mine[0].leave()
    assert (await waiting).inside
    assert other.leave()


async def test_unknown_networks_follow_each_other_with_a_pause_while_others_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guesses come from a network each, so that no share of one holds them."""
    monkeypatch.setattr("cortez.core.concurrency.admission.STRANGERS_PAUSE", 0.2)
    gate = Gate(60, patience=0.01)
    morning = [await gate.admit(f"network:{i}") for i in range(20)]  # a school signs in, and nobody else asks
    assert (await gate.admit("key:y")).leave()
    first = await gate.admit("network:a")
    waiting = [asyncio.create_task(gate.admit(f"network:{name}")) for name in "aab"]
    await asyncio.sleep(0.05)
    others = [await gate.admit(name) for name in ("person:x", "home:c", "home:c")]
    assert not any(task.done() for task in waiting)
    await asyncio.sleep(0.2)  # the first still has its place: nobody waits for what it waits for
    assert [task.done() for task in waiting] == [True, False, False]
    await asyncio.sleep(0.2)
    assert [task.done() for task in waiting] == [True, False, True]  # network by network
    waiting[1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    monkeypatch.setattr("cortez.core.concurrency.admission.OWN_PATIENCE", 0.01)
    with pytest.raises(Unavailable):
        await gate.admit("network:b")
    assert first.leave()
    await first.enter()  # after work outside: what it has done must not be lost
    for one in (first, *(waiting[place].result() for place in (0, 2)), *others, *morning):
        assert one.leave()
    await asyncio.sleep(0.4)
    assert (gate.strangers.free, gate.strangers.waiting) == (1, 0)


async def test_a_person_with_many_who_wait_has_one_place_and_rests_as_long_as_they_worked() -> None:
    """A page asks for some things at once, and waits for none of them longer than they take."""
    gate = Gate(60)
    first, second = [await gate.admit("person:x") for _ in range(AMONG_OTHERS)]
    assert (await gate.admit("person:y")).leave()
    waiting = [asyncio.create_task(gate.admit("person:x")) for _ in range(MANY + 1)]
    await asyncio.sleep(0.3)
    assert (gate.share("person:x"), gate.share("person:y")) == (1, AMONG_OTHERS)
    first.leave()
    await asyncio.sleep(0.1)
    assert (gate.turns.resting, any(task.done() for task in waiting)) == ({"person:x": 1}, False)
    await asyncio.sleep(0.3)
    assert (gate.turns.resting, sum(task.done() for task in waiting)) == ({}, 1)
    second.leave()  # so many wait as a page may ask for
    await asyncio.sleep(0)
    assert (gate.turns.resting, sum(task.done() for task in waiting)) == ({}, 2)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_one_principal_has_a_part_of_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortez.core.concurrency.admission.OWN_PATIENCE", 0.01)
    gate = Gate(60, patience=0.01)
    assert (gate.places, gate.share("person:x"), gate.share("key:x")) == (54, 9, 18)
    assert Gate(5).share("key:x") == Gate(5).places == 4
    mine = [await gate.admit("person:x") for _ in range(9)]
    with pytest.raises(Unavailable) as error:
        await gate.admit("person:x")
    assert error.value.code == "POOL_EXHAUSTED"
    other = await gate.admit("person:y")
    assert other.leave()
    assert not other.leave()
    for one in mine:
        one.leave()
    assert gate.turns.free == 54


async def test_work_beside_the_loop_holds_no_place_unless_a_connection_is_held() -> None:
    gate, free = Gate(2), []

    async def call(function: Any) -> Any:
        free.append(gate.turns.free)
        return function()

    pool = Pool(1, call)
    admission = await gate.admit("a")
    known = ADMISSION.set(admission)
    try:
        assert await pool.run(lambda: 5) == 5
        assert admission.inside
        admission.is_kept = True
        assert await pool.run(lambda: 6) == 6
    finally:
        ADMISSION.reset(known)
    assert free == [1, 0]
    assert await pool.run(lambda: 7) == 7  # outside of any request


async def test_too_many_who_wait_are_told_at_once() -> None:
    going = asyncio.Event()

    async def call(function: Any) -> None:
        await going.wait()

    pool = Pool(1, call, most_waiting=2)
    tasks = [asyncio.create_task(pool.run(print)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as error:
        await pool.run(print)
    assert error.value.code == "POOL_BUSY"
    going.set()
    await asyncio.gather(*tasks)


def hungry() -> int:
    return len(bytearray(2 * worker_pools.MEMORY))


def broken() -> None:
    os._exit(1)


def refusing(code: str) -> None:
    raise Invalid.at("/file", "No.", code)


async def test_a_process_has_bounds_and_is_ended_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.getpid(), await in_process(os.getpid)
    assert theirs != ours
    for function in (hungry, broken):
        with pytest.raises(Invalid) as error:
            await in_process(function)
        assert error.value.code == "TOO_MUCH_WORK"
    monkeypatch.setattr(worker_pools, "SECONDS", 3.0)
    works: list[Any] = [BESIDE.run(time.sleep, 60), BESIDE.run(abs, -1)]
    slow, quick = await asyncio.gather(*works, return_exceptions=True)
    assert isinstance(slow, Invalid)
    assert quick == 1
    assert await in_process(os.getpriority, os.PRIO_PROCESS, 0) == worker_pools.NICENESS


async def test_an_error_comes_out_of_a_process_as_it_was_raised() -> None:
    with pytest.raises(Invalid) as error:
        await in_process(refusing, "NOT_THIS")
    assert (error.value.code, error.value.errors[0].pointer, str(error.value)) == ("NOT_THIS", "/file", "No.")


@pytest.mark.parametrize("error", [Conflict("X", "y"), TooManyRequests("X", "y", 1.5), Unavailable(), CortezError()])
def test_every_error_can_be_copied(error: CortezError) -> None:
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copied), copied.__dict__, str(copied)) == (type(error), error.__dict__, str(error))


async def test_a_crowd_at_the_door_keeps_nobody_out_who_is_inside(app: Litestar, make: Make) -> None:
    """Eighty wrong logins of one address stopped every signed-in request for as long as they came."""
    student = await make.student()
    going = True

    async def guess(number: int) -> None:
        async with client_of(app) as client:
            while going:
                body = {"login": f"nobody{number}-{time.monotonic_ns()}", "password": "a guess"}
                assert (await client.post("/auth/login", json=body)).status_code in {401, 503}

    guessing = [asyncio.create_task(guess(number)) for number in range(80)]
    await asyncio.sleep(0.3)
    answers = [(await student.get("/auth/me")).status_code for _ in range(30)]
    going = False
    await asyncio.gather(*guessing)
    assert answers == [200] * 30


async def test_an_unknown_key_counts_for_its_network_and_a_known_one_for_itself(app: Litestar, make: Make) -> None:
    key, gate = await make.key("read"), app.state.database.gate
    seen: list[str] = []
    admit = gate.admit

    async def noted(whose: str) -> Any:
        seen.append(whose)
        return await admit(whose)

    gate.admit = noted
    async with client_of(app) as nobody:
        await key.get("/courses")
        await key.get("/courses")
        await nobody.get("/courses", headers={"Authorization": "Bearer ck_made-up"})
        await nobody.post("/auth/refresh", json={"refresh_token": "x"})
        student = await make.student()
        await student.get("/auth/me")
    assert [one.partition(":")[0] for one in seen] == ["network", "key", "network", "network", "person"]
    assert seen[-1] == f"person:{student.id}"
    assert isinstance(student.client, httpx.AsyncClient)


async def test_on_sqlite_a_person_rests_between_writes_where_others_write(database: Database) -> None:
    """As long as the first took, which leaves others the time between; a key, and one alone, need not."""
    loop = asyncio.get_running_loop()

    async def write(whose: str, seconds: float = 0.0) -> float:
        """When its transaction began."""
        known = ADMISSION.set(Admission(database.gate, whose))
        async with database.unit() as unit:
            await unit.execute(update(Course).where(Course.course_id == "none").values(title="x"))
            begun = loop.time()
            await asyncio.sleep(seconds)
        ADMISSION.reset(known)
        return begun

    async def between(whose: str) -> float:
        """From the end of a write of 0.2 s to the beginning of the next."""
        await write(whose, 0.2)
        ended = loop.time()
        return await write(whose) - ended

    await asyncio.sleep(LATELY)
    alone = await between("person:x")
    await write("person:y")
    shared, machine = await between("person:x"), await between("key:z")
    assert alone < 0.1
    assert machine < 0.1
    assert (shared > 0.15) == database.is_sqlite

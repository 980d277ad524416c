"""Guesses at a login and requests by the minute: how many pass, whoever asks and however many workers answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar, get
from sqlalchemy import delete, update

from cortez.accounts.attempts import (
    ACCOUNT_KNOWN,
    FAILURES,
    GUESSES,
    KNOWN,
    OWN_GUESSES,
    REGISTRATIONS,
    Attempts,
    Refusals,
    Try,
)
from cortez.accounts.models import User
from cortez.app import create_app
from cortez.core.db.engine import Database
from cortez.core.openapi import document as operations
from cortez.core.security.passwords import Passwords
from cortez.core.web.client_address import client_network
from cortez.core.web.rate_limit_store import SECOND, Allowance, LoginAttempt, Meters, RateLimit, prune
from cortez.core.web.rate_limits import MAX_LEASES, Kind, Lease, Rates
from cortez.core.web.route_options import options_of, route
from cortez.errors import TooManyRequests
from cortez.pages import openapi
from cortez.settings import Settings, SettingsError, load
from factory import PASSWORD, Make
from running import client_of, live
from watching import statements

HOUR = 3600
NOW = 1_800_000_000.0
WRONG = {"login": "ana", "password": "a guess"}
RIGHT = {"login": "ana", "password": PASSWORD}
HERE, ELSEWHERE = "203.0.113.7", "203.0.113.8"


@asynccontextmanager
async def second(app: Litestar, **changes: Any) -> AsyncIterator[Litestar]:
    """Another worker on the same database, with these settings."""
    async with live(create_app(msgspec.structs.replace(app.state.settings, **changes))) as made:
        yield made


@pytest.fixture
async def ana(make: Make) -> User:
    hashed = await Passwords(make.app.state.settings).hash(PASSWORD)
    user = User(email="ana@example.edu", username="ana", hashed_password=hashed, roles=["student"])
    await make.add(user)
    return user


def attempts_from(app: Litestar, address: str = "127.0.0.1") -> Attempts:
    scope: Any = {"client": (address, 1), "headers": []}
    return Attempts(app.state.database, app.state.settings, app.state.refusals, scope)


async def take(database: Database, key: bytes, allowance: Allowance, now: float, count: int = 1) -> float:
    async with database.unit() as session:
        return await Meters(session, LoginAttempt).take(key, allowance, now, count)


async def spend(app: Litestar, one: Try, count: int) -> None:
    """Take so much at once, as of now."""
    now = datetime.now(UTC).timestamp()
    assert await take(app.state.database, one.key, one.allowance, now, count) == 0


async def guess(client: httpx.AsyncClient, **changes: str) -> tuple[int, str]:
    answer = await client.post("/auth/login", json=WRONG | changes)
    return answer.status_code, answer.json().get("code", "")


async def test_nobody_gets_more_guesses_in_any_hour_however_they_are_spread(database: Database) -> None:
    key, passed = b"k" * 32, []
    for minute in range(0, 150, 2):
        for _ in range(7 if minute % 50 == 0 else 1):
            if await take(database, key, GUESSES, NOW + 60 * minute) == 0:
                passed.append(60 * minute)
    most = max(sum(start <= moment <= start + HOUR for moment in passed) for start in passed)
    assert most == 5
    assert len(passed) == 4 + 148 * 60 // HOUR


async def test_what_is_refused_says_when_it_may_be_tried_again(database: Database) -> None:
    key, allowance = b"k", Allowance(burst=2, seconds=30)
    assert [await take(database, key, allowance, NOW) for _ in range(3)] == [0, 0, 30]
    assert await take(database, key, allowance, NOW + 29.5) == 0.5
    assert await take(database, key, allowance, NOW + 30) == 0
    assert await take(database, key, allowance, NOW + 30) == 30
    assert await take(database, key, allowance, NOW + 90, 2) == 0


async def test_of_parallel_guesses_no_more_pass_than_of_those_in_a_row(app: Litestar) -> None:
    async with second(app) as other:
        workers = (app.state.database, other.state.database)
        waits = await asyncio.gather(*[take(workers[i % 2], b"k", GUESSES, NOW) for i in range(16)])
    assert sum(wait == 0 for wait in waits) == GUESSES.burst


@pytest.mark.requirement("S4")
async def test_past_the_limit_known_and_unknown_logins_are_refused_alike(client: httpx.AsyncClient, ana: User) -> None:
    for login in ("ana", "nobody"):
        assert {await guess(client, login=login) for _ in range(4)} == {(401, "LOGIN_FAILED")}
    known, unknown = [await client.post("/auth/login", json=WRONG | {"login": login}) for login in ("ana", "nobody")]
    for answer in (known, unknown):
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= GUESSES.seconds
    same = {"type", "title", "status", "detail", "instance", "code"}
    assert {name: known.json()[name] for name in same} == {name: unknown.json()[name] for name in same}
    assert known.json()["code"] == "LOGIN_THROTTLED"
    assert (await client.post("/auth/login", json=RIGHT)).status_code == 429


async def test_known_and_unknown_logins_cost_the_same_statements(
    client: httpx.AsyncClient, ana: User, database: Database
) -> None:
    """Once strangers have used a login up, a worker asks only whether the network is known to its account."""
    seen: dict[str, list[list[str]]] = {"ana": [], "nobody": []}
    for login, costs in seen.items():
        for _ in range(GUESSES.burst + 2):
            with statements(database) as sent:
                await guess(client, login=login)
            costs.append(list(sent))
    assert seen["ana"] == seen["nobody"]
    assert any("login_attempts" in statement for statement in seen["ana"][0])
    assert ["login_attempts" in one for one in seen["ana"][-1] if one.startswith("SELECT")] == [True]


async def test_whose_a_login_is_is_known_for_a_minute(
    app: Litestar, client: httpx.AsyncClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers guessed at a name before it was taken: its owner, who signs in by e-mail, is no stranger for long."""
    assert [(await guess(client, login="bea"))[0] for _ in range(6)] == [401] * 4 + [429] * 2
    hashed = await Passwords(app.state.settings).hash(PASSWORD)
    await make.add(User(email="bea@example.edu", username="bea", hashed_password=hashed, roles=["student"]))

    async def sign_in(login: str) -> int:
        return (await client.post("/auth/login", json=RIGHT | {"login": login})).status_code

    assert (await sign_in("bea@example.edu"), await sign_in("bea")) == (200, 429)
    monkeypatch.setattr("time.time", lambda now=time.time: now() + ACCOUNT_KNOWN)
    assert await sign_in("bea") == 200


async def test_an_account_without_a_password_is_guessed_at_like_any_other(make: Make) -> None:
    passwords, verified = Passwords(make.app.state.settings), []
    matches = passwords._matches_ours
    passwords._matches_ours = lambda hashed, password: verified.append(hashed) or matches(hashed, password)  # type: ignore
    assert not await passwords.verify("!", "a guess")
    assert verified == ["!", passwords.decoy]


async def test_both_logins_of_an_account_together_allow_strangers_ten_guesses_an_hour(
    client: httpx.AsyncClient, ana: User
) -> None:
    for logins in (("ana", "ANA", "Ana"), ("ana@example.edu", "ANA@example.edu")):
        answers = [await guess(client, login=logins[i % len(logins)]) for i in range(6)]
        assert [status for status, _ in answers] == [401] * 4 + [429] * 2
    strangers, own = (one.burst + HOUR / one.seconds for one in (GUESSES, OWN_GUESSES))
    assert (2 * strangers, own) == (10, 10)


async def test_after_a_while_there_is_one_guess_more(client: httpx.AsyncClient, ana: User, make: Make) -> None:
    assert [(await guess(client))[0] for _ in range(5)] == [401] * 4 + [429]
    async with make.database.unit() as session:
        earlier = LoginAttempt.spent_until - round(GUESSES.seconds * SECOND)
        await session.execute(update(LoginAttempt).values(spent_until=earlier))
    known = make.app.state.refusals.until
    known.update({key: until - GUESSES.seconds for key, until in known.items()})
    assert [(await guess(client))[0] for _ in range(2)] == [401, 429]


async def test_a_right_password_costs_nothing_and_restores_nothing(client: httpx.AsyncClient, ana: User) -> None:
    assert [(await guess(client))[0] for _ in range(3)] == [401] * 3
    assert {(await client.post("/auth/login", json=RIGHT)).status_code for _ in range(8)} == {200}
    assert [(await guess(client))[0] for _ in range(6)] == [401] * 5 + [429]


@pytest.mark.requirement("S4")
async def test_strangers_lock_nobody_out_of_where_they_sign_in(
    app: Litestar, client: httpx.AsyncClient, ana: User
) -> None:
    """Ten requests an hour kept a teacher out, and six hundred whoever sat behind the same address."""
    async with second(app, trusted_proxies=("127.0.0.1",)) as behind, client_of(behind) as proxied:

        async def sign_in(address: str, **changes: str) -> int:
            return (
                await proxied.post("/auth/login", json=RIGHT | changes, headers={"x-forwarded-for": address})
            ).status_code

        assert await sign_in(HERE) == 200
        wrong = {"password": "a guess"}
        for login in ("ana", "ana@example.edu"):
            assert [await sign_in(ELSEWHERE, login=login, **wrong) for _ in range(5)] == [401] * 4 + [429]
        assert (await sign_in(ELSEWHERE), await sign_in(HERE), await sign_in(HERE, login=ana.email)) == (429, 200, 200)
        everybody = attempts_from(app, HERE).by_a_stranger("nobody")
        await spend(app, everybody[1], FAILURES.burst)
        assert (await sign_in(HERE, login="nobody"), await sign_in(HERE)) == (429, 200)
        assert [await sign_in(HERE, **wrong) for _ in range(6)] == [401] * 5 + [429]
        assert await sign_in(HERE, login=ana.email, **wrong) == 429
        async with app.state.database.unit() as session:
            month = round(KNOWN.total_seconds() * SECOND)
            await session.execute(update(LoginAttempt).values(spent_until=LoginAttempt.spent_until - month))
        behind.state.refusals.clear()
        assert [await sign_in(HERE, **wrong) for _ in range(5)] == [401] * 4 + [429]  # a stranger again


@get("/nothing", opt=route(public=True))
async def nothing() -> None: ...


async def test_a_network_is_known_to_a_worker_once_somebody_signs_in_there(
    app: Litestar, client: httpx.AsyncClient, ana: User
) -> None:
    """What comes from there without a token, such as a refresh, does not wait among those who guess."""
    callers = app.state.callers
    scope: Any = {"client": ("127.0.0.1", 1), "headers": [], "route_handler": nothing}
    assert callers.identify(scope) == "network:127.0.0.1"
    assert (await guess(client))[0] == 401
    assert callers.identify(scope) == "network:127.0.0.1"
    assert (await client.post("/auth/login", json=RIGHT)).status_code == 200
    assert callers.identify(scope) == "home:127.0.0.1"


async def test_the_table_says_nothing_about_who_tried_what(client: httpx.AsyncClient, make: Make) -> None:
    await guess(client, login="ana@example.edu")
    rows = await make.all(LoginAttempt)
    assert len(rows) == 2
    assert {len(row.key) for row in rows} == {32}
    other = msgspec.structs.replace(make.app.state.settings, secret_key="another secret, as long as the first")
    scope: Any = {"client": ("127.0.0.1", 1), "headers": []}
    foreign = Attempts(make.database, other, Refusals(), scope)
    assert {one.key for one in foreign.by_a_stranger("ana@example.edu")}.isdisjoint(row.key for row in rows)
    assert {one.key for one in attempts_from(make.app).by_a_stranger("ANA@example.edu")} == {row.key for row in rows}


async def test_guesses_at_one_s_own_password_are_guesses_at_the_account(make: Make, ana: User) -> None:
    someone = await make.sign_in(ana.id, "")
    assert (await someone.client.post("/auth/login", json=RIGHT)).status_code == 200
    change = {"current_password": "a guess", "new_password": "even longer"}
    answers = [await someone.put("/auth/password", json=change) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert await guess(someone.client, login=ana.email) == (429, "LOGIN_THROTTLED")


async def test_changing_one_s_password_costs_no_guess(make: Make, ana: User) -> None:
    someone = await make.sign_in(ana.id, "")
    for i in range(7):
        change = {"current_password": PASSWORD + "x" * i, "new_password": PASSWORD + "x" * (i + 1)}
        assert (await someone.put("/auth/password", json=change)).status_code == 204


@pytest.mark.requirement("S4")
async def test_a_network_pays_for_failures_only(app: Litestar, client: httpx.AsyncClient, ana: User) -> None:
    await spend(app, attempts_from(app).by_a_stranger("")[1], FAILURES.burst - 1)
    await forget(app)
    for _ in range(3):
        assert (await client.post("/auth/login", json=RIGHT)).status_code == 200
        await forget(app)
    assert await guess(client) == (401, "LOGIN_FAILED")
    refused = await client.post("/auth/login", json=RIGHT)
    assert (refused.status_code, refused.json()["code"]) == (429, "LOGIN_THROTTLED")
    assert 0 < int(refused.headers["retry-after"]) <= FAILURES.seconds
    async with second(app, trusted_proxies=("127.0.0.1",)) as behind, client_of(behind) as elsewhere:
        elsewhere.headers["x-forwarded-for"] = HERE
        assert (await elsewhere.post("/auth/login", json=RIGHT)).status_code == 200


async def test_a_guess_that_the_network_may_not_make_is_none_at_the_account(
    app: Litestar, client: httpx.AsyncClient, make: Make
) -> None:
    at_the_account, of_the_network = attempts_from(app).by_a_stranger("ana")
    await spend(app, of_the_network, FAILURES.burst)
    assert (await guess(client))[0] == 429
    assert at_the_account.key not in {row.key for row in await make.all(LoginAttempt)}


async def test_tokens_that_cannot_be_guessed_need_no_allowance(
    client: httpx.AsyncClient, app: Litestar, make: Make, ana: User
) -> None:
    signed_in = (await client.post("/auth/login", json=RIGHT)).json()
    await spend(app, attempts_from(app).by_a_stranger("")[1], FAILURES.burst)
    before = len(await make.all(LoginAttempt))
    reset = {"token": "x", "password": "long enough"}
    for path, body in (("refresh", {"refresh_token": "x"}), ("password-reset", reset)):
        assert {(await client.post(f"/auth/{path}", json=body)).status_code for _ in range(3)} == {401}
    token = {"refresh_token": signed_in["refresh_token"]}
    assert (await client.post("/auth/refresh", json=token)).status_code == 200
    assert len(await make.all(LoginAttempt)) == before
    with statements(make.database) as sent:
        await client.post("/auth/refresh", json={"refresh_token": "x"})
    assert len(sent) == 1  # which reads: a flood of them is in no writer's way
    assert "FOR UPDATE" not in sent[0]


async def test_registrations_are_counted_by_network_all_of_them(app: Litestar, client: httpx.AsyncClient) -> None:
    await spend(app, attempts_from(app).registration(), REGISTRATIONS.burst - 2)
    person = {"email": "new@example.edu", "username": "new", "password": PASSWORD}
    statuses = [(await client.post("/auth/register", json=person)).status_code for _ in range(3)]
    assert statuses == [201, 409, 429]


async def forget(app: Litestar) -> None:
    """Where an account has signed in of late."""
    async with app.state.database.unit() as session:
        await session.execute(delete(LoginAttempt).where(LoginAttempt.spent_until > (time.time() + 86_400) * SECOND))


async def test_nothing_is_held_while_a_password_is_verified(app: Litestar, ana: User) -> None:
    async with second(app, db_pool_size=1, db_max_overflow=0, db_pool_timeout=2.0) as small, client_of(small) as client:
        answers = await asyncio.gather(*[client.post("/auth/login", json=RIGHT) for _ in range(4)])
    assert [answer.status_code for answer in answers] == [200] * 4


async def test_old_rows_go_and_take_nothing_along(database: Database, make: Make) -> None:
    allowance = Allowance(burst=3, seconds=60)
    await take(database, b"old", allowance, NOW)
    await take(database, b"new", allowance, NOW + HOUR)
    async with database.unit() as session:
        await Meters(session, RateLimit).take(b"old", allowance, NOW)
    async with database.unit() as session:
        assert await prune(session, datetime.fromtimestamp(NOW + HOUR, UTC)) == 2
    assert [row.key for row in await make.all(LoginAttempt)] == [b"new"]
    assert await make.all(RateLimit) == []


# --- requests by the minute ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["reads", "writes", "heavy"])
async def test_a_principal_s_requests_are_limited_by_kind(app: Litestar, make: Make, kind: str) -> None:
    admin = await make.admin()
    calls = {
        "reads": ("GET", "/courses"),
        "writes": ("POST", "/courses"),
        "heavy": ("GET", "/exports/traces"),
    }
    async with second(app, **{f"rate_{kind}": 3}) as limited, client_of(limited) as client:
        client.headers["authorization"] = admin.client.headers["authorization"]
        answers = [await client.request(*calls[kind]) for _ in range(8)]
        passed = [answer for answer in answers if answer.status_code != 429]
        assert len(passed) == 4  # the allowance, and the first block
        assert answers[-1].json()["code"] == "RATE_LIMITED"
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
        for other in calls.keys() - {kind}:
            assert (await client.request(*calls[other])).status_code != 429, other
        stranger = await make.admin()
        client.headers["authorization"] = stranger.client.headers["authorization"]
        assert (await client.request(*calls[kind])).status_code != 429


async def test_who_has_not_signed_in_is_limited_by_network(app: Litestar, make: Make) -> None:
    async with second(app, rate_anonymous=3, trusted_proxies=("127.0.0.1",)) as limited, client_of(limited) as client:
        calls = [("POST", "/auth/register"), ("GET", "/courses")]
        for address, left in ((HERE, 4), ("198.51.100.1", 4), (HERE, 0)):
            client.headers["x-forwarded-for"] = address
            answers = [(await client.request(*calls[i % 2])).status_code for i in range(6)]
            assert [status for status in answers if status == 429] == [429] * (6 - left), address
        for door in ("login", "refresh", "password-reset"):  # who is behind the same address still signs in
            assert (await client.post(f"/auth/{door}", json={})).status_code == 422
        client.headers["authorization"] = (await make.admin()).client.headers["authorization"]
        assert (await client.get("/courses")).status_code == 200


@pytest.mark.requirement("S4")
async def test_all_workers_share_an_allowance(app: Litestar, make: Make) -> None:
    admin, limits = await make.admin(), {"rate_reads": 40}
    async with second(app, **limits) as one, second(app, **limits) as two:
        answers = []
        for i in range(60):
            async with client_of((one, two)[i % 2]) as client:
                client.headers["authorization"] = admin.client.headers["authorization"]
                answers.append((await client.get("/simulators")).status_code)
    assert 40 <= answers.count(200) <= 40 + 2 * (40 // 20) + 1  # and what a moment brings back
    assert answers[-1] == 429


async def test_without_a_limit_nothing_is_counted(app: Litestar, make: Make) -> None:
    admin = await make.admin()
    async with second(app, rate_reads=0) as unlimited, client_of(unlimited) as client:
        client.headers["authorization"] = admin.client.headers["authorization"]
        assert {(await client.get("/simulators")).status_code for _ in range(10)} == {200}
    assert await make.all(RateLimit) == []


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def rates_of(app: Litestar, clock: Clock, **limits: Any) -> AsyncIterator[Rates]:
    database = Database(msgspec.structs.replace(app.state.settings, **limits))
    yield Rates(database, clock)
    await database.close()


def anonymous(address: str = HERE) -> Any:
    return {"client": (address, 1), "headers": [], "method": "GET"}


async def passes(rates: Rates, address: str = HERE) -> bool:
    try:
        await rates.take(anonymous(address), None)
    except TooManyRequests as error:
        return error.code != "RATE_LIMITED"
    return True


async def test_an_allowance_comes_back_with_time_and_a_refusal_costs_no_statement(app: Litestar) -> None:
    clock = Clock()
    async with rates_of(app, clock, rate_anonymous=40) as rates:
        assert sum([await passes(rates) for _ in range(60)]) == 42
        with statements(rates.database) as sent:
            assert not await passes(rates)
        assert sent == []
        clock.now += 3.0  # two of forty a minute
        assert sum([await passes(rates) for _ in range(5)]) == 2
        clock.now += 600
        assert sum([await passes(rates) for _ in range(60)]) == 40


async def test_a_block_of_requests_costs_one_write(app: Litestar) -> None:
    async with rates_of(app, Clock(), rate_anonymous=2_000) as rates:
        with statements(rates.database) as sent:
            assert all([await passes(rates) for _ in range(100)])
            assert sent == []
            assert all(await asyncio.gather(*[passes(rates) for _ in range(200)]))
        assert sum("INSERT INTO rate_limits" in statement for statement in sent) == 2


async def test_the_memory_of_a_worker_is_bounded(app: Litestar) -> None:
    async with rates_of(app, Clock(), rate_anonymous=20) as rates:
        for number in range(MAX_LEASES + 5):
            lease = rates.lease(Kind.ANONYMOUS, str(number), 1)
        assert len(rates.leases) == MAX_LEASES
        assert rates.lease(Kind.ANONYMOUS, str(number), 1) is lease
        assert isinstance(rates.leases[Kind.ANONYMOUS, str(number)], Lease)


async def test_a_database_that_takes_no_writes_is_still_read(app: Litestar) -> None:
    async with (
        rates_of(app, Clock(), rate_anonymous=20, db_lock_timeout=0.05) as rates,
        app.state.database.unit() as blocking,
    ):
        assert await Meters(blocking, RateLimit).take(b"other", GUESSES, NOW) == 0
        rates.database.engine.sync_engine.dispose()
        assert [await passes(rates) for _ in range(3)] == [True] * 3


async def test_what_reads_or_writes_much_at_once_is_heavy(app: Litestar) -> None:
    heavy = {
        f"{verb} {path.removeprefix('/api/v1')}" for path, verb, one in operations.routes(app) if options_of(one).heavy
    }
    assert {
        "GET /exports/traces",
        "POST /exports/research",
        "POST /reports",
        "POST /sessions/{session_id}/risks/analyze",
        "POST /sessions/{session_id}/git-traces/import",
        "POST /courses/{course_id}/members/batch",
    } <= heavy
    assert not {"POST /sessions/{session_id}/traces", "GET /sessions"} & heavy


def test_refusals_are_published_where_they_can_occur_with_retry_after(app: Litestar) -> None:
    document = openapi.document(app, "1")
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            assert ("429" in operation["responses"]) is path.startswith("/api/"), (verb, path)
    assert "Retry-After" in document["components"]["responses"]["TooManyRequests"]["headers"]


# --- where a request comes from -----------------------------------------------------------------------------------

PROXIES = ("10.0.0.0/8", "2001:db8:ffff::1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["1.2.3.4"], "203.0.113.7"),  # nobody's proxy: its word counts for nothing
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["1.2.3.4, 203.0.113.7"], "203.0.113.7"),  # what the client wrote is left of it
        ("10.0.0.1", ["1.2.3.4", "203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::/64"),
        ("10.0.0.1", ["2001:db8::7"], "2001:db8::/64"),
        ("10.0.0.1", ["2001:db8::ffff:7%eth0"], "2001:db8::/64"),
        ("10.0.0.1", ["203.0.113.7, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7, "], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7, nonsense, 10.3.3.3"], "10.3.3.3"),
        ("10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("::ffff:10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("2001:db8:ffff::1", ["203.0.113.7"], "203.0.113.7"),
        ("2001:db8:ffff::2", ["203.0.113.7"], "2001:db8:ffff::/64"),
        ("socket", ["203.0.113.7"], "unknown"),
        (None, ["203.0.113.7"], "unknown"),
    ],
)
def test_a_client_is_who_the_trusted_proxies_say(peer: str | None, forwarded: list[str], network: str) -> None:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    scope: Any = {"client": (peer, 1) if peer else None, "headers": headers}
    assert client_network(scope, Settings(trusted_proxies=PROXIES)) == network


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"CORTEZ_TRUSTED_PROXIES": "10.0.0.1, proxy"}, "'proxy' is no address"),
        ({"CORTEZ_TRUSTED_PROXIES": "10.0.0.1/8"}, "CORTEZ_TRUSTED_PROXIES"),
        ({"CORTEZ_RATE_READS": "-1"}, "CORTEZ_RATE_READS"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load({"CORTEZ_SECRET_KEY": "x" * 32, **environment})


def test_proxies_and_rates_are_read_from_the_environment() -> None:
    given = {"CORTEZ_TRUSTED_PROXIES": "10.0.0.1, 10.1.0.0/16", "CORTEZ_RATE_HEAVY": "0", "CORTEZ_SECRET_KEY": "x"}
    settings = load(given)
    assert settings.trusted_proxies == ("10.0.0.1", "10.1.0.0/16")
    assert (settings.rate_reads, settings.rate_writes, settings.rate_heavy) == (120_000, 60_000, 0)

"""What is measured: that it counts right, who may read it, and that pages and alerts speak of what there is."""

import asyncio
import math
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.app import create_app
from cortez.audit.seals import seal_all
from cortez.content.models import Subject, Unidad
from cortez.core.db.engine import Database
from cortez.core.observability.metrics import REGISTRY
from cortez.core.web.route_options import route
from cortez.errors import Forbidden, Unauthorized
from cortez.ops.gauges import FRESH
from cortez.oversight.models import RiskAlert
from cortez.pages.metrics_page import admit
from cortez.settings import Settings
from factory import Make
from running import client_of, live, settings_for

DOCS = Path(__file__).parents[1] / "docs"
URL = "http://test/metrics"
STEP = {"interaction_type": "student_prompt", "content": "Why?"}
TOKEN = "a token that only the tests know, long enough"
Labels = frozenset[tuple[str, str]]


class Scrape:
    """The samples of a scrape."""

    def __init__(self, said: str) -> None:
        self.families = list(text_string_to_metric_families(said))
        self.samples: dict[tuple[str, Labels], float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples.get((f"cortez_{name}", frozenset(labels.items())), 0.0)


async def scrape(client: httpx.AsyncClient) -> Scrape:
    answer = await client.get(URL)
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text)


def requests(told: Scrape, method: str, route: str, status: int) -> float:
    return told("requests_total", method=method, route=route, status=str(status))


async def test_requests_are_counted_by_their_template(make: Make, client: httpx.AsyncClient) -> None:
    teacher = await make.teacher()
    before = await scrape(client)
    await teacher.get(f"/sessions/{teacher.id}")
    await teacher.client.head("/sessions")
    await client.get("/nothing/at/all")
    await client.delete("http://test/health/live")
    await client.request("BREW", "/sessions")
    after = await scrape(client)
    for method, template, status in (
        ("GET", "/api/v1/sessions/{session_id}", 404),
        ("HEAD", "/api/v1/sessions", 200),
        ("GET", "unknown", 404),
        ("DELETE", "unknown", 405),
        ("unknown", "unknown", 405),
    ):
        assert requests(after, method, template, status) == requests(before, method, template, status) + 1, template
    name, labels = "request_duration_seconds_count", {"method": "HEAD", "route": "/api/v1/sessions"}
    assert after(name, **labels) == before(name, **labels) + 1
    assert str(teacher.id) not in str(after.samples)
    assert after("requests_in_progress") == 1


async def test_replays_streams_uploads_and_who_has_gone_are_counted(make: Make, client: httpx.AsyncClient) -> None:
    admin, session = await make.admin(), await make.session()
    unit = Unidad(materia_code="PY", numero=1, titulo="U")
    await make.add(Subject(code="PY", name="Python", language="python"), unit)
    before = await scrape(client)
    for _ in range(2):
        await admin.post(f"/sessions/{session.id}/traces", json=STEP, headers={"Idempotency-Key": "k"})
    await admin.get("/exports/traces")
    await admin.post(f"/unidades/{unit.id}/archivos", files={"file": ("a.txt", b"a", "text/plain")})
    await leave(make, f"/api/v1/sessions/{session.id}/traces")
    after = await scrape(client)
    traces = "/api/v1/sessions/{session_id}/traces"
    for times, method, template, status in (
        (2, "POST", traces, 201),
        (1, "GET", "/api/v1/exports/traces", 200),
        (1, "POST", "/api/v1/unidades/{unidad_id}/archivos", 201),
        (1, "POST", traces, 499),
    ):
        assert requests(after, method, template, status) == requests(before, method, template, status) + times, template


async def leave(make: Make, path: str) -> None:
    """Begin a request, and go before its body is sent."""
    scope: Any = {"type": "http", "method": "POST", "path": path, "query_string": b"", "client": None}

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def nobody(message: Any) -> None:
        raise AssertionError("nobody is there")

    await make.app({**scope, "headers": [], "root_path": "", "http_version": "1.1", "scheme": "http"}, gone, nobody)  # type: ignore[arg-type]


@pytest.mark.requirement("C4")
@pytest.mark.requirement("L2")
async def test_the_pool_is_measured(settings: Settings, make: Make) -> None:
    small = msgspec.structs.replace(settings, db_pool_size=2, db_max_overflow=1)
    async with live(create_app(small)) as app, client_of(app) as client:
        database: Database = app.state.database
        before = await scrape(client)
        async with database.engine.connect(), database.engine.connect(), database.engine.connect():
            app.state.gauges.asked_at = math.inf  # no connection is left for the database's own figures
            told = await scrape(client)
            names = ("size", "limit", "in_use", "overflow")
            assert [told(f"pool_{name}", server="primary") for name in names] == [2, 3, 3, 1]
            assert told("pool_waiting") == 0
        for _ in range(2):
            await database.gate.admit()
        waiting = asyncio.create_task(client.get("/auth/me", headers={"Authorization": "Bearer ck_x"}))
        await asyncio.sleep(0.1)
        assert (await scrape(client))("pool_waiting") == 1
        assert (await waiting).status_code == 503
        after = await scrape(client)
    assert after("pool_in_use", server="primary") == after("pool_waiting") == 0
    assert after("pool_wait_seconds_count") == before("pool_wait_seconds_count") + 1
    assert after("pool_wait_seconds_sum") >= before("pool_wait_seconds_sum") + 0.7
    assert after("pool_timeouts_total", where="gate") == before("pool_timeouts_total", where="gate") + 1


@get("/empty", opt=route(public=True))
async def empty() -> None:
    raise PoolTimeout("QueuePool limit")


async def test_a_pool_without_a_connection_is_counted(settings: Settings) -> None:
    async with live(create_app(settings, [empty])) as app, client_of(app) as client:
        before = await scrape(client)
        assert (await client.get("http://test/empty")).status_code == 503
        after = await scrape(client)
    assert after("pool_timeouts_total", where="pool") == before("pool_timeouts_total", where="pool") + 1


@pytest.mark.requirement("C4")
@pytest.mark.requirement("L2")
async def test_transactions_are_counted_as_they_end(make: Make, client: httpx.AsyncClient) -> None:
    admin = await make.admin()
    course = await make.course()
    before = await scrape(client)
    await admin.get(f"/courses/{course}")
    await admin.patch(f"/courses/{course}", json={"title": "Another"})
    assert (await admin.post("/courses", json={"course_id": course, "title": "Twice"})).status_code == 409
    after = await scrape(client)
    for outcome in ("committed", "rolled_back"):
        name, labels = "transactions_total", {"outcome": outcome}
        assert after(name, **labels) == before(name, **labels) + 1, outcome


CAUSES = {
    "deadlock": asyncpg.DeadlockDetectedError,
    "serialization": asyncpg.SerializationError,
    "lock_timeout": asyncpg.LockNotAvailableError,
    "plan_changed": asyncpg.FeatureNotSupportedError,
}


@post("/fails/{cause:str}", opt=route(public=True))
async def fails(cause: FromPath[str], session: NamedDependency[AsyncSession]) -> None:
    raise DBAPIError("a statement", None, CAUSES[cause]())


async def test_what_is_begun_anew_is_counted_by_its_cause(settings: Settings, make: Make) -> None:
    async with live(create_app(settings, [fails])) as app, client_of(app) as client:
        before = await scrape(client)
        for cause in CAUSES:
            assert (await client.post(f"http://test/fails/{cause}")).status_code == 503
        after = await scrape(client)
    for cause in CAUSES:
        assert after("retries_total", cause=cause) == before("retries_total", cause=cause) + 3, cause


async def test_items_of_batches_are_counted_by_result(make: Make, client: httpx.AsyncClient) -> None:
    key, session = await make.key(), await make.session()
    before = await scrape(client)
    step = STEP | {"id": str(session.id)}
    path, items = f"/sessions/{session.id}/traces/batch", [step, step, STEP, STEP | {"trace_level": 9}]
    for _ in range(2):
        await key.post(path, json=items, headers={"Idempotency-Key": "k"})
    assert (await key.post(f"{path}?atomic=true", json=items)).status_code == 422
    after = await scrape(client)
    for result, count in {"created": 2, "duplicate": 1, "rejected": 1}.items():
        name, labels = "batch_items_total", {"result": result}
        assert after(name, **labels) == before(name, **labels) + count, result


def alert(severity: str, status: str) -> RiskAlert:
    told = {"alert_type": "pattern_anomaly", "scope": "institution", "title": "x", "description": "x"}
    return RiskAlert(**told, severity=severity, status=status, detection_rule="manual")


async def test_what_waits_in_memory_and_in_the_database_is_told(make: Make, client: httpx.AsyncClient) -> None:
    gauges, session = make.app.state.gauges, await make.session()
    await make.add(alert("critical", "open"), alert("critical", "acknowledged"), alert("high", "resolved"))
    await (await make.admin()).get(f"/sessions/{session.id}")
    gauges.asked_at = -math.inf
    told = await scrape(client)
    assert told("database_up") == 1
    assert [told("alerts_open", severity=severity) for severity in ("low", "high", "critical")] == [0, 0, 2]
    assert told("audit_unsealed_entries") > 0
    assert told("audit_oldest_unsealed_seconds") > 0
    assert told("access_log_waiting_entries") == 1
    for _ in range(100):  # a transaction of another test, begun before, puts it off
        await seal_all(make.database)
        gauges.asked_at -= FRESH
        told = await scrape(client)
        if not told("audit_unsealed_entries"):
            break
    assert told("audit_unsealed_entries") == told("audit_oldest_unsealed_seconds") == 0
    await make.add(alert("critical", "open"))
    assert (await scrape(client))("alerts_open", severity="critical") == 2  # as it was a moment ago


async def test_a_database_that_is_away_is_told_and_fails_no_scrape() -> None:
    async with (
        live(create_app(settings_for("postgresql://nobody@127.0.0.1:9/nothing"))) as app,
        client_of(app) as client,
    ):
        told = await scrape(client)
    assert told("database_up") == 0
    assert math.isnan(told("alerts_open", severity="critical"))
    assert math.isnan(told("audit_unsealed_entries"))


def scope_of(sent: str) -> Any:
    return {"headers": [(b"authorization", f"Bearer {sent}".encode())] if sent else []}


@pytest.mark.parametrize(
    ("env", "kept", "sent", "refusal"),
    [
        ("development", "", "", None),
        ("development", TOKEN, "", Unauthorized),
        ("development", TOKEN, TOKEN[:-1], Unauthorized),
        ("development", TOKEN, TOKEN, None),
        ("production", "", "", Forbidden),
        ("production", TOKEN, "ñ", Unauthorized),
        ("production", TOKEN, TOKEN, None),
    ],
)
def test_only_who_has_the_token_reads_the_metrics(env: str, kept: str, sent: str, refusal: Any) -> None:
    with pytest.raises(refusal) if refusal else nullcontext():
        admit(scope_of(sent), settings_for("sqlite:///x", env=env, metrics_token=kept))


async def test_without_a_token_production_shows_no_metrics_and_says_what_to_set() -> None:
    app = create_app(settings_for("sqlite:///x", env="production"))
    async with client_of(app) as client:
        answer = await client.get(URL)
    assert (answer.status_code, answer.json()["code"]) == (403, "METRICS_TOKEN_MISSING")
    assert "Set CORTEZ_METRICS_TOKEN" in answer.json()["detail"]


async def test_every_metric_is_explained_and_what_is_shown_or_watched_exists(client: httpx.AsyncClient) -> None:
    told = {sample.removesuffix("_total") for sample in names((await client.get(URL)).text)}
    declared = {f"cortez_{family.name.removeprefix('cortez_')}" for family in REGISTRY.collect()}
    assert told == declared
    page = (DOCS / "operations.md").read_text()
    assert {
        name.removesuffix("_total") for name in re.findall(r"^\| `(cortez_\w+)` \|", page, re.MULTILINE)
    } == declared
    for file in ("grafana.json", "alerts.yml"):
        used = {name.removesuffix("_total") for name in names((DOCS / "deploy" / file).read_text())}
        assert used
        assert used <= declared, file


def names(text: str) -> set[str]:
    return {re.sub("_(bucket|count|sum)$", "", name) for name in re.findall(r"\bcortez_\w+", text)}


def test_every_alert_says_what_to_do() -> None:
    rules = (DOCS / "deploy" / "alerts.yml").read_text().split("- alert: ")[1:]
    rows = re.findall(r"^\| `(Cortez\w+)` \((\w+)\) \|", (DOCS / "operations.md").read_text(), re.MULTILINE)
    assert [(rule.split()[0], re.findall(r"severity: (\w+)", rule)[0]) for rule in rules] == rows
    assert all("summary: " in rule and "description: >-" in rule for rule in rules)

"""What every answer tells a browser, which origins may call, and on which settings production does not start."""

from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from msgspec.structs import replace

from cortez.app import create_app
from cortez.core.web.route_options import options_of
from cortez.core.web.schemas import Input
from cortez.settings import Settings, SettingsError, load
from factory import Make
from running import SECRET, client_of, live

LONG = "kJ8f-2mQz7Lw0xRt5Vb9Nc3Ys6Hd1Pg4Ae"
WANTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


async def every_kind(client: httpx.AsyncClient) -> list[httpx.Response]:
    """Found, not found, refused, malformed, not allowed, without a route, a HEAD and an OPTIONS."""
    return [
        await client.get("/courses"),
        await client.get("/courses/none"),
        await client.get("/courses", headers={"Authorization": "Bearer x"}),
        await client.post("/courses", content=b"{", headers={"content-type": "application/json"}),
        await client.post("/auth/me"),
        await client.get("/nowhere"),
        await client.head("/courses"),
        await client.options("/courses"),
    ]


async def test_every_answer_carries_the_headers(make: Make) -> None:
    admin = await make.admin()
    for answer in await every_kind(admin.client):
        found = {name: answer.headers.get(name) for name in WANTED}
        assert found == WANTED, answer.request
        assert "server" not in answer.headers
        assert answer.headers["x-request-id"]
        assert "strict-transport-security" not in answer.headers


async def test_in_production_a_browser_stays_with_https(settings: Settings) -> None:
    async with live(create_app(replace(settings, env="production"))) as app, client_of(app) as client:
        for answer in await every_kind(client):
            assert "max-age=" in answer.headers["strict-transport-security"]


async def test_options_names_every_method_of_a_path(app: Litestar, make: Make) -> None:
    admin = await make.admin()
    assert set((await admin.client.options("/courses")).headers["allow"].split(", ")) >= {"GET", "HEAD", "POST"}
    refused = await admin.client.request("PATCH", "/courses")
    assert refused.status_code == 405


async def test_only_listed_origins_may_call(settings: Settings) -> None:
    asking = {"Origin": "https://app.example.edu", "Access-Control-Request-Method": "POST"}
    wanted = {**asking, "Access-Control-Request-Headers": "authorization,idempotency-key,if-match,content-type"}
    strange = {**wanted, "Origin": "https://evil.example"}
    async with (
        live(create_app(replace(settings, cors_origins=("https://app.example.edu",)))) as app,
        client_of(app) as client,
    ):
        allowed = await client.options("/courses", headers=wanted)
        assert allowed.headers["access-control-allow-origin"] == "https://app.example.edu"
        assert "POST" in allowed.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in allowed.headers
        assert "access-control-allow-origin" not in (await client.options("/courses", headers=strange)).headers
        answer = await client.get("/courses", headers={"Origin": "https://app.example.edu"})
        assert {"ETag", "Link", "X-Request-ID"} <= set(answer.headers["access-control-expose-headers"].split(", "))
        other = await client.get("/courses", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_without_a_list_no_origin_may_call(make: Make) -> None:
    admin = await make.admin()
    answer = await admin.get("/courses", headers={"Origin": "https://app.example.edu"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origins", ["*", "https://*.example.edu", "app.example.edu", "https://a.example, *"])
def test_an_origin_is_written_out(origins: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CORTEZ_CORS_ORIGINS"):
        load({"CORTEZ_CORS_ORIGINS": origins, "CORTEZ_SECRET_KEY": LONG}, tmp_path / "none")


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("kJ8f-2mQz7Lw0xRt5Vb9", "at least 32 characters"),
        ("x" * 40, "no random text"),
        ("abcabcabcabcabcabcabcabcabcabcabcabcabc", "no random text"),
        ("please-change-me-before-you-go-live-2026", "an example"),
        (SECRET, "an example"),
        ("abcdefghijklmnopqrstuvwxyz123456", "a sequence"),
        ("zyxwvutsrqponmlkjihgfedcba987654", "a sequence"),
        ("passwordpasswordpassword12345678", "repeats itself"),
        ("qazwsxedcrfvtgbqazwsxedcrfvtgbyh", "repeats itself"),
        ("The-Password-of-Cortez-at-our-uni", "that is tried first"),
    ],
)
@pytest.mark.parametrize("name", ["CORTEZ_SECRET_KEY", "CORTEZ_SECRET_KEYS"])
def test_production_does_not_start_on_a_key_that_others_may_know(
    name: str, key: str, fault: str, tmp_path: Path
) -> None:
    given = {"CORTEZ_ENV": "production", "CORTEZ_SECRET_KEY": LONG}
    with pytest.raises(SettingsError, match=f"{name} .*{fault}") as refused:
        load({**given, name: key}, tmp_path / "none")
    assert key not in str(refused.value)
    older = "Zt4-pW9uJb1Xe6Rk3Vm8Qy5Ld0Hc7Ns2Fg"
    assert load({**given, "CORTEZ_SECRET_KEYS": older}, tmp_path / "none").secret_keys == (older,)


@pytest.mark.parametrize("name", ["CORTEZ_SECRET_KEY", "CORTEZ_SECRET_KEYS"])
def test_production_does_not_start_on_the_key_made_for_development(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = load({}).secret_key
    with pytest.raises(SettingsError, match=f"{name} is the development key"):
        load({"CORTEZ_ENV": "production", "CORTEZ_SECRET_KEY": LONG, name: made})


def inputs(app: Litestar) -> set[type[Input]]:
    """Every type that a body is read into, and those within."""
    found: set[Any] = set()

    def visit(type_: Any) -> None:
        if isinstance(type_, type) and issubclass(type_, msgspec.Struct) and type_ not in found:
            found.add(type_)
            for hint in get_type_hints(type_).values():
                visit(hint)
        for inner in get_args(type_):
            visit(inner)

    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler, _ in route.route_handler_map.values():
                data = handler.parsed_fn_signature.parameters.get("data")
                visit(data.annotation if data else None)
                for body in options_of(handler).bodies.values():
                    visit(body)
    return found


def test_every_text_and_list_that_comes_in_has_a_bound(app: Litestar) -> None:
    """Documents are bounded by their size and depth, in Input itself."""
    missing = []
    for type_ in inputs(app):
        for field in fields_of(type_):
            for kind in kinds(field.type):
                is_text = isinstance(kind, msgspec.inspect.StrType) and kind.max_length is None
                if is_text and kind.pattern is None:
                    missing.append(f"{type_.__name__}.{field.name}")
    assert missing == []


def fields_of(type_: Any) -> Any:
    return cast(msgspec.inspect.StructType, msgspec.inspect.type_info(type_)).fields


def kinds(type_: Any) -> list[Any]:
    if isinstance(type_, msgspec.inspect.UnionType):
        return [kind for one in type_.types for kind in kinds(one)]
    if isinstance(type_, msgspec.inspect.ListType):
        return [type_, *kinds(type_.item_type)]
    return [type_]

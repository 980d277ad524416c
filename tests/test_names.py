"""Usernames, e-mails and passwords: what people take for the same is the same."""

import asyncio
import unicodedata
from typing import Any
from uuid import UUID

import bcrypt
import httpx
import pytest
from click.testing import CliRunner
from litestar import Litestar
from sqlalchemy import insert, select, text, update

from cortez.accounts.keys import complete_keys
from cortez.accounts.models import User
from cortez.clock import utc_now
from cortez.commands.admin import admin
from cortez.core.security.identifiers import cleaned, first_invisible, folded, key_of, mail_of
from cortez.core.security.passwords import Passwords
from factory import PASSWORD, Make
from test_doctor_records import odd

NFC, NFD = (unicodedata.normalize(form, "contraseña-ñandú") for form in ("NFC", "NFD"))


def person(name: str, **changes: Any) -> dict[str, Any]:
    return {"email": f"{name}@example.edu", "username": name, "password": PASSWORD} | changes


async def sign_in(client: httpx.AsyncClient, login: str, password: str = PASSWORD) -> int:
    return (await client.post("/auth/login", json={"login": login, "password": password})).status_code


async def registered(client: httpx.AsyncClient, **body: Any) -> tuple[int, str]:
    answer = await client.post("/auth/register", json=body)
    return answer.status_code, answer.json().get("code", "")


async def past_the_service(make: Make, *rows: dict[str, Any]) -> list[User]:
    """Rows as an older version, or SQL by hand, inserts them: without keys, one after the other."""
    hashed = await Passwords(make.app.state.settings).hash(PASSWORD)
    async with make.database.unit() as session:
        for row in rows:
            await session.execute(insert(User).values(hashed_password=hashed, **row))
    return sorted(await make.all(User), key=lambda user: user.created_at)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Kim", "KIM "),
        ("\ufeffkim\u200b", "kim"),
        ("jose\u0301@x.edu", "JOSÉ@x.edu"),
        ("straße@x.edu", "STRASSE@x.edu"),
        ("\u00a0i\u0307", "İ"),
        ("ΟΔΟΣ", "οδος"),
    ],
)
def test_what_looks_the_same_has_one_key(one: str, other: str) -> None:
    assert key_of(one) == key_of(other) == key_of(folded(one))


def test_the_spelling_is_kept_but_for_what_is_invisible_around_it() -> None:
    assert cleaned("\u200b Kim\t") == "Kim"
    assert cleaned("\u200b \ufeff") == ""
    assert mail_of(" Jose\u0301@X.edu ") == "josé@x.edu"
    assert key_of("ŉ" * 200) is None
    assert first_invisible("a\u202eb") == "U+202E RIGHT-TO-LEFT OVERRIDE"
    assert first_invisible("a\ufe0fb") == "U+FE0F VARIATION SELECTOR-16"
    assert first_invisible("señor.o'neill+x") is None


async def test_a_username_in_another_case_is_taken_and_signs_in(client: httpx.AsyncClient, make: Make) -> None:
    assert await registered(client, **person("Kim", email=" Kim.Lee@Example.edu ")) == (201, "")
    (user,) = await make.all(User)
    assert (user.username, user.email) == ("Kim", "kim.lee@example.edu")
    for login in ("Kim", "KIM", " kim\u200b", "kim.lee@EXAMPLE.edu ", "\ufeffkim.lee@example.edu"):
        assert await sign_in(client, login) == 200, login
    assert await registered(client, **person("KIM")) == (409, "USERNAME_IN_USE")
    assert await registered(client, **person("kim2", email="KIM.LEE@example.edu\n")) == (409, "EMAIL_IN_USE")


async def test_an_admin_makes_and_renames_accounts_by_the_same_rule(make: Make) -> None:
    admin, ana = await make.admin(), await make.student()
    taken = [{"username": " STUDENT2"}, {"email": "Student2@EXAMPLE.edu "}]
    for change, code in zip(taken, ("USERNAME_IN_USE", "EMAIL_IN_USE"), strict=True):
        made = await admin.post("/users", json=person("eva") | change)
        assert (made.status_code, made.json()["code"]) == (409, code)
    eva = await make.student()
    for change, code in zip(taken, ("USERNAME_IN_USE", "EMAIL_IN_USE"), strict=True):
        renamed = await admin.patch(f"/users/{eva.id}", json=change)
        assert (renamed.status_code, renamed.json()["code"]) == (409, code)
    again = await admin.patch(f"/users/{ana.id}", json={"username": " Student2 ", "email": "JOSÉ@example.edu"})
    assert (again.json()["username"], again.json()["email"]) == ("Student2", "josé@example.edu")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"email": "an\u200ba@example.edu"}, "U+200B ZERO WIDTH SPACE"),
        ({"email": "ana\u202e@example.edu"}, "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ({"username": "an\u00ada"}, "U+00AD SOFT HYPHEN"),
        ({"username": "señora"}, "letters from A to Z"),
        ({"username": "  a "}, "3 to 50 characters, and has 1"),
        ({"email": "İ" * 130 + "@example.edu"}, "1 to 255 characters, and has 272"),
        ({"email": "ŉ" * 130 + "@example.edu"}, "1 to 255 characters, and has 272"),
        ({"email": " @ "}, "an address such as"),
        ({"username": "a" + " " * 2_000}, "1 to 1020 characters"),
        ({"password": unicodedata.normalize("NFD", "ñññññññ")}, "8 to 128 characters, and has 7"),
        ({"password": "ñ" * 129}, "8 to 128 characters, and has 129"),
    ],
)
async def test_a_name_that_cannot_be_stored_is_refused_with_what_is_wrong_with_it(
    client: httpx.AsyncClient, change: dict[str, str], said: str
) -> None:
    answer = await client.post("/auth/register", json=person("ana") | change)
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["pointer"]) == (422, f"/{next(iter(change))}")
    assert said in fault["detail"]


async def test_a_class_list_makes_one_account_for_one_address(make: Make) -> None:
    admin = await make.admin()
    await make.course("c")

    async def fates(*emails: str) -> list[str]:
        lines = [{"email": email} for email in emails]
        answer = (await admin.post("/courses/c/members/batch", json=lines)).json()
        return [item["status"] for item in answer["items"]]

    for one, two in (
        ("zoe@example.edu", "\u200bZoe@example.edu "),
        ("jos\u00e9@example.edu", "jose\u0301@example.edu"),
        ("weiß@example.edu", "WEISS@example.edu"),
    ):
        assert await fates(one, two) == ["created", "unchanged"]
        assert await fates(two) == ["unchanged"]
    for one, two in (("rex@example.edu", "r\u202eex@example.edu"), ("ida@example.edu", "İ" * 150 + "@x.edu")):
        assert await fates(one, two) == ["created", "rejected"]
    await admin.post("/courses/c/members/batch", json=[{"email": "ZOE@other.edu"}])
    names = {user.username for user in await make.all(User) if user.email.endswith("@other.edu")}
    assert not names & {"zoe", "ZOE"}


async def test_guesses_at_a_login_are_counted_however_it_is_spelled(client: httpx.AsyncClient) -> None:
    logins = (
        "ana@example.edu",
        " ANA@example.edu",
        "ana@example.edu\u200b",
        "\ufeffAna@Example.edu",
        "ana@example.edu",
    )
    assert [await sign_in(client, login, "a guess") for login in logins] == [401] * 4 + [429]


async def test_of_accounts_from_before_the_exact_spelling_signs_in(make: Make, client: httpx.AsyncClient) -> None:
    first, twin, lone = await past_the_service(
        make,
        {"email": "kim@example.edu", "username": "Kim"},
        {"email": "k\u200bim@example.edu", "username": "kim"},
        {"email": "lone@example.edu", "username": "Lone"},
    )
    assert [await sign_in(client, login) for login in ("Kim", "kim", "Lone", "lone")] == [200, 200, 200, 401]
    assert await complete_keys(make.database) is False
    assert await complete_keys(make.database) is False
    users = {user.id: user for user in await make.all(User)}
    assert [users[user.id].username_key for user in (first, twin, lone)] == ["kim", None, "lone"]
    assert [users[user.id].updated_at for user in (first, lone)] == [first.updated_at, lone.updated_at]
    spelled = [
        ("kim", twin),
        ("Kim", first),
        ("KIM", first),
        ("kim", twin),
        ("k\u200bim@example.edu", twin),
        ("LONE", lone),
    ]
    for login, user in (*spelled, *spelled):  # whichever row was written last
        counted = users[user.id].login_count
        assert await sign_in(client, login) == 200
        users = {one.id: one for one in await make.all(User)}
        assert users[user.id].login_count == counted + 1, login
    assert [said.rpartition(": ")[2] for said in (await odd(make))["accounts"]] == [str(twin.id)]
    admin = await make.admin()
    refused = await admin.patch(f"/users/{twin.id}", json={"username": "kim"})
    assert (refused.status_code, refused.json()["code"]) == (409, "USERNAME_IN_USE")
    assert (await admin.patch(f"/users/{twin.id}", json={"username": "Kim.Lee"})).status_code == 200
    assert (await sign_in(client, "KIM.LEE"), (await odd(make)).get("accounts")) == (200, None)


async def test_blank_names_leave_the_others_their_keys(make: Make) -> None:
    blank, spaces, lone = await past_the_service(
        make,
        {"email": "a@example.edu", "username": ""},
        {"email": "b@example.edu", "username": " "},
        {"email": "c@example.edu", "username": "Lone"},
    )
    await complete_keys(make.database)
    users = {user.id: user for user in await make.all(User)}
    assert [users[user.id].username_key for user in (blank, spaces, lone)] == [None, None, "lone"]


async def test_a_rename_past_the_service_leaves_no_login_behind(make: Make, client: httpx.AsyncClient) -> None:
    await client.post("/auth/register", json=person("before"))
    async with make.database.unit() as session:
        await session.execute(update(User).values(username="After"))
    assert [await sign_in(client, login) for login in ("before", "After", "after")] == [401, 200, 401]
    await complete_keys(make.database)
    assert [await sign_in(client, login) for login in ("after", "AFTER")] == [200, 200]
    assert (await registered(client, **person("before", email="x@example.edu")))[0] == 201


async def test_both_databases_hold_a_key_to_be_one_accounts(make: Make) -> None:
    """Also where two workers looked at once, before either stored."""
    for column, code in (("email", "EMAIL_IN_USE"), ("username", "USERNAME_IN_USE")):
        admin, eva = await make.admin(), await make.student()
        async with make.database.unit() as session:
            mine = {f"{column}_key": folded(person("later")[column])}
            await session.execute(update(User).where(User.id == eva.id).values(mine))
        renamed = await admin.patch(f"/users/{admin.id}", json={column: person("Later")[column]})
        assert (renamed.status_code, renamed.json()["code"]) == (409, code)


async def test_rows_that_sql_inserts_by_hand_need_no_key(make: Make, client: httpx.AsyncClient) -> None:
    (user,) = await past_the_service(make, {"email": "sql@example.edu", "username": "sql"})
    copied = "INSERT INTO users (id, created_at, updated_at, email, username, hashed_password, roles) "
    copied += "SELECT :id, created_at, updated_at, 'copy@example.edu', 'SQL', hashed_password, roles FROM users"
    async with make.database.unit() as session:
        id_ = "0" * 31 + "1" if make.database.is_sqlite else UUID(int=1)
        await session.execute(text(copied), {"id": id_})
        assert len((await session.scalars(select(User.id).where(User.username_key.is_(None)))).all()) == 2
    assert [await sign_in(client, login) for login in ("sql", "SQL")] == [200, 200]
    assert user.username_key is None


@pytest.mark.parametrize(("set_as", "typed"), [(NFC, NFD), (NFD, NFC), (NFD, NFD)])
async def test_a_password_is_the_same_in_both_forms(client: httpx.AsyncClient, set_as: str, typed: str) -> None:
    assert (await registered(client, **person("ana", password=set_as)))[0] == 201
    assert await sign_in(client, "ana", typed) == 200
    assert await sign_in(client, "ana", typed.replace("ñ", "n").replace("n\u0303", "n")) == 401


@pytest.mark.parametrize("kind", ["argon2id", "bcrypt"])
async def test_a_hash_of_the_password_as_it_was_sent_still_matches_and_is_made_again(
    make: Make, client: httpx.AsyncClient, kind: str
) -> None:
    passwords = Passwords(make.app.state.settings)
    of_before = {
        "argon2id": passwords.hasher.hash(NFD),
        "bcrypt": bcrypt.hashpw(NFD.encode(), bcrypt.gensalt(4)).decode(),
    }
    await make.add(User(email="ana@example.edu", username="ana", hashed_password=of_before[kind]))
    assert [await sign_in(client, "ana", password) for password in (NFC, NFD, NFC)] == [401, 200, 200]
    (user,) = await make.all(User)
    assert await passwords.verify(user.hashed_password, NFC) == (True, False)


async def test_the_form_of_a_password_and_not_the_account_decides_how_often_it_is_hashed(make: Make) -> None:
    passwords, compared = Passwords(make.app.state.settings), list[str]()
    matches = passwords._matches_ours

    def counting(hashed: str, password: str) -> bool:
        if hashed.startswith("$"):  # else it is no hash, and the decoy comes after it
            compared.append(password)
        return matches(hashed, password)

    passwords._matches_ours = counting  # type: ignore[method-assign]
    of_ana = await passwords.hash(NFC)
    for hashed in (of_ana, None, "!"):
        for password in (NFD, NFC):
            compared.clear()
            assert bool(await passwords.verify(hashed, password)) == (hashed == of_ana)
            assert compared == list(dict.fromkeys((NFC, password)))


COMMON = ["password", "Password1", "QWERTYUIOP", "1q2w3e4r"]
OWN = ["Ana.Soto@Example.edu", "ana.soto", "Ana-Soto-7"]


@pytest.mark.parametrize("password", [*COMMON, *OWN])
async def test_a_password_that_is_tried_first_is_refused_wherever_one_is_set(
    make: Make, client: httpx.AsyncClient, password: str
) -> None:
    ana = {"email": "ana.soto@example.edu", "username": "ana-soto-7"}
    admin = await make.admin()
    assert await registered(client, **ana, password=password) == (422, "PASSWORD_GUESSABLE")
    made = await admin.post("/users", json=ana | {"password": password})
    assert (made.status_code, made.json()["code"]) == (422, "PASSWORD_GUESSABLE")
    user = (await admin.post("/users", json=ana | {"password": PASSWORD})).json()
    token = (await admin.post(f"/users/{user['id']}/password-reset")).json()["token"]
    reset = await client.post("/auth/password-reset", json={"token": token, "password": password})
    assert (reset.status_code, reset.json()["code"]) == (422, "PASSWORD_GUESSABLE")
    signed_in = (await client.post("/auth/login", json={"login": "ana-soto-7", "password": PASSWORD})).json()
    change = {"current_password": PASSWORD, "new_password": password}
    headers = {"Authorization": f"Bearer {signed_in['access_token']}"}
    changed = await client.put("/auth/password", json=change, headers=headers)
    assert (changed.status_code, changed.json()["code"]) == (422, "PASSWORD_GUESSABLE")
    assert changed.json()["errors"][0]["pointer"] == "/new_password"


async def test_a_common_password_from_before_goes_on_working(make: Make, client: httpx.AsyncClient) -> None:
    hashed = await Passwords(make.app.state.settings).hash("password1")
    await make.add(User(email="ana@example.edu", username="ana", hashed_password=hashed))
    assert await sign_in(client, "ana", "password1") == 200


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        ("Boss@Example.edu ", PASSWORD, "Made the admin boss@example.edu."),
        ("boss@example.edu", "password1", "Error: Many people use this password"),
        ("boss@example.edu", "BOSS@example.edu", "Error: The password is the username"),
        ("boss@example.edu", "short", "Error: `password` must have 8 to 128 characters"),
        ("bo\u200bss@example.edu", PASSWORD, "Error: `email` holds the invisible character U+200B ZERO WIDTH SPACE"),
        ("STUDENT1@example.edu", PASSWORD, "Error: An account with this e-mail exists already."),
    ],
)
async def test_the_command_line_makes_admins_by_the_same_rules(
    make: Make, client: httpx.AsyncClient, email: str, password: str, said: str
) -> None:
    await make.student()
    given = {"obj": make.app.state.settings, "input": f"{password}\n"}
    done = await asyncio.to_thread(CliRunner().invoke, admin, ["create", email], **given)
    assert done.output.startswith(said)
    if done.exit_code == 0:
        assert await sign_in(client, "BOSS@example.edu") == 200


async def test_the_service_completes_keys_when_it_starts(app: Litestar, make: Make) -> None:
    await past_the_service(make, {"email": "ana@example.edu", "username": "Ana", "created_at": utc_now()})
    app.state.upkeep.unfinished["keys of accounts"] = complete_keys
    await app.state.upkeep.attempt(seal=False)
    assert [user.username_key for user in await make.all(User)] == ["ana"]
    assert "keys of accounts" not in app.state.upkeep.unfinished

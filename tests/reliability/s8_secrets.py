"""What the service prints and keeps: no secret anywhere, and nothing of people in its log, its errors or tracebacks."""

from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select, text

from cortez.bootstrap import open_database
from cortez.core.web.idempotency import IdempotencyRecord
from reliability.stage import Outcome, Stage
from running import SECRET

FIGURE = "S8"
CLAIM = "secrets and personal strings driven through the service, with right and wrong input and a broken schema"
TARGET = "0 in logs, tracebacks, errors, stored answers"
PASSWORDS = ("Planted-password-1", "Planted-password-2", "Planted-password-3")
PERSONAL = ("planted.mail@example.edu", "Planted Name", "planted-prompt", "planted-code", "planted-login")


class Drive:
    """A client that keeps every error it gets, and every secret."""

    def __init__(self, address: str) -> None:
        self.client = httpx.Client(base_url=f"{address}/api/v1", timeout=30)
        self.errors: list[str] = []
        self.secrets = {SECRET, *PASSWORDS}

    def send(self, verb: str, path: str, token: str = "", **options: Any) -> Any:
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        answer = self.client.request(verb, path, headers=headers, **options)
        if answer.status_code >= 400:
            self.errors.append(answer.text)
        found = answer.json() if answer.content else {}
        for name in ("access_token", "refresh_token", "key", "token"):
            if isinstance(found, dict) and isinstance(found.get(name), str):
                self.secrets.add(found[name])
        return found


async def run(stage: Stage) -> Outcome:
    database = open_database(stage.settings)
    with stage.served(CORTEZ_LOG="debug") as address:
        drive = Drive(address)
        await everywhere(drive, database)
        async with database.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE student_profiles RENAME TO away"))
        broken = len(drive.errors)
        wrong(drive)
        async with database.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE away RENAME TO student_profiles"))
    async with database.reading() as session:
        kept = [str(body) for body in await session.scalars(select(IdempotencyRecord.body))]
    await database.close()
    printed = (Path(stage.folder) / "server.log").read_text()
    faults = sum('"status":5' in error for error in drive.errors[broken:])
    leaks = {
        "log": found(printed, {*drive.secrets, *PERSONAL}),
        "errors": found("\n".join(drive.errors), {*drive.secrets, *PERSONAL}),
        "stored answers": found("\n".join(kept), drive.secrets),
    }
    total = sum(map(len, leaks.values()))
    asked = f"{len(drive.secrets)} secrets, {len(drive.errors)} errors ({faults} faults), {len(kept)} stored"
    kept_promise = total == 0 and faults == len(PERSONAL) and len(kept) > 0
    return Outcome(f"{asked}: {total} found{f' {leaks}' if total else ''}", kept_promise)


def found(said: str, words: set[str]) -> set[str]:
    return {word for word in words if word in said}


async def everywhere(drive: Drive, database: Any) -> None:
    """An account with all its tokens, a key, a session with steps, and every way to send a secret wrongly."""
    person = {"email": PERSONAL[0], "username": PERSONAL[4], "full_name": PERSONAL[1], "password": PASSWORDS[0]}
    drive.send("POST", "/auth/register", json=person)
    drive.send("POST", "/auth/register", json=person)
    drive.send("POST", "/auth/register", json={**person, "roles": [PASSWORDS[0]], "email": PERSONAL[0]})
    async with database.unit() as session:
        await session.execute(text('UPDATE users SET roles = \'["student", "admin"]\''))
    token = drive.send("POST", "/auth/login", json={"login": PERSONAL[0], "password": PASSWORDS[0]})["access_token"]
    drive.send("POST", "/auth/login", json={"login": PERSONAL[0], "password": PASSWORDS[1]})
    drive.send("POST", "/auth/login", content=f'{{"password": "{PASSWORDS[1]}"', headers={"content-type": "text/x"})
    drive.send("POST", "/auth/refresh", json={"refresh_token": PASSWORDS[2]})
    drive.send("GET", "/auth/me", f"{token}x")
    drive.send("GET", "/auth/me", "ck_" + PASSWORDS[2])
    me = drive.send("GET", "/auth/me", token)
    drive.send("POST", f"/users/{me['id']}/password-reset", token)
    drive.send("POST", "/auth/password-reset", json={"token": PASSWORDS[2], "password": PASSWORDS[1]})
    key = drive.send("POST", "/api-keys", token, json={"name": "agent"})["key"]
    activity = {"activity_id": "a", "title": "An activity", "instructions": "Write a function."}
    drive.send("POST", "/activities", token, json=activity)
    drive.send("POST", "/activities/a/publish", token)
    named = {"Idempotency-Key": "k-1"}
    started = {"student_id": me["student_id"], "activity_id": "a"}
    session_id = drive.send("POST", "/sessions", key, json=started, headers=named)["id"]
    step = {"interaction_type": "student_prompt", "content": PERSONAL[2]}
    traces = f"/sessions/{session_id}/traces"
    drive.send("POST", traces, key, json=step, headers={"Idempotency-Key": "k-2"})
    drive.send("POST", traces, key, json={**step, "interaction_type": 7})
    drive.send("POST", traces, key, json={**step, "metadata": {"deep": "\0" + PERSONAL[2]}})
    drive.send("POST", f"{traces}/batch", key, json=[{**step, "trace_level": 5}, step])
    drive.send("POST", "/exercises/none/attempts", token, json={"submitted_code": PERSONAL[3]})
    drive.send("GET", f"/users?q={PERSONAL[0]}&nothing={PASSWORDS[1]}", token)


def wrong(drive: Drive) -> None:
    """What the database cannot do while a table is away: errors that quote the statement and its values."""
    for number, name in enumerate(PERSONAL):
        person = {"email": f"x{number}.{PERSONAL[0]}", "username": f"another{number}", "password": PASSWORDS[1]}
        drive.send("POST", "/auth/register", json={**person, "full_name": name})

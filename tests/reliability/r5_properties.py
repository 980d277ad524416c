"""Requests made from the published document by schemathesis: every answer is one that the document names."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import httpx

from corpus import places
from factory import Make, Someone
from reliability.stage import Outcome, Stage
from running import client_of

FIGURE = "R5"
CLAIM = "property-based requests from the OpenAPI document, as admin, teacher and student"
TARGET = "≥ 5,000 cases (50,000 in full), 0 server errors, 0 answers outside statuses, types and schemas"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
SEED = "5"
# Cases for each operation and role; `make soak` asks for more by CORTEZ_PROPERTY_CASES. The short form plays a role on
# one of the databases only.
FEW, MANY = 9, 10
# They end the sign-in that plays.
ENDING = "^/api/v1/auth/(logout|logout-all|password|refresh)$"


async def compare(*stages: Stage) -> Outcome:
    played = await asyncio.gather(*[on(stage, index, len(stages)) for index, stage in enumerate(stages)])
    cases = sum(count for each in played for count, _ in each)
    faults = [fault for each in played for _, fault in each if fault]
    for fault in faults:
        print(fault)  # noqa: T201
    said = f"{cases:,} cases in {sum(map(len, played))} plays, {len(faults)} of them with failures"
    return Outcome(said, not faults and cases >= 5_000)


async def on(stage: Stage, index: int, of: int) -> list[tuple[int, str]]:
    """What each role that plays here has found: how many cases, and the report where not all was as published."""
    async with stage.app() as app, Make(app, client_of) as make:
        address = await places(make)
        roles = [await make.admin(), await make.teacher(course="there"), await make.student(course="there")]
    cases = int(os.environ.get("CORTEZ_PROPERTY_CASES", FEW if stage.quick else MANY))
    with stage.served() as served:
        async with httpx.AsyncClient() as client:
            published = (await client.get(f"{served}/schema/openapi.json")).json()
        document = stage.folder / "openapi.json"
        text = json.dumps(with_places(published, address))
        await asyncio.to_thread(document.write_text, text)
        chosen = [role for number, role in enumerate(roles) if not stage.quick or number % of == index]
        return await asyncio.gather(*[play(document, served, role, cases, stage.folder) for role in chosen])


def with_places(published: dict[str, Any], address: dict[str, str]) -> dict[str, Any]:
    """The document, where about every second id is one of something that is there."""
    known = {place.strip("{}").partition(":")[0]: value for place, value in address.items()}
    for operations in published["paths"].values():
        for operation in operations.values():
            for one in operation["parameters"]:
                if one["in"] == "path" and one["name"] in known:
                    one["schema"] = {"anyOf": [{"enum": [known[one["name"]]]}, one["schema"]]}
    return published


async def play(document: Path, served: str, someone: Someone, cases: int, folder: Path) -> tuple[int, str]:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", str(document), f"--url={served}"]
    command += ["--workers=1", "--phases=fuzzing", f"--checks={CHECKS}", f"--max-examples={cases}", f"--seed={SEED}"]
    command += [f"--exclude-path-regex={ENDING}", "--continue-on-failure", "--suppress-health-check=all"]
    command += [f"--header=Authorization: {someone.client.headers['authorization']}", "--generation-database=none"]
    command += ["--no-color", "--warnings=off", "--no-shrink"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT, cwd=folder)
    said = (await process.communicate())[0].decode()
    counted = re.search(r"([\d,]+) generated", said)
    found = said[max(said.find("= FAILURES ="), 0) :][:6_000]
    return int(counted[1].replace(",", "")) if counted else 0, found if process.returncode else ""

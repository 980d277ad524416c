"""Run the migration commands as CI/CD does, on both databases: upgrade, check, downgrade, upgrade, compare.

Then have squawk read what each revision does to PostgreSQL.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from migrating import printed, revisions
from postgres import create_database, server

SPARED = (
    "prefer-text-field",  # bounded texts are part of the contract, and a bound is widened without a rewrite
    "prefer-bigint-over-int",  # the API bounds these numbers to 32 bits
    "require-lock-timeout",  # the connection that runs the revisions has both
    "require-statement-timeout",
    "ban-drop-constraint",  # the helpers drop what a killed run has left, then add it
    "prefer-robust-stmts",  # what they do outside of a transaction may be repeated
)
# These ran before there were rows; what comes after them uses cortez.core.migrations.operations.
LANDED = {
    "constraint-missing-not-valid": {"0002"},
    "require-concurrent-index-creation": {"0003", "0004", "0005", "0006"},
}
STEPS = (
    ("alembic", "upgrade", "head"),
    ("alembic", "check"),
    ("alembic", "downgrade", "base"),
    ("alembic", "upgrade", "head"),
    ("alembic", "check"),
    ("cortez", "migrate", "--check"),
)


def run(url: str, *step: str) -> None:
    command = [sys.executable, "-m", *step]
    done = subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(step)} failed on {url}:\n{done.stdout}{done.stderr}")


def read_by_squawk(folder: Path, url: str) -> None:
    below, squawk = "base", Path(sys.executable).with_name("squawk")
    for revision in revisions():
        file = folder / f"{revision}.sql"
        file.write_text(printed(url, "upgrade", revision if below == "base" else f"{below}:{revision}"))
        spared = [*SPARED, *(rule for rule, landed in LANDED.items() if revision in landed)]
        command = [str(squawk), f"--exclude={','.join(spared)}", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"squawk on revision {revision}:\n{done.stdout}{done.stderr}")
        below = revision
    print(f"squawk: {', '.join(revisions())}")  # noqa: T201


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="cortez-") as folder, server(Path(folder)) as postgres:
        url = asyncio.run(create_database(postgres, "migrations"))
        for address in (f"sqlite:///{folder}/cortez.db", url):
            for step in STEPS:
                run(address, *step)
            print(f"{address.partition(':')[0]}: {', '.join(' '.join(step) for step in STEPS)}")  # noqa: T201
        read_by_squawk(Path(folder), url)


if __name__ == "__main__":
    main()

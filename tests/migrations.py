"""Run the migration commands as CI/CD does, on both databases: upgrade, check, downgrade, upgrade, compare."""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from postgres import create_database, server

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


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="cortez-") as folder, server(Path(folder)) as postgres:
        url = asyncio.run(create_database(postgres, "migrations"))
        for address in (f"sqlite:///{folder}/cortez.db", url):
            for step in STEPS:
                run(address, *step)
            print(f"{address.partition(':')[0]}: {', '.join(' '.join(step) for step in STEPS)}")  # noqa: T201


if __name__ == "__main__":
    main()

"""Each revision goes up, down and up with rows in every table; it is killed on its way; eight deployers come at once.

Without the deployers' lock: 14 of 16 fail. Without a transaction on SQLite: what was killed cannot be run again. With
an index that a downgrade forgets: the schema differs.
"""

import asyncio
import signal
from collections.abc import Iterable
from typing import Any

from everyrow import Content, content, lost, plant
from inventory import inventory
from migrating import Changes, downgrade, look, processes, revisions, upgrade, upgrade_and_die, upgrade_at_once
from postgres import create_database
from reliability.stage import POSTGRESQL, Outcome, Stage

FIGURE = "R11"
CLAIM = "migrations: each revision up, down, up with rows in every table; killed on its way; eight deployers at once"
TARGET = "all succeed, 0 rows lost, the schema equal to that of a plain upgrade"
DEPLOYERS = 8
PATIENCE = 120.0


class Trial:
    """The revisions on one kind of database."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.faults: list[str] = []
        self.schemas = {"base": frozenset[str]()}  # after each revision, as a plain upgrade makes it
        self.changes: dict[str, int] = {}  # how many statements and commits that takes
        self.kills = self.rows = self.lost = 0

    def database(self, name: str) -> str:
        """An empty one."""
        if self.stage.database == POSTGRESQL:
            return asyncio.run(create_database(self.stage.settings.database_url, f"r11_{name}"))
        return f"sqlite:///{self.stage.folder / name}.db"

    def learn(self) -> None:
        """What a plain upgrade makes of an empty database."""
        url = self.database("plain")
        for revision in revisions():
            with Changes() as counted:
                upgrade(url, revision)
            self.changes[revision] = counted.seen
            self.schemas[revision] = look(url, inventory)

    def climb(self) -> None:
        """Every revision, on rows that the one before could hold."""
        url, below = self.database("stairway"), "base"
        for revision in revisions():
            held = look(url, content)
            for place in self.places(self.changes[revision]):
                self.kill(url, revision, place)
            upgrade(url, revision)
            self.compare(f"{revision} up, after kills", url, revision, held)
            look(url, plant)
            held = look(url, content)
            self.rows = sum(map(len, held.values()))
            downgrade(url, below, lose_data=True)
            self.compare(f"{revision} down", url, below, held)
            held = look(url, content)
            upgrade(url, revision)
            self.compare(f"{revision} up again", url, revision, held)
            below = revision

    def places(self, changes: int) -> Iterable[int]:
        """Before every statement that changes something, and before the commit."""
        return [changes // 2 + 1] if self.stage.quick else range(1, changes + 1)

    def kill(self, url: str, revision: str, place: int) -> None:
        process = processes.Process(target=upgrade_and_die, args=(url, revision, place))
        process.start()
        process.join(PATIENCE)
        self.kills += 1
        if process.exitcode != -signal.SIGKILL:
            self.faults.append(f"{revision}, place {place}: ended with {process.exitcode} before it was killed")

    def compare(self, what: str, url: str, revision: str, held: Content) -> None:
        if gone := lost(held, look(url, content)):
            self.lost += gone
            self.faults.append(f"{what}: {gone} rows lost")
        if differing := look(url, inventory) ^ self.schemas[revision]:
            self.faults.append(f"{what}: the schema differs in {sorted(differing)[:6]}")

    def crowd(self, number: int) -> None:
        """All deployers upgrade one empty database."""
        url, start = self.database(f"crowd{number}"), processes.Barrier(DEPLOYERS)
        made: list[Any] = [processes.Process(target=upgrade_at_once, args=(url, start)) for _ in range(DEPLOYERS)]
        for process in made:
            process.start()
        for process in made:
            process.join(PATIENCE)
        if any(process.exitcode for process in made):
            self.faults.append(f"crowd {number}: ended with {[process.exitcode for process in made]}")
        self.compare(f"crowd {number}", url, revisions()[-1], {})


async def run(stage: Stage) -> Outcome:
    trial, crowds = Trial(stage), 2 if stage.quick else 20
    await asyncio.to_thread(trial.learn)
    await asyncio.to_thread(trial.climb)
    for number in range(crowds):
        await asyncio.to_thread(trial.crowd, number)
    for fault in trial.faults:
        print(fault)  # noqa: T201
    said = f"{len(trial.changes)} revisions with up to {trial.rows} rows, {trial.kills} kills, "
    said += f"{crowds} x {DEPLOYERS} deployers: {len(trial.faults)} faults, {trial.lost} rows lost"
    return Outcome(said, not trial.faults)

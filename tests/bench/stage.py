"""Where it is measured: databases of their own on a server that keeps what it acknowledged, and what is told of it."""

import asyncio
from pathlib import Path

import msgspec

from bench.material import Place, prepare
from cortez.core.migrations import runner
from cortez.settings import Settings
from postgres import create_database
from running import settings_for

ROUNDS, SECONDS = 5, 3.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 0.5


class Line(msgspec.Struct, frozen=True):
    """A row of the table; `met` is None where a target does not apply."""

    figure: str
    what: str
    measured: str
    target: str
    met: bool | None

    def __str__(self) -> str:
        met = "" if self.met is None else "yes" if self.met else "**no**"
        return f"| {self.figure} | {self.what} | {self.measured} | {self.target} | {met} |"


class Series(msgspec.Struct, frozen=True):
    """Points of one curve of a plot."""

    name: str
    points: list[tuple[float, float]]


class Plot(msgspec.Struct, frozen=True):
    file: str
    title: str
    x: str
    y: str
    series: list[Series]
    logarithmic: bool = False


class Bench(msgspec.Struct, frozen=True):
    """`postgres` is the URL of a server in which databases may be made; `quick` only proves that everything runs."""

    folder: Path
    postgres: str
    quick: bool
    plots: list[Plot]

    @property
    def rounds(self) -> int:
        return QUICK_ROUNDS if self.quick else ROUNDS

    @property
    def seconds(self) -> float:
        return QUICK_SECONDS if self.quick else SECONDS

    def scene(self, name: str, clients: int, *, embedded: bool = False) -> "Scene":
        """A migrated database with what all programs are asked about."""
        folder = self.folder / name
        folder.mkdir()
        url = f"sqlite:///{folder / 'cortez.db'}"
        if not embedded:
            url = asyncio.run(create_database(self.postgres, f"bench_{name}"))
        settings = settings_for(url, files=str(folder / "files"))
        runner.upgrade(settings)
        return Scene(folder, url, settings, prepare(settings, clients))


class Scene(msgspec.Struct, frozen=True):
    folder: Path
    url: str
    settings: Settings
    place: Place
